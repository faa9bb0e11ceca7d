#!/usr/bin/python3
"""glowworm run, plan, checkpoint and dataset verify as a person types them: stop and go on, edits, two at once,
damage. usage: commands.py BUILD_FOLDER"""
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from road import ROOT, make_scene, run, use_build

GLOWWORM = ""
CONFIG_ERROR, DATA_ERROR, IO_ERROR, BUSY, STOPPED, TERMINATED = 78, 65, 74, 75, 130, 143
MARK = "GLOWWORM_TEST_RUN"  # in the environment of a run, and so of its launcher and ranks


def states(campaign, folder, *options):
    plan = json.loads(run(GLOWWORM, "plan", campaign, "--run-folder", folder, "--json", *options).stdout)
    return {stage["name"]: stage["state"] for stage in plan["stages"]}


def content(folder, name="width-2/final"):
    return json.loads(run(GLOWWORM, "checkpoint", "show", f"{folder}@{name}", "--json").stdout)["content"]


def measurements(folder):
    """What was measured on the run's last checkpoint."""
    listed = run(GLOWWORM, "checkpoint", "measurements", f"{folder}@width-2/final", "--json")
    return json.loads(listed.stdout)


def search_of(folder):
    with open(os.path.join(folder, "results", "search.json")) as file:
        return file.read()


def edited(campaign, old, new):
    """A copy of the campaign with one thing changed."""
    with open(campaign) as file:
        text = file.read()
    assert text.count(old) == 1, old
    path = campaign.replace(".yaml", "-edited.yaml")
    with open(path, "w") as file:
        file.write(text.replace(old, new))
    return path


def start(campaign, folder, stderr=subprocess.STDOUT, **options):
    """In a process group of its own, as a shell starts it, so that a signal reaches what Ctrl-C would."""
    return subprocess.Popen([GLOWWORM, "run", campaign, "--run-folder", folder], stdout=subprocess.PIPE,
                            stderr=stderr, text=True, start_new_session=True,
                            env={**os.environ, MARK: folder}, **options)


def wait_for_step(folder, stage, step, program):
    """Until a stage has taken so many steps."""
    path = os.path.join(folder, "metrics", f"{stage}.jsonl")
    for _ in range(6000):
        assert program.poll() is None, f"ended before {stage} reached step {step}:\n{program.stdout.read()}"
        try:
            with open(path) as file:
                steps = [int(match) for match in re.findall(r'"event":"step","step":(\d+)', file.read())]
        except FileNotFoundError:
            steps = []
        if steps and steps[-1] >= step:
            return
        time.sleep(0.01)
    raise AssertionError(f"{stage} did not reach step {step}")


