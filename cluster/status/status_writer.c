#include "cluster/status/status_writer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/estimate.h"
#include "cluster/status/publisher.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVERY_S      2.0
#define LAST_WRITE_S 5.0
#define ENOUGH_S     1.0 /* of training, to tell a rate from */

struct pace { /* of an attempt: its first word of progress and its last */
    double first_s, last_s;
    uint64_t first_computed, last_computed;
};

struct status_writer {
    struct status_writer_cfg cfg;
    const struct run_estimate *estimate; /* NULL: not known */
    struct loop_view view;
    struct publisher *publisher; /* NULL: not begun, or no thread */
    struct run_status status;
    const struct gang *gangs[PLAN_MAX_STAGES]; /* that run; NULL: none */
    struct pace paces[PLAN_MAX_STAGES];
    bool was_stopped[PLAN_MAX_STAGES]; /* its last attempt, as a person or its job's end asked */
    double done_macs, done_s;          /* training stages of this run */
    bool has_changed;
    double given_s;
};

static uint64_t computed(const struct gang_progress *latest)
{
    return latest->step > latest->reused ? latest->step - latest->reused : 0;
}

static bool is_training(const struct status_writer *writer, int stage)
{
    return writer->cfg.graph->stages[stage].kind == STAGE_TRAIN;
}

/* Multiply-accumulates of so many of a stage's steps. */
static double macs_of(const struct status_writer *writer, int stage, double steps)
{
    double all = (double)writer->status.stages[stage].steps;
    return all > 0 ? writer->estimate->stages[stage].macs * steps / all : 0;
}

/* What this run has shown, else what was known before. */
static double find_rate(const struct status_writer *writer)
{
    double macs = writer->done_macs, seconds = writer->done_s;
    for (int i = 0; i < writer->status.stage_count; i++) {
        const struct pace *pace = &writer->paces[i];
        if (!writer->gangs[i] || !is_training(writer, i) || pace->first_s == 0)
            continue;
        macs += macs_of(writer, i, (double)(pace->last_computed - pace->first_computed));
        seconds += pace->last_s - pace->first_s;
    }
    return seconds > ENOUGH_S && macs > 0 ? macs / seconds : writer->estimate->macs_per_second;
}

/* From its own pace; NaN where it has none yet. */
static double eta_from_pace(const struct status_writer *writer, int stage, double now_s)
{
    const struct stage_status *row = &writer->status.stages[stage];
    const struct pace *pace = &writer->paces[stage];
    if (!writer->gangs[stage] || pace->last_computed <= pace->first_computed ||
        row->steps < row->step)
        return NAN;
    double each =
        (pace->last_s - pace->first_s) / (double)(pace->last_computed - pace->first_computed);
    return fmax(0, each * (double)(row->steps - row->step) - (now_s - pace->last_s));
}

static double eta_from_estimate(const struct status_writer *writer, int stage, double rate)
{
    const struct stage_status *row = &writer->status.stages[stage];
    if (!writer->estimate)
        return NAN;
    const struct stage_estimate *known = &writer->estimate->stages[stage];
    if (known->macs <= 0 || rate <= 0)
        return known->seconds;
    double left = row->steps > 0 ? 1 - (double)row->step / (double)row->steps : 1;
    return known->macs * left / rate;
}

/* The whole run's is as if nothing went side by side. */
static void set_etas(struct status_writer *writer)
{
    struct run_status *status = &writer->status;
    double now = clock_seconds(), rate = writer->estimate ? find_rate(writer) : 0;
    status->eta_seconds = 0;
    for (int i = 0; i < status->stage_count; i++) {
        struct stage_status *row = &status->stages[i];
        row->eta_seconds = NAN;
        if (row->state == STAGE_STATE_DONE)
            continue;
        row->eta_seconds = eta_from_pace(writer, i, now);
        if (isnan(row->eta_seconds))
            row->eta_seconds = eta_from_estimate(writer, i, rate);
        status->eta_seconds += row->eta_seconds;
    }
}

