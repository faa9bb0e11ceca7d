#!/usr/bin/python3
"""A run on two nodes of a real Slurm (both on this host), each with a scratch of its own: preempted on one it goes on on the
other, from what was published, with the hashes of an undisturbed run. usage: test_moves.py BUILD_FOLDER"""
import glob
import os
import sys
import unittest

from sandbox import Sandbox, SlurmScene, await_that, kills, use_build

GLOWWORM = ""
EPOCHS = ("--set", "teacher.epochs=40")  # long enough to be found at work


class ScratchScene(SlurmScene):
    def words(self, command, folder):
        return [*super().words(command, folder), *EPOCHS]

    def scratch(self, node=""):
        return os.path.join(self.work, "scratch", node)

    def job_words(self, folder):
        return [*super().job_words(folder), "--set", "resources.scratch=" + self.scratch("{node}")]


class Moves(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sandbox = Sandbox(nodes=2, cpus=2, grace_s=20)
        cls.addClassCleanup(cls.sandbox.down)
        cls.scene = ScratchScene(GLOWWORM, cls.sandbox)
        cls.addClassCleanup(cls.scene.remove)

    def place(self, *inside):
        return os.path.join(self.scene.work, "moving", *inside)

    def log(self):
        return self.scene.log_end("moving")

    def stores(self, node):
        return glob.glob(os.path.join(self.scene.scratch(node), "glowworm-*", "stores", "journal", "data.mdb"))

    def trained(self):
        """It has saved something."""
        path = self.place("metrics", "teacher.jsonl")
        if not os.path.exists(path):
            return False
        with open(path) as file:
            return '"event":"checkpoint"' in file.read()

    def test_preempted_on_one_node_it_goes_on_on_the_other(self):
        wanted = kills.run_undisturbed(self.scene)
        job = self.scene.submit("moving", "--requeue", "--nodes=1")
        await_that(lambda: self.scene.ranks() and self.trained(), self.log)
        first = self.sandbox.call("squeue", "--noheader", f"--jobs={job}", "--format=%N").stdout.strip()
        other = {"n1": "n2", "n2": "n1"}[first]
        self.assertTrue(self.stores(first) and not self.stores(other), self.log())
        urgent = self.sandbox.submit("sleep", "100000", log="/dev/null",
                                     options=("--partition=urgent", "--ntasks=2", f"--nodelist={first}"))
        await_that(lambda: self.stores(other), self.log)
        self.assertIn(self.sandbox.await_end(job), ("COMPLETED", "GONE"), self.log())
        self.sandbox.call("scancel", urgent)
        with open(os.path.join(self.scene.work, "moving.log")) as file:
            log = file.read()
        self.assertIn("is about to end: all is saved", log)
        self.assertRegex(log, r"going on from published/state-1-\d+")
        self.assertNotIn("is done again", log)
        self.assertRegex(log, r"teacher goes on at step [1-9]")
        kills.expect_nothing_left(self.scene)
        kills.expect_same(wanted, kills.outcome(self.scene, "moving"), "the run that moved")


if __name__ == "__main__":
    GLOWWORM = use_build(sys.argv.pop(1))
    unittest.main()
