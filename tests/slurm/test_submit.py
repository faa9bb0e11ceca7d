#!/usr/bin/python3
"""`glowworm slurm submit` on a real Slurm: once, whatever happens to its controller; what is impossible is refused; nothing
that a campaign is called reaches a shell. usage: test_submit.py BUILD_FOLDER"""
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import unittest

from sandbox import HERE, ROOT, SCRIPT, Sandbox, SlurmScene, await_that, call, kills, use_build

GLOWWORM = ""
CONFIG = 78
AGAIN = 75
HOSTILE = "a b'q\" $(touch pwned) `touch pwned` ;touch pwned; %j"
RECORDER = """#!/bin/sh
printf '%s\\0' sbatch "$@" >"$RECORDED"
exec {sbatch} "$@"
"""


class Submission(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sandbox = Sandbox()
        cls.addClassCleanup(cls.sandbox.down)
        cls.scene = SlurmScene(GLOWWORM, cls.sandbox)
        cls.addClassCleanup(cls.scene.remove)

    def jobs(self):
        return self.sandbox.call("squeue", "--noheader", "--states=all", "--format=%i").stdout.split()

    def test_what_is_submitted_twice_is_one_job_and_ends_as_a_local_run_does(self):
        wanted = kills.run_undisturbed(self.scene)
        first = self.scene.submit_run("twice")
        again = self.scene.submit_run("twice")
        self.assertFalse(first["was_there"])
        if again["was_there"]:  # else it was over
            self.assertEqual(first["job"], again["job"])
        self.scene.await_done("twice")
        self.sandbox.await_end(first["job"])
        kills.expect_nothing_left(self.scene)
        kills.expect_same(wanted, kills.outcome(self.scene, "twice"), "the submitted run")

    def intent(self, folder):
        path = os.path.join(self.scene.work, folder, "slurm.json")
        if not os.path.exists(path):
            return {}
        with open(path) as file:
            return json.load(file)

    def kill_controller(self):
        with open(os.path.join(self.sandbox.folder, "run/slurmctld.pid")) as file:
            controller = int(file.read())
        os.kill(controller, signal.SIGKILL)
        await_that(lambda: not kills.environment_of(controller), "the controller's end")

    def start_controller(self):
        call("bash", SCRIPT, self.sandbox.folder, "controller")

    def test_people_need_no_controller(self):
        folder = os.path.join(self.scene.work, "down")
        submitter, job = self.scene.begin_submit("down", "--set", "teacher.epochs=2000")
        submitter.communicate()
        await_that(self.scene.ranks, lambda: self.scene.log("down"))
        self.kill_controller()
        try:
            state = lambda: self.scene.ask(self.scene.glowworm, "status", folder)["runs"][0]["state"]  # noqa: E731
            self.assertEqual(state(), "running")
            self.assertIn("opened campaign=", call(self.scene.glowworm, "logs", folder, "-n", "100000").stdout)
            self.assertIn("running", call(self.scene.glowworm, "top", folder, stdin=subprocess.DEVNULL).stdout)
            call(self.scene.glowworm, "cancel", folder, "--wait")
            self.assertEqual(state(), "stopped")
        finally:
            self.start_controller()
            self.sandbox.call("scancel", job)
        self.sandbox.await_end(job)

    def test_a_controller_that_dies_behind_the_submission_runs_it_once(self):
        submitter = subprocess.Popen(self.scene.slurm_words("submit", "crash", "--json"), stdout=subprocess.PIPE, text=True,
                                     env=self.scene.environment, cwd=ROOT)
        await_that(lambda: self.intent("crash").get("job"), "the submission")
        self.kill_controller()
        time.sleep(2)  # the submitter asks meanwhile, and nobody answers: that is not "gone"
        self.start_controller()
        made = json.loads(submitter.communicate()[0])
        self.assertEqual(submitter.returncode, 0)
        self.scene.await_done("crash")
        self.sandbox.await_end(made["job"])
        listed = self.sandbox.call("squeue", "--noheader", "--states=all", "--format=%i|%k").stdout.splitlines()
        uuid = self.intent("crash")["uuid"]
        self.assertEqual([line for line in listed if line.endswith("|" + uuid)], [f"{made['job']}|{uuid}"])
        self.assertTrue(self.scene.ask(self.scene.glowworm, "checkpoint", "verify",
                                       os.path.join(self.scene.work, "crash"))["whole"])

    def test_of_a_run_that_is_queued_and_has_not_begun_it_is_said_what_to_do(self):
        site = self.scene.write_site(arguments=["--hold"])
        job = self.scene.submit_run("held", "--site", site)["job"]
        for command in ("status", "cancel", "logs", "top"):
            said = call(self.scene.glowworm, command, os.path.join(self.scene.work, "held"), expect=AGAIN).stderr
            self.assertIn(f"as job {job} and has not begun", said)
            self.assertIn(f"scancel {job}", said)
        self.sandbox.call("scancel", job)

    def test_what_the_cluster_can_never_start_is_refused_with_the_cure(self):
        before = self.jobs()
        for site, settings, words in (
                ({"partition": "nowhere"}, (), ("no partition nowhere", "main", "urgent")),
                ({"partition": "short", "time": "2h"}, (), ("may last 1:00", "7200 s")),
                ({"partition": "short"}, (), ("may last 1:00", "signal_before_end")),
                ({}, ("resources.threads=64",), ("128 CPUs", "the most is 4", "resources.threads")),
                ({}, ("resources.gangs=3",), ("6 CPUs", "the most is 4", "resources.gangs")),
                ({}, ("resources.memory=1TiB",), ("1048576 MiB", "the most is 4000")),
                ({}, ("resources.gpus_per_rank=2",), ("4 GPUs", "the most is 2")),
                ({"partition": "main; touch pwned"}, (), ("partition", "letters")),
                ({"partition": "main\n"}, (), ("control character",)),
                ({}, ("run_folder=\"a\\nb\"",), ("run_folder", "control character")),
                ({"arguments": ["--wrap=touch pwned"]}, (), ("--wrap",)),
                ({"arguments": ["--output=x"]}, (), ("for the submission to say",)),
                ({"arguments": ["--wra=touch"]}, (), ("for the submission to say",)),
                ({"arguments": ["--n=3"]}, (), ("for the submission to say",)),
                ({"spare_nodes": 1}, (), ("has 1 nodes", "spare_nodes")),
                ({}, ("resources.gangs=4", "resources.gangs_per_node=1", "resources.scratch=/tmp"),
                 ("has 1 nodes", "ask for 4 together", "resources.gangs_per_node")),
                ({"modules": ["$(touch pwned)"]}, (), ("no name of a module",))):
            path = os.path.join(self.scene.work, "refused.yaml")
            with open(path, "w") as file:
                json.dump(site, file)
            sets = [word for setting in settings for word in ("--set", setting)]
            began = time.monotonic()
            said = call(*self.scene.slurm_words("submit", "refused", "--site", path, *sets), expect=CONFIG,
                        env=self.scene.environment, cwd=ROOT).stderr
            self.assertLess(time.monotonic() - began, 10)
            for word in words:
                self.assertIn(word, said)
        self.assertEqual(self.jobs(), before)
        self.assertFalse(os.path.exists(os.path.join(self.scene.work, "refused")))

    def test_accounts_modules_and_gpus_of_a_site_reach_slurm(self):
        """The nodes have two files each that Slurm takes for GPUs: what is shown is that a rank is given one."""
        site = self.scene.write_site(account="lab", qos="normal", modules=["cuda/13", "openmpi"])
        self.addCleanup(setattr, self.scene, "environment", self.scene.environment)
        self.scene.environment = {**self.scene.environment, "BASH_FUNC_module%%": "() { echo \"module $*\"; }"}
        submitter, job = self.scene.begin_submit("gpus", "--site", site, "--set", "resources.gpus_per_rank=1")
        rank = await_that(lambda: next(iter(self.scene.ranks().values()), None), lambda: self.scene.log("gpus"))
        self.assertEqual(rank["SLURMD_TRES_BIND"], "gpu:per_task:1")
        shown = self.sandbox.call("scontrol", "show", "job", job).stdout
        self.assertIn("Account=lab", shown)
        self.assertIn("TresPerNode=gres:gpu:2", shown)
        self.scene.await_done("gpus")
        self.sandbox.await_end(job)
        submitter.communicate()
        self.assertIn("module load cuda/13\nmodule load openmpi\n", self.scene.log("gpus"))

    def test_no_name_reaches_a_shell_and_script_prints_what_submit_submits(self):
        work = os.path.join(self.scene.work, HOSTILE.replace("/", "_"))
        tools = os.path.join(self.scene.work, "tools")
        for folder in (work, tools):
            os.mkdir(folder)
        shutil.copy(self.scene.campaign, os.path.join(work, "c.yaml"))
        recorded = os.path.join(work, "recorded")
        with open(os.path.join(tools, "sbatch"), "w") as file:
            file.write(RECORDER.format(sbatch=shutil.which("sbatch")))
        os.chmod(os.path.join(tools, "sbatch"), 0o755)
        environment = {**self.scene.environment, "PATH": tools + ":" + os.environ["PATH"], "RECORDED": recorded}
        words = [os.path.join(work, "c.yaml"), "--run-folder", os.path.join(work, "run"), "--set", "campaign=x y;$(id)",
                 "--set", "shrink.epochs_scale=0.001", "--set", "search.targets=[]"]
        plain = [*words[:3], *words[5:]]
        said = call(GLOWWORM, "slurm", "script", *plain, env=environment, cwd=work).stdout
        made = json.loads(call(GLOWWORM, "slurm", "submit", *plain, "--json", env=environment, cwd=work).stdout)
        with open(recorded, "rb") as file:
            argv = file.read().decode().split("\0")[:-1]
        shown = shlex.split(said[:said.index("\n\n#!/bin/bash")].replace("\\\n", " "))
        self.assertEqual([word if not word.startswith("--comment=") else "--comment=UUID" for word in argv], shown)
        self.sandbox.await_end(made["job"])
        with open(os.path.join(work, "run", "slurm-job.sh")) as file:
            self.assertEqual(file.read(), said[said.index("#!/bin/bash"):])
        with open(os.path.join(work, "run", "slurm.log")) as file:
            self.assertIn("campaign road in", file.read())
        for folder, _, files in os.walk(self.scene.work):
            self.assertNotIn("pwned", files, folder)
        self.assertFalse(os.path.exists(os.path.join(ROOT, "pwned")) or os.path.exists(os.path.join(HERE, "pwned")))


if __name__ == "__main__":
    GLOWWORM = use_build(sys.argv.pop(1))
    unittest.main()
