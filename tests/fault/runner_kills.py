#!/usr/bin/python3
"""`glowworm run` killed with -9 again and again while its gang works, and started again at once: each new one has to find
the gang, by the same processes, until COUNT have. Every run must equal an undisturbed one, with one attempt of every
stage that a gang works on, and leave nothing.

What is measured is the time from the kill to the new runner's word that it has heard the gang.

usage: runner_kills.py COUNT [--seed N] [--build FOLDER]"""
import os
import random
import re
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kills
from kills import Scene, Wrong

FOUND = re.compile(r"found the gang of (\S+) that was left running \(attempt (\d+), step \d+\)")
MOST_DELAY_S = 1.0  # of a kill, from when its gang is there
RANKS = 2


class LongScene(Scene):
    """The teacher is trained long enough for what happens to it."""

    def __init__(self, glowworm, epochs):
        self.epochs = epochs
        super().__init__(glowworm)

    def words(self, command, folder):
        return [*super().words(command, folder), "--set", f"teacher.epochs={self.epochs}"]


def ticks_of(pid):
    """What tells it from a later process of its number; None: it has ended."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def gang_of(scene):
    """Its processes, mpirun and every rank, with their ticks; None: it is not all there."""
    pids = [pid for pid in scene.processes() if kills.program_of(pid) in ("mpirun", "glowworm-worker")]
    gang = {pid: ticks_of(pid) for pid in pids}
    return gang if len(gang) == 1 + RANKS and None not in gang.values() else None


class Series:
    """Runs of the campaign one after the other."""

    def __init__(self, scene, wanted):
        self.scene, self.wanted = scene, wanted
        self.finished, self.lucky, self.back_s = 0, 0, []
        self.begin()

    def begin(self):
        self.folder = f"run-{self.finished + 1}"
        self.runner = self.scene.start(self.folder)

    def log(self):
        with open(os.path.join(self.scene.work, self.folder + ".log")) as file:
            return file.read()

    def go_on(self):
        """False: the run has ended, and another one begins."""
        if self.runner.poll() is None:
            return True
        self.finish()
        self.begin()
        return False

    def finish(self):
        if self.runner.wait(timeout=kills.WAIT_S) != 0:
            raise Wrong(f"{self.folder} ended with {self.runner.returncode}:\n{self.scene.log_end(self.folder)}")
        kills.expect_nothing_left(self.scene)
        kills.expect_same(self.wanted, kills.outcome(self.scene, self.folder), self.folder)
        self.expect_one_attempt()
        shutil.rmtree(os.path.join(self.scene.work, self.folder))
        self.finished += 1

    def expect_one_attempt(self):
        for stage in self.scene.ask(*self.scene.words("plan", self.folder))["stages"]:
            is_host = stage["name"] == "report" or stage["name"].startswith(("compile-", "check-"))
            if stage["attempts"] != 1 and not is_host:
                raise Wrong(f"{self.folder}: {stage['name']} took {stage['attempts']} attempts")

    def await_gang(self):
        end = time.monotonic() + kills.WAIT_S
        while not (gang := gang_of(self.scene)):
            self.go_on()
            time.sleep(kills.POLL_S)
            if time.monotonic() > end:
                raise Wrong(f"no gang came:\n{self.scene.log_end(self.folder)}")
        return gang

    def kill(self, delay_s):
        """Whether the gang was found. It may have ended before: then nobody is looked for."""
        gang = self.await_gang()
        time.sleep(delay_s)
        if not self.go_on() or gang_of(self.scene) != gang:
            return False
        known = len(FOUND.findall(self.log()))
        began = time.monotonic()
        self.runner.send_signal(signal.SIGKILL)
        self.runner.wait()
        self.runner = self.scene.start(self.folder)
        return self.await_found(gang, known, began)

    def await_found(self, gang, known, began):
        while len(FOUND.findall(self.log())) == known:
            if any(ticks_of(pid) != ticks for pid, ticks in gang.items()):
                self.lucky += 1  # it was done; that it was not replaced is seen by the attempts
                return False
            if self.runner.poll() is not None or time.monotonic() > began + kills.WAIT_S:
                raise Wrong(f"the gang was not found:\n{self.scene.log_end(self.folder)}")
            time.sleep(kills.POLL_S)
        self.back_s.append(time.monotonic() - began)
        return True


def kill_runners(scene, count, seed):
    """Returns the closing line."""
    series = Series(scene, kills.run_undisturbed(scene))
    dice = random.Random(seed)
    while len(series.back_s) < count:
        if series.kill(dice.uniform(0, MOST_DELAY_S)):
            stage = FOUND.findall(series.log())[-1][0]
            print(f"{len(series.back_s)} of {count}: the gang of {stage} found in {series.back_s[-1]:.2f} s", flush=True)
    series.finish()
    back_s = sorted(series.back_s)
    return (f"seed {seed}: {count} runners killed whose gang was found by the next, in {back_s[len(back_s) // 2]:.2f} s "
            f"(median), {back_s[-1]:.2f} s (longest); {series.lucky} more at the end of a stage; {series.finished} runs "
            f"finished; one attempt of every stage, every hash equal, nothing left")


def main():
    words = kills.read_words()
    scene = LongScene(kills.use_build(words.build), 4 + words.count)
    try:
        print(kill_runners(scene, words.count, words.seed))
    except Wrong as wrong:
        kills.end_processes(scene)
        sys.exit(f"seed {words.seed}: {wrong}\nkept: {scene.work}")
    except BaseException:
        kills.end_processes(scene)
        raise
    scene.remove()


if __name__ == "__main__":
    main()