static void set_wait(struct status_writer *writer, int stage)
{
    const struct graph_stage *node = &writer->cfg.graph->stages[stage];
    struct run_status *status = &writer->status;
    struct stage_status *row = &status->stages[stage];
    row->needs[0] = '\0';
    for (int i = 0; i < node->dependency_count; i++) {
        const struct stage_status *other = &status->stages[node->dependencies[i]];
        bool is_told_of = stage_is_verdict(writer->cfg.graph->stages[node->dependencies[i]].kind) &&
                          other->state == STAGE_STATE_FAILED;
        if (other->state == STAGE_STATE_DONE || is_told_of)
            continue;
        snprintf(row->needs, sizeof row->needs, "%s", other->name);
        snprintf(row->why, sizeof row->why, "needs %s%s", other->name,
                 other->state == STAGE_STATE_FAILED ? ", which failed" : "");
        return;
    }
    snprintf(row->why, sizeof row->why, "%s",
             run_state_is_end(status->state)                         ? ""
             : status->state == RUN_STATE_STARTING                   ? "the run is starting"
             : status->state == RUN_STATE_STOPPING                   ? "the run is stopping"
             : status->waits[0]                                      ? "no room on the run's disk"
             : run_status_first(status, STAGE_STATE_RUNNING) != NULL ? "no room beside what runs"
                                                                     : "about to start");
}

static void set_waits(struct status_writer *writer)
{
    for (int i = 0; i < writer->status.stage_count; i++)
        if (writer->status.stages[i].state == STAGE_STATE_WAITING)
            set_wait(writer, i);
}

static void set_processes(struct status_writer *writer)
{
    for (int i = 0; i < writer->status.stage_count; i++) {
        const struct gang *gang = writer->gangs[i];
        struct stage_status *row = &writer->status.stages[i];
        row->pid = gang ? gang->process.pid : 0;
        row->gangs = gang ? 1 + gang->helpers : 0;
        snprintf(row->host, sizeof row->host, "%s", gang ? writer->status.host : "");
    }
}

/* Returns owned (free). */
static char *dump(struct status_writer *writer)
{
    writer->status.written_ms = clock_wall_ms();
    json_t *json = run_status_json(&writer->status);
    char *text = json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    json_decref(json);
    return text;
}

static void give(struct status_writer *writer)
{
    if (!writer->publisher)
        return;
    set_processes(writer);
    set_waits(writer);
    set_etas(writer);
    char *text = dump(writer);
    if (text)
        publisher_give(writer->publisher, text);
    free(text);
    writer->given_s = clock_seconds();
    writer->has_changed = false;
}

static void begin_attempt(struct status_writer *writer, const struct gang *gang, uint64_t step)
{
    struct stage_status *row = &writer->status.stages[gang->stage];
    row->state = STAGE_STATE_RUNNING;
    row->step = (int64_t)step;
    row->attempts = gang->lease.attempt;
    row->why[0] = row->needs[0] = row->doing[0] = '\0';
    row->retry_at_ms = row->ended_ms = 0;
    row->started_ms = clock_wall_ms();
    snprintf(row->log, sizeof row->log, "%s", gang->log);
    writer->gangs[gang->stage] = gang;
    writer->was_stopped[gang->stage] = false;
    writer->paces[gang->stage] = (struct pace){0};
    writer->status.state =
        writer->status.state == RUN_STATE_STARTING ? RUN_STATE_RUNNING : writer->status.state;
    writer->has_changed = true;
}

static void on_started(void *own, const struct gang *gang, bool is_resume, uint64_t step)
{
    (void)is_resume;
    begin_attempt(own, gang, step);
}

static void on_adopted(void *own, const struct gang *gang)
{
    begin_attempt(own, gang, gang->progress.step);
}

static void set_pace(struct status_writer *writer, const struct gang *gang)
{
    struct pace *pace = &writer->paces[gang->stage];
    uint64_t now = computed(&gang->progress);
    if (pace->first_s == 0 || now < pace->first_computed)
        *pace = (struct pace){.first_s = clock_seconds(), .first_computed = now};
    pace->last_s = clock_seconds();
    pace->last_computed = now;
}

static void on_progress(void *own, const struct gang *gang)
{
    struct status_writer *writer = own;
    const struct gang_progress *latest = &gang->progress;
    struct stage_status *row = &writer->status.stages[gang->stage];
    row->step = (int64_t)latest->step;
    row->steps = (int64_t)latest->steps;
    row->reused = (int64_t)latest->reused;
    row->epoch = latest->epoch;
    row->images_per_second = latest->images_per_second > 0 ? latest->images_per_second : NAN;
    row->loss = latest->loss > 0 ? latest->loss : NAN;
    row->accuracy = latest->accuracy >= 0 && latest->accuracy <= 1 ? latest->accuracy : NAN;
    snprintf(row->doing, sizeof row->doing, "%s", latest->doing);
    set_pace(writer, gang);
}

