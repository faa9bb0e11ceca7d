'use strict';
/* The page asks the server that it comes from, every two seconds, and shows what it says. Nothing that a run says becomes
 * markup: it is text, always. */

const EVERY_MS = 2000, PATIENCE_MS = 15000;
const byId = id => document.getElementById(id);
const shown = { run: 0, count: 1, curves: new Map(), results: '', parts: {} };

/* ---- words ---- */

const isNumber = value => typeof value === 'number' && isFinite(value);
const percent = value => isNumber(value) ? (100 * value).toFixed(2) + ' %' : '';
const rounded = (value, digits) => isNumber(value) ? value.toFixed(digits) : '';
const whole = value => isNumber(value) ? Math.round(value).toLocaleString('en') : '';

function short(value) {
  if (!isNumber(value)) return '';
  const size = Math.abs(value);
  if (size >= 1e6) return +(value / 1e6).toPrecision(3) + 'M';
  if (size >= 1e4) return +(value / 1e3).toPrecision(3) + 'k';
  return String(+value.toPrecision(4));
}

function duration(seconds) {
  if (!isNumber(seconds)) return '';
  const s = Math.max(0, seconds), two = n => String(Math.floor(n)).padStart(2, '0');
  if (s < 10) return s.toFixed(1) + ' s';
  if (s < 60) return Math.round(s) + ' s';
  if (s < 3600) return Math.floor(s / 60) + ' min ' + two(s % 60) + ' s';
  if (s < 86400) return Math.floor(s / 3600) + ' h ' + two(s % 3600 / 60) + ' min';
  return Math.floor(s / 86400) + ' d ' + two(s % 86400 / 3600) + ' h';
}

const time = ms => ms > 0 ? new Date(ms).toLocaleString() : '';
const stateOf = run => run.runner === 'gone' ? 'killed' : run.runner === 'silent' ? 'silent' : run.state;
const classOf = state => String(state).split(' ')[0];

/* ---- elements ---- */

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function svg(name, attributes, text) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  if (text !== undefined) made.textContent = text;
  return made;
}

function setText(id, text) {
  const at = byId(id);
  if (at.textContent !== text) at.textContent = text;
}

function bar(value, most, label) {
  const made = element('progress');
  made.max = most > 0 ? most : 1;
  made.value = Math.min(value, made.max);
  made.setAttribute('aria-label', label);
  return made;
}

/* Cells: texts, or elements; their names are the table's headings. */
function row(table, cells, numeric) {
  const heads = table.tHead.rows[0].cells, made = element('tr');
  cells.forEach((cell, i) => {
    const td = element('td', undefined, numeric.includes(i) ? 'n' : '');
    td.dataset.name = heads[i].textContent;
    td.append(cell);
    if (cell !== '') made.append(td);
    else made.append(Object.assign(element('td'), { className: td.className }));
  });
  return made;
}

/* Has this part of the page something new to show? Else it is left alone, with what is selected in it. */
function isNews(part, data) {
  const text = JSON.stringify(data);
  if (shown.parts[part] === text) return false;
  shown.parts[part] = text;
  return true;
}

/* ---- what is known of a run ---- */

function showHead(run) {
  const state = stateOf(run);
  document.title = run.campaign + ': ' + state + ' - Glowworm';
  setText('campaign', run.campaign);
  setText('state', state);
  byId('state').className = 'pill ' + classOf(state);
  const who = run.host ? ' by process ' + run.pid + ' on ' + run.host : '';
  setText('about', run.folder + (run.started_ms ? ', started ' + time(run.started_ms) : '') + who);
  const done = run.stages.filter(stage => stage.state === 'done').length;
  const left = isNumber(run.eta_seconds) && run.eta_seconds > 0 ? ', about ' + duration(run.eta_seconds) + ' left' : '';
  const why = run.text ? ': ' + run.text : '';
  const without = run.excluded ? '. Left out: ' + run.excluded + (run.excluded_why ? ' (' + run.excluded_why + ')' : '') : '';
  const waits = run.waits ? '. Waits: ' + run.waits : '';
  setText('whole', done + ' of ' + run.stages.length + ' stages done' + left + why + without + waits);
  const age = run.age_seconds;
  setText('age', isNumber(age) ? 'The run wrote this ' + duration(age) + ' ago.' : 'From the run’s journal.');
}

