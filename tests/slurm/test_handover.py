#!/usr/bin/python3
"""Campaigns that glowworm-scheduler hands to a real Slurm, and `glowworm slurm submit --wait`, by which it does: waits for the
run's end through all that may happen, submits once, and stops what it waits for when it is asked to.
usage: test_handover.py BUILD_FOLDER [--all | TESTS]"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import unittest
import urllib.request

from sandbox import ROOT, SCRIPT, Sandbox, SlurmScene, await_that, call, kills, use_build

GLOWWORM = ""
INTERRUPTED, REQUEUE, TERMINATED = 130, 85, 143
MOST_S = 60
SLOW_SBATCH = """#!/bin/sh
touch {place}/asked
while [ ! -e {place}/go ]; do sleep 0.1; done
exec {sbatch} "$@"
"""
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

    def test_a_submission_that_outlives_who_asked_for_it_is_not_made_again(self):
        tools, before = os.path.join(self.scene.work, "tools"), self.sandbox.jobs()
        os.mkdir(tools)
        with open(os.path.join(tools, "sbatch"), "w") as file:
            file.write(SLOW_SBATCH.format(sbatch=shutil.which("sbatch"), place=tools))
        os.chmod(os.path.join(tools, "sbatch"), 0o755)
        self.addCleanup(setattr, self.scene, "environment", self.scene.environment)
        self.scene.environment = {**self.scene.environment, "PATH": tools + ":" + os.environ["PATH"]}
        waiter = self.wait_for("--once", "in-flight", arguments=["--hold"])
        await_that(lambda: os.path.exists(os.path.join(tools, "asked")), waiter.said, MOST_S)
        waiter.send(signal.SIGKILL)
        waiter.end()
        waiter.start()
        waiter.await_words("is being submitted already")
        with open(os.path.join(tools, "go"), "w"):
            pass
        waiter.await_words("in Slurm (JobHeldUser)")
        self.assertEqual(len(self.sandbox.jobs() - before), 1)
        waiter.send(signal.SIGUSR1)
        self.assertEqual(waiter.end(), INTERRUPTED, waiter.said())

    def test_asked_to_stop_before_the_run_began_it_cancels_the_job(self):
        waiter = self.wait_for(arguments=["--hold"])
        waiter.await_words("in Slurm (JobHeldUser)")
        waiter.send(signal.SIGUSR1)
        self.assertEqual(waiter.end(), INTERRUPTED, waiter.said())
        self.assertEqual(self.sandbox.await_end(self.news()["job"]), "CANCELLED")
        self.assertIn("cancelled before the run began", waiter.said())


class Hands(unittest.TestCase):
    """A scheduler on a login node."""
    @classmethod
    def setUpClass(cls):
        cls.sandbox = Sandbox(cpus=2)
        cls.addClassCleanup(cls.sandbox.down)
        cls.scene = SlurmScene(GLOWWORM, cls.sandbox)
        cls.scene.settings = ["search.targets=[]", "shrink.epochs_scale=0.001"]
        cls.addClassCleanup(cls.scene.remove)

    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1]
        self.folder = os.path.join(self.scene.work, "s-" + self.name[:20])
        self.start("--jobs", "1", "--page")
        self.addCleanup(self.end)

    def start(self, *words):
        self.words = words
        with open(self.folder + ".log", "a") as log:
            self.scheduler = subprocess.Popen([GLOWWORM + "-scheduler", "--folder", self.folder, *words], stdout=log, stderr=log,
                                              stdin=subprocess.DEVNULL, env=self.scene.environment, cwd=ROOT)
        await_that(lambda: self.ask("queue").returncode == 0, self.log, MOST_S)

    def end(self, number=signal.SIGTERM):
        self.scheduler.send_signal(number)
        self.scheduler.wait(timeout=MOST_S)

    def log(self):
        with open(self.folder + ".log") as file:
            return file.read()

    def ask(self, verb, *words):
        return subprocess.run([GLOWWORM, *verb.split(), *words, "--folder", self.folder], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=self.scene.environment, cwd=ROOT)

    def submit(self, run, *words, priority=0):
        """Its id. The run's folder has the name of the test in it."""
        said = self.ask("submit", *self.scene.words("run", f"{self.name}-{run}")[2:], "--json", "--priority", str(priority), *words)
        self.assertEqual(said.returncode, 0, said.stderr)
        return json.loads(said.stdout)["id"]

    def listed(self, id):
        found = json.loads(self.ask("queue", "--json").stdout)["campaigns"]
        return next((one for one in found if one["id"] == id), None)

    def row(self, id):
        """As people see it."""
        rows = self.ask("queue", "--all").stdout.splitlines()
        return next((row for row in rows if row.split()[:1] == [str(id)]), "")

    def page(self):
        """What the page knows of all runs."""
        address = re.search(r"^page: (\S+)$", self.ask("queue").stdout, re.M)[1]
        with urllib.request.urlopen(address + "runs.json", timeout=MOST_S) as answer:
            return answer.read().decode()

    def await_state(self, id, state):
        await_that(lambda: self.listed(id)["state"] == state, lambda: f"{state} of {self.listed(id)}\n{self.log()}", MOST_S)

    def await_row(self, id, words):
        await_that(lambda: words in self.row(id), lambda: f"{words} in {self.row(id)}\n{self.log()}", MOST_S)

    def test_by_priority_one_job_at_a_time_beside_a_local_one_and_through_the_death_of_the_scheduler(self):
        held, before = self.scene.write_site(arguments=["--hold"]), self.sandbox.jobs()
        first = self.submit("first", "--site", held)
        self.await_row(first, "in Slurm (JobHeldUser)")
        self.assertIn("has not begun: job", self.page())
        low = self.submit("low", "--site", held, "--set", "resources.threads=1")
        high = self.submit("high", "--site", self.scene.write_site(), "--set", "resources.ranks=1", priority=5)
        local = self.submit("local")
        await_that(lambda: self.listed(local)["starts"] == 1, self.log, MOST_S)
        self.assertIn("for one of the 1 jobs", self.row(high))
        job = self.listed(first)["slurm"]["job"]
        self.assertEqual(self.sandbox.jobs() - before, {job})
        self.end(signal.SIGKILL)
        self.sandbox.call("scontrol", "release", job)
        self.start("--jobs", "1")
        for id in (first, high):
            self.await_state(id, "done")
        self.assertLess(self.listed(first)["ended_ms"], self.listed(high)["ended_ms"])
        self.await_row(low, "in Slurm (JobHeldUser)")
        job = self.listed(low)["slurm"]["job"]
        self.assertEqual(self.ask("queue remove", str(low)).returncode, 0)
        self.assertEqual(self.sandbox.await_end(job), "CANCELLED")
        self.await_state(low, "removed")
        self.assertEqual([self.listed(id)["jobs"] for id in (first, high, low)], [1, 1, 1])
        self.assertEqual(len(self.sandbox.jobs() - before), 3)
        self.await_state(local, "done")

    def test_taken_out_a_running_run_stops_though_nobody_waits_for_it(self):
        running = self.submit("running", "--site", self.scene.write_site(), *LONG)
        self.await_row(running, "running on n1")
        await_that(self.scene.ranks, self.log)
        waiter = self.listed(running)["pid"]
        self.assertGreater(waiter, 1)
        os.kill(waiter, signal.SIGKILL)  # it is found again, to be stopped
        self.assertEqual(self.ask("queue remove", str(running)).returncode, 0)
        self.await_state(running, "removed")
        self.assertEqual(self.listed(running)["jobs"], 1)
        self.end()
        kills.expect_nothing_left(self.scene)

    def test_who_is_cancelled_stays_so_and_what_cannot_be_is_refused_at_once(self):
        one = self.submit("one", "--site", self.scene.write_site(), *LONG)
        await_that(self.scene.ranks, self.log)
        self.await_row(one, "running on n1")
        self.sandbox.call("scancel", self.listed(one)["slurm"]["job"])
        self.await_state(one, "cancelled")
        for words, code, text in ((("--site", "nowhere"), 65, "nowhere"),
                                  (("--site", self.scene.write_site(partition="none")), 78, "no partition none"),
                                  (("--site", self.scene.write_site(), "--set", "resources.threads=64"), 78, "the most is 2")):
            said = self.ask("submit", *self.scene.words("run", "refused")[2:], *words)
            self.assertEqual((said.returncode, text in said.stderr), (code, True), said.stderr)
        wrong = self.submit("wrong", "--site", self.scene.write_site(arguments=["--nodelist=n7"]))
        self.await_state(wrong, "failed")
        self.assertIn("Slurm refuses the job", self.row(wrong))

    def test_slurm_is_away_and_comes_back(self):
        one = self.submit("one", "--site", self.scene.write_site(), *LONG)
        self.await_row(one, "running on n1")
        await_that(self.scene.ranks, self.log)
        with open(os.path.join(self.sandbox.folder, "run/slurmctld.pid")) as file:
            controller = int(file.read())
        os.kill(controller, signal.SIGKILL)
        await_that(lambda: not kills.environment_of(controller), "the controller's end")
        self.await_row(one, "Slurm does not answer now")
        call("bash", SCRIPT, self.sandbox.folder, "controller")
        await_that(lambda: "running on n1" in self.row(one) and "not answer" not in self.row(one), lambda: self.row(one))
        self.assertEqual(self.ask("queue set", str(one), "--hold").returncode, 0)
        self.await_state(one, "held")
        self.assertEqual(self.listed(one)["jobs"], 1)


QUICK = ("Hands.test_by_priority_one_job_at_a_time_beside_a_local_one_and_through_the_death_of_the_scheduler",
         "Hands.test_taken_out_a_running_run_stops_though_nobody_waits_for_it")

if __name__ == "__main__":
    GLOWWORM = use_build(sys.argv.pop(1))
    if sys.argv[1:] == ["--all"]:
        sys.argv.pop()
    elif len(sys.argv) == 1:
        sys.argv += QUICK
    unittest.main()