static void on_warning(void *own, const struct gang *gang, const char *text)
{
    struct status_writer *writer = own;
    struct stage_status *row = &writer->status.stages[gang->stage];
    snprintf(row->warning, sizeof row->warning, "%s", text);
    writer->has_changed = true;
}

static struct stage_status *end_attempt(struct status_writer *writer, const struct gang *gang)
{
    struct stage_status *row = &writer->status.stages[gang->stage];
    row->ended_ms = clock_wall_ms();
    row->doing[0] = '\0';
    row->causes[gang->cause]++;
    writer->gangs[gang->stage] = NULL;
    writer->has_changed = true;
    return row;
}

static void on_done(void *own, const struct gang *gang, double seconds)
{
    struct status_writer *writer = own;
    struct stage_status *row = end_attempt(writer, gang);
    const struct pace *pace = &writer->paces[gang->stage];
    row->state = STAGE_STATE_DONE;
    row->seconds = seconds;
    row->failures = 0;
    if (!writer->estimate || !is_training(writer, gang->stage) || pace->first_s == 0)
        return;
    writer->done_s += seconds;
    writer->done_macs +=
        macs_of(writer, gang->stage, (double)(pace->last_computed - pace->first_computed));
}

static void on_failed(void *own, const struct gang *gang, enum err error, const char *text,
                      const char *tail, double retry_s)
{
    struct status_writer *writer = own;
    struct stage_status *row = end_attempt(writer, gang);
    (void)tail;
    row->state = retry_s < 0 ? STAGE_STATE_FAILED : STAGE_STATE_BACKING_OFF;
    row->retry_at_ms = retry_s < 0 ? 0 : row->ended_ms + (int64_t)(1000 * retry_s);
    row->failures = gang->failures;
    snprintf(row->cause, sizeof row->cause, "%s", cause_name(gang->cause));
    snprintf(row->error, sizeof row->error, "%s", err_name(error));
    snprintf(row->error_text, sizeof row->error_text, "%s", text);
    snprintf(row->why, sizeof row->why, "%.*s", (int)strcspn(text, "\n"), text);
}

static void on_excluded(void *own, const struct gang *gang, const struct bad_nodes *nodes)
{
    struct status_writer *writer = own;
    (void)gang;
    run_status_exclude(&writer->status, nodes);
    writer->has_changed = true;
}

static void on_full(void *own, const char *text)
{
    struct status_writer *writer = own;
    snprintf(writer->status.waits, sizeof writer->status.waits, "%s", text ? text : "");
    writer->has_changed = true;
}

static void on_stopped(void *own, const struct gang *gang)
{
    struct status_writer *writer = own;
    struct stage_status *row = end_attempt(writer, gang);
    row->state = STAGE_STATE_WAITING;
    writer->was_stopped[gang->stage] = true;
}

static void on_stopping(void *own, const struct gang *gang, int count)
{
    struct status_writer *writer = own;
    (void)gang, (void)count;
    writer->status.state = RUN_STATE_STOPPING;
    writer->has_changed = true;
}

static void on_tick(void *own)
{
    struct status_writer *writer = own;
    if (writer->publisher && publisher_was_stop_asked(writer->publisher) && writer->cfg.stop)
        writer->cfg.stop();
    if (writer->has_changed || clock_seconds() - writer->given_s >= EVERY_S)
        give(writer);
}

static void set_runner(struct status_writer *writer)
{
    struct run_status *status = &writer->status;
    const struct status_writer_cfg *cfg = &writer->cfg;
    char *folder = realpath(cfg->run_folder, NULL);
    snprintf(status->campaign, sizeof status->campaign, "%s", cfg->campaign);
    snprintf(status->device, sizeof status->device, "%s", cfg->device);
    snprintf(status->run_folder, sizeof status->run_folder, "%s",
             folder ? folder : cfg->run_folder);
    free(folder);
    snprintf(status->command, sizeof status->command, "%s", cfg->command);
    if (!getcwd(status->work_folder, sizeof status->work_folder))
        status->work_folder[0] = '\0';
    gethostname(status->host, sizeof status->host - 1);
    process_place(status->place, sizeof status->place);
    status->claim = (int64_t)cfg->claim;
    status->pid = getpid();
    status->started_ticks = (int64_t)process_started_ticks(getpid());
    status->started_ms = clock_wall_ms();
}

static void set_stages(struct status_writer *writer)
{
    const struct graph *graph = writer->cfg.graph;
    writer->status.stage_count = graph->count;
    for (int i = 0; i < graph->count; i++) {
        struct stage_status *row = &writer->status.stages[i];
        snprintf(row->name, sizeof row->name, "%s", graph->stages[i].name);
        snprintf(row->kind, sizeof row->kind, "%s", run_status_kind(graph->stages[i].kind));
    }
}

