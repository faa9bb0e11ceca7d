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

    def search_long(self):
        """What one gang alone finds in a search that lasts long enough for others to join it."""
        self.addCleanup(setattr, self.scene, "settings", self.scene.settings)
        self.scene.settings = ["search.evaluations=700", "search.targets=[{name: best, device: firefly-dl-mono, latency_ms: 19.45}]"]
        if not os.path.exists(os.path.join(self.scene.work, "near")):
            call(*self.scene.words("run", "near"), env=self.scene.environment, cwd=ROOT)
        return kills.outcome(self.scene, "near")

    def submit_with(self, folder, words, options):
        scratch = os.path.join(self.scene.work, "scratch-" + folder, "{node}")
        settings = [word for setting in (*words, f"resources.scratch={scratch}") for word in ("--set", setting)]
        return self.sandbox.submit(*self.scene.job_words(folder), *settings, environment=self.scene.environment, options=options,
                                   log=os.path.join(self.scene.work, folder + ".log"))

    def await_helper_on(self, node, folder):
        """Its log says which copy it reads, and that it has opened it."""
        def has_begun():
            found = self.rank_on(node)
            for path in glob.glob(os.path.join(self.scene.work, f"{folder}/logs/*-helper-{found[1]}.log")) if found else ():
                with open(path) as file:
                    text = file.read()
                if re.search(r"reads=\S*/published/state-\d+-\d+", text) and "opened campaign=" in text:
                    return True
            return False
        await_that(has_begun, lambda: self.scene.log_end(folder))

    def expect_helped(self, job, folder, wanted):
        """It ends well, with what one gang finds; the other node had a copy of the data set of its own."""
        self.assertIn(self.sandbox.await_end(job), ("COMPLETED", "GONE"), self.scene.log_end(folder))
        kills.expect_nothing_left(self.scene)
        kills.expect_same(wanted, kills.outcome(self.scene, folder), folder)
        self.assertEqual(len(glob.glob(os.path.join(self.scene.work, f"scratch-{folder}/n2/glowworm-data-*/dataset/data.mdb"))), 1)

    def test_gangs_on_another_node_help_with_what_was_published(self):
        """One gang on each node of a job."""
        wanted = self.search_long()
        job = self.submit_with("far", ("resources.gangs=2", "resources.gangs_per_node=1"),
                               ("--nodes=2", "--ntasks=4", "--ntasks-per-node=2"))
        self.await_helper_on("n2", "far")
        self.expect_helped(job, "far", wanted)

    def pending(self):
        return self.sandbox.call("squeue", "--noheader", "--states=PENDING", "--format=%i").stdout.split()

    def test_a_job_of_its_own_helps_once_slurm_lets_it_begin(self):
        wanted = self.search_long()
        other = self.sandbox.submit("sleep", "600", options=("--nodelist=n2", "--ntasks=2"), log="/dev/null")
        job = self.submit_with("joined", ("resources.helper_jobs=1",), ("--nodes=1", "--nodelist=n1", "--ntasks=2"))
        await_that(self.pending, lambda: self.scene.log_end("joined"))  # for n2; the run goes on meanwhile
        self.sandbox.call("scancel", other)
        self.await_helper_on("n2", "joined")
        running = self.sandbox.call("squeue", "--noheader", "--states=RUNNING", "--format=%i").stdout.split()
        helpers = [number for number in running if number != job]
        self.assertEqual(len(helpers), 1)
        self.sandbox.call("scancel", helpers[0])  # its end is not the run's
        self.expect_helped(job, "joined", wanted)
        self.assertNotIn("about to end", self.scene.log_end("joined"))
        await_that(lambda: not self.sandbox.call("squeue", "--noheader", "--format=%i").stdout.split(), "an empty queue", 60)

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
