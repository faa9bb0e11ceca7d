#!/usr/bin/python3
"""A campaign whose journal and checkpoints lie on scratch, and whose runner moves: stopped and gone on elsewhere, killed with
its scratch gone, replaced while it slept. Each ends with the hashes of an undisturbed run. usage: moves.py BUILD_FOLDER"""
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest

import kills
from kills import ROOT, WAIT_S, use_build

GLOWWORM = ""
BUSY, CONFIG_ERROR, STOPPED = 75, 78, 130
EPOCHS = ("--set", "teacher.epochs=30")  # long enough to be found at work


class Moving(kills.Scene):
    def words(self, command, folder):
        return [*super().words(command, folder), *EPOCHS]

    def place(self, folder, *inside):
        return os.path.join(self.work, folder, *inside)

    def start_on(self, folder, scratch, *more):
        """On this scratch, as on a node that has it."""
        words = [*self.words("run", folder), "--set", f"resources.scratch={scratch}", *more]
        with open(os.path.join(self.work, folder + ".log"), "a") as log:
            return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT, env=self.environment,
                                    start_new_session=True)

    def log(self, folder):
        with open(os.path.join(self.work, folder + ".log")) as file:
            return file.read()

    def published(self, folder):
        return [os.path.basename(path) for path in glob.glob(self.place(folder, "published", "state-*-*"))]

    def newest_copy(self, folder):
        """Its number; 0: there is none."""
        return max((int(name.rsplit("-", 1)[1]) for name in self.published(folder)), default=0)

    def counted(self, folder):
        """Steps of all stages that the journal counts on; without the stores, that of the newest copy."""
        return sum(stage["step"] for stage in self.ask(*self.words("plan", folder))["stages"])

    def steps(self, folder, stage="teacher"):
        path = self.place(folder, "metrics", stage + ".jsonl")
        if not os.path.exists(path):
            return 0
        with open(path) as file:
            return sum('"event":"step"' in line for line in file)

    def ranks(self):
        return [pid for pid in self.processes() if kills.program_of(pid) == "glowworm-worker"]


def await_that(condition, what):
    end = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"this did not come: {what()}")
        time.sleep(0.02)