/* What ended the attempts before: "crash 2, time limit 1". */
const causes = stage => Object.entries(stage.causes || {}).map(([cause, count]) => cause + ' ' + count).join(', ');

function what(stage) {
  const before = causes(stage) ? 'attempts ended by: ' + causes(stage) : '';
  if (stage.state === 'failed' || stage.state === 'backing off')
    return [[stage.why, stage.cause || stage.error, stage.error_text].filter(Boolean).join(': '), before].filter(Boolean).join('; ');
  if (stage.state === 'waiting') return stage.why || '';
  return [stage.doing && stage.state === 'running' ? stage.doing : '', stage.warning, before].filter(Boolean).join('; ');
}

function stageTime(stage) {
  if (stage.state === 'running') return isNumber(stage.eta_seconds) ? duration(stage.eta_seconds) + ' left' : '';
  if (stage.state === 'waiting') return isNumber(stage.eta_seconds) ? 'about ' + duration(stage.eta_seconds) : '';
  if (stage.state === 'backing off' && stage.retry_at_ms) return 'again ' + new Date(stage.retry_at_ms).toLocaleTimeString();
  return duration(stage.seconds);
}

function progressOf(stage) {
  if (!(stage.steps > 0)) return '';
  const made = element('div');
  if (stage.state === 'running') made.append(bar(stage.step, stage.steps, 'progress of ' + stage.name));
  made.append(element('div', whole(stage.step) + ' / ' + whole(stage.steps), 'small'));
  return made;
}

function showStages(run) {
  if (!isNews('stages', run.stages)) return;
  const table = byId('stages').querySelector('table'), rows = run.stages.map(stage => {
    const isTraining = stage.kind === 'train';
    return row(table, [stage.name, element('span', stage.state, classOf(stage.state)), progressOf(stage),
      stage.images_per_second > 0 ? whole(stage.images_per_second) : '', isTraining ? rounded(stage.loss, 4) : '',
      percent(stage.accuracy), stageTime(stage), stage.attempts > 0 ? String(stage.attempts) : '', what(stage)], [3, 4, 5, 6, 7]);
  });
  table.tBodies[0].replaceChildren(...rows);
}

function fact(name, value) {
  const made = element('div');
  made.append(element('dt', name), element('dd', value));
  return made;
}

function gang(stage) {
  const made = element('div', undefined, 'gang'), facts = element('dl');
  made.append(element('h3', stage.name + (stage.doing ? ': ' + stage.doing : '')),
    bar(stage.step, stage.steps, 'progress of ' + stage.name));
  const all = { progress: stage.steps > 0 ? whole(stage.step) + ' / ' + whole(stage.steps) : '', epoch: rounded(stage.epoch, 2),
    'images/s': stage.images_per_second > 0 ? whole(stage.images_per_second) : '', loss: rounded(stage.loss, 4),
    accuracy: percent(stage.accuracy), 'time left': duration(stage.eta_seconds), gangs: stage.gangs > 0 ? String(stage.gangs) : '',
    attempt: String(stage.attempts || 1), host: stage.host, process: stage.pid ? String(stage.pid) : '' };
  for (const name in all) if (all[name]) facts.append(fact(name, all[name]));
  made.append(facts);
  return made;
}

function showGangs(run) {
  const running = run.stages.filter(stage => stage.state === 'running');
  if (!isNews('gangs', running)) return;
  byId('now').hidden = running.length === 0;
  byId('gangs').replaceChildren(...running.map(gang));
}

/* ---- targets ---- */

function showResults(results) {
  const table = byId('targets').querySelector('table'), rows = results.targets.map(target => row(table, [target.name,
    target.device || 'any', rounded(target.macs / 1e6, 3), isNumber(target.latency_ms) ? rounded(target.latency_ms, 2) + ' ms' : '',
    percent(target.holdout_accuracy), percent(target.test_accuracy), element('code', target.subnet)], [2, 3, 4, 5]));
  table.tBodies[0].replaceChildren(...rows);
  table.hidden = rows.length === 0;
  byId('report').hidden = !results.report;
  byId('report').firstChild.href = 'report.html?run=' + shown.run;
  byId('targets').hidden = rows.length === 0 && !results.report;
}

