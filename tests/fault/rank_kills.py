#!/usr/bin/python3
"""A rank killed with -9 while its gang trains, COUNT times, or stopped (SIGSTOP) with the limit as shipped: how long until another
gang has trained a step. Every final checkpoint must equal an undisturbed run's, and nothing may be left.

usage: rank_kills.py COUNT [--seed N] [--build FOLDER] [--stop]"""
import json
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kills
from kills import Wrong
from runner_kills import LongScene, gang_of

MOST_DELAY_S = 1.0  # of a kill, from the first step of a gang
EPOCHS = 60  # of the teacher, for each kill: more than a gang trains in that time


class Run:
    def __init__(self, scene):
        self.scene, self.folder = scene, "run"
        self.runner = scene.start(self.folder)

    def events(self):
        try:
            with open(os.path.join(self.scene.work, self.folder, "metrics", "teacher.jsonl")) as file:
                return [json.loads(line)["event"] for line in file if line.endswith("\n")]
        except FileNotFoundError:
            return []

    def await_step(self, gangs):
        """Until the gang of this number, from 1, has trained a step."""
        end = time.monotonic() + kills.WAIT_S
        while True:
            events = self.events()
            starts = [at for at, event in enumerate(events) if event == "start"]
            if len(starts) >= gangs and "step" in events[starts[gangs - 1]:]:
                return
            if self.runner.poll() is not None or time.monotonic() > end:
                raise Wrong(f"gang {gangs} of the teacher does not train:\n{self.scene.log_end(self.folder)}")
            time.sleep(kills.POLL_S)

    def hit_rank(self, rank, number):
        for pid in gang_of(self.scene) or {}:
            environment = kills.environment_of(pid)
            if kills.program_of(pid) == "glowworm-worker" and environment.get("OMPI_COMM_WORLD_RANK") == str(rank):
                os.kill(pid, number)
                return
        raise Wrong(f"there is no rank {rank}")


def hit_ranks(scene, count, seed, hit):
    """Returns the closing line."""
    what = "stopped" if hit == signal.SIGSTOP else "killed"
    wanted = kills.run_undisturbed(scene)
    dice, took_s, run = random.Random(seed), [], Run(scene)
    for number in range(1, count + 1):
        run.await_step(number)
        time.sleep(dice.uniform(0, MOST_DELAY_S))
        run.hit_rank(rank := dice.randrange(2), hit)
        began = time.monotonic()
        run.await_step(number + 1)
        took_s.append(time.monotonic() - began)
        print(f"{number} of {count}: rank {rank} {what}, training again after {took_s[-1]:.2f} s", flush=True)
    if run.runner.wait(timeout=kills.WAIT_S) != 0:
        raise Wrong(f"the run ended with {run.runner.returncode}:\n{scene.log_end(run.folder)}")
    kills.expect_nothing_left(scene)
    kills.expect_same(wanted, kills.outcome(scene, run.folder), run.folder)
    took_s.sort()
    return (f"seed {seed}: {count} ranks {what}, training again after {took_s[len(took_s) // 2]:.2f} s (median), "
            f"{took_s[-1]:.2f} s (longest); every hash equal, nothing left")


def main():
    is_stop = "--stop" in sys.argv
    sys.argv = [word for word in sys.argv if word != "--stop"]
    words = kills.read_words()
    scene = LongScene(kills.use_build(words.build), EPOCHS * words.count)
    if is_stop:
        scene.settings = [setting for setting in scene.settings if not setting.startswith("resources.stall")]
    try:
        print(hit_ranks(scene, words.count, words.seed, signal.SIGSTOP if is_stop else signal.SIGKILL))
    except Wrong as wrong:
        kills.end_processes(scene)
        sys.exit(f"seed {words.seed}: {wrong}\nkept: {scene.work}")
    except BaseException:
        kills.end_processes(scene)
        raise
    scene.remove()


if __name__ == "__main__":
    main()
