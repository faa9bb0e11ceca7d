#!/usr/bin/python3
"""`glowworm slurm submit --wait` on a real Slurm: waits for the run's end through all that may happen, submits once, and stops
what it waits for when it is asked to. usage: test_handover.py BUILD_FOLDER"""
import json
import os
import signal
import subprocess
import sys
import unittest

from sandbox import ROOT, Sandbox, SlurmScene, await_that, kills, use_build

GLOWWORM = ""
INTERRUPTED, REQUEUE, TERMINATED = 130, 85, 143
MOST_S = 60
LONG = ("--set", "teacher.epochs=2000")


class Waiter:
    """`slurm submit --wait` of a run, and what it has said."""

    def __init__(self, scene, folder, *words):
        self.scene, self.folder, self.words = scene, folder, words
        self.path = os.path.join(scene.work, folder + ".waiter")
        self.start()

    def start(self):
        with open(self.path, "a") as log:
            self.process = subprocess.Popen(self.scene.slurm_words("submit", self.folder, "--wait", *self.words), stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL, env=self.scene.environment, cwd=ROOT)

    def said(self):
        with open(self.path) as file:
            return file.read()

    def await_words(self, words):
        await_that(lambda: words in self.said() or self.process.poll() is not None, self.said, MOST_S)
        if words not in self.said():
            raise AssertionError(f"it ended with {self.process.returncode} and never said {words}:\n{self.said()}")

    def send(self, number):
        self.process.send_signal(number)

    def end(self):
        """Its exit code."""
        return self.process.wait(timeout=MOST_S)


class Waits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sandbox = Sandbox()
        cls.addClassCleanup(cls.sandbox.down)
        cls.scene = SlurmScene(GLOWWORM, cls.sandbox)
        cls.addClassCleanup(cls.scene.remove)

    def setUp(self):
        self.folder = self.id().rsplit(".", 1)[1]

    def wait_for(self, *words, **site):
        waiter = Waiter(self.scene, self.folder, "--site", self.scene.write_site(**site), *words)
        self.addCleanup(lambda: waiter.process.poll() is None and waiter.process.kill())
        return waiter

    def news(self):
        path = os.path.join(self.scene.work, self.folder, "slurm-news.json")
        with open(path) as file:
            return json.load(file)

    def test_killed_and_started_again_it_waits_for_the_same_job(self):
        before = self.sandbox.jobs()
        waiter = self.wait_for("--once", "7-1", arguments=["--hold"])
        waiter.await_words("in Slurm (JobHeldUser)")
        job = self.news()["job"]
        waiter.send(signal.SIGKILL)
        self.assertEqual(waiter.end(), -signal.SIGKILL)
        self.sandbox.call("scontrol", "release", job)
        self.scene.await_done(self.folder)
        self.sandbox.await_end(job)
        waiter.start()  # which finds that all is over
        self.assertEqual(waiter.end(), 0, waiter.said())
        self.assertEqual(self.sandbox.jobs() - before, {job})
        kills.expect_nothing_left(self.scene)

    def test_asked_to_stop_it_stops_the_run_and_left_it_lets_it_go_on(self):
        waiter = self.wait_for(*LONG)
        waiter.await_words("running on n1")
        await_that(self.scene.ranks, lambda: self.scene.log(self.folder))
        waiter.send(signal.SIGTERM)
        self.assertEqual(waiter.end(), TERMINATED, waiter.said())
        self.assertIn("goes on in Slurm", waiter.said())
        self.assertTrue(self.scene.ranks())
        waiter.start()
        waiter.await_words("submitted before")
        waiter.send(signal.SIGUSR1)
        self.assertEqual(waiter.end(), INTERRUPTED, waiter.said())
        self.assertIn("stopped by a person", waiter.said())
        kills.expect_nothing_left(self.scene)

    def test_asked_to_stop_before_the_run_began_it_cancels_the_job(self):
        waiter = self.wait_for(arguments=["--hold"])
        waiter.await_words("in Slurm (JobHeldUser)")
        waiter.send(signal.SIGUSR1)
        self.assertEqual(waiter.end(), INTERRUPTED, waiter.said())
        self.assertEqual(self.sandbox.await_end(self.news()["job"]), "CANCELLED")
        self.assertIn("cancelled before the run began", waiter.said())


if __name__ == "__main__":
    GLOWWORM = use_build(sys.argv.pop(1))
    unittest.main()