/* They change only when a stage ends. */
async function updateResults(run) {
  const now = shown.run + ' ' + run.stages.map(stage => stage.state + stage.ended_ms).join();
  if (shown.results === now) return;
  const results = await ask('results.json?run=' + shown.run);
  if (now.split(' ')[0] !== String(shown.run)) return;
  shown.results = now;
  showResults(results);
}

/* ---- curves ---- */

/* Asks for what is new of every stage that trains; true: something is. */
async function updateCurves(run) {
  const curves = shown.curves;
  let hasNews = false;
  for (const stage of run.stages.filter(stage => stage.kind === 'train' && stage.state !== 'waiting')) {
    const known = curves.get(stage.name) || { version: 0, isWhole: false, data: null };
    const ended = stage.state + stage.ended_ms;
    if (known.isWhole && known.ended === ended) continue;
    const got = await ask('curves.json?run=' + shown.run + '&stage=' + encodeURIComponent(stage.name) + '&from=' + known.version);
    if (got.trouble || shown.curves !== curves) continue;
    if (!got.same) known.data = got;
    hasNews = hasNews || !got.same;
    Object.assign(known, { version: got.version, ended, isWhole: !got.more && stage.state === 'done' });
    curves.set(stage.name, known);
    shown.hurry = shown.hurry || got.more;
  }
  return hasNews;
}

/* Stages in their order, each behind the one before: [{name, colour, first, steps, data}]. */
function placeStages(run) {
  let first = 0;
  const placed = [];
  run.stages.filter(stage => stage.kind === 'train').forEach((stage, i) => {
    const known = shown.curves.get(stage.name), data = known && known.data;
    const last = data && data.step.length ? data.step[data.step.length - 1] : 0;
    const steps = Math.max(data ? data.steps : 0, last);
    if (steps > 0) placed.push({ name: stage.name, colour: 'c' + i % 8, first, steps, data });
    first += steps;
  });
  return placed;
}

const points = (stage, name, scale) => stage.data.step.map((step, i) => [stage.first + step, stage.data[name][i]])
  .filter(point => isNumber(point[1])).map(point => [point[0], scale * point[1]]);

/* The mean of the points around each: what a noisy curve comes to. */
function smooth(list) {
  const reach = Math.floor(list.length / 40);
  return list.map(([x], i) => {
    const near = list.slice(Math.max(0, i - reach), i + reach + 1);
    return [x, near.reduce((sum, point) => sum + point[1], 0) / near.length];
  });
}

const trainSeries = (placed, name, scale) => placed.map(stage => ({ name: stage.name, colour: stage.colour, label: stage.name,
  isNoisy: true, points: points(stage, name, scale) }));

/* A curve of every sub-network that more than one stage measures, through all of them; the others are thin. */
function subnetSeries(placed) {
  const found = new Map();
  for (const stage of placed)
    for (const evaluation of stage.data.evaluate)
      for (const subnet of evaluation.subnets) {
        if (!isNumber(subnet.accuracy)) continue;
        if (!found.has(subnet.label)) found.set(subnet.label, []);
        found.get(subnet.label).push([stage.first + evaluation.step, 100 * subnet.accuracy]);
      }
  const ends = ['biggest', 'smallest'];
  return [...found].map(([label, list]) => ({ name: label, label: ends.includes(label) ? label : '', isThin: !ends.includes(label),
    colour: label === 'biggest' ? 'c0' : label === 'smallest' ? 'c1' : 'c7', points: list }));
}

function roundStep(span, ticks) {
  const power = Math.pow(10, Math.floor(Math.log10(span / ticks))), ratio = span / ticks / power;
  return power * (ratio < 1.5 ? 1 : ratio < 3.5 ? 2 : ratio < 7.5 ? 5 : 10);
}

