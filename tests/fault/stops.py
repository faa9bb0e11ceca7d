#!/usr/bin/python3
"""How long a run takes to stop in the middle of training: from the signal to the checkpoint in the journal and to the end
of `glowworm run`, COUNT times in one run, which goes on after each. It must equal an undisturbed one and lose no step:
every step is trained once. With --slurm the run is a job of a Slurm of its own, and gets USR1, as ahead of its job's limit;
otherwise SIGTERM.

usage: stops.py COUNT [--seed N] [--build FOLDER] [--slurm] [--limit SECONDS beyond a step]"""
import json
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "slurm"))
import kills
from kills import Scene, Wrong

EPOCHS = 12  # of the teacher, for each stop
MOST_DELAY_S = 0.5  # of a stop, from when its gang trains


def longer(scene_class, epochs):
    class LongScene(scene_class):
        def words(self, command, folder):
            return [*super().words(command, folder), "--set", f"teacher.epochs={epochs}", "--set", "checkpoint.every=60s"]
    return LongScene


class LocalRun:
    """The command, here, started again behind each stop; it ends by SIGTERM."""

    sent = signal.SIGTERM

    def __init__(self, scene):
        self.scene, self.folder = scene, "run"

    def start(self):
        self.runner = self.scene.start(self.folder)
        self.pid = self.runner.pid

    def has_ended(self):
        return self.runner.poll() is not None

    def expect_stopped(self):
        if self.runner.returncode != 143:
            raise Wrong(f"it ended with {self.runner.returncode}:\n{self.scene.log_end(self.folder)}")

    def finish(self):
        self.start()
        return self.runner.wait(timeout=kills.WAIT_S) == 0


class JobRun:
    """A job, whose script is the command; it ends by USR1, and Slurm starts it again."""

    sent, job = signal.SIGUSR1, None

    def __init__(self, scene):
        self.scene, self.folder, self.stops = scene, "run", 0

    def start(self):
        self.job = self.job or self.scene.submit(self.folder)
        end = time.monotonic() + kills.WAIT_S
        while not (pids := [pid for pid in self.scene.processes() if kills.program_of(pid) == "glowworm"]):
            if time.monotonic() > end:
                raise Wrong("the job does not start")
            time.sleep(kills.POLL_S)
        self.pid = pids[0]

    def has_ended(self):
        return not os.path.exists(f"/proc/{self.pid}")

    def expect_stopped(self):
        """By its exit code it is queued again."""
        self.stops += 1
        end = time.monotonic() + kills.WAIT_S
        while f"Restarts={self.stops} " not in self.scene.sandbox.call("scontrol", "--oneliner", "show", "job", self.job).stdout:
            if time.monotonic() > end:
                raise Wrong(f"it is not queued again:\n{self.scene.log_end(self.folder)}")
            time.sleep(0.1)

    def finish(self):
        return self.scene.sandbox.await_end(self.job) == "COMPLETED"


def events_of(run):
    try:
        with open(os.path.join(run.scene.work, run.folder, "metrics", "teacher.jsonl")) as file:
            return [json.loads(line) for line in file if line.endswith("\n")]
    except FileNotFoundError:
        return []


def await_work(run, stops):
    """Until the gang behind so many stops has trained a step."""
    end = time.monotonic() + kills.WAIT_S
    while True:
        names = [event["event"] for event in events_of(run)]
        starts = [at for at, name in enumerate(names) if name == "start"]
        if len(starts) > stops and "step" in names[starts[stops]:]:
            return
        if run.has_ended() or time.monotonic() > end:
            raise Wrong(f"the teacher does not train:\n{run.scene.log_end(run.folder)}")
        time.sleep(kills.POLL_S)


def stop(run):
    """Seconds from the signal to the last write of a checkpoint, and to the end of the command."""
    store = os.path.join(run.scene.work, run.folder, "checkpoints", "data.mdb")
    began, wall = time.monotonic(), time.time()
    os.kill(run.pid, run.sent)
    while not run.has_ended():
        if time.monotonic() - began > kills.WAIT_S:
            raise Wrong(f"it does not stop:\n{run.scene.log_end(run.folder)}")
        time.sleep(0.001)
    ended_s = time.monotonic() - began
    return os.stat(store).st_mtime - wall, ended_s


def expect_no_step_twice(run):
    steps = [step for step, _ in kills.steps_of(os.path.join(run.scene.work, run.folder, "metrics", "teacher.jsonl"))]
    if steps != list(range(steps[0], steps[0] + len(steps))):
        raise Wrong("a step is missing, or there twice")


def step_seconds(run):
    rates = sorted(event["images_per_s"] for event in events_of(run) if event.get("images_per_s"))
    return 64 / rates[len(rates) // 2] if rates else 0


def middle_and_most(values):
    values = sorted(values)
    return f"{values[len(values) // 2]:.2f} s (median), {values[-1]:.2f} s (longest)"


def stop_often(run, words):
    """Returns the closing line."""
    wanted = kills.run_undisturbed(run.scene)
    dice, saved_s, ended_s = random.Random(words.seed), [], []
    for number in range(words.count):
        run.start()
        await_work(run, number)
        time.sleep(dice.uniform(0, MOST_DELAY_S))
        saved, ended = stop(run)
        run.expect_stopped()
        saved_s.append(saved)
        ended_s.append(ended)
        print(f"{number + 1} of {words.count}: saved after {saved:.2f} s, ended after {ended:.2f} s", flush=True)
    step_s = step_seconds(run)
    if words.limit and max(ended_s) > step_s + words.limit:
        raise Wrong(f"a step takes {step_s:.3f} s, and stopping {max(ended_s):.2f} s")
    if not run.finish():
        raise Wrong(f"the run is not done:\n{run.scene.log_end(run.folder)}")
    expect_no_step_twice(run)
    kills.expect_same(wanted, kills.outcome(run.scene, run.folder), run.folder)
    return (f"{words.count} times {run.sent.name}: saved after {middle_and_most(saved_s)}, ended after "
            f"{middle_and_most(ended_s)}; a step takes {step_s:.3f} s; no step trained twice, every hash equal")


def run_stops(scene, run_class, words):
    try:
        print(stop_often(run_class(scene), words))
    except Wrong as wrong:
        kills.end_processes(scene)
        sys.exit(f"{wrong}\nkept: {scene.work}")
    except BaseException:
        kills.end_processes(scene)
        raise
    scene.remove()


def read_words():
    parser = kills.make_parser("How long a run takes to stop.")
    parser.add_argument("--slurm", action="store_true")
    parser.add_argument("--limit", type=float)
    return parser.parse_args()


def main():
    words = read_words()
    glowworm = kills.use_build(words.build)
    if not words.slurm:
        run_stops(longer(Scene, EPOCHS * words.count)(glowworm), LocalRun, words)
        return
    from sandbox import Sandbox, SlurmScene
    with Sandbox() as sandbox:
        run_stops(longer(SlurmScene, EPOCHS * words.count)(glowworm, sandbox), JobRun, words)


if __name__ == "__main__":
    main()
