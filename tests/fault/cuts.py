#!/usr/bin/python3
"""The network between a runner and its gang is cut while the gang trains, and comes back. The runner is in one network
namespace, mpirun and the ranks in another, a cable between them; the messages are those of a gang of several nodes (TCP,
CURVE), for which a script of this name stands in for srun. A cut of 10 s: the gang goes on under the same lease. A cut of
60 s: it is given up on both sides, and exactly one other follows. Every hash equals an undisturbed run's.

usage: cuts.py BUILD_FOLDER [SECONDS...]   (10); root, iproute2 and util-linux"""
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kills
from kills import Wrong

LONG_S = 30  # of silence, after which either side gives the other up
HERE, THERE = "10.77.0.1", "10.77.0.2"
EPOCHS = 60  # of the teacher: longer than it takes to see a cut
SRUN = """#!/bin/sh
while [ "${{1#--}}" != "$1" ]; do shift; done
for name in $(env | sed -n 's/^\\(SLURM_[A-Z_]*\\)=.*/\\1/p'); do unset "$name"; done
export SLURM_LAUNCH_NODE_IPADDR={here} OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl=self,vader
exec nsenter --net=/proc/{holder}/ns/net mpirun -n 2 --bind-to none --oversubscribe "$@"
"""
JOB = {"SLURM_JOB_ID": "1", "SLURMD_NODENAME": "here", "SLURM_JOB_NUM_NODES": "2", "SLURM_NODEID": "0",
       "SLURM_CPUS_ON_NODE": "4", "SLURM_JOB_CPUS_PER_NODE": "4(x2)"}


def ip(*words, there=None):
    words = ("ip", *words) if there is None else ("nsenter", f"--net=/proc/{there}/ns/net", "ip", *words)
    subprocess.run(words, check=True)


class Cable:
    """Between the namespace that we are in, which is ours alone, and another one."""

    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 3600"], stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        ip("link", "set", "lo", "up")
        ip("link", "set", "lo", "up", there=self.holder.pid)
        ip("link", "add", "here", "type", "veth", "peer", "name", "there", "netns", str(self.holder.pid))
        ip("address", "add", HERE + "/24", "dev", "here")
        ip("address", "add", THERE + "/24", "dev", "there", there=self.holder.pid)
        ip("link", "set", "there", "up", there=self.holder.pid)
        self.mend()

    def cut(self):
        ip("link", "set", "here", "down")

    def mend(self):
        ip("link", "set", "here", "up")

    def remove(self):
        self.holder.kill()
        self.holder.wait()


class CutScene(kills.Scene):
    def __init__(self, glowworm, cable):
        super().__init__(glowworm)
        self.settings = [f"teacher.epochs={EPOCHS}", *self.settings[1:]]  # without its short stall
        programs = os.path.join(self.work, "programs")
        os.mkdir(programs)
        srun = os.path.join(programs, "srun")
        with open(srun, "w") as file:
            file.write(SRUN.format(here=HERE, holder=cable.holder.pid))
        os.chmod(srun, 0o755)
        self.job = {**JOB, "PATH": programs + ":" + os.environ["PATH"], "SLURM_JOB_END_TIME": str(int(time.time()) + 7200)}

    def move_away(self):
        """Gangs are at the other end of the cable from now on."""
        self.environment.update(self.job)
        self.settings += ["resources.launcher=slurm", "resources.nodes=2"]

    def step_heard(self, folder):
        with open(os.path.join(self.work, folder, "published", "status.json")) as file:
            return json.load(file)["stages"][0]["step"]

    def events(self, folder):
        try:
            with open(os.path.join(self.work, folder, "metrics", "teacher.jsonl")) as file:
                return [json.loads(line)["event"] for line in file if line.endswith("\n")]
        except FileNotFoundError:
            return []


def expect_nothing_heard(scene, folder, seconds):
    """The gang works on, and the runner does not know."""
    time.sleep(3)  # its status is written every two seconds
    heard, done = scene.step_heard(folder), scene.events(folder).count("step")
    time.sleep(2)
    if scene.step_heard(folder) != heard or scene.events(folder).count("step") == done:
        raise Wrong("the cable is not cut, or the gang does not work")
    time.sleep(seconds - 5)


def cut_one(scene, cable, seconds):
    folder = f"cut-{seconds}"
    runner = scene.start(folder)
    end = time.monotonic() + kills.WAIT_S
    while scene.events(folder).count("step") < 20:
        if runner.poll() is not None or time.monotonic() > end:
            raise Wrong(f"the teacher does not train:\n{scene.log_end(folder)}")
        time.sleep(kills.POLL_S)
    cable.cut()
    expect_nothing_heard(scene, folder, seconds)
    cable.mend()
    mended = time.monotonic()
    if runner.wait(timeout=kills.WAIT_S) != 0:
        raise Wrong(f"the run ended with {runner.returncode}:\n{scene.log_end(folder)}")
    kills.expect_nothing_left(scene)
    return folder, time.monotonic() - mended


def expect_attempts(scene, folder, of_teacher):
    stages = scene.ask(*scene.words("plan", folder))["stages"]
    attempts = {stage["name"]: stage["attempts"] for stage in stages}
    wanted = {**{name: 1 for name in attempts}, "teacher": of_teacher}
    if attempts != wanted:
        raise Wrong(f"{folder}: {attempts} attempts, not {wanted}:\n{scene.log_end(folder)}")


def cut_all(scene, cable, lengths):
    wanted = kills.run_undisturbed(scene)
    scene.move_away()
    for seconds in lengths:
        folder, after_s = cut_one(scene, cable, seconds)
        expect_attempts(scene, folder, 1 if seconds < LONG_S else 2)
        kills.expect_same(wanted, kills.outcome(scene, folder), folder)
        print(f"a cut of {seconds} s: {'the same lease' if seconds < LONG_S else 'one new lease'}, done {after_s:.1f} s "
              "after its end, every hash equal", flush=True)


def main():
    build, *lengths = sys.argv[1:]
    if "GLOWWORM_CUTS" not in os.environ:  # a namespace of our own; the cables of the machine are left alone
        os.environ["GLOWWORM_CUTS"] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, "-B", *sys.argv])
    cable = Cable()
    scene = CutScene(kills.use_build(build), cable)
    try:
        cut_all(scene, cable, [int(seconds) for seconds in lengths] or [10])
    except Wrong as wrong:
        kills.end_processes(scene)
        sys.exit(f"{wrong}\nkept: {scene.work}")
    except BaseException:
        kills.end_processes(scene)
        raise
    finally:
        cable.remove()
    scene.remove()


if __name__ == "__main__":
    main()