function axis(values, ticks, isZeroBased) {
  let low = isZeroBased ? 0 : Math.min(...values), high = Math.max(...values);
  if (!(high - low > 1e-9 * Math.abs(high) + 1e-12)) { low -= 0.5; high += 0.5; }
  const step = roundStep(high - low, ticks);
  return { low: isZeroBased ? 0 : Math.floor(low / step) * step, high: isZeroBased ? high : Math.ceil(high / step) * step, step };
}

const ticksOf = scale => {
  const list = [];
  for (let v = Math.ceil(scale.low / scale.step - 1e-6) * scale.step; v <= scale.high + scale.step * 1e-6; v += scale.step)
    list.push(Math.abs(v) < scale.step * 1e-6 ? 0 : v);
  return list;
};

class Chart {
  constructor(title, unit) {
    this.unit = unit;
    this.title = title;
    this.figure = element('figure');
    this.caption = element('figcaption', title);
    this.keys = element('span', undefined, 'keys');
    this.output = element('output');
    this.output.setAttribute('aria-live', 'polite');
    this.caption.append(this.keys, this.output);
    this.svg = svg('svg', { tabindex: '0', role: 'img', 'aria-label': title });
    this.figure.append(this.caption, this.svg);
    this.series = [];
    this.placed = [];
    this.svg.addEventListener('pointermove', event => this.point(event));
    this.svg.addEventListener('pointerdown', event => this.point(event));
    this.svg.addEventListener('pointerleave', () => this.cross(null));
    this.svg.addEventListener('blur', () => this.cross(null));
    this.svg.addEventListener('keydown', event => this.key(event));
  }

  set(placed, series) {
    this.placed = placed;
    this.series = series.filter(one => one.points.length > 0);
    this.figure.hidden = this.series.length === 0;
    this.xs = [...new Set(this.series.flatMap(one => one.points.map(point => point[0])))].sort((a, b) => a - b);
    this.draw();
  }

  draw() {
    if (this.figure.hidden) return;
    const width = Math.max(280, this.svg.clientWidth), height = this.svg.clientHeight || 230;
    this.frame = { left: 50, right: width - 14, top: 20, bottom: height - 24, width, height };
    const last = this.placed[this.placed.length - 1];
    this.x = axis([0, last.first + last.steps], width < 500 ? 4 : 8, true);
    this.y = axis(this.series.flatMap(one => one.points.map(point => point[1])), 4, false);
    this.svg.setAttribute('viewBox', '0 0 ' + width + ' ' + height);
    this.svg.replaceChildren();
    this.drawGrid();
    this.series.forEach(one => this.drawSeries(one));
    this.drawNames();
    this.describe();
    if (this.at !== undefined && this.at !== null) this.cross(this.at);
  }

  px(x) { return this.frame.left + (x - this.x.low) / (this.x.high - this.x.low) * (this.frame.right - this.frame.left); }

  py(y) { return this.frame.bottom - (y - this.y.low) / (this.y.high - this.y.low) * (this.frame.bottom - this.frame.top); }

  drawGrid() {
    const frame = this.frame;
    for (const v of ticksOf(this.y))
      this.svg.append(svg('path', { class: 'grid', d: `M${frame.left} ${this.py(v)}H${frame.right}` }),
        svg('text', { class: 'tick', x: frame.left - 6, y: this.py(v) + 4, 'text-anchor': 'end' }, short(v) + this.unit));
    for (const v of ticksOf(this.x))
      this.svg.append(svg('text', { class: 'tick', x: this.px(v), y: frame.height - 6, 'text-anchor': 'middle' }, short(v)));
    for (const stage of this.placed.slice(1))
      this.svg.append(svg('path', { class: 'border', d: `M${this.px(stage.first)} ${frame.top}V${frame.bottom}` }));
  }

  drawSeries(one) {
    const path = list => list.map(([x, y], i) => (i ? 'L' : 'M') + this.px(x).toFixed(1) + ' ' + this.py(y).toFixed(1)).join('');
    const line = one.isNoisy ? smooth(one.points) : one.points;
    if (one.isNoisy) this.svg.append(svg('path', { class: 'curve raw ' + one.colour, d: path(one.points) }));
    this.svg.append(svg('path', { class: 'curve ' + one.colour + (one.isThin ? ' thin' : ''), d: path(line) }));
    const [x, y] = line[line.length - 1];
    if (one.points.length === 1 || !one.isThin)
      this.svg.append(svg('circle', { class: 'dot ' + one.colour, cx: this.px(x), cy: this.py(y), r: 3.5 }));
  }