class Moves(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scene = Moving(GLOWWORM)
        cls.addClassCleanup(cls.scene.remove)
        cls.wanted = kills.run_undisturbed(cls.scene)

    def setUp(self):
        self.folder = self.id().rsplit(".", 1)[1]
        self.a, self.b = (os.path.join(self.scene.work, self.folder + name) for name in ("-a", "-b"))
        self.addCleanup(kills.end_processes, self.scene)

    def await_steps(self, runner, steps):
        await_that(lambda: self.scene.steps(self.folder) >= steps or runner.poll() is not None,
                   lambda: self.scene.log(self.folder))
        self.assertIsNone(runner.poll(), self.scene.log(self.folder))

    def expect_end(self, runner, code):
        self.assertEqual(runner.wait(timeout=WAIT_S), code, self.scene.log(self.folder))

    def expect_whole(self):
        kills.expect_nothing_left(self.scene)
        kills.expect_same(self.wanted, kills.outcome(self.scene, self.folder), self.folder)

    def ask(self, *words, code=0):
        done = subprocess.run([GLOWWORM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def kill_all(self, runner):
        """As a node that loses its power."""
        runner.kill()
        runner.wait()
        kills.end_processes(self.scene)
        await_that(lambda: not self.scene.processes(), lambda: "processes do not end")

    def test_stopped_it_goes_on_elsewhere_without_a_lost_step(self):
        runner = self.scene.start_on(self.folder, self.a)
        self.await_steps(runner, 20)
        runner.send_signal(signal.SIGINT)
        self.expect_end(runner, STOPPED)
        shutil.rmtree(self.a)
        place = self.scene.place(self.folder)
        self.assertIn("stopped", self.ask("status", place))
        self.assertIn("teacher/latest", self.ask("checkpoint", "list", place))  # what was published
        self.assertIn("teacher/latest", self.ask("checkpoint", "list", os.path.join(place, "checkpoints")))
        plan = self.scene.ask(*self.scene.words("plan", self.folder))
        self.assertEqual(plan["stages"][0]["state"], "begun")
        stopped_at = self.scene.steps(self.folder)
        runner = self.scene.start_on(self.folder, self.b)
        self.expect_end(runner, 0)
        log = self.scene.log(self.folder)
        self.assertIn("going on from published/state-1-", log)
        self.assertNotIn("is done again", log)
        self.assertIn(f"goes on at step {stopped_at}", log)
        self.expect_whole()
        shutil.rmtree(self.b)
        self.expect_whole()  # of what was published
        self.assertLessEqual(len(self.scene.published(self.folder)), 2)

    @staticmethod
    def least(counted, newest):
        """What the newest copy must hold: what counted before the copy before it was there, since which one interval has
        passed. A copy begins when the one before it is whole."""
        return max((steps for copy, steps in counted.items() if copy <= newest - 2), default=0)

    def test_killed_and_its_scratch_gone_it_goes_on_from_what_was_published(self):
        runner = self.scene.start_on(self.folder, self.a, "--set", "checkpoint.publish=0.5s")
        await_that(lambda: self.scene.newest_copy(self.folder), lambda: self.scene.log(self.folder))
        counted = {}  # by the newest copy there was when this had been counted
        while self.least(counted, self.scene.newest_copy(self.folder)) == 0:
            steps = self.scene.counted(self.folder)
            counted[self.scene.newest_copy(self.folder)] = steps
            self.assertIsNone(runner.poll(), self.scene.log(self.folder))
        self.kill_all(runner)
        least = self.least(counted, self.scene.newest_copy(self.folder))
        shutil.rmtree(self.a)
        self.assertGreaterEqual(self.scene.counted(self.folder), least, counted)
        self.expect_end(self.scene.start_on(self.folder, self.b), 0)
        self.assertIn("is done again", self.scene.log(self.folder))
        self.expect_whole()

    def test_killed_it_goes_on_at_once_where_its_scratch_is(self):
        runner = self.scene.start_on(self.folder, self.a, "--set", "checkpoint.publish=100d")
        self.await_steps(runner, 20)
        self.kill_all(runner)
        runner = self.scene.start_on(self.folder, self.a)
        self.expect_end(runner, 0)
        log = self.scene.log(self.folder)
        self.assertNotIn("going on from published", log)
        self.assertRegex(log, "goes on at step [1-9]")
        self.expect_whole()

    def test_one_that_lives_is_named_and_one_that_was_replaced_writes_nothing_more(self):
        ghost = self.scene.start_on(self.folder, self.a, "--set", "checkpoint.publish=0.5s")
        await_that(lambda: self.scene.steps(self.folder) > 10 and self.scene.published(self.folder),
                   lambda: self.scene.log(self.folder))
        self.expect_end(self.scene.start_on(self.folder, self.b), BUSY)
        log = self.scene.log(self.folder)
        self.assertIn(f"process {ghost.pid}", log)
        self.assertIn("glowworm cancel", log)
        ghost.send_signal(signal.SIGSTOP)  # its gang trains on
        self.expect_end(self.scene.start_on(self.folder, self.b, "--take-over"), 0)
        status, before = self.scene.place(self.folder, "published", "status.json"), self.files()
        ghost.send_signal(signal.SIGCONT)
        self.expect_end(ghost, BUSY)
        self.assertIn("another runner has taken this run over", self.scene.log(self.folder))
        self.assertEqual(self.files(), before)
        with open(status) as file:
            found = json.load(file)
        self.assertEqual((found["claim"], found["state"]), (2, "done"))
        self.expect_whole()

    def test_replaced_before_it_began_it_writes_nothing(self):
        self.scene.environment["GLOWWORM_FAULT"] = "run.surveyed:1:stop"
        self.addCleanup(self.scene.environment.pop, "GLOWWORM_FAULT", None)
        runner = self.scene.start_on(self.folder, self.a)
        _, status = os.waitpid(runner.pid, os.WUNTRACED)
        self.assertTrue(os.WIFSTOPPED(status), self.scene.log(self.folder))
        with open(self.scene.place(self.folder, "published", "claim-2"), "w"):
            pass
        runner.send_signal(signal.SIGCONT)
        self.expect_end(runner, BUSY)
        self.assertFalse(os.path.exists(self.scene.place(self.folder, "campaign.yaml")))

    def test_taken_over_on_its_own_scratch_it_goes_on_there(self):
        before = self.scene.start_on(self.folder, self.a)
        self.await_steps(before, 10)
        after = self.scene.start_on(self.folder, self.a, "--take-over")
        self.expect_end(before, BUSY)
        self.expect_end(after, 0)
        self.assertNotIn("going on from published", self.scene.log(self.folder))
        self.expect_whole()

    def files(self):
        """All of the run's folder but logs, by name and content."""
        place = self.scene.place(self.folder)
        return {path: kills.file_hash(path) for path in glob.glob(place + "/**", recursive=True)
                if os.path.isfile(path) and "/logs/" not in path and not path.endswith(".mdb")}

    def test_what_does_not_go_with_scratch_is_an_error_with_a_cure(self):
        self.expect_end(self.scene.start_on(self.folder, "$NO_SUCH_VARIABLE"), CONFIG_ERROR)
        self.assertIn("NO_SUCH_VARIABLE is not set", self.scene.log(self.folder))
        self.expect_end(self.scene.start_on(self.folder, "relative"), CONFIG_ERROR)
        runner = self.scene.start_on(self.folder, self.a + "/{node}")
        self.await_steps(runner, 5)
        self.assertIn(os.uname().nodename, os.readlink(self.scene.place(self.folder, "checkpoints")))
        runner.send_signal(signal.SIGINT)
        self.expect_end(runner, STOPPED)
        self.expect_end(self.scene.start(self.folder), CONFIG_ERROR)
        self.assertIn("name resources.scratch again", self.scene.log(self.folder))
        self.expect_end(self.scene.start_on("undisturbed", self.a), CONFIG_ERROR)
        self.assertIn("has its journal and checkpoints inside", self.scene.log("undisturbed"))


if __name__ == "__main__":
    GLOWWORM = use_build(sys.argv.pop(1))
    unittest.main()
