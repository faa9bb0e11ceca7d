#!/usr/bin/python3
"""The wall clock of a whole run jumps by a day, forward and back, while its gang trains (a preloaded library shifts it in
every process). Nobody may take it for time that has passed: one attempt of every stage, the status is of now and foresees no
days, another runner of the folder is refused, and every hash equals an undisturbed run's. The run's stores lie on
scratch, so that its sign of life is looked at, too.

usage: clock_jumps.py BUILD_FOLDER"""
import os
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kills
from kills import Wrong

DAY_S = 86400
JUMPS = (DAY_S, -DAY_S, 0)
SEEN_S = 5  # for the status of a jump to be there: it is written every two seconds
EPOCHS = 150  # of the teacher, or more: longer than all jumps take
LEAST_S = 35  # which is at most so long
BUSY = 75


class JumpScene(kills.Scene):
    def __init__(self, glowworm, library):
        super().__init__(glowworm)
        self.settings = [f"teacher.epochs={EPOCHS}", *self.settings[1:], f"resources.scratch={self.work}/scratch"]
        self.clock = os.path.join(self.work, "clock")
        self.set_clock(0)
        self.environment.update(LD_PRELOAD=library, SHIFTED_CLOCK=self.clock, ASAN_OPTIONS="verify_asan_link_order=0")
        os.environ.update(LD_PRELOAD=library, SHIFTED_CLOCK=self.clock, ASAN_OPTIONS="verify_asan_link_order=0")

    def set_clock(self, seconds):
        with open(self.clock, "r+b" if os.path.exists(self.clock) else "wb") as file:
            file.write(struct.pack("=q", seconds))

    def status(self, folder):
        return self.ask(self.glowworm, "status", os.path.join(self.work, folder))


def first(status):
    return status["stages"][0] if "stages" in status else status["runs"][0]["stages"][0]


def await_steps(scene, folder, runner, above):
    """Until the teacher has trained more steps than these, by the run's own word; its status."""
    end = time.monotonic() + kills.WAIT_S
    while True:
        try:
            status = scene.status(folder)
            if first(status)["step"] > above:
                return status
        except (Wrong, KeyError, IndexError):  # it has not begun
            pass
        if runner.poll() is not None or time.monotonic() > end:
            raise Wrong(f"the teacher does not train:\n{scene.log_end(folder)}")
        time.sleep(0.1)


def expect_sober(scene, status, jump):
    run = status if "stages" in status else status["runs"][0]
    teacher = first(status)
    if teacher["attempts"] != 1 or teacher["state"] != "running" or run["state"] != "running":
        raise Wrong(f"behind a jump of {jump} s: {teacher}")
    if abs(run["written_ms"] / 1000 - time.time() - jump) > 60:
        raise Wrong(f"the clock of the run is not off by {jump} s")
    if not 0 <= run["eta_seconds"] < 3600 or abs(run["age_seconds"]) > 30:
        raise Wrong(f"behind a jump of {jump} s it foresees {run['eta_seconds']} s, and was written {run['age_seconds']} s ago")


def expect_refused(scene, folder):
    done = subprocess.run(scene.words("run", folder), env=scene.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True, stdin=subprocess.DEVNULL, timeout=kills.WAIT_S)
    if done.returncode != BUSY:
        raise Wrong(f"a second runner ended with {done.returncode}:\n{done.stderr}")


def run_undisturbed(scene):
    """With as many epochs as this machine needs for a teacher that outlasts the jumps."""
    wanted = kills.run_undisturbed(scene)
    seconds = first(scene.status("undisturbed"))["seconds"]
    if seconds >= LEAST_S:
        return wanted
    scene.settings[0] = f"teacher.epochs={round(EPOCHS * LEAST_S / seconds)}"
    return kills.run_undisturbed(scene, "longer")


def jump_often(scene):
    wanted = run_undisturbed(scene)
    folder = "jumps"
    runner = scene.start(folder)
    step = first(await_steps(scene, folder, runner, 10))["step"]
    for jump in JUMPS:
        scene.set_clock(jump)
        time.sleep(SEEN_S)
        status = await_steps(scene, folder, runner, step)
        expect_sober(scene, status, jump)
        expect_refused(scene, folder)
        step = first(status)["step"]
    if runner.wait(timeout=kills.WAIT_S) != 0:
        raise Wrong(f"the run ended with {runner.returncode}:\n{scene.log_end(folder)}")
    attempts = {stage["name"]: stage["attempts"] for stage in scene.ask(*scene.words("plan", folder))["stages"]}
    if set(attempts.values()) != {1}:
        raise Wrong(f"attempts: {attempts}\n{scene.log_end(folder)}")
    kills.expect_same(wanted, kills.outcome(scene, folder), folder)
    print("the wall clock a day ahead, a day behind, and right again: one attempt of every stage, every hash equal")


def main():
    build = os.path.abspath(sys.argv[1])
    scene = JumpScene(kills.use_build(build), os.path.join(build, "bin", "libshifted_clock.so"))
    try:
        jump_often(scene)
    except Wrong as wrong:
        kills.end_processes(scene)
        sys.exit(f"{wrong}\nkept: {scene.work}")
    except BaseException:
        kills.end_processes(scene)
        raise
    scene.remove()


if __name__ == "__main__":
    main()