  /* A stage's name stands over its part of the axis, a sub-network's at its curve's end; what finds no room has a key. */
  drawNames() {
    const stages = this.series.filter(one => this.placed.some(stage => stage.name === one.name));
    const unnamed = new Set(this.series.filter(one => one.label));
    for (const stage of this.placed) {
      const from = this.px(stage.first), to = this.px(stage.first + stage.steps), room = to - from;
      const isOwn = stages.some(one => one.name === stage.name);
      if (room < 7 * stage.name.length + 4) continue;
      stages.filter(one => one.name === stage.name).forEach(one => unnamed.delete(one));
      this.svg.append(svg('text', { class: isOwn ? 'name ' + stage.colour : 'tick', x: (from + to) / 2, y: 13, 'text-anchor': 'middle' }, stage.name));
    }
    for (const one of this.series.filter(one => one.label && !stages.includes(one))) {
      const [x, y] = one.points[one.points.length - 1], isLeft = this.px(x) > this.frame.width - 90;
      this.svg.append(svg('text', { class: 'name ' + one.colour, x: this.px(x) + (isLeft ? -8 : 8), y: this.py(y) - 7,
        'text-anchor': isLeft ? 'end' : 'start' }, one.label));
      unnamed.delete(one);
    }
    this.keys.replaceChildren(...[...unnamed].map(one => element('span', one.label + ' ', 'key ' + one.colour)));
  }

  describe() {
    const ends = this.series.filter(one => one.label).map(one => one.label + ' ' + short(one.points[one.points.length - 1][1]) + this.unit);
    this.svg.setAttribute('aria-label', this.title + '. Last values: ' + ends.join(', '));
  }

  point(event) {
    const box = this.svg.getBoundingClientRect(), frame = this.frame;
    if (!frame || box.width === 0) return;
    const x = (event.clientX - box.left) * frame.width / box.width;
    this.cross(this.x.low + (x - frame.left) / (frame.right - frame.left) * (this.x.high - this.x.low));
  }

  key(event) {
    const now = this.nearest(this.at === null || this.at === undefined ? Infinity : this.at), n = this.xs.length;
    const jump = Math.max(1, Math.round(n / 20));
    const to = { ArrowLeft: now - 1, ArrowRight: now + 1, PageUp: now - jump, PageDown: now + jump, Home: 0, End: n - 1 }[event.key];
    if (to === undefined) return event.key === 'Escape' ? this.cross(null) : undefined;
    event.preventDefault();
    this.cross(this.xs[Math.min(n - 1, Math.max(0, to))]);
  }

  nearest(x) {
    let best = 0;
    this.xs.forEach((value, i) => { if (Math.abs(value - x) < Math.abs(this.xs[best] - x)) best = i; });
    return isFinite(x) ? best : this.xs.length - 1;
  }

  /* The values at the nearest step, of the curves that have one there. */
  cross(x) {
    this.svg.querySelectorAll('.cross, .mark').forEach(old => old.remove());
    this.at = x;
    if (x === null || this.xs.length === 0) { this.output.textContent = ''; return; }
    const at = this.xs[this.nearest(x)], said = [];
    this.svg.append(svg('path', { class: 'cross', d: `M${this.px(at)} ${this.frame.top}V${this.frame.bottom}` }));
    for (const one of this.series) {
      const point = one.points.find(point => point[0] === at);
      if (!point) continue;
      said.push(one.name + ' ' + short(point[1]) + this.unit);
      this.svg.append(svg('circle', { class: 'dot mark ' + one.colour, cx: this.px(at), cy: this.py(point[1]), r: 4.5 }));
    }
    this.output.textContent = 'step ' + whole(at) + ': ' + said.join(', ');
  }
}

