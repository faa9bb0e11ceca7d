#!/usr/bin/python3
"""The sandbox of Slurm by itself: what it starts has an end. usage: test_sandbox.py"""
import os
import signal
import subprocess
import sys
import unittest

from sandbox import HERE, Sandbox, await_that

OWNER = "import sandbox; box = sandbox.Sandbox(); print(box.folder, flush=True); input()"


def processes_of(folder):
    """All that runs in a sandbox, and what watches over it."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as environ, open(f"/proc/{pid}/cmdline", "rb") as cmdline:
                if folder.encode() in environ.read() + cmdline.read() and int(pid) != os.getpid():
                    found.append(int(pid))
        except OSError:
            pass
    return found


class TheSandbox(unittest.TestCase):
    def test_two_run_jobs_beside_each_other_and_end_with_all_that_is_theirs(self):
        with Sandbox(nodes=2) as one, Sandbox(cpus=2) as other:
            self.assertEqual(sorted(one.call("srun", "--nodes=2", "printenv", "SLURMD_NODENAME").stdout.split()), ["n1", "n2"])
            self.assertEqual(other.call("srun", "printenv", "SLURM_CONF").stdout.strip(), other.conf)
            job = one.submit("sleep", "600", log="/dev/null")
            await_that(lambda: one.state(job) == "RUNNING", "the job")
            self.assertIsNone(other.state(job))
            folders = one.folder, other.folder
        for folder in folders:
            await_that(lambda folder=folder: not processes_of(folder), lambda folder=folder: processes_of(folder))
            self.assertFalse(os.path.exists(folder))

    def test_it_ends_with_its_owner(self):
        owner = subprocess.Popen([sys.executable, "-B", "-c", OWNER], cwd=HERE, stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True)
        folder = owner.stdout.readline().strip()
        self.assertTrue(processes_of(folder))
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        owner.stdin.close()
        owner.stdout.close()
        await_that(lambda: not processes_of(folder), lambda: processes_of(folder))
        subprocess.run(["rm", "-r", folder], check=True)


if __name__ == "__main__":
    unittest.main()