def processes_of(folder):
    """Command lines of what start() has started for the folder and of what that has: launcher and ranks."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as environ, open(f"/proc/{pid}/cmdline", "rb") as words:
                if f"{MARK}={folder}".encode() in environ.read().split(b"\0"):
                    found.append(words.read().replace(b"\0", b" ").decode())
        except OSError:
            pass
    return found


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.mkdtemp(prefix="glowworm-commands-")
        cls.campaign = make_scene(GLOWWORM, cls.work, 900, 100, holdout=100, teacher_epochs=6, every="0.2")
        cls.folder = os.path.join(cls.work, "run")
        run(GLOWWORM, "run", cls.campaign, "--run-folder", cls.folder)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.work)

    def copy(self):
        folder = tempfile.mkdtemp(prefix="copy-", dir=self.work)
        return shutil.copytree(self.folder, os.path.join(folder, "run"))

    def test_ctrl_c_stops_at_a_step_and_the_same_command_goes_on_to_the_same_bits(self):
        folder = os.path.join(self.work, "stopped")
        for stage in ("teacher", "width-2"):
            program = start(self.campaign, folder)
            wait_for_step(folder, stage, 4, program)
            ranks = [words for words in processes_of(folder) if re.match(r"\S*glowworm-worker\b", words)]
            self.assertEqual(len(ranks), 2, "what is left behind could not be seen")
            os.killpg(program.pid, signal.SIGINT)
            said, _ = program.communicate(timeout=60)
            self.assertEqual(program.returncode, STOPPED, said)
            self.assertEqual(processes_of(folder), [], said)
            self.assertEqual(states(self.campaign, folder)[stage], "begun", said)
            run(GLOWWORM, "checkpoint", "prune", folder, "--keep", "1", "--former", "--yes")  # loses nothing needed
        done = run(GLOWWORM, "run", self.campaign, "--run-folder", folder)
        self.assertRegex(done.stderr, r"width-2 goes on at step [1-9]")
        self.assertEqual(content(folder), content(self.folder))
        with open(os.path.join(folder, "metrics", "teacher.jsonl")) as file:
            steps = [int(match) for match in re.findall(r'"event":"step","step":(\d+)', file.read())]
        self.assertEqual(steps, list(range(1, len(steps) + 1)), "a step was lost or taken twice")

    def test_ctrl_c_in_a_search_loses_no_measurement(self):
        campaign = edited(self.campaign, "evaluations: 12", "evaluations: 150")
        whole, folder = self.copy(), self.copy()
        run(GLOWWORM, "run", campaign, "--run-folder", whole)
        known = len(measurements(folder))
        program = start(campaign, folder)
        while len(measurements(folder)) < known + 20:
            self.assertIsNone(program.poll(), "the search ended before it could be stopped")
        os.killpg(program.pid, signal.SIGINT)
        said, _ = program.communicate(timeout=60)
        self.assertEqual(program.returncode, STOPPED, said)
        self.assertIn("search keeps what it has measured", said)
        done = run(GLOWWORM, "run", campaign, "--run-folder", folder)
        found = re.search(r"search done in .*, reused (\d+) of (\d+) measurements", done.stderr)
        self.assertIsNotNone(found, done.stderr)
        self.assertGreaterEqual(int(found[1]), 20)
        self.assertEqual(int(found[2]), 152)
        self.assertEqual(search_of(folder), search_of(whole))

    def test_what_was_measured_is_listed(self):
        listed = {(entry["key"]["subnet"], entry["key"]["split"]): entry for entry in measurements(self.folder)}
        search = json.loads(search_of(self.folder))
        for candidate in search["candidates"]:
            entry = listed[candidate["subnet"], "holdout"]
            self.assertEqual(entry["images"], 100)
            self.assertEqual(entry["accuracy"], entry["correct"] / entry["images"])
            for name in ("accuracy", "loss"):
                self.assertAlmostEqual(entry[name], candidate[name], delta=1e-8)
            self.assertEqual(entry["key"]["checkpoint"], content(self.folder))
        for target in search["targets"]:
            self.assertTrue(listed[target["subnet"], "test"]["detailed"])
        table = run(GLOWWORM, "checkpoint", "measurements", self.folder).stdout.splitlines()
        self.assertGreater(len(table), len(listed) + 1)  # those of the other phases too

    def test_a_given_teacher_is_not_trained_and_what_it_has_nothing_to_open_for_neither(self):
        teacher = f"{self.folder}@teacher/final"
        campaign = edited(self.campaign, "teacher: {epochs: 6, rate: 0.1}", f'teacher: {{from: "{teacher}"}}')
        folder = os.path.join(self.work, "given")
        self.assertNotIn("teacher", states(campaign, folder))
        run(GLOWWORM, "run", campaign, "--run-folder", folder)
        kernel = json.loads(run(GLOWWORM, "checkpoint", "show", f"{folder}@kernel/final", "--json").stdout)
        self.assertEqual(kernel["parent"], content(self.folder, "teacher/final"))
        with open(os.path.join(folder, "metrics", "kernel.jsonl")) as file:
            distilled = [float(match) for match in re.findall(r'"distil":([0-9.e+-]+)', file.read())]
        self.assertTrue(distilled and min(distilled) > 0, distilled)

        space, folder = os.path.join(self.work, "single.yaml"), os.path.join(self.work, "single")
        with open(os.path.join(ROOT, "configs/spaces/firefly-tiny.yaml")) as file:
            text = file.read()
        with open(space, "w") as file:
            file.write(re.sub(r"choices: .*", "choices: {kernels: [7], expansions: [4], depths: [3]}", text))
        single = ("--set", f"space={space}", "--set", "shrink.rows={}", "--set", "search.targets=[{name: only}]")
        self.assertEqual(set(states(campaign, folder, *single)), {"evaluate", "search", "compile-only", "report"})
        run(GLOWWORM, "run", campaign, "--run-folder", folder, *single)
        with open(os.path.join(folder, "bundles", "only", "bundle.json")) as file:
            self.assertEqual(json.load(file)["checkpoint"], content(self.folder, "teacher/final"))
        found = states(campaign, folder, *single, "--set", "dataset.holdout=90")
        self.assertEqual({found["evaluate"], found["search"]}, {"changed"})

    def test_ctrl_c_that_ends_the_reader_too_still_stops_at_a_step(self):
        folder = os.path.join(self.work, "unread")
        program = start(self.campaign, folder, stderr=subprocess.PIPE)
        wait_for_step(folder, "teacher", 4, program)
        program.stderr.close()  # what "2>&1 | tee log" sees of Ctrl-C
        os.killpg(program.pid, signal.SIGINT)
        self.assertEqual(program.wait(timeout=60), STOPPED)
        self.assertEqual(processes_of(folder), [])
        self.assertEqual(states(self.campaign, folder)["teacher"], "begun")

    def test_a_stopped_terminal_does_not_stop_the_run(self):
        folder = self.copy()
        for lost in ("results/search.json", "report.html"):
            os.remove(os.path.join(folder, lost))
        ours, theirs = pty.openpty()
        program = start(self.campaign, folder, stderr=theirs)
        os.close(theirs)
        said = b""
        while b"] search" not in said:
            said += os.read(ours, 4096)
        os.write(ours, b"\x13")  # Ctrl-S
        for _ in range(1200):
            if os.path.exists(os.path.join(folder, "report.html")):
                break
            time.sleep(0.1)
        self.assertTrue(os.path.exists(os.path.join(folder, "report.html")), "nothing went on")
        os.write(ours, b"\x11")  # Ctrl-Q
        while b"report done" not in said:
            said += os.read(ours, 4096)
        self.assertEqual(program.wait(timeout=60), 0)
        self.assertIn(b"search done", said)
        os.close(ours)
        program.stdout.close()

    def test_a_parent_that_ignores_its_children_does_not_fail_the_stages(self):
        folder = self.copy()
        os.remove(os.path.join(folder, "report.html"))
        program = start(self.campaign, folder, preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
        said, _ = program.communicate(timeout=60)
        self.assertEqual(program.returncode, 0, said)

    def test_output_that_cannot_be_written_is_an_error(self):
        dataset = os.path.join(self.work, "data")
        for command in (["space", "show", "configs/spaces/firefly-tiny.yaml"], ["dataset", "verify", dataset],
                        ["run", self.campaign, "--run-folder", self.folder, "--json"]):
            with open("/dev/full", "w") as full:
                done = subprocess.run([GLOWWORM, *command], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT)
            self.assertEqual(done.returncode, IO_ERROR, done.stderr)
            self.assertIn("standard output cannot be written", done.stderr)

    def test_a_second_run_of_the_same_folder_is_refused(self):
        folder = os.path.join(self.work, "twice")
        program = start(self.campaign, folder)
        wait_for_step(folder, "teacher", 1, program)
        second = run(GLOWWORM, "run", self.campaign, "--run-folder", folder, expect=BUSY)
        self.assertIn("is being run already", second.stderr)
        pruned = run(GLOWWORM, "checkpoint", "prune", folder, "--yes", expect=BUSY)
        self.assertIn("stop it (Ctrl-C: it goes on later)", pruned.stderr)
        os.killpg(program.pid, signal.SIGTERM)
        said, _ = program.communicate(timeout=60)
        self.assertEqual(program.returncode, TERMINATED, said)
        self.assertEqual(processes_of(folder), [], said)

    def test_a_finished_campaign_does_nothing(self):
        journal = os.path.join(self.folder, "report.html")
        before = os.stat(journal).st_mtime_ns
        done = run(GLOWWORM, "run", self.campaign, "--run-folder", self.folder)
        self.assertIn("the campaign is finished: nothing to do", done.stderr)
        self.assertIn("bundles/small", done.stdout)
        self.assertEqual(os.stat(journal).st_mtime_ns, before)

    def test_an_edit_reruns_what_it_changes_and_says_why(self):
        folder = self.copy()
        teacher = content(folder, "teacher/final")
        campaign = edited(self.campaign, "width-2: {epochs: 1, warmup: 0, rate: 0.03}",
                          "width-2: {epochs: 1, warmup: 0, rate: 0.04}")
        found = states(campaign, folder)
        again = {"width-2", "evaluate", "search", "compile-small", "compile-best", "check-small", "check-best", "report"}
        self.assertEqual({name for name, state in found.items() if state != "done"}, again)
        done = run(GLOWWORM, "run", campaign, "--run-folder", folder)
        self.assertIn("width-2: phase.rate 0.03 -> 0.04", done.stderr)
        self.assertIn("evaluate: again, since width-2 runs again", done.stderr)
        self.assertNotIn("teacher done", done.stderr)
        self.assertEqual(content(folder, "teacher/final"), teacher)
        self.assertNotEqual(content(folder), content(self.folder))
        self.assertEqual(set(states(campaign, folder).values()), {"done"})

    def test_an_edit_of_formats_only_compiles_again(self):
        campaign = edited(self.campaign, "formats: [tensorflow, caffe, onnx]", "formats: [onnx]")
        found = states(campaign, self.folder)
        self.assertEqual({name for name, state in found.items() if state != "done"},
                         {"compile-small", "compile-best", "check-small", "check-best", "report"})

    def test_settings_that_change_no_result_rerun_nothing(self):
        found = states(self.campaign, self.folder, "--set", "checkpoint.every=60", "--set", "resources.ranks=1",
                       "--set", "resources.threads=2", "--set", "checkpoint.keep=5")
        self.assertEqual(set(found.values()), {"done"})

    def test_set_overrides_the_file(self):
        found = states(self.campaign, self.folder, "--set", "teacher.epochs=3")
        self.assertEqual(found["teacher"], "changed")
        self.assertNotIn("done", found.values())
        refused = run(GLOWWORM, "plan", self.campaign, "--set", "teacher.epoch=3", expect=CONFIG_ERROR)
        self.assertIn("teacher.epochs", refused.stderr)

    def test_what_does_not_fit_into_memory_is_refused_before_anything_starts(self):
        folder = os.path.join(self.work, "too-large")
        large = ("--set", "space=mbv3", "--set", "resolutions=[1792]", "--set", "search.targets=[]", "--set",
                 "compile.formats=[onnx]", "--set", "evaluate.calibration_batch=400")
        wanted = (r"stage \S+ needs \d+\.\d+ GB of memory on 2 ranks \(activations at 1792 px take \d+\.\d+ GB of a "
                  r"rank for batch\.micro 16, \d+\.\d+ GB for evaluate\.calibration_batch 400\), but (this machine "
                  r"has|the control group \S+ allows) \d+\.\d+ GB: (lower|neither) .*resources\.ranks \(now 2\)")
        for command in ("plan", "run"):
            refused = run(GLOWWORM, command, self.campaign, "--run-folder", folder, *large, expect=CONFIG_ERROR)
            self.assertRegex(refused.stderr, wanted)
        self.assertFalse(os.path.exists(os.path.join(folder, "campaign.yaml")))
        fits = json.loads(run(GLOWWORM, "plan", self.campaign, "--run-folder", folder, "--json").stdout)["memory"]
        self.assertEqual(sum(fits["parts"].values()), fits["of_rank_0"])
        self.assertTrue(fits["of_rank_0"] < fits["needed"] < fits["there"])
        self.assertRegex(run(GLOWWORM, "plan", self.campaign, "--run-folder", folder).stdout,
                         r"memory: up to \d+\.\d+ GB \(2 ranks\) in stage \S+; .* \d+\.\d+ GB\n")

    def test_all_errors_of_a_campaign_come_at_once_with_their_places(self):
        campaign = edited(self.campaign, "seed: 3", "sed: 3\nevalute: {}")
        refused = run(GLOWWORM, "run", edited(campaign, "micro: 16", "micro: many"), expect=CONFIG_ERROR)
        for words in ("sed", "evalute", "many"):
            self.assertRegex(refused.stderr, rf"\.yaml:\d+:\d+: .*{words}")
        for nearest in ("seed", "evaluate"):
            self.assertIn(f'"{nearest}"', refused.stderr.replace("'", '"'))

    def test_checkpoints_are_listed_shown_and_verified(self):
        listed = json.loads(run(GLOWWORM, "checkpoint", "list", self.folder, "--json").stdout)
        names = {name for entry in listed for name in entry["names"]}
        for stage in ("teacher", "kernel", "depth-1", "depth-2", "width-1", "width-2"):
            self.assertIn(f"{stage}/final", names)
        shown = run(GLOWWORM, "checkpoint", "show", f"{self.folder}@kernel/final", "--tensors").stdout
        self.assertIn("kernel, step", shown)
        self.assertIn("classifier.linear.weight", shown)
        whole = json.loads(run(GLOWWORM, "checkpoint", "verify", self.folder, "--json").stdout)
        self.assertTrue(whole["whole"])
        self.assertGreater(whole["read_bytes"], 1 << 20)
        missing = run(GLOWWORM, "checkpoint", "show", f"{self.folder}@nothing/final", expect=DATA_ERROR)
        self.assertIn("nothing/final", missing.stderr)

    def test_the_log_of_a_run_is_the_chain_of_its_stages(self):
        nodes = json.loads(run(GLOWWORM, "checkpoint", "log", f"{self.folder}@width-2/final", "--json").stdout)
        finals = [node for node in nodes if node["final"]]
        self.assertEqual([node["stage"] for node in finals],
                         ["teacher", "kernel", "depth-1", "depth-2", "width-1", "width-2"])
        for parent, child in zip(finals, finals[1:]):
            self.assertEqual(child["parent"], parent["content"])
            self.assertEqual(child["changes"], [])
        self.assertIn("* " + finals[0]["content"][:12], run(GLOWWORM, "checkpoint", "log", self.folder).stdout)

    def test_a_trained_checkpoint_is_inspected_exported_and_imported_to_the_bit(self):
        reference, folder = f"{self.folder}@kernel/final", tempfile.mkdtemp(prefix="export-", dir=self.work)
        out, again, store = (os.path.join(folder, name) for name in ("out.safetensors", "again.safetensors", "store"))
        said = json.loads(run(GLOWWORM, "checkpoint", "export", reference, out, "--json").stdout)
        self.assertEqual(said["left_out"], said["tensors"], "as much momentum as there are weights")
        run(GLOWWORM, "checkpoint", "import", out, "--space", "firefly-tiny", "--classes", "10", "--channels", "1", store)
        run(GLOWWORM, "checkpoint", "export", store, again)
        with open(out, "rb") as first, open(again, "rb") as second:
            ours, theirs = first.read(), second.read()
        size = 8 + int.from_bytes(ours[:8], "little"), 8 + int.from_bytes(theirs[:8], "little")
        self.assertEqual(ours[size[0]:], theirs[size[1]:])
        said = json.loads(run(GLOWWORM, "checkpoint", "diff", reference, store, "--json", expect=1).stdout)
        self.assertEqual({line["differs"] for line in said["tensors"]}, {"only in A"})
        for line in said["tensors"]:
            self.assertTrue(line["name"].startswith("momentum/"), line)
        shown = json.loads(run(GLOWWORM, "checkpoint", "show", reference, "--sort", "deviation", "--json").stdout)
        self.assertEqual(sum(line["nan"] + line["inf"] for line in shown["tensors"]), 0)
        self.assertGreater(shown["tensors"][0]["deviation"], 0)

    def test_a_pruned_run_is_as_finished_as_before(self):
        folder = self.copy()
        before = os.path.getsize(os.path.join(folder, "checkpoints", "data.mdb"))
        said = json.loads(run(GLOWWORM, "checkpoint", "prune", folder, "--keep", "1", "--yes", "--json").stdout)
        self.assertGreater(said["going"], 0)
        self.assertLess(os.path.getsize(os.path.join(folder, "checkpoints", "data.mdb")), before)
        self.assertEqual(set(states(self.campaign, folder).values()), {"done"})
        self.assertEqual(content(folder), content(self.folder))
        os.remove(os.path.join(folder, "results", "search.json"))
        run(GLOWWORM, "run", self.campaign, "--run-folder", folder)
        self.assertEqual(set(states(self.campaign, folder).values()), {"done"})

    def test_damaged_checkpoints_are_made_again_from_sound_ones(self):
        folder = self.copy()
        damage = os.path.join(os.path.dirname(GLOWWORM), "damage_checkpoint")
        store = os.path.join(folder, "checkpoints")
        run(damage, store, "width-2/final", "blob")
        run(damage, store, content(folder, "width-1/final"), "manifest")
        plan = run(GLOWWORM, "plan", self.campaign, "--run-folder", folder).stdout
        self.assertIn("width-2: again, since its final checkpoint is damaged", plan)
        self.assertNotIn("teacher: again", plan)
        done = run(GLOWWORM, "run", self.campaign, "--run-folder", folder)
        self.assertRegex(done.stderr, r"width-2, warning: damage among its checkpoints \(.*the tensor \S+ of .*: "
                                      r"it goes on from the newest sound one, step [1-9]|width-2, warning: .*it starts over")
        self.assertIn("width-2 done", done.stderr)
        self.assertNotIn("kernel done", done.stderr)
        self.assertEqual(content(folder), content(self.folder))
        self.assertEqual(set(states(self.campaign, folder).values()), {"done"})
        run(GLOWWORM, "checkpoint", "verify", f"{folder}@width-2/final")

    def test_damage_to_what_a_stage_starts_from_reopens_the_stage_that_made_it(self):
        folder = os.path.join(self.work, "reopened")
        program = start(self.campaign, folder)
        wait_for_step(folder, "kernel", 2, program)
        os.killpg(program.pid, signal.SIGINT)
        self.assertEqual(program.communicate(timeout=60) and program.returncode, STOPPED)
        damage = os.path.join(os.path.dirname(GLOWWORM), "damage_checkpoint")
        run(damage, os.path.join(folder, "checkpoints"), "teacher/final", "no-blob")
        done = run(GLOWWORM, "run", self.campaign, "--run-folder", folder)
        self.assertIn("teacher: again, since its final checkpoint is damaged", done.stderr)
        self.assertIn("teacher done", done.stderr)
        self.assertRegex(done.stderr, r"kernel goes on at step [1-9]")
        self.assertEqual(content(folder), content(self.folder))

    def damage(self, folder, command, *arguments):
        """Every page after the first two overwritten, one stretch after the other: never a crash, always a word."""
        path = next(os.path.join(at, "data.mdb") for at, _, files in os.walk(folder) if "data.mdb" in files)
        with open(path, "rb") as file:
            data = bytearray(file.read())
        start_at, caught = 2 * 4096, 0
        stretch = max(4096, (len(data) - start_at) // 6 // 4096 * 4096)
        for at in range(start_at, len(data), stretch):
            broken = bytearray(data)
            broken[at:at + stretch] = bytes((byte * 7 + 13) & 255 for byte in broken[at:at + stretch])
            with open(path, "wb") as file:
                file.write(broken)
            done = subprocess.run([GLOWWORM, *command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  text=True)
            self.assertGreaterEqual(done.returncode, 0, f"ended by a signal: {done.stderr}")
            caught += "damaged" in done.stdout + done.stderr
        self.assertGreaterEqual(caught, 3, "damage passed unseen")

    def test_a_damaged_store_is_reported_not_crashed_on(self):
        folder = os.path.join(self.copy(), "checkpoints")
        self.damage(folder, ["checkpoint", "verify"], folder)

    def test_a_plan_of_a_damaged_run_is_reported_not_crashed_on(self):
        folder = self.copy()
        self.damage(os.path.join(folder, "checkpoints"), ["plan", self.campaign], "--run-folder", folder)

    def test_a_damaged_dataset_is_reported_not_crashed_on(self):
        folder = shutil.copytree(os.path.join(self.work, "data"), os.path.join(self.work, "damaged"))
        self.damage(folder, ["dataset", "verify"], folder)


if __name__ == "__main__":
    GLOWWORM = use_build(sys.argv.pop(1))
    unittest.main(verbosity=2)