const charts = [
  { chart: new Chart('Loss on the training batches', ''), series: placed => trainSeries(placed, 'loss', 1) },
  { chart: new Chart('Accuracy on the training batches', ' %'), series: placed => trainSeries(placed, 'accuracy', 100) },
  { chart: new Chart('Hold-out accuracy of sub-networks', ' %'), series: placed => subnetSeries(placed) },
  { chart: new Chart('Images a second', ''), series: placed => trainSeries(placed, 'images_per_s', 1) }
];

function drawCurves(run) {
  const placed = placeStages(run);
  byId('curves').hidden = placed.length === 0;
  if (placed.length > 0) charts.forEach(one => one.chart.set(placed, one.series(placed)));
}

/* ---- several runs ---- */

function showRuns(runs) {
  if (!isNews('runs', [shown.run, runs])) return;
  const focus = document.activeElement.hash;
  const table = byId('runs').querySelector('table');
  byId('runs').hidden = false;
  table.tBodies[0].replaceChildren(...runs.map((run, i) => {
    const link = element('a', run.campaign || run.folder);
    link.href = '#run=' + i;
    if (i === shown.run) link.setAttribute('aria-current', 'true');
    const state = run.trouble ? element('span', 'not to be read', 'failed') : element('span', stateOf(run), classOf(stateOf(run)));
    const made = row(table, [link, state, run.trouble ? '' : run.done + ' / ' + run.stages, run.trouble || run.running.join(', '),
      run.eta_seconds > 0 ? duration(run.eta_seconds) : '', element('code', run.folder)], []);
    if (i === shown.run) made.className = 'chosen';
    return made;
  }));
  const focused = focus && [...table.querySelectorAll('a')].find(link => link.hash === focus);
  if (focused) focused.focus();
}

/* ---- asking ---- */

async function ask(path) {
  const stop = new AbortController(), timer = setTimeout(() => stop.abort(), PATIENCE_MS);
  try {
    const answer = await fetch(path, { signal: stop.signal, cache: 'no-store' });
    if (!answer.ok) throw new Error('the page is not there any more');
    return await answer.json();
  } finally {
    clearTimeout(timer);
  }
}

function trouble(text) {
  document.body.classList.toggle('old', text !== '');
  byId('trouble').hidden = text === '';
  setText('trouble', text);
}

async function update() {
  const chosen = shown.run; /* another may be chosen while we wait */
  shown.hurry = false;
  if (shown.count > 1 || shown.grows || shown.list === undefined) {
    const { runs, grows } = await ask('runs.json');
    shown.list = runs;
    shown.count = runs.length;
    shown.grows = grows;
    if (runs.length > 1) showRuns(runs);
    if (runs.length === 0) return trouble('Nothing was submitted yet: "glowworm submit" does.');
  }
  const run = await ask('status.json?run=' + shown.run);
  if (shown.run !== chosen) return;
  trouble(run.trouble || '');
  if (run.trouble) return;
  showHead(run);
  showGangs(run);
  showStages(run);
  const hasNews = await updateCurves(run);
  if (shown.run !== chosen) return;
  if (hasNews || shown.redraw) drawCurves(run);
  shown.redraw = false;
  await updateResults(run);
}

let timer = 0;
async function turn() {
  clearTimeout(timer);
  const asked = shown.run;
  try {
    if (!document.hidden) await update();
  } catch (why) {
    if (asked === shown.run)
      trouble('No answer: what shows this page (glowworm run or glowworm page, or a tunnel to it) has ended, or does not answer. It is tried again.');
  }
  clearTimeout(timer);
  timer = setTimeout(turn, shown.hurry ? 50 : EVERY_MS);
}

function choose() {
  const match = /^#run=(\d+)$/.exec(location.hash);
  const run = match ? +match[1] : 0;
  if (run === shown.run) return;
  Object.assign(shown, { run, results: '', redraw: true });
  shown.curves = new Map();
}

window.addEventListener('hashchange', () => { choose(); turn(); });
document.addEventListener('visibilitychange', () => { if (!document.hidden) turn(); });
let resizing = 0;
new ResizeObserver(() => {
  cancelAnimationFrame(resizing);
  resizing = requestAnimationFrame(() => charts.forEach(one => { if (one.chart.frame) one.chart.draw(); }));
}).observe(byId('charts'));
byId('charts').append(...charts.map(one => one.chart.figure));
choose();
turn();
