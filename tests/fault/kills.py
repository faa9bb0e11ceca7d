#!/usr/bin/python3
"""Random kills of a real campaign: a gang of two ranks under `glowworm run`, hit at random moments until COUNT signals
have landed. What ended is started again by the same command, what is finished begins in another folder, and every run is
let finish. Each must equal an undisturbed one in every stage's final checkpoint, results, bundles and steps, be whole for
`verify` and done for `plan`; behind it no process, shared memory or folder of ours may be there.

Victims, signals and delays come from the seed alone. Where in its work a victim is when its delay has passed is the
machine's affair and cannot be repeated. Who is not there then (no gang between two stages, say) is waited for, and lives
for a second delay.

usage: kills.py COUNT [--seed N] [--build FOLDER]"""
import argparse
import collections
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "road"))
from road import ROOT, make_scene, use_build

MARK = "GLOWWORM_KILLS"  # in the environment of all we start, and so of what those start: only such processes are hit
RUNNER, MPIRUN, RANK_0, RANK_1 = "runner", "mpirun", "rank 0", "rank 1"
KINDS = [  # weight, victim, signal
    (20, RUNNER, signal.SIGKILL), (6, RUNNER, signal.SIGTERM), (6, RUNNER, signal.SIGINT),
    (16, MPIRUN, signal.SIGKILL), (3, MPIRUN, signal.SIGTERM),
    (17, RANK_0, signal.SIGKILL), (3, RANK_0, signal.SIGTERM), (4, RANK_0, signal.SIGSTOP),
    (17, RANK_1, signal.SIGKILL), (3, RANK_1, signal.SIGTERM), (4, RANK_1, signal.SIGSTOP),
]
MOST_DELAY_S = 3.0
MOST_LIFE_S = 1.5  # of a victim that had to be waited for
AFTER_STOP_S = 12.0  # three of four stopped ranks are noticed before the next hit, if they have begun to work
SETTINGS = ("resources.stall=4s", "search.targets=[{name: small, device: firefly-dl-mono, macs: 0.42M}]")
BUDGET = 5  # attempts without a checkpoint in between, after which a run gives up
WAIT_S = 600  # for anything that must come
LEAVE_S = 30  # for what is killed to be gone
POLL_S = 0.01
VOLATILE = {"seconds", "images_per_s"}  # of results

Hit = collections.namedtuple("Hit", "victim signal delay_s life_s")


class Wrong(Exception):
    """What must not happen has happened."""


def draw_hits(seed, count):
    hits = []
    for number in range(count):
        dice = random.Random(f"{seed} {number}")
        _, victim, sent = dice.choices(KINDS, [kind[0] for kind in KINDS])[0]
        is_behind_stop = hits and hits[-1].signal == signal.SIGSTOP
        delay_s = dice.uniform(0, AFTER_STOP_S if is_behind_stop else MOST_DELAY_S)
        hits.append(Hit(victim, sent, delay_s, dice.uniform(0, MOST_LIFE_S)))
    return hits


def environment_of(pid):
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            words = file.read().decode(errors="replace").split("\0")
    except OSError:
        return {}
    return dict(word.split("=", 1) for word in words if "=" in word)


def program_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return os.path.basename(file.read().split(b"\0")[0].decode(errors="replace"))
    except OSError:
        return ""


