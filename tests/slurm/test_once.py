#!/usr/bin/python3
"""`glowworm slurm submit` where Slurm loses, refuses or does not answer: never two jobs, and no job that nobody waits for. Slurm's
programs here only pretend: they keep their jobs in a file. usage: test_once.py BUILD_FOLDER"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "road"))
from road import CAMPAIGN, ROOT, use_build

GLOWWORM = ""
MOST_S = 100
AGAIN, INTERRUPTED, TERMINATED = 75, 130, 143
PROGRAMS = {
    "sinfo": "echo 'cpu*|2-00:00:00|2|64|256000|(null)'",
    "sbatch": """
echo asked >>asked
for word; do case $word in --comment=*) uuid=${word#*=} ;; esac; done
test -e drops || echo "7|PENDING|Priority||$uuid" >>jobs
test -e says && { cat says >&2; exit 1; }
echo 7
""",
    "squeue": """
echo asked >>looks
test -e down && { echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1; }
cat jobs
""",
    "scancel": "exit 0",
}
OLD = {"format": 1, "uuid": "glowworm-old", "job": "3", "key": "old", "before": "", "settled": True}


class Once(unittest.TestCase):
    def setUp(self):
        self.work = tempfile.mkdtemp(prefix="glowworm-once-")
        self.addCleanup(shutil.rmtree, self.work)
        self.slurm, self.run_folder = os.path.join(self.work, "slurm"), os.path.join(self.work, "run")
        self.campaign = os.path.join(self.work, "campaign.yaml")
        os.mkdir(self.slurm)
        os.mkdir(self.run_folder)
        for name, script in PROGRAMS.items():
            path = os.path.join(self.slurm, name)
            with open(path, "w") as file:
                file.write(f"#!/bin/sh\ncd {self.slurm}\n{script}\n")
            os.chmod(path, 0o755)
        self.pretend("jobs", "")
        with open(self.campaign, "w") as file:
            file.write(CAMPAIGN.format(data=os.path.join(self.work, "data"), root=ROOT, holdout=100, teacher_epochs=1,
                                       every="60s"))

    def pretend(self, name, text):
        with open(os.path.join(self.slurm, name), "w") as file:
            file.write(text)

    def lines(self, name):
        path = os.path.join(self.slurm, name)
        if not os.path.exists(path):
            return []
        with open(path) as file:
            return file.read().splitlines()

    def intent(self, **changes):
        """What the folder says was submitted; written first, where there are changes."""
        path = os.path.join(self.run_folder, "slurm.json")
        if changes:
            with open(path, "w") as file:
                json.dump({**OLD, **changes}, file)
        with open(path) as file:
            return json.load(file)

    def start(self, *words):
        process = subprocess.Popen([GLOWWORM, "slurm", "submit", self.campaign, "--run-folder", self.run_folder, *words],
                                   env={**os.environ, "PATH": self.slurm + ":" + os.environ["PATH"]}, cwd=ROOT,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def submit(self, *words):
        """Its exit code, and what it says."""
        process = self.start(*words)
        said = process.communicate(timeout=MOST_S)[0]
        return process.returncode, said

    def await_looks(self, process, count):
        end_s = time.monotonic() + MOST_S
        while len(self.lines("looks")) < count:
            if process.poll() is not None:
                self.fail(process.stdout.read())
            self.assertLess(time.monotonic(), end_s)
            time.sleep(0.05)

    def test_a_job_that_is_there_already_is_the_one_of_a_new_name(self):
        self.intent(uuid="glowworm-old")
        self.pretend("jobs", "3|RUNNING|None|n1|glowworm-old\n")
        self.assertEqual(self.submit("--once", "new")[0], 0)
        self.pretend("jobs", "")  # a person took it back
        self.assertEqual(self.submit("--once", "new")[0], 0)
        self.assertEqual((self.intent()["key"], self.lines("asked")), ("new", []))

    def test_who_waits_needs_no_campaign_and_left_by_any_signal_it_is_to_come_again(self):
        self.intent(key="new")
        self.pretend("jobs", "3|RUNNING|None|n1|glowworm-old\n")
        os.remove(self.campaign)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            process = self.start("--wait", "--once", "new", "--site", "nowhere")
            self.await_looks(process, len(self.lines("looks")) + 1)
            process.send_signal(number)
            said = process.communicate(timeout=MOST_S)[0]
            self.assertEqual(process.returncode, TERMINATED, said)
            self.assertIn("goes on in Slurm (job 3)", said)

    def test_what_slurm_cannot_say_yet_is_no_refusal_and_a_refusal_leaves_nothing(self):
        self.pretend("drops", "")
        self.pretend("says", "sbatch: error: QOSMaxSubmitJobPerUserLimit\n")
        code, said = self.submit("--once", "new")
        self.assertEqual(code, AGAIN, said)
        os.remove(os.path.join(self.run_folder, "slurm.json"))
        self.pretend("says", "sbatch: error: invalid partition specified: x\n")
        for _ in range(2):
            code, said = self.submit("--once", "new")
            self.assertEqual((code, "Slurm refuses the job" in said), (1, True), said)
        self.assertEqual(len(self.lines("asked")), 3)

    def test_a_submission_that_may_still_arrive_is_not_made_again_nor_one_that_slurm_took_and_said_no_to(self):
        self.pretend("says", "sbatch: error: Socket timed out on send/recv operation\n")
        self.intent(key="new", job="", settled=False)
        code, said = self.submit("--once", "new")
        self.assertEqual((code, self.lines("asked")), (AGAIN, []), said)
        hour = time.time() - 3600
        os.utime(os.path.join(self.run_folder, "slurm.json"), (hour, hour))
        with open(os.path.join(self.run_folder, "slurm-news.json"), "w") as file:
            file.write("{}")
        code, said = self.submit("--once", "new")
        self.assertEqual((code, "as job 7" in said, len(self.lines("asked"))), (0, True, 1), said)
        self.assertEqual(os.listdir(os.path.join(self.run_folder, "left-jobs")), ["glowworm-old"])
        self.assertFalse(os.path.exists(os.path.join(self.run_folder, "slurm-news.json")))

    def test_asked_to_stop_what_slurm_does_not_have_it_has_stopped(self):
        self.intent(key="new")
        process = self.start("--wait", "--once", "new")
        self.await_looks(process, 1)
        process.send_signal(signal.SIGUSR1)
        said = process.communicate(timeout=MOST_S)[0]
        self.assertEqual(process.returncode, INTERRUPTED, said)

    def test_asked_to_stop_the_job_of_another_name_is_left_alone(self):
        self.intent(key="other", settled=False)
        self.pretend("jobs", "3|RUNNING|None|n1|glowworm-old\n")
        self.pretend("down", "")
        process = self.start("--wait", "--once", "new")
        self.await_looks(process, 1)
        process.send_signal(signal.SIGUSR1)
        said = process.communicate(timeout=MOST_S)[0]
        self.assertEqual(process.returncode, INTERRUPTED, said)
        self.assertIn("not submitted", said)


if __name__ == "__main__":
    GLOWWORM = use_build(sys.argv.pop(1))
    unittest.main()
