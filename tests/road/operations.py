#!/usr/bin/python3
"""Looking at runs and stopping them, as a person does who sees only their folders: glowworm status, logs, cancel and
top. usage: operations.py BUILD_FOLDER"""
import fcntl
import json
import os
import pty
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest
import urllib.error
import urllib.request

from road import make_scene, run, use_build

GLOWWORM = ""
FAILED, USAGE, DATA_ERROR, NOT_THERE, IO_ERROR, CONFIG_ERROR, STOPPED = 1, 2, 65, 69, 74, 78, 130
LONG = ("--set", "teacher.epochs=1000")
STAGES = ["teacher", "kernel", "depth-1", "depth-2", "width-1", "width-2", "evaluate", "search", "compile-small",
          "compile-best", "check-small", "check-best", "report"]


def status(folder):
    """The run's, as --json gives it."""
    return json.loads(run(GLOWWORM, "status", folder, "--json").stdout)["runs"][0]


def stage_of(found, name):
    return next(stage for stage in found["stages"] if stage["name"] == name)


def until(condition, what, program=None):
    """Waits for it, as long as the program runs."""
    for _ in range(6000):
        found = condition()
        if found:
            return found
        if program and program.poll() is not None:
            raise AssertionError(f"ended before {what}:\n{program.stdout.read()}")
        time.sleep(0.05)
    raise AssertionError(f"never came: {what}")


def start(campaign, folder, *options):
    return subprocess.Popen([GLOWWORM, "run", campaign, "--run-folder", folder, *options], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, start_new_session=True)


