#!/usr/bin/python3
"""What takes minutes on a real Slurm, so that tests/slurm.sh --all alone runs it: a node that is lost while what ran on it lives
on, the limit of a job's time, campaigns side by side as an array. usage: test_long.py BUILD_FOLDER"""
import os
import re
import signal
import sys
import unittest

from sandbox import Sandbox, SlurmScene, await_that, kills, use_build

GLOWWORM = ""


class LongScene(SlurmScene):
    """Its teacher takes so many epochs."""

    def __init__(self, glowworm, sandbox, epochs):
        super().__init__(glowworm, sandbox)
        self.epochs = epochs

    def words(self, command, folder):
        return [*super().words(command, folder), "--set", f"teacher.epochs={self.epochs}"]

    def whole_log(self, folder):
        with open(os.path.join(self.work, folder + ".log")) as file:
            return file.read()


class LongTest(unittest.TestCase):
    def set_scene(self, epochs, **sandbox):
        self.sandbox = Sandbox(**sandbox)
        self.addCleanup(self.sandbox.down)
        self.scene = LongScene(GLOWWORM, self.sandbox, epochs)
        self.addCleanup(self.scene.remove)
        self.wanted = kills.run_undisturbed(self.scene)

    def expect_whole(self, folder):
        kills.expect_nothing_left(self.scene)
        kills.expect_same(self.wanted, kills.outcome(self.scene, folder), folder)

    def ours_on(self, node):
        """Runner and ranks there."""
        return [pid for pid, words in self.scene.processes().items()
                if words.get("SLURMD_NODENAME") == node and kills.program_of(pid) in ("glowworm", "glowworm-worker")]


class LostNode(LongTest):
    def lose(self, node):
        """Slurm hears no more of it; what runs there is frozen, and wakes up when somebody else has gone on."""
        with open(os.path.join(self.sandbox.folder, "run", f"slurmd.{node}.pid")) as file:
            os.kill(int(file.read()), signal.SIGKILL)
        ghosts = self.ours_on(node)
        for pid in ghosts:
            os.kill(pid, signal.SIGSTOP)
        return ghosts

    def test_what_lives_on_on_a_lost_node_changes_nothing(self):
        self.set_scene(200, nodes=2, cpus=2)
        words = self.scene.job_words("lost") + ["--set", "resources.scratch=" + os.path.join(self.scene.work, "scratch", "{node}")]
        job = self.sandbox.submit(*words, "--set", "checkpoint.publish=1s", environment=self.scene.environment,
                                  options=("--ntasks=2", "--nodes=1", "--requeue"), log=os.path.join(self.scene.work, "lost.log"))
        published = os.path.join(self.scene.work, "lost", "published")
        await_that(lambda: os.path.isdir(published) and any(name.startswith("state-1-") for name in os.listdir(published)),
                   lambda: self.scene.log_end("lost"))
        first = self.sandbox.call("squeue", "--noheader", f"--jobs={job}", "--format=%N").stdout.strip()
        other = {"n1": "n2", "n2": "n1"}[first]
        ghosts = self.lose(first)
        self.assertGreaterEqual(len(ghosts), 3, "runner and two ranks")
        await_that(lambda: any(name.startswith("state-2-") for name in os.listdir(published)), lambda: self.scene.log_end("lost"))
        self.assertTrue(self.ours_on(other))
        for pid in ghosts:
            os.kill(pid, signal.SIGCONT)
        await_that(lambda: not self.ours_on(first), "the end of the ghosts")
        await_that(lambda: self.sandbox.state(job) in (None, "COMPLETED"), lambda: self.scene.log_end("lost"))
        self.assertIn("another runner has taken this run over", self.scene.whole_log("lost"))
        self.expect_whole("lost")


class TimeLimit(LongTest):
    def test_a_job_whose_time_is_over_comes_back_until_all_is_done(self):
        self.set_scene(500, cpus=2)
        site = self.scene.write_site(partition="short", time="1m", signal_before_end="20s", requeue="exit")
        job = self.scene.submit_run("limited", "--site", site)["job"]
        self.scene.await_done("limited")
        shown = self.sandbox.call("scontrol", "--oneliner", "show", "job", job).stdout
        self.assertGreaterEqual(int(re.search(r"Restarts=(\d+)", shown)[1]), 1, self.scene.log("limited"))
        await_that(lambda: not self.ours_on("n1"), "the end of the job")
        self.expect_whole("limited")


class Array(LongTest):
    def test_campaigns_of_an_array_do_not_meet(self):
        self.set_scene(20, cpus=4)
        log = os.path.join(self.scene.work, "array-%a.log")
        words = self.scene.job_words("array-0")
        words[words.index(os.path.join(self.scene.work, "array-0"))] = os.path.join(self.scene.work, "array-$SLURM_ARRAY_TASK_ID")
        script = "exec " + " ".join(f'"{word}"' for word in words)
        job = self.sandbox.submit("bash", "-c", script, options=("--ntasks=2", "--array=0-2"), environment=self.scene.environment,
                                  log=log)
        for task in range(3):
            await_that(lambda: self.sandbox.state(f"{job}_{task}") in (None, "COMPLETED", "FAILED"),
                       lambda: self.scene.log_end(f"array-{task}"))
        for task in range(3):
            self.expect_whole(f"array-{task}")


if __name__ == "__main__":
    GLOWWORM = use_build(sys.argv.pop(1))
    unittest.main()
