#!/usr/bin/python3
"""A helper's job that Slurm took without saying so, and did not let go of: whoever comes later cancels it. Slurm's programs
here only pretend: they keep their jobs in a file. usage: test_left_jobs.py BUILD_FOLDER"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "road"))
from road import CAMPAIGN, ROOT, use_build

GLOWWORM = ""
PROGRAMS = {
    "sbatch": """
number=$(($(cat number) + 1)); echo $number >number
for word; do case $word in --comment=*) uuid=${word#*=} ;; esac; done
test -e drops || echo "$number|PENDING|Priority||$uuid" >>jobs
test -e mute && { echo 'sbatch: error: Unable to contact slurm controller' >&2; exit 1; }
echo $number
""",
    "squeue": """
test -e down && { echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1; }
cat jobs
""",
    "scancel": """
test -e down && exit 1
grep -v "^$1|" jobs >jobs.new; mv jobs.new jobs; echo $1 >>cancelled
""",
}


class LeftJobs(unittest.TestCase):
    def setUp(self):
        self.work = tempfile.mkdtemp(prefix="glowworm-left-jobs-")
        self.addCleanup(shutil.rmtree, self.work)
        self.slurm, self.run = os.path.join(self.work, "slurm"), os.path.join(self.work, "run")
        os.mkdir(self.slurm)
        os.mkdir(self.run)
        for name, script in PROGRAMS.items():
            path = os.path.join(self.slurm, name)
            with open(path, "w") as file:
                file.write(f"#!/bin/sh\ncd {self.slurm}\n{script}")
            os.chmod(path, 0o755)
        self.write("jobs", "")
        self.write("number", "6")
        with open(os.path.join(self.run, "campaign.yaml"), "w") as file:
            file.write(CAMPAIGN.format(data=os.path.join(self.work, "data"), root=ROOT, holdout=100, teacher_epochs=1,
                                       every="60s"))

    def write(self, name, text):
        with open(os.path.join(self.slurm, name), "w") as file:
            file.write(text)

    def read(self, name):
        with open(os.path.join(self.slurm, name)) as file:
            return file.read()

    def help(self, *states):
        """A helper's process while Slurm is in these states."""
        for state in states:
            self.write(state, "")
        done = subprocess.run([GLOWWORM, "slurm", "helper", self.run, "--log", os.path.join(self.work, "log"), "--runner",
                               str(os.getpid())], env={**os.environ, "PATH": self.slurm + ":" + os.environ["PATH"]},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=100)
        for state in states:
            os.remove(os.path.join(self.slurm, state))
        return done

    def notes(self):
        folder = os.path.join(self.run, "left-jobs")
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []

    def test_one_that_slurm_took_while_it_did_not_answer_is_cancelled_by_the_next_helper(self):
        self.assertNotEqual(self.help("mute", "down").returncode, 0)
        self.assertIn("7|PENDING|Priority||", self.read("jobs"))
        self.assertEqual(self.notes(), [self.read("jobs").strip().split("|")[-1]])
        self.assertNotEqual(self.help("mute", "down").returncode, 0)
        self.assertEqual(len(self.notes()), 2)
        done = self.help("mute", "drops")
        self.assertEqual(sorted(self.read("cancelled").split()), ["7", "8"], done.stderr)
        self.assertEqual(self.read("jobs"), "")

    def test_one_that_does_not_show_up_for_long_is_forgotten(self):
        self.help("mute", "drops")
        notes = self.notes()
        self.assertEqual(len(notes), 1)
        os.utime(os.path.join(self.run, "left-jobs", notes[0]), (1000000000, 1000000000))
        self.help("mute", "drops")
        self.assertNotIn(notes[0], self.notes())

    def test_one_that_is_cancelled_at_once_leaves_no_note(self):
        self.assertNotEqual(self.help("mute").returncode, 0)
        self.assertEqual(self.read("cancelled"), "7\n")
        self.assertEqual(self.notes(), [])


if __name__ == "__main__":
    GLOWWORM = use_build(sys.argv.pop(1))
    unittest.main(verbosity=2)
