#!/usr/bin/python3
"""kills.py fails when something differs, is damaged or lost, or is left behind, and when a run ends as it must not.
usage: test_kills.py BUILD_FOLDER"""
import os
import shutil
import signal
import subprocess
import sys
import unittest

import kills
from road import use_build

GLOWWORM = ""


class Kills(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scene = kills.Scene(GLOWWORM)
        cls.addClassCleanup(cls.scene.remove)
        cls.wanted = kills.run_undisturbed(cls.scene)

    def place(self, *names):
        return os.path.join(self.scene.work, *names)

    def copy(self):
        shutil.rmtree(self.place("copy"), ignore_errors=True)
        shutil.copytree(self.place("undisturbed"), self.place("copy"))

    def expect_wrong(self, words, function, *arguments):
        with self.assertRaisesRegex(kills.Wrong, words):
            function(*arguments)

    def expect_different(self, name):
        self.expect_wrong(name, kills.expect_same, self.wanted, kills.outcome(self.scene, "copy"), "copy")

    def change(self, name, old, new):
        with open(self.place("copy", name)) as file:
            text = file.read()
        self.assertIn(old, text)
        with open(self.place("copy", name), "w") as file:
            file.write(text.replace(old, new, 1))

    def test_a_copy_is_the_same(self):
        self.copy()
        kills.expect_same(self.wanted, kills.outcome(self.scene, "copy"), "copy")

    def test_another_checkpoint_is_a_difference(self):
        for name in [name for name in self.wanted if name.endswith("/final")]:
            other = {**self.wanted, name: "0" * 64}
            self.expect_wrong(f"is: {name}$", kills.expect_same, other, self.wanted, "run")
            self.expect_wrong(f"is: {name}$", kills.expect_same, self.wanted,
                              {key: value for key, value in self.wanted.items() if key != name}, "run")

    def test_a_step_lost_or_taken_twice_is_a_difference(self):
        self.copy()
        path = self.place("copy", "metrics", "teacher.jsonl")
        with open(path) as file:
            lines = file.readlines()
        step = next(i for i, line in enumerate(lines) if '"event":"step"' in line)
        for changed in (lines[:step] + lines[step + 1:], lines[:step] + [lines[step]] + lines[step:]):
            with open(path, "w") as file:
                file.writelines(changed)
            self.expect_different("steps of teacher.jsonl")

    def test_a_changed_result_makes_its_stage_run_again(self):
        self.copy()
        self.change("results/search.json", '"accuracy"', '"accuracy" ')
        self.expect_wrong("the journal says", kills.outcome, self.scene, "copy")

    def test_an_attempt_that_the_journal_lost_is_named(self):
        self.copy()
        with open(self.place("copy", "logs", "kernel-7.log"), "w"):
            pass
        self.expect_wrong(r"kernel.*attempts \[1, 7\]", kills.outcome, self.scene, "copy")

    def test_what_is_left_is_named(self):
        kills.expect_nothing_left(self.scene, 0)
        with open(self.place("tmp", "socket"), "w"):
            pass
        self.expect_wrong("tmp/socket", kills.expect_nothing_left, self.scene, 0)
        os.remove(self.place("tmp", "socket"))
        os.mkdir(self.place("segments"))
        self.scene.folders.add(self.place("segments"))
        self.expect_wrong("left behind: .*segments", kills.expect_nothing_left, self.scene, 0)
        self.scene.folders.clear()
        sleeper = subprocess.Popen(["sleep", "600"], env={**os.environ, kills.MARK: self.scene.work})
        self.expect_wrong(f"left behind: process {sleeper.pid}, ", kills.expect_nothing_left, self.scene, 0)
        kills.end_processes(self.scene)
        self.assertEqual(sleeper.wait(), -signal.SIGKILL)

    def test_processes_of_others_are_not_hit(self):
        other = subprocess.Popen(["sleep", "600"], env={**os.environ, kills.MARK: self.scene.work + "x"})
        self.assertFalse(kills.send(self.scene, other.pid, signal.SIGKILL))
        self.assertIsNone(other.poll())
        other.kill()
        other.wait()

    def test_an_end_that_nobody_caused_is_wrong(self):
        hunt = kills.Hunt.__new__(kills.Hunt)
        hunt.scene, hunt.folder, hunt.given_up = self.scene, "undisturbed", 0
        ends = {(0, ()): True, (-9, ()): False, (-9, ((kills.RUNNER, signal.SIGKILL),)): True, (74, ()): False,
                (130, ((kills.RUNNER, signal.SIGINT),)): True, (130, ((kills.RANK_0, signal.SIGTERM),)): False,
                (1, ((kills.RANK_0, signal.SIGKILL),) * 4): False, (1, ((kills.RANK_0, signal.SIGKILL),) * 5): True}
        for (code, hunt.sent), is_well in ends.items():
            hunt.runner = subprocess.CompletedProcess([], code)
            if is_well:
                hunt.judge_end()
            else:
                self.expect_wrong(f"ended with {code}", hunt.judge_end)

    def test_a_seed_says_every_hit(self):
        self.assertEqual(kills.draw_hits(5, 40), kills.draw_hits(5, 60)[:40])
        self.assertNotEqual(kills.draw_hits(5, 40), kills.draw_hits(6, 40))


if __name__ == "__main__":
    GLOWWORM = use_build(sys.argv.pop(1))
    unittest.main()
