#!/usr/bin/python3
"""Gangs over several nodes of a real Slurm (all on this host): they meet their runner over the network, with keys; each node has
its copy of the data set; their campaign is that of a local run, also when ranks of either node are killed. usage: test_nodes.py BUILD_FOLDER"""
import glob
import os
import re
import signal
import sys
import unittest

from sandbox import ROOT, Sandbox, SlurmScene, await_that, call, kills, use_build

GLOWWORM = ""


class Nodes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sandbox = Sandbox(nodes=2, cpus=2)
        cls.addClassCleanup(cls.sandbox.down)
        cls.scene = SlurmScene(GLOWWORM, cls.sandbox)
        cls.addClassCleanup(cls.scene.remove)

    def submit(self, folder, *options):
        """Two gangs of a rank on each node."""
        scratch = os.path.join(self.scene.work, "scratch", "{node}")
        words = ["--set", "resources.nodes=2", "--set", "resources.gangs=2", "--set", f"resources.scratch={scratch}"]
        return self.sandbox.submit(*self.scene.job_words(folder), *words, environment=self.scene.environment,
                                   options=("--nodes=2", "--ntasks=4", "--ntasks-per-node=2", *options),
                                   log=os.path.join(self.scene.work, folder + ".log"))

    def rank_on(self, node):
        """Its pid; the lease it works for."""
        for pid, words in self.scene.ranks().items():
            if words.get("SLURMD_NODENAME") == node:
                return pid, words["GLOWWORM_LEASE"]
        return None

    def kill_rank_on(self, node, but_lease=None):
        def find():
            found = self.rank_on(node)
            return found if found and found[1] != but_lease else None
        pid, lease = await_that(find, lambda: self.scene.log_end("wide"))
        self.assertTrue(kills.send(self.scene, pid, signal.SIGKILL))
        return lease

    def test_a_campaign_over_two_nodes_is_that_of_one(self):
        wanted = kills.run_undisturbed(self.scene)
        job = self.submit("wide")
        lease = self.kill_rank_on("n2")
        self.kill_rank_on("n1", lease)
        self.assertIn(self.sandbox.await_end(job), ("COMPLETED", "GONE"), self.scene.log_end("wide"))
        kills.expect_nothing_left(self.scene)
        kills.expect_same(wanted, kills.outcome(self.scene, "wide"), "the run on two nodes")
        for node in ("n1", "n2"):  # each reads its own copy of the data set
            self.assertEqual(len(glob.glob(os.path.join(self.scene.work, "scratch", node, "glowworm-data-*/dataset/data.mdb"))), 1)
        keys = os.path.join(self.scene.work, "wide", "keys")
        self.assertEqual({name: os.stat(os.path.join(keys, name)).st_mode & 0o777 for name in ("server", "client")},
                         {"server": 0o600, "client": 0o600})

    def test_gangs_on_another_node_help_with_what_was_published(self):
        """One gang on each node: the second one's reads a copy, and the search finds what one gang alone finds."""
        self.addCleanup(setattr, self.scene, "settings", self.scene.settings)
        self.scene.settings = ["search.evaluations=500", "search.targets=[{name: best, device: firefly-dl, latency_ms: 19.45}]"]
        call(*self.scene.words("run", "near"), env=self.scene.environment, cwd=ROOT)
        scratch = os.path.join(self.scene.work, "scratch-far", "{node}")
        words = ("--set", "resources.gangs=2", "--set", "resources.gangs_per_node=1", "--set", f"resources.scratch={scratch}")
        job = self.sandbox.submit(*self.scene.job_words("far"), *words, environment=self.scene.environment,
                                  options=("--nodes=2", "--ntasks=4", "--ntasks-per-node=2"), log=os.path.join(self.scene.work, "far.log"))
        helper = await_that(lambda: self.rank_on("n2"), lambda: self.scene.log_end("far"))
        await_that(lambda: self.told(helper[1]), lambda: self.scene.log_end("far"))
        self.assertIn(self.sandbox.await_end(job), ("COMPLETED", "GONE"), self.scene.log_end("far"))
        kills.expect_nothing_left(self.scene)
        kills.expect_same(kills.outcome(self.scene, "near"), kills.outcome(self.scene, "far"), "the run with help from afar")
        self.assertEqual(len(glob.glob(os.path.join(self.scene.work, "scratch-far/n2/glowworm-data-*/dataset/data.mdb"))), 1)

    def told(self, lease):
        """A helper's log says which copy it reads, and that it has opened it."""
        for path in glob.glob(os.path.join(self.scene.work, f"far/logs/*-helper-{lease}.log")):
            with open(path) as file:
                text = file.read()
            if re.search(r"reads=\S*/published/state-\d+-\d+", text) and "opened campaign=" in text:
                return True
        return False

    def test_ranks_that_do_not_fit_the_nodes_are_refused(self):
        log = os.path.join(self.scene.work, "odd.log")
        words = ("--set", "resources.nodes=2", "--set", "resources.ranks=3", "--set", "batch.micro=8")
        job = self.sandbox.submit(*self.scene.job_words("odd"), *words, options=("--nodes=2", "--ntasks=2"), log=log,
                                  environment=self.scene.environment)
        self.sandbox.await_end(job)
        self.assertIn("resources.ranks 3 on 2 nodes", self.scene.log_end("odd"))


if __name__ == "__main__":
    GLOWWORM = use_build(sys.argv.pop(1))
    unittest.main()
