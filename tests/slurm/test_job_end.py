#!/usr/bin/python3
"""The end of a run's job, on a real Slurm: preempted, out of time, cancelled. What comes back goes on where it was, what was
cancelled stays away, and all end with the hashes of an undisturbed run. usage: test_job_end.py BUILD_FOLDER"""
import json
import os
import sys
import time
import unittest

from sandbox import Sandbox, SlurmScene, await_that, kills, use_build

GLOWWORM = ""
EPOCHS = ("--set", "teacher.epochs=40")  # long enough to be found at work


class LongScene(SlurmScene):
    def words(self, command, folder):
        return [*super().words(command, folder), *EPOCHS]


class JobEnd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sandbox = Sandbox(grace_s=20)
        cls.addClassCleanup(cls.sandbox.down)
        cls.scene = LongScene(GLOWWORM, cls.sandbox)
        cls.addClassCleanup(cls.scene.remove)
        cls.wanted = kills.run_undisturbed(cls.scene)

    def setUp(self):
        self.folder = self.id().rsplit(".", 1)[1]

    def submit(self, **site):
        site = self.scene.write_site(signal_before_end="10s", **site)
        process, job = self.scene.begin_submit(self.folder, "--site", site)
        self.addCleanup(self.expect_submitted, process, job)
        return job

    def expect_submitted(self, process, job):
        said, _ = process.communicate(timeout=300)
        self.assertEqual((process.returncode, json.loads(said)["job"]), (0, job))

    def await_work(self):
        """It trains, and has saved."""
        store = os.path.join(self.scene.work, self.folder, "checkpoints")
        await_that(lambda: self.scene.ranks() and os.path.exists(store), lambda: self.scene.log(self.folder))

    def restarts(self, job):
        shown = self.sandbox.call("scontrol", "--oneliner", "show", "job", job).stdout
        return int(shown.split("Restarts=")[1].split()[0])

    def expect_whole(self):
        self.scene.await_done(self.folder)
        kills.expect_nothing_left(self.scene)
        kills.expect_same(self.wanted, kills.outcome(self.scene, self.folder), self.folder)

    def expect_ends(self, **causes):
        """What ended attempts of the teacher before it was done."""
        ends = self.scene.ask(*self.scene.words("plan", self.folder))["stages"][0]["causes"]
        self.assertEqual({cause.replace(" ", "_"): count for cause, count in ends.items()}, {"done": 1, **causes})

    def ask_to_end(self, job):
        """As Slurm does ahead of the limit."""
        self.sandbox.call("scancel", "--batch", "--signal=USR1", job)
        await_that(lambda: "is about to end" in self.scene.log(self.folder), lambda: self.scene.log(self.folder))

    def test_out_of_time_it_comes_back_by_its_exit_code(self):
        job = self.submit(requeue="exit")
        self.await_work()
        self.ask_to_end(job)
        self.expect_whole()
        self.assertEqual(self.restarts(job), 1)
        self.expect_ends(time_limit=1)

    def test_out_of_time_it_comes_back_in_another_job(self):
        job = self.submit(requeue="continuation")
        self.await_work()
        self.ask_to_end(job)
        self.expect_whole()
        self.assertEqual(self.restarts(job), 0)
        self.assertIn("goes on when this one has ended", self.scene.log(self.folder))

    def test_it_knows_itself_when_its_time_is_over(self):
        self.scene.environment["SLURM_JOB_END_TIME"] = str(int(time.time()) + 17)
        try:
            job = self.submit(requeue="exit")
        finally:
            del self.scene.environment["SLURM_JOB_END_TIME"]
        self.expect_whole()
        self.assertGreaterEqual(self.restarts(job), 1, self.scene.log(self.folder))

    def test_preempted_it_saves_asks_to_be_queued_again_and_goes_on(self):
        job = self.submit(requeue="scontrol")
        self.await_work()
        urgent = self.sandbox.submit("true", options=("--partition=urgent", "--ntasks=4"), log="/dev/null")
        self.assertIn(self.sandbox.await_end(urgent), ("COMPLETED", "GONE"))
        self.expect_whole()
        self.assertEqual(self.restarts(job), 1)
        self.assertIn("is about to end: all is saved", self.scene.log(self.folder))
        self.expect_ends(preempted=1)

    def test_cancelled_it_has_saved_stays_away_and_leaves_nothing(self):
        job = self.submit(requeue="scontrol")
        self.await_work()
        self.sandbox.call("scancel", job)
        self.assertEqual(self.sandbox.await_end(job), "CANCELLED")
        kills.expect_nothing_left(self.scene)
        log = self.scene.log(self.folder)
        self.assertIn("the same command continues", log)
        self.assertNotIn("comes back", log)
        runner = self.scene.start(self.folder)
        self.assertEqual(runner.wait(timeout=300), 0, self.scene.log_end(self.folder))
        self.expect_whole()


if __name__ == "__main__":
    GLOWWORM = use_build(sys.argv.pop(1))
    unittest.main()
