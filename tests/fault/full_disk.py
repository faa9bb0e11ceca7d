#!/usr/bin/python3
"""The disk of a whole run (its folder, with journal and checkpoints) is filled to the last byte while its gang trains, and has
room again a while later. Nothing has to be started again by hand, and every hash equals an undisturbed run's. The disk is
a tmpfs in a mount namespace of our own.

usage: full_disk.py BUILD_FOLDER   (root)"""
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kills
from kills import Wrong

DISK_MIB = 64
FULL_S = 12  # how long the disk stays full, from when the run has said so
EPOCHS = 30  # of the teacher
SAYS_FULL, SAYS_ROOM = "waiting for room on a disk", "there is room on the disk again"


class FullScene(kills.Scene):
    def __init__(self, glowworm):
        super().__init__(glowworm)
        self.settings = [f"teacher.epochs={EPOCHS}", *self.settings[1:]]
        self.filler = os.path.join(self.work, "full", "filler")

    def mount(self):
        disk = os.path.dirname(self.filler)
        os.mkdir(disk)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "none", disk], check=True)

    def fill(self):
        with open(self.filler, "wb", buffering=0) as file:
            size = 1 << 20
            while size > 0:
                try:
                    file.write(bytes(size))
                except OSError:
                    size //= 2

    def said(self, folder):
        with open(os.path.join(self.work, folder + ".log")) as file:
            return file.read()

    def steps(self, folder):
        try:
            with open(os.path.join(self.work, folder, "metrics", "teacher.jsonl")) as file:
                return sum('"step"' in line for line in file)
        except FileNotFoundError:
            return 0


def await_that(scene, runner, condition, what):
    end = time.monotonic() + kills.WAIT_S
    while not condition():
        if runner.poll() is not None or time.monotonic() > end:
            raise Wrong(f"{what}; the runner: {runner.returncode}\n{scene.log_end('full')}")
        time.sleep(kills.POLL_S)


def fill_once(scene):
    wanted = kills.run_undisturbed(scene)
    scene.mount()
    runner = scene.start("full")
    await_that(scene, runner, lambda: scene.steps("full") > 20, "the teacher does not train")
    scene.fill()
    await_that(scene, runner, lambda: SAYS_FULL in scene.said("full"), "nobody says that the disk is full")
    time.sleep(FULL_S)
    if runner.poll() is not None:
        raise Wrong(f"the run ended with {runner.returncode}:\n{scene.log_end('full')}")
    os.unlink(scene.filler)
    if runner.wait(timeout=kills.WAIT_S) != 0:
        raise Wrong(f"the run ended with {runner.returncode}:\n{scene.log_end('full')}")
    if SAYS_ROOM not in scene.said("full"):
        raise Wrong(f"nobody says that there is room again:\n{scene.log_end('full')}")
    kills.expect_nothing_left(scene)
    kills.expect_same(wanted, kills.outcome(scene, "full"), "full")
    ends = {stage["name"]: stage["causes"] for stage in scene.ask(*scene.words("plan", "full"))["stages"]}
    if any(set(causes) - {"done", "disk full"} for causes in ends.values()):
        raise Wrong(f"attempts ended by {json.dumps(ends)}")
    print(f"a full disk for {FULL_S} s: the run went on by itself, every hash equal; the teacher: {ends['teacher']}")


def main():
    if "GLOWWORM_FULL" not in os.environ:
        os.environ["GLOWWORM_FULL"] = "1"
        os.execvp("unshare", ["unshare", "--mount", sys.executable, "-B", *sys.argv])
    scene = FullScene(kills.use_build(sys.argv[1]))
    try:
        fill_once(scene)
    except Wrong as wrong:
        kills.end_processes(scene)
        if os.path.ismount(os.path.dirname(scene.filler)):
            subprocess.run(["cp", "-r", os.path.dirname(scene.filler), scene.work + "/kept"])
        sys.exit(f"{wrong}\nkept: {scene.work}")
    except BaseException:
        kills.end_processes(scene)
        raise
    subprocess.run(["umount", os.path.dirname(scene.filler)], check=True)
    scene.remove()


if __name__ == "__main__":
    main()