class Scene:
    """The campaign, where it runs, and what its processes have made outside of its folder."""

    def __init__(self, glowworm):
        self.glowworm = glowworm
        self.work = tempfile.mkdtemp(prefix="glowworm-kills-")
        self.campaign = make_scene(glowworm, self.work, 600, 100, holdout=100, teacher_epochs=4, every="0.2")
        self.sockets = os.path.join(self.work, "tmp")
        os.mkdir(self.sockets)
        self.environment = {**os.environ, MARK: self.work, "TMPDIR": self.sockets}
        self.folders = set()
        self.settings = list(SETTINGS)

    def remove(self):
        shutil.rmtree(self.work)

    def words(self, command, folder):
        settings = [word for setting in self.settings for word in ("--set", setting)]
        return [self.glowworm, command, self.campaign, "--run-folder", os.path.join(self.work, folder), *settings]

    def start(self, folder):
        with open(os.path.join(self.work, folder + ".log"), "a") as log:
            return subprocess.Popen(self.words("run", folder), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT,
                                    env=self.environment, start_new_session=True)

    def log_end(self, folder):
        with open(os.path.join(self.work, folder + ".log")) as file:
            return "".join(file.readlines()[-30:])

    def ask(self, *words):
        """The JSON that a command prints."""
        done = subprocess.run([*words, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        if done.returncode != 0:
            raise Wrong(f"{' '.join(words)} ended with {done.returncode}\n{done.stderr}")
        return json.loads(done.stdout)

    def processes(self):
        """Environments of all that live and carry our mark, by pid. Notes the folders that they use."""
        found = {}
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            environment = environment_of(pid)
            if environment.get(MARK) == self.work:
                found[pid] = environment
                self.note_folders(pid, environment)
        return found

    def note_folders(self, pid, environment):
        """Of Open MPI, as ranks are told; and those that a runner has locked."""
        self.folders |= {environment[name] for name in ("OMPI_MCA_btl_vader_backing_directory", "OMPI_MCA_orte_tmpdir_base")
                         if name in environment}
        try:
            links = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
        except OSError:
            return
        self.folders |= {link for link in links if re.search(r"/glowworm-mpi-\w{6}$", link)}


def find_victim(scene, victim, runner):
    if victim == RUNNER:
        scene.processes()  # for its folders
        return runner.pid if runner.poll() is None else None
    for pid, environment in scene.processes().items():
        program = program_of(pid)
        if program == "mpirun" and victim == MPIRUN:
            return pid
        if program == "glowworm-worker" and victim == "rank " + environment.get("OMPI_COMM_WORLD_RANK", ""):
            if not re.search(r"/glowworm-mpi-\w{6}$", environment.get("OMPI_MCA_btl_vader_backing_directory", "")):
                raise Wrong(f"{victim} keeps its shared memory elsewhere than in a folder of the run")
            return pid
    return None


def send(scene, pid, number):
    """False: it has gone. By a descriptor, so that nobody else is hit who has its number now."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if environment_of(pid).get(MARK) != scene.work:
            return False
        signal.pidfd_send_signal(descriptor, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)


class Hunt:
    """Runs of the campaign one after the other, and the hits that they have to live through."""

    def __init__(self, scene, wanted):
        self.scene, self.wanted = scene, wanted
        self.finished = self.starts = self.given_up = 0
        self.folder = "run-1"
        self.start()

    def start(self):
        self.runner = self.scene.start(self.folder)
        self.starts += 1
        self.sent = []  # to this runner and its gangs

    def judge_end(self):
        """A runner ends well, by what we sent, or when its gangs were hit too often."""
        code = self.runner.returncode
        to_runner = {sent for victim, sent in self.sent if victim == RUNNER}
        allowed = {0} | {-sent for sent in to_runner} | {128 + sent for sent in to_runner if sent != signal.SIGKILL}
        if code == 1 and len(self.sent) >= BUDGET:
            self.given_up += 1
        elif code not in allowed:
            raise Wrong(f"{self.folder} ended with {code} after {self.sent}:\n{self.scene.log_end(self.folder)}")

    def go_on(self):
        """Starts what has ended again; a finished run is looked at and begins afresh elsewhere."""
        if self.runner.poll() is None:
            return
        self.judge_end()
        if self.runner.returncode == 0:
            self.finish_run()
            self.folder = f"run-{self.finished + 1}"
        self.start()

    def finish_run(self):
        expect_nothing_left(self.scene)
        expect_same(self.wanted, outcome(self.scene, self.folder), self.folder)
        shutil.rmtree(os.path.join(self.scene.work, self.folder))
        self.finished += 1

    def pause(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.go_on()
            time.sleep(POLL_S)

    def await_victim(self, victim):
        end = time.monotonic() + WAIT_S
        while not (pid := find_victim(self.scene, victim, self.runner)):
            self.go_on()
            time.sleep(POLL_S)
            if time.monotonic() > end:
                raise Wrong(f"no {victim} came:\n{self.scene.log_end(self.folder)}")
        return pid

    def hit(self, hit):
        self.pause(hit.delay_s)
        if not find_victim(self.scene, hit.victim, self.runner):
            self.await_victim(hit.victim)
            self.pause(hit.life_s)
        while not send(self.scene, self.await_victim(hit.victim), hit.signal):
            pass
        self.sent.append((hit.victim, hit.signal))

    def finish(self):
        end = time.monotonic() + WAIT_S
        while self.runner.poll() != 0:
            if self.runner.returncode is not None:
                self.judge_end()
                self.start()
            if time.monotonic() > end:
                raise Wrong(f"{self.folder} does not end:\n{self.scene.log_end(self.folder)}")
            time.sleep(POLL_S)
        self.finish_run()


def without(value, names):
    if isinstance(value, dict):
        return {name: without(inner, names) for name, inner in value.items() if name not in names}
    return [without(inner, names) for inner in value] if isinstance(value, list) else value


def file_hash(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def steps_of(path):
    """Every step's number and loss, in the order of the file: none may be lost or be there twice."""
    with open(path) as file:
        events = [json.loads(line) for line in file]
    return [(event["step"], event["loss"]) for event in events if event["event"] == "step"]


def read_journal(scene, folder):
    """The stages' states; raises where one is not done, or attempts have run that the journal does not know. The step that
    the journal has of a stage is not compared: it is that of the last checkpoint reported, and a gang may be killed between
    its final checkpoint and the report."""
    stages = scene.ask(*scene.words("plan", folder))["stages"]
    logs = os.listdir(os.path.join(scene.work, folder, "logs"))
    for stage in stages:
        known = [int(found[1]) for found in (re.fullmatch(stage["name"] + r"-(\d+)\.log", log) for log in logs) if found]
        if stage["state"] != "done" or not 1 <= max(known, default=0) <= stage["attempts"]:
            raise Wrong(f"{folder}: the journal says {stage}, logs are there of attempts {sorted(known)}")
    return {f"{stage['name']} in the journal": stage["state"] for stage in stages}


def outcome(scene, folder):
    """All that must be the same, by name."""
    place = os.path.join(scene.work, folder)
    if not scene.ask(scene.glowworm, "checkpoint", "verify", place)["whole"]:
        raise Wrong(f"{folder}: verify finds damage")
    found = read_journal(scene, folder)
    for checkpoint in scene.ask(scene.glowworm, "checkpoint", "list", place):
        found.update({name: checkpoint["content"] for name in checkpoint["names"] if name.endswith("/final")})
    for name in os.listdir(os.path.join(place, "results")):
        with open(os.path.join(place, "results", name)) as file:
            found["results/" + name] = without(json.load(file), VOLATILE)
    for name in os.listdir(os.path.join(place, "metrics")):
        if name.endswith(".jsonl"):
            found["steps of " + name] = steps_of(os.path.join(place, "metrics", name))
    for parent, _, files in os.walk(os.path.join(place, "bundles")):
        for name in files:
            path = os.path.join(parent, name)
            if name == "check.html":  # it says when it was written; check.json has the same without
                continue
            found[os.path.relpath(path, place)] = file_hash(path)
    return found


def expect_same(wanted, found, folder):
    different = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if different:
        raise Wrong(f"{folder} is not what the undisturbed run is: {', '.join(different)}")


def list_left(scene):
    left = [f"process {pid}, {program_of(pid)}" for pid in scene.processes()]
    left += [os.path.join(scene.sockets, name) for name in os.listdir(scene.sockets)]
    return left + [folder for folder in sorted(scene.folders) if os.path.exists(folder)]


def expect_nothing_left(scene, wait_s=LEAVE_S):
    end = time.monotonic() + wait_s
    while (left := list_left(scene)) and time.monotonic() < end:
        time.sleep(POLL_S)
    if left:
        raise Wrong(f"left behind: {', '.join(left)}")


def run_undisturbed(scene, folder="undisturbed"):
    runner = scene.start(folder)
    if runner.wait(timeout=WAIT_S) != 0:
        raise Wrong(f"the undisturbed run ended with {runner.returncode}:\n{scene.log_end(folder)}")
    wanted = outcome(scene, folder)
    if len([name for name in wanted if name.endswith("/final")]) != 6 or "results/search.json" not in wanted:
        raise Wrong(f"the undisturbed run made {sorted(wanted)}")
    return wanted


def end_processes(scene):
    for pid in scene.processes():
        send(scene, pid, signal.SIGKILL)


def kill_at_random(scene, count, seed):
    """Returns the closing line."""
    began = time.monotonic()
    hunt = Hunt(scene, run_undisturbed(scene))
    undisturbed_s = time.monotonic() - began
    hits = draw_hits(seed, count)
    for number, hit in enumerate(hits, 1):
        hunt.hit(hit)
        print(f"{time.monotonic() - began:7.1f} s: hit {number} of {count}, {hit.victim} {hit.signal.name} "
              f"({hit.delay_s:.2f} s), {hunt.folder}", flush=True)
    hunt.finish()
    if not scene.folders:
        raise Wrong("no folder of Open MPI was seen: nobody has looked for what is left in it")
    kinds = collections.Counter(f"{hit.victim} {hit.signal.name}" for hit in hits)
    by_kind = ", ".join(f"{kind} {kinds[kind]}" for kind in sorted(kinds))
    return (f"seed {seed}: {count} hits ({by_kind}); {hunt.finished} runs finished, {hunt.starts} starts, {hunt.given_up} "
            f"given up and begun again; undisturbed {undisturbed_s:.0f} s, all {time.monotonic() - began:.0f} s; "
            f"every hash equal, nothing left")


def make_parser(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    return parser


def read_words():
    return make_parser("Random kills of a real campaign.").parse_args()


def main():
    words = read_words()
    scene = Scene(use_build(words.build))
    try:
        print(kill_at_random(scene, words.count, words.seed))
    except Wrong as wrong:
        end_processes(scene)
        sys.exit(f"seed {words.seed}: {wrong}\nkept: {scene.work}")
    except BaseException:
        end_processes(scene)
        raise
    scene.remove()


if __name__ == "__main__":
    main()