def workers_of(pid):
    """Ranks under the process, children of its children."""
    children, names = {}, {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat") as file:
                fields = file.read()
        except OSError:
            continue
        names[int(entry)] = fields[fields.index("(") + 1:fields.rindex(")")]
        children.setdefault(int(fields[fields.rindex(")") + 2:].split()[1]), []).append(int(entry))
    found, waiting = [], [pid]
    while waiting:
        at = waiting.pop()
        waiting += children.get(at, [])
        if names.get(at, "").startswith("glowworm-worker"[:15]):
            found.append(at)
    return found


class Scene(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.mkdtemp(prefix="glowworm-operations-")
        cls.campaign = make_scene(GLOWWORM, cls.work, 900, 100, holdout=100, teacher_epochs=6, every="0.2")
        cls.finished = os.path.join(cls.work, "finished")
        run(GLOWWORM, "run", cls.campaign, "--run-folder", cls.finished)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.work)


class Operations(Scene):
    def copy(self):
        folder = tempfile.mkdtemp(prefix="copy-", dir=self.work)
        return shutil.copytree(self.finished, os.path.join(folder, "run"))

    def begin(self, name, stage, *options):
        """A run that has come to this stage's steps."""
        folder = os.path.join(self.work, name)
        program = start(self.campaign, folder, *options)
        until(lambda: os.path.exists(os.path.join(folder, "published", "status.json")), "a status", program)
        until(lambda: stage_of(status(folder), stage)["state"] == "running", stage, program)
        return folder, program

    def test_a_finished_run_is_shown_as_done_with_what_its_stages_took(self):
        found = status(self.finished)
        self.assertEqual((found["state"], found["runner"], found["error"]), ("done", "ended", ""))
        self.assertEqual([stage["name"] for stage in found["stages"]], STAGES)
        for stage in found["stages"]:
            self.assertEqual((stage["state"], stage["attempts"]), ("done", 1))
            self.assertGreater(stage["seconds"], 0)
            self.assertTrue(os.path.isfile(os.path.join(self.finished, stage["log"])), stage)
        self.assertIn("glowworm run", found["command"])
        table = run(GLOWWORM, "status", self.finished)
        self.assertRegex(table.stdout, rf"road in .*: done, {len(STAGES)} of {len(STAGES)} stages done\n")
        self.assertRegex(table.stdout, r"(?m)^width-2 +done .*took ")
        self.assertEqual(table.stderr, "", "next commands are for terminals")
        again = run(GLOWWORM, "run", self.campaign, "--run-folder", self.finished)
        self.assertIn("nothing to do", again.stderr)
        self.assertEqual({stage["state"] for stage in status(self.finished)["stages"]}, {"done"})

    def test_a_run_under_way_says_what_runs_and_what_waits_for_what(self):
        folder, program = self.begin("running", "teacher", *LONG)
        found = until(lambda: (lambda it: it if stage_of(it, "teacher")["step"] > 4 else None)(status(folder)),
                      "steps", program)
        self.assertEqual((found["state"], found["runner"], found["pid"]), ("running", "there", program.pid))
        teacher, kernel = stage_of(found, "teacher"), stage_of(found, "kernel")
        self.assertGreater(teacher["steps"], 10)
        self.assertGreaterEqual(teacher["eta_seconds"], 0)
        self.assertEqual((kernel["state"], kernel["needs"], kernel["why"]), ("waiting", "teacher", "needs teacher"))
        self.assertGreater(found["eta_seconds"], 0)
        os.killpg(program.pid, signal.SIGINT)
        program.communicate(timeout=60)
        self.assertEqual(program.returncode, STOPPED)
        found = status(folder)
        self.assertEqual((found["state"], found["runner"], found["error"]), ("stopped", "ended", "interrupted"))
        self.assertRegex(stage_of(found, "teacher")["why"], "stopped at step [1-9]")

    def test_cancel_stops_as_an_interrupt_does_and_the_run_goes_on_later(self):
        folder, program = self.begin("cancelled", "kernel")
        run(GLOWWORM, "cancel", folder, "--wait")
        said, _ = program.communicate(timeout=60)
        self.assertEqual(program.returncode, STOPPED, said)
        self.assertIn("stopping", said)
        self.assertEqual(status(folder)["state"], "stopped")
        self.assertEqual(sorted(os.listdir(os.path.join(folder, "published"))), ["status.json"])
        refused = run(GLOWWORM, "cancel", folder, expect=NOT_THERE)
        self.assertIn("it has ended (stopped)", refused.stderr)
        run(GLOWWORM, "run", self.campaign, "--run-folder", folder)
        shown = [json.loads(run(GLOWWORM, "checkpoint", "show", f"{at}@width-2/final", "--json").stdout)["content"]
                 for at in (folder, self.finished)]
        self.assertEqual(*shown)

    def test_a_stop_file_of_an_earlier_run_stops_nobody(self):
        folder = self.copy()
        os.remove(os.path.join(folder, "report.html"))
        stop = os.path.join(folder, "published", "stop")
        with open(stop, "w") as file:
            file.write("stop somebody else 1 1\n")
        run(GLOWWORM, "run", self.campaign, "--run-folder", folder)
        self.assertEqual(status(folder)["state"], "done")

    def test_a_killed_runner_is_seen_to_be_gone_and_cannot_be_cancelled(self):
        folder, program = self.begin("killed", "teacher", *LONG)
        os.killpg(program.pid, signal.SIGKILL)
        program.communicate(timeout=60)
        found = until(lambda: (lambda it: it if it["runner"] == "gone" else None)(status(folder)), "gone")
        self.assertEqual(found["state"], "running")
        shown = run(GLOWWORM, "status", folder).stdout
        self.assertRegex(shown, r"road in .*: killed, ")
        self.assertIn('"glowworm run" continues it', shown)
        self.assertRegex(shown, r"(?m)^teacher +was running ")
        self.assertIn("is not there any more", run(GLOWWORM, "cancel", folder, expect=NOT_THERE).stderr)
        self.assertIn("teacher-1.log", run(GLOWWORM, "logs", folder, "-f").stderr)  # ends: nobody writes
        run(GLOWWORM, "run", self.campaign, "--run-folder", folder)
        self.assertEqual(status(folder)["state"], "done")

    def test_a_stage_that_fails_for_good_says_why(self):
        folder = self.copy()
        for lost in ("report.html", "bundles/small/bundle.json"):
            os.remove(os.path.join(folder, lost))
        shutil.rmtree(os.path.join(folder, "bundles"))
        with open(os.path.join(folder, "bundles"), "w"):
            pass  # where a folder has to be
        failed = subprocess.run([GLOWWORM, "run", self.campaign, "--run-folder", folder], capture_output=True, text=True)
        self.assertGreater(failed.returncode, 0)
        found = status(folder)
        self.assertEqual((found["state"], found["runner"]), ("failed", "ended"))
        self.assertIn("stage compile-", found["text"])
        compiling = stage_of(found, "compile-small")
        self.assertEqual((compiling["state"], compiling["failures"]), ("failed", 1))
        self.assertTrue(compiling["error"] and compiling["error_text"], compiling)
        report = stage_of(found, "report")
        self.assertRegex(report["why"], r"needs compile-\w+, which failed")
        self.assertRegex(run(GLOWWORM, "status", folder).stdout, r"road in .*: failed, ")
        self.assertIn("==>", run(GLOWWORM, "logs", folder).stderr)

    def test_a_bundle_whose_check_fails_is_told_of_by_the_report_and_by_the_runs_end(self):
        folder = self.copy()
        bundle = os.path.join(folder, "bundles", "small")
        with open(os.path.join(bundle, "network.pb"), "ab") as file:
            file.write(b"?")
        os.remove(os.path.join(bundle, "check.json"))
        failed = run(GLOWWORM, "run", self.campaign, "--run-folder", folder, expect=DATA_ERROR)
        self.assertRegex(failed.stderr, r"stage check-small failed: .*network.pb was changed since it was compiled")
        found = status(folder)
        self.assertIn("network.pb was changed", stage_of(found, "check-small")["error_text"])
        self.assertEqual([stage["name"] for stage in found["stages"] if stage["state"] != "done"], ["check-small"])
        with open(os.path.join(folder, "report.html")) as file:
            self.assertIn("stage check-small has come to no verdict", file.read())

    def test_a_target_with_a_camera_is_validated_and_the_report_tells_of_it(self):
        folder = self.copy()
        changed = os.path.join(self.work, "with-camera.yaml")
        with open(self.campaign) as file:
            text = file.read()
        for camera, code in (("20012345", 86), ("simulated", 0)):
            with open(changed, "w") as file:
                file.write(text.replace("{name: small, ", "{name: small, camera: '%s', " % camera))
            said = run(GLOWWORM, "run", changed, "--run-folder", folder, expect=code)
            found = status(folder)
            self.assertEqual(stage_of(found, "check-small")["attempts"], 1)  # what was done counts
            with open(os.path.join(folder, "report.html")) as file:
                page = file.read()
            if code == 86:
                self.assertRegex(said.stderr, "stage validate-small failed: .*put firefly.graph into the bundle")
                self.assertEqual(stage_of(found, "validate-small")["state"], "failed")
                self.assertIn("Not yet validated on a camera.", page)
        self.assertEqual(found["state"], "done")
        with open(os.path.join(folder, "bundles", "small", "validate.json")) as file:
            self.assertTrue(json.load(file)["passed"])
        self.assertIn("Validated on a simulated", page)

    def test_a_run_with_a_page_tells_its_owner_where_and_takes_it_along(self):
        folder, program = self.begin("paged", "teacher", *LONG, "--page")
        shown = run(GLOWWORM, "status", folder).stdout
        address = re.search(r"\npage: (http://127\.0\.0\.1:\d+/\w{64}/), a browser on", shown)[1]
        self.assertEqual(os.stat(os.path.join(folder, "page")).st_mode & 0o7777, 0o600)

        def steps():
            with urllib.request.urlopen(address + "curves.json?stage=teacher") as answer:
                return json.load(answer).get("step", [])
        first = until(steps, "a curve", program)
        until(lambda: steps()[-1] > first[-1], "a curve that grows", program)
        with urllib.request.urlopen(address + "status.json") as answer:
            found = json.load(answer)
        self.assertEqual((found["campaign"], found["pid"], found["runner"]), ("road", program.pid, "there"))
        taken = start(self.campaign, os.path.join(self.work, "unpaged"), *LONG, f"--page={address.split(':')[2].split('/')[0]}")
        until(lambda: workers_of(taken.pid), "ranks", taken)
        for one, words in ((taken, "the run goes on without a page"), (program, f"page: {address}")):
            os.killpg(one.pid, signal.SIGINT)
            said, _ = one.communicate(timeout=120)
            self.assertEqual(one.returncode, STOPPED, said)
            self.assertIn(words, said)
        self.assertNotIn("page:", run(GLOWWORM, "status", folder).stdout)
        self.assertFalse(os.path.exists(os.path.join(folder, "page")))
        with self.assertRaises(urllib.error.URLError):
            urllib.request.urlopen(address)
        with open(os.open(os.path.join(folder, "page"), os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write(address)  # what a runner that is killed leaves behind
        again, program = self.begin("paged", "teacher", *LONG)
        until(lambda: workers_of(program.pid), "ranks", program)
        self.assertNotIn("page:", run(GLOWWORM, "status", again).stdout)
        os.killpg(program.pid, signal.SIGINT)
        program.communicate(timeout=120)

    def test_logs_follow_from_a_failed_attempt_to_the_next_and_on_to_the_end(self):
        folder, program = self.begin("followed", "teacher")
        follower = subprocess.Popen([GLOWWORM, "logs", folder, "-f"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    text=True)
        ranks = until(lambda: workers_of(program.pid), "ranks", program)
        os.kill(ranks[-1], signal.SIGKILL)
        said, _ = program.communicate(timeout=120)
        self.assertEqual(program.returncode, 0, said)
        shown, headings = follower.communicate(timeout=60)
        self.assertEqual(follower.returncode, 0)
        names = re.findall(r"==> .*/logs/(\S+)\.log <==", headings)
        self.assertEqual(names[:3], ["teacher-1", "teacher-2", "kernel-1"])
        self.assertEqual(names[-1], "report-1")
        self.assertEqual(len(names), len(set(names)), "a log was shown twice")
        self.assertIn("the run has ended: done", headings)
        with open(os.path.join(folder, "logs", "width-1-1.log")) as file:
            self.assertIn(file.read(), shown)
        self.assertEqual(stage_of(status(folder), "teacher")["attempts"], 2)

    def test_logs_show_the_last_lines_of_a_named_stage(self):
        with open(os.path.join(self.finished, "logs", "kernel-1.log")) as file:
            lines = file.read().splitlines()
        shown = run(GLOWWORM, "logs", self.finished, "kernel", "-n", "3").stdout.splitlines()
        self.assertEqual(shown, lines[-3:])
        self.assertEqual(run(GLOWWORM, "logs", self.finished, "kernel", "-n", "0").stdout, "")
        refused = run(GLOWWORM, "logs", self.finished, "kernels", expect=DATA_ERROR)
        self.assertIn("its stages: teacher, kernel, depth-1", refused.stderr)
        run(GLOWWORM, "logs", self.finished, "-n", "many", expect=USAGE)

    def test_a_run_of_an_earlier_version_is_shown_from_its_journal(self):
        folder = self.copy()
        shutil.rmtree(os.path.join(folder, "published"))
        found = status(folder)
        self.assertEqual((found["source"], found["state"], found["runner"]), ("journal", "done", "unknown"))
        self.assertEqual([stage["name"] for stage in found["stages"]], STAGES)
        self.assertEqual({stage["state"] for stage in found["stages"]}, {"done"})
        self.assertIn("from its journal", run(GLOWWORM, "status", folder).stdout)
        self.assertIn("looks for no stop file", run(GLOWWORM, "cancel", folder, expect=NOT_THERE).stderr)

    def test_several_runs_get_a_line_each_and_one_that_is_none_an_error(self):
        other = self.copy()
        shown = run(GLOWWORM, "status", self.finished, self.work, other, expect=DATA_ERROR)
        self.assertIn(f"{self.work} is not a run's folder", shown.stderr)
        lines = [line for line in shown.stdout.splitlines() if line.startswith(self.work)]
        self.assertEqual([line.split()[0] for line in lines], [self.finished, other])
        self.assertEqual([line.split()[3] for line in lines], 2 * [f"{len(STAGES)}/{len(STAGES)}"])

    def test_a_status_that_somebody_else_wrote_does_no_harm(self):
        folder = self.copy()
        path = os.path.join(folder, "published", "status.json")
        with open(path) as file:
            sound = json.load(file)
        sound["stages"][0]["log"] = "../../../../etc/passwd"
        sound["campaign"] = "\x1b[2Jroad"
        with open(path, "w") as file:
            json.dump(sound, file)
        self.assertNotIn("\x1b", run(GLOWWORM, "status", folder).stdout)
        refused = run(GLOWWORM, "logs", folder, "teacher", expect=DATA_ERROR)
        self.assertIn("not the name of a log", refused.stderr)
        for broken in ('{"format": 1', "[" * 100000, '{"format": 1, "state": [], "stages": []}', "\0" * 10):
            with open(path, "w") as file:
                file.write(broken)
            for command in (["status", folder], ["status", folder, "--json"], ["logs", folder], ["cancel", folder]):
                self.assertIn("status.json", run(GLOWWORM, *command, expect=DATA_ERROR).stderr)

    def test_a_run_elsewhere_that_is_silent_is_told_from_one_that_was_killed(self):
        folder = self.copy()
        path = os.path.join(folder, "published", "status.json")
        with open(path) as file:
            found = json.load(file)
        found.update(state="running", place="a-boot elsewhere", host="elsewhere")
        for age, words in ((60, r"road in .*: silent, .*written 1 min 00 s ago\nit should be every two seconds"),
                           (-60, r"written 1 min 00 s from now: the clocks of this machine and of elsewhere differ")):
            found["written_ms"] = int(1000 * (time.time() - age))
            with open(path, "w") as file:
                json.dump(found, file)
            self.assertRegex(re.sub(r"1 min 0\d s|5\d(\.\d)? s", "1 min 00 s", run(GLOWWORM, "status", folder).stdout),
                             re.compile(words, re.DOTALL))

    def test_top_is_one_status_where_there_is_no_terminal(self):
        shown = run(GLOWWORM, "top", self.finished).stdout
        self.assertRegex(shown, rf"road in .*: done, {len(STAGES)} of {len(STAGES)} stages done\n")
        self.assertNotIn("\x1b", shown)


class Screen:
    """glowworm top in a terminal of its own; what it has written so far."""

    def __init__(self, *folders, rows=24, columns=80):
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(theirs)
        self.theirs, self.seen = theirs, b""
        self.program = subprocess.Popen([GLOWWORM, "top", *folders], stdin=theirs, stdout=theirs, stderr=theirs,
                                        env={**os.environ, "TERM": "xterm"}, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def read_until(self, part):
        os.set_blocking(self.ours, False)
        for _ in range(2400):
            try:
                self.seen += os.read(self.ours, 65536)
            except BlockingIOError:
                time.sleep(0.025)
            if part in self.seen:
                return self.seen
        raise AssertionError(f"{part!r} never came: {self.seen[-2000:]!r}")

    def forget(self):
        self.seen = b""

    def press(self, keys):
        os.write(self.ours, keys)

    def close(self):
        os.close(self.ours)
        os.close(self.theirs)


class Top(Scene):
    def leave(self, screen, expect):
        """It ends, and the terminal is as it was."""
        screen.read_until(b"\x1b[?1049l")
        self.assertIn(b"\x1b[?25h", screen.seen)
        self.assertEqual(screen.program.wait(timeout=60), expect)
        self.assertEqual(termios.tcgetattr(screen.theirs), screen.before)
        screen.close()

    def test_q_leaves_and_gives_the_terminal_back(self):
        screen = Screen(self.finished)
        screen.read_until(b"q: leave")
        self.assertIn(b"\x1b[?1049h", screen.seen)
        self.assertFalse(termios.tcgetattr(screen.theirs)[3] & termios.ICANON)
        self.assertIn(f"{len(STAGES)} of {len(STAGES)} stages done".encode(), screen.seen)
        screen.press(b"q")
        self.leave(screen, 0)

    def test_every_signal_gives_the_terminal_back(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGSEGV):
            screen = Screen(self.finished)
            screen.read_until(b"q: leave")
            screen.program.send_signal(number)
            self.leave(screen, -number)

    def test_a_narrow_terminal_gets_lines_that_fit_and_a_new_size_a_new_picture(self):
        screen = Screen(self.finished, rows=8, columns=30)
        screen.read_until(b"q: leave")
        picture = screen.seen[screen.seen.rindex(b"\x1b[H"):]
        lines = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", picture).replace(b"\r", b"").split(b"\n")
        self.assertEqual(len(lines), 8, picture)
        self.assertLessEqual(max(len(line) for line in lines), 30, lines)
        screen.forget()
        fcntl.ioctl(screen.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
        screen.read_until(b"compile-small")
        screen.press(b"q")
        self.leave(screen, 0)

    def test_a_stop_and_going_on_give_and_take_the_terminal(self):
        screen = Screen(self.finished)
        screen.read_until(b"q: leave")
        screen.press(b"\x1a")  # Ctrl-Z
        screen.read_until(b"\x1b[?1049l")
        self.assertEqual(termios.tcgetattr(screen.theirs), screen.before)
        screen.forget()
        screen.program.send_signal(signal.SIGCONT)
        screen.read_until(b"q: leave")
        screen.press(b"q")
        self.leave(screen, 0)

    def test_one_of_several_runs_is_chosen(self):
        other = os.path.join(self.work, "empty")
        os.makedirs(other, exist_ok=True)
        screen = Screen(self.finished, other, columns=160)
        screen.read_until(b"enter: this run")
        self.assertIn(b"is not a run's folder", screen.seen)
        screen.press(b"\x1b[B\x1b[Bk\x1b[A\r")  # down, down, up, up: at once
        screen.read_until(b"width-2")
        screen.forget()
        screen.press(b"q")
        screen.read_until(b"enter: this run")
        screen.press(b"q")
        self.leave(screen, 0)


class Doctor(unittest.TestCase):
    def setUp(self):
        self.work = tempfile.mkdtemp(prefix="glowworm-doctor-")
        self.programs = os.path.join(self.work, "bin")
        os.mkdir(self.programs)

    def tearDown(self):
        shutil.rmtree(self.work)

    def program(self, name, script):
        path = os.path.join(self.programs, name)
        with open(path, "w") as file:
            file.write("#!/bin/sh\n" + script)
        os.chmod(path, 0o755)

    def doctor(self, *arguments, path=None, **options):
        """Exit code and findings by check. path: instead of PATH's."""
        environment = {**os.environ, "PATH": path} if path else os.environ
        done = subprocess.run([GLOWWORM, "doctor", "--json", *arguments], capture_output=True, text=True,
                              env=environment, timeout=300, **options)
        self.assertIn(done.returncode, (0, FAILED), done.stderr)
        found = {}
        for finding in json.loads(done.stdout)["findings"]:
            self.assertTrue(finding["level"] == "ok" or finding["cure"], f"no cure: {finding}")
            found.setdefault(finding["check"], []).append(finding)
        self.assertEqual(done.returncode == FAILED,
                         any(finding["level"] == "problem" for all in found.values() for finding in all))
        return done.returncode, found

    def worst(self, found, check):
        return max(found[check], key=lambda finding: ["ok", "warning", "problem"].index(finding["level"]))

    def with_ours(self):
        return self.programs + ":" + os.environ["PATH"]

    def test_this_machine_runs_campaigns_and_every_check_says_something(self):
        code, found = self.doctor("--run-folder", self.work)
        self.assertEqual(code, 0, found)
        self.assertEqual(set(found), {"campaign", "programs", "MPI", "GPU", "run folder", "shared memory", "memory",
                                      "processor", "limits", "clock", "keys", "Slurm"})
        self.assertRegex(self.worst(found, "MPI")["reason"], r"Open MPI.*2 ranks (found|took)")
        shown = run(GLOWWORM, "doctor", "--run-folder", self.work).stdout
        self.assertRegex(shown, r"(?m)^ok +programs ")

    def test_no_mpirun_is_a_problem_with_a_cure(self):
        code, found = self.doctor(path=self.programs)
        self.assertEqual((code, self.worst(found, "MPI")["level"]), (FAILED, "problem"))
        self.assertIn("mpirun cannot be started", self.worst(found, "MPI")["reason"])
        self.assertIn("openmpi", self.worst(found, "MPI")["cure"])

    def test_another_mpirun_is_told_from_open_mpi(self):
        self.program("mpirun", "echo 'HYDRA build details:'\n")
        _, found = self.doctor(path=self.with_ours())
        self.assertIn("not Open MPI's", self.worst(found, "MPI")["reason"])

    def test_an_mpirun_that_hangs_is_a_problem_and_leaves_nothing(self):
        mark = os.path.join(self.work, "pids")
        for script in (f"echo $$ >> {mark}\nexec sleep 10000\n",
                       f"[ \"$1\" = --version ] && echo 'mpirun (Open MPI) 4.1.4' && exit\necho $$ >> {mark}\n"
                       "exec sleep 10000\n"):
            self.program("mpirun", script)
            _, found = self.doctor(path=self.with_ours())
            self.assertEqual(self.worst(found, "MPI")["level"], "problem")
            self.assertRegex(self.worst(found, "MPI")["reason"], "did not answer for|did not find each other for")
        with open(mark) as file:
            pids = file.read().split()
        self.assertEqual(len(pids), 2)
        for pid in pids:
            until(lambda: not os.path.exists(f"/proc/{pid}"), "the end of mpirun")

    def test_ranks_that_do_not_start_are_a_problem_with_what_mpirun_said(self):
        self.program("mpirun", "[ \"$1\" = --version ] && echo 'mpirun (Open MPI) 4.1.4' && exit\n"
                               "echo '-----'; echo 'no slots for you'; echo '-----'; exit 3\n")
        _, found = self.doctor(path=self.with_ours())
        self.assertIn("(exit code 3): no slots for you", self.worst(found, "MPI")["reason"])

    def test_a_gpu_is_shown_and_a_driver_that_fails_is_not_taken_for_one(self):
        self.program("nvidia-smi", "echo 'GPU 0: NVIDIA H200 (UUID: x)'\n")
        _, found = self.doctor(path=self.with_ours())
        self.assertEqual(self.worst(found, "GPU")["reason"], "1: GPU 0: NVIDIA H200 (UUID: x)")
        self.program("nvidia-smi", "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18\n")
        _, found = self.doctor(path=self.with_ours())
        self.assertEqual(self.worst(found, "GPU")["level"], "warning")
        self.assertIn("version mismatch", self.worst(found, "GPU")["reason"])

    def test_a_slurm_that_does_not_answer_is_a_warning_since_local_runs_need_none(self):
        for script, words in (("echo 'slurm_load_partitions: Unable to contact slurm controller' >&2; exit 1\n",
                               "Unable to contact"), ("exec sleep 10000\n", "did not answer")):
            self.program("sinfo", script)
            _, found = self.doctor(path=self.with_ours())
            self.assertEqual(self.worst(found, "Slurm")["level"], "warning")
            self.assertIn(words, self.worst(found, "Slurm")["reason"])

    def test_a_secret_that_others_may_read_is_a_problem(self):
        path = os.path.join(self.work, "rendezvous")
        with open(path, "w"):
            pass
        os.chmod(path, 0o644)
        code, found = self.doctor("--run-folder", self.work)
        self.assertEqual((code, self.worst(found, "keys")["cure"]), (FAILED, f"chmod 600 {path}"))
        os.chmod(path, 0o600)
        self.assertEqual(self.worst(self.doctor("--run-folder", self.work)[1], "keys")["level"], "ok")

    def test_a_folder_that_is_everybodys_or_nobodys_is_a_problem(self):
        os.chmod(self.work, 0o777)
        _, found = self.doctor("--run-folder", self.work)
        self.assertIn("every user", self.worst(found, "run folder")["reason"])
        _, found = self.doctor("--run-folder", "/proc/none")
        self.assertEqual(self.worst(found, "run folder")["level"], "problem")

    def test_limits_that_are_too_low_are_named_with_what_raises_them(self):
        lower = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 5000))
        code, found = self.doctor(preexec_fn=lower)
        self.assertEqual(code, FAILED)
        self.assertRegex(self.worst(found, "limits")["reason"], "open files: 100 are allowed")
        self.assertIn("ulimit -n", self.worst(found, "limits")["cure"])

    def test_a_campaign_that_cannot_run_is_a_problem(self):
        path = os.path.join(self.work, "wrong.yaml")
        with open(path, "w") as file:
            file.write("campaign: wrong\ndataset: {path: nowhere}\nspace: firefly-tiny\n")
        code, found = self.doctor(path)
        self.assertEqual((code, self.worst(found, "campaign")["level"]), (FAILED, "problem"))
        self.assertIn("nowhere", self.worst(found, "campaign")["reason"])


class Notify(Scene):
    def told(self, folder, *options, expect=0):
        """What a run with a `notify` has told it."""
        path = os.path.join(self.work, "told")
        script = os.path.join(self.work, "tell.sh")
        with open(script, "w") as file:
            file.write(f'#!/bin/sh\n{{ for word; do echo "word=$word"; done; env | grep ^GLOWWORM_; }} > {path}\n')
        os.chmod(script, 0o755)
        if os.path.exists(path):
            os.remove(path)
        words = json.dumps([script, "two words", "$HOME; `x`"])
        done = run(GLOWWORM, "run", self.campaign, "--run-folder", folder, "--set", f"notify={words}", *options,
                   expect=expect)
        with open(path) as file:
            return done, file.read().splitlines()

    def test_it_is_told_of_a_good_end_in_words_and_facts(self):
        folder = shutil.copytree(self.finished, os.path.join(self.work, "told-done"))
        os.remove(os.path.join(folder, "report.html"))
        _, lines = self.told(folder)
        self.assertEqual([line for line in lines if line.startswith("word=")], ["word=two words", "word=$HOME; `x`"])
        for fact in ("CAMPAIGN=road", "STATE=done", "ERROR=", "TEXT=", f"DONE={len(STAGES)}", f"STAGES={len(STAGES)}", f"RUN={folder}"):
            self.assertIn(f"GLOWWORM_{fact}", lines)

    def test_it_is_told_of_a_failure(self):
        folder = shutil.copytree(self.finished, os.path.join(self.work, "told-failed"))
        shutil.rmtree(os.path.join(folder, "bundles"))
        with open(os.path.join(folder, "bundles"), "w"):
            pass
        done, lines = self.told(folder, expect=IO_ERROR)
        self.assertIn("GLOWWORM_STATE=failed", lines)
        self.assertTrue(any(line.startswith("GLOWWORM_TEXT=stage compile-") for line in lines), lines)
        self.assertIn("stage compile-", done.stderr)

    def test_one_that_fails_changes_nothing_but_is_said(self):
        folder = shutil.copytree(self.finished, os.path.join(self.work, "told-badly"))
        os.remove(os.path.join(folder, "report.html"))
        done = run(GLOWWORM, "run", self.campaign, "--run-folder", folder, "--set", "notify=[sh, -c, 'echo no; exit 4']")
        self.assertIn("notify: sh ended with 4: no", done.stderr)

    def test_it_is_no_input_of_any_stage_and_checked_before_a_run(self):
        done = run(GLOWWORM, "run", self.campaign, "--run-folder", self.finished, "--set", "notify=[\"true\"]")
        self.assertIn("nothing to do", done.stderr)
        for wrong, words in (("notify=true", "expected a list of texts"), ("notify=['']", "first word is the program"),
                             ("notify=[glowworm-no-such-program]", "there is no program")):
            refused = run(GLOWWORM, "run", self.campaign, "--run-folder", self.finished, "--set", wrong,
                          expect=CONFIG_ERROR)
            self.assertIn(words, refused.stderr)


if __name__ == "__main__":
    GLOWWORM = use_build(sys.argv.pop(1))
    unittest.main(verbosity=2)
