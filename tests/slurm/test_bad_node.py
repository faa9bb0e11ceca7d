#!/usr/bin/python3
"""A node of a real Slurm (all on this host) whose ranks end at once, or cannot open the data: gangs do without it where the job
has another one, else the run ends with its name. usage: test_bad_node.py BUILD_FOLDER"""
import json
import os
import shutil
import sys
import unittest

from sandbox import Sandbox, SlurmScene, await_that, kills, use_build

GLOWWORM = ""
WORKER = """#!/bin/sh
case $SLURMD_NODENAME:$NODE_2 in
n2:ends) exit 9 ;;
n2:fails) export GLOWWORM_FAULT=store.view:1 ;;
esac
exec %s "$@"
"""


class BadNode(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sandbox = Sandbox(nodes=3, cpus=2)
        cls.addClassCleanup(cls.sandbox.down)
        cls.scene = SlurmScene(cls.make_programs(), cls.sandbox)
        cls.addClassCleanup(cls.scene.remove)

    @classmethod
    def make_programs(cls):
        """A copy of the command beside a worker that node n2 does not bear."""
        folder = os.path.join(cls.sandbox.folder, "bin")
        os.mkdir(folder)
        command = shutil.copy(GLOWWORM, folder)
        worker = os.path.join(folder, "glowworm-worker")
        with open(worker, "w") as file:
            file.write(WORKER % os.path.join(os.path.dirname(GLOWWORM), "glowworm-worker"))
        os.chmod(worker, 0o755)
        return command

    def submit(self, folder, nodes, node_2="ends"):
        environment = {**self.scene.environment, "NODE_2": node_2}
        return self.sandbox.submit(*self.scene.job_words(folder), "--set", "resources.nodes=2", environment=environment,
                                   options=(f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1"),
                                   log=os.path.join(self.scene.work, folder + ".log"))

    def status(self, folder):
        with open(os.path.join(self.scene.work, folder, "published/status.json")) as file:
            return json.load(file)

    def is_told(self, folder):
        path = os.path.join(self.scene.work, folder, "published/status.json")
        return os.path.exists(path) and self.status(folder).get("excluded")

    def expect_left_out(self, folder, node_2, why):
        job = self.submit(folder, 3, node_2)
        await_that(lambda: self.is_told(folder) or self.sandbox.state(job) in (None, "COMPLETED", "FAILED", "CANCELLED"),
                   lambda: self.scene.log_end(folder))
        self.assertEqual(self.is_told(folder), "n2", self.scene.log_end(folder))
        plan = self.scene.ask(*self.scene.words("plan", folder))
        self.assertEqual(plan["excluded"], "n2")
        self.assertEqual(plan["stages"][0]["causes"]["bad node"], 2)
        self.assertIn(self.sandbox.await_end(job), ("COMPLETED", "GONE"), self.scene.log_end(folder))
        status = self.status(folder)
        self.assertEqual(status["state"], "done")
        self.assertEqual(status["stages"][0]["causes"], {"bad node": 2, "done": 1})
        self.assertIn(why, status["excluded_why"])
        kills.expect_nothing_left(self.scene)

    def test_gangs_do_without_one_that_ends_them(self):
        self.expect_left_out("ending", "ends", "task 1: Exited with exit code 9")

    def test_gangs_do_without_one_that_cannot_open_the_data(self):
        self.expect_left_out("failing", "fails", "rank 1 on n2: ")

    def test_the_run_ends_with_its_name_where_there_is_none(self):
        job = self.submit("narrow", 2)
        self.assertEqual(self.sandbox.await_end(job), "FAILED", self.scene.log_end("narrow"))
        said = self.scene.log_end("narrow")
        self.assertIn("on node n2, before its first step", said)
        self.assertIn("has no other node for it", said)
        self.assertEqual(self.status("narrow")["stages"][0]["causes"], {"crash": 5})


if __name__ == "__main__":
    GLOWWORM = use_build(sys.argv.pop(1))
    unittest.main()
