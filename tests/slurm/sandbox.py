"""What the tests on a real Slurm share: a sandbox of their own, jobs in it, and the campaign of tests/fault/kills.py."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "fault"))
import kills  # noqa: E402
from road import ROOT, use_build  # noqa: E402, F401

SCRIPT = os.path.join(HERE, "sandbox.sh")
JOB = "#!/bin/sh\nexec \"$@\"\n"
WAIT_S = 300


def call(*words, expect=0, **options):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=WAIT_S, **options)
    if done.returncode != expect:
        raise AssertionError(f"{words} ended with {done.returncode}, not {expect}\n{done.stdout}{done.stderr}")
    return done


def await_that(condition, what, limit_s=WAIT_S):
    """The first true value of condition()."""
    end = time.monotonic() + limit_s
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"this did not come: {what() if callable(what) else what}")
        time.sleep(0.05)
    return value


class Sandbox:
    """A Slurm; `with` ends it, and this process's end does."""

    def __init__(self, nodes=1, cpus=4, grace_s=15):
        self.folder = tempfile.mkdtemp(prefix="gw-slurm-")
        os.environ["GRACE"] = str(grace_s)
        self.conf = call("bash", SCRIPT, self.folder, "up", str(os.getpid()), str(nodes), str(cpus)).stdout.strip()
        self.environment = {**os.environ, "SLURM_CONF": self.conf}
        self.job_script = os.path.join(self.folder, "job.sh")
        with open(self.job_script, "w") as file:
            file.write(JOB)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.down()

    def down(self):
        call("bash", SCRIPT, self.folder, "down")
        shutil.rmtree(self.folder)

    def call(self, *words, **options):
        return call(*words, env=self.environment, cwd=ROOT, **options)

    def submit(self, *words, options=(), environment=None, log):
        """Number of the job that runs these words."""
        done = call("sbatch", "--parsable", f"--output={log}", "--open-mode=append", *options, self.job_script, *words,
                    env={**self.environment, **(environment or {})}, cwd=ROOT)
        return done.stdout.strip()

    def jobs(self):
        """Numbers of all that Slurm knows."""
        return set(self.call("squeue", "--noheader", "--states=all", "--format=%i").stdout.split())

    def state(self, job):
        """"RUNNING", ...; None: Slurm does not list it any more."""
        done = subprocess.run(["squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment)
        if done.returncode != 0 and "Invalid job id" not in done.stderr:
            return "UNKNOWN"
        return done.stdout.strip() or None

    def await_end(self, job):
        """The state that it ended in."""
        return await_that(lambda: self.state(job) in (None, "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")
                          and (self.state(job) or "GONE"), lambda: f"the end of job {job}, {self.state(job)}")


class SlurmScene(kills.Scene):
    """The campaign, with gangs that are steps of the job it is run in."""

    def __init__(self, glowworm, sandbox):
        super().__init__(glowworm)
        self.sandbox = sandbox
        self.environment["SLURM_CONF"] = sandbox.conf

    def job_words(self, folder):
        return [*self.words("run", folder), "--set", "resources.launcher=slurm"]

    def submit(self, folder, *options):
        return self.sandbox.submit(*self.job_words(folder), options=("--ntasks=2", *options), environment=self.environment,
                                   log=os.path.join(self.work, folder + ".log"))

    def write_site(self, **values):
        """The path of a site's file."""
        path = os.path.join(self.work, re.sub(r"[^\w.]+", "-", "-".join(["site", *map(str, values.values())])) + ".yaml")
        with open(path, "w") as file:
            json.dump(values, file)
        return path

    def slurm_words(self, verb, folder, *words):
        return [self.glowworm, "slurm", verb, *self.words("run", folder)[2:], *words]

    def submit_run(self, folder, *words):
        """What "glowworm slurm submit" says."""
        return json.loads(call(*self.slurm_words("submit", folder, "--json", *words), env=self.environment, cwd=ROOT).stdout)

    def begin_submit(self, folder, *words):
        """The same, not waited for: it looks for its job for seconds, in which that already works. Its process, the job."""
        before = self.sandbox.jobs()
        process = subprocess.Popen(self.slurm_words("submit", folder, "--json", *words), env=self.environment, cwd=ROOT,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        return process, await_that(lambda: self.sandbox.jobs() - before, "a job").pop()

    def log(self, folder):
        path = os.path.join(self.work, folder, "slurm.log")
        if not os.path.exists(path):
            return ""
        with open(path) as file:
            return file.read()

    def await_done(self, folder):
        """Until the campaign is over, in whatever job."""
        def is_done():
            status = os.path.join(self.work, folder, "published/status.json")
            if not os.path.exists(status):
                return False
            with open(status) as file:
                return json.load(file)["state"] == "done"
        await_that(is_done, lambda: f"the end of the run: {self.log(folder)}")

    def ranks(self):
        """Environments of the ranks that live, by pid."""
        return {pid: words for pid, words in self.processes().items() if kills.program_of(pid) == "glowworm-worker"}

    def launchers(self):
        """The same of srun: the one that leads its session first."""
        found = [pid for pid in self.processes() if kills.program_of(pid) == "srun"]
        return sorted(found, key=lambda pid: os.getsid(pid) != pid)
