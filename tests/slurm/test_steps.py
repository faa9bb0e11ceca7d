#!/usr/bin/python3
"""A campaign in a job of a real Slurm, its gangs steps of the job: the hashes of a local run, also when a rank, and when
its srun, is killed; nothing is left. usage: test_steps.py BUILD_FOLDER"""
import os
import signal
import sys
import unittest

from sandbox import Sandbox, SlurmScene, await_that, call, kills, use_build

GLOWWORM = ""
CONFIG = 78


class Steps(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sandbox = Sandbox()
        cls.addClassCleanup(cls.sandbox.down)
        cls.scene = SlurmScene(GLOWWORM, cls.sandbox)
        cls.addClassCleanup(cls.scene.remove)

    def attempts(self, folder):
        plan = self.scene.ask(*self.scene.words("plan", folder))
        return sum(stage["attempts"] for stage in plan["stages"])

    def kill_when_there(self, find, job):
        """Waits for a gang, then kills one of it with -9."""
        pid = await_that(lambda: self.sandbox.state(job) == "RUNNING" and find(), lambda: self.scene.log_end("slurm"))
        self.assertTrue(kills.send(self.scene, pid, signal.SIGKILL))
        await_that(lambda: not os.path.exists(f"/proc/{pid}") or not kills.environment_of(pid), f"the end of {pid}")

    def rank_1(self):
        ranks = self.scene.ranks()
        for environment in ranks.values():
            self.assertIn("SLURM_STEP_ID", environment)
        return next((pid for pid, words in ranks.items() if words.get("SLURM_PROCID") == "1"), None)

    def first_launcher(self):
        return self.scene.launchers()[0] if self.scene.launchers() and self.rank_1() else None

    def test_a_campaign_whose_rank_and_srun_are_killed_is_that_of_a_local_run(self):
        wanted = kills.run_undisturbed(self.scene)
        job = self.scene.submit("slurm")
        self.kill_when_there(self.rank_1, job)
        ranks = set(self.scene.ranks())
        self.kill_when_there(self.first_launcher, job)
        self.assertIn(self.sandbox.await_end(job), ("COMPLETED", "GONE"))
        said = self.scene.log_end("slurm")
        self.assertIn("bundles/small", said)
        kills.expect_nothing_left(self.scene)
        kills.expect_same(wanted, kills.outcome(self.scene, "slurm"), "the run in Slurm")
        self.assertEqual(self.attempts("slurm"), self.attempts("undisturbed") + 2, ranks)

    def test_outside_of_a_job_it_says_what_to_do(self):
        said = call(*self.scene.job_words("nowhere"), expect=CONFIG, env=self.scene.environment).stderr
        self.assertIn("glowworm slurm submit", said)
        self.assertFalse(os.path.exists(os.path.join(self.scene.work, "nowhere")))

    def test_a_gang_that_its_node_has_no_room_for_is_refused(self):
        log = os.path.join(self.scene.work, "narrow.log")
        job = self.sandbox.submit(*self.scene.job_words("narrow"), "--set", "resources.gangs=2", log=log,
                                  options=("--ntasks=3",), environment=self.scene.environment)
        self.sandbox.await_end(job)
        said = self.scene.log_end("narrow")
        self.assertIn("2 gangs of 2 ranks of 1 threads (resources.ranks, resources.threads) need 4 CPUs of each node", said)
        self.assertIn("has 3 on n1", said)


if __name__ == "__main__":
    GLOWWORM = use_build(sys.argv.pop(1))
    unittest.main()