struct status_writer *status_writer_create(const struct status_writer_cfg *cfg)
{
    struct status_writer *writer = mem_alloc(sizeof *writer);
    writer->cfg = *cfg;
    writer->view = (struct loop_view){.own = writer,
                                      .started = on_started,
                                      .adopted = on_adopted,
                                      .progress = on_progress,
                                      .warning = on_warning,
                                      .done = on_done,
                                      .failed = on_failed,
                                      .excluded = on_excluded,
                                      .full = on_full,
                                      .stopped = on_stopped,
                                      .stopping = on_stopping,
                                      .tick = on_tick};
    run_status_init(&writer->status);
    set_runner(writer);
    set_stages(writer);
    set_waits(writer);
    writer->status.eta_seconds = NAN;
    char *text = dump(writer);
    if (text && publisher_write(cfg->run_folder, cfg->claim, text) != ERR_OK)
        log_warn("the run's status is not shown, the run goes on: %s", err_text());
    free(text);
    return writer;
}

void status_writer_begin(struct status_writer *writer, const struct survey *survey,
                         const struct run_estimate *estimate)
{
    writer->estimate = estimate;
    for (int i = 0; i < survey->count; i++) {
        const struct survey_stage *known = &survey->stages[i];
        struct stage_status *row = &writer->status.stages[i];
        if (known->has_record && known->verdict != SURVEY_LOST)
            stage_status_recall(row, &known->record);
        if (known->verdict == SURVEY_DONE)
            row->state = STAGE_STATE_DONE;
        if (row->steps == 0 && estimate)
            row->steps = (int64_t)estimate->stages[i].steps;
    }
    writer->status.state = RUN_STATE_RUNNING;
    writer->publisher = publisher_create(writer->cfg.run_folder, &writer->status);
    give(writer);
}

const struct loop_view *status_writer_view(struct status_writer *writer)
{
    return &writer->view;
}

static void end_stage(struct stage_status *row, bool was_stopped)
{
    if (row->state == STAGE_STATE_RUNNING || was_stopped) {
        row->ended_ms = was_stopped ? row->ended_ms : clock_wall_ms();
        row->state = STAGE_STATE_WAITING;
        snprintf(row->why, sizeof row->why, "stopped at step %lld", (long long)row->step);
    } else if (row->state == STAGE_STATE_BACKING_OFF || row->state == STAGE_STATE_WAITING) {
        row->state = STAGE_STATE_WAITING;
        row->retry_at_ms = 0;
    }
    row->pid = row->gangs = 0;
    row->host[0] = '\0';
    row->doing[0] = '\0';
}

void status_writer_end(struct status_writer *writer, enum err why)
{
    struct run_status *status = &writer->status;
    char *reason = mem_string(err_text());
    status->state = why == ERR_OK            ? RUN_STATE_DONE
                    : why == ERR_INTERRUPTED ? RUN_STATE_STOPPED
                                             : RUN_STATE_FAILED;
    set_waits(writer);
    for (int i = 0; i < status->stage_count; i++)
        end_stage(&status->stages[i], writer->was_stopped[i]);
    status->eta_seconds = why == ERR_OK ? 0 : status->eta_seconds;
    status->waits[0] = '\0';
    if (why == ERR_INTERRUPTED && writer->cfg.stop_signal)
        status->signal = writer->cfg.stop_signal();
    if (why != ERR_OK) {
        snprintf(status->error, sizeof status->error, "%s", err_name(why));
        snprintf(status->text, sizeof status->text, "%s", reason);
    }
    char *text = dump(writer);
    if (text && writer->publisher)
        publisher_give(writer->publisher, text);
    else if (text && publisher_write(writer->cfg.run_folder, writer->cfg.claim, text) != ERR_OK)
        log_warn("the run's status is not shown: %s", err_text());
    publisher_destroy(&writer->publisher, LAST_WRITE_S);
    free(text);
    if (why != ERR_OK)
        err_set(why, "%s", reason);
    mem_free(reason);
}

const struct run_status *status_writer_status(const struct status_writer *writer)
{
    return &writer->status;
}

void status_writer_destroy(struct status_writer **writer)
{
    if (!*writer)
        return;
    publisher_destroy(&(*writer)->publisher, LAST_WRITE_S);
    mem_free(*writer);
    *writer = NULL;
}
