"""TensorBoard's own package reads the event files of a stage that was killed and went on, and shows what metrics/*.jsonl
says: every step once, those behind the checkpoint not twice. Ends with 77 where the package is not there.
usage: tensorboard_package.py BUILD_FOLDER"""
import glob
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path[1:1] = glob.glob("build/python/lib/python3*/site-packages")  # cluster/setup.sh --tests makes it
try:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray
except ImportError as trouble:
    print(f"skipped: {trouble}; \"cluster/setup.sh --tests\" installs it")
    sys.exit(77)
sys.path.insert(1, "tests/road")
from road import make_scene, use_build  # noqa: E402

GLOWWORM = ""
CURVES = ("loss", "distil", "accuracy", "rate", "images_per_s")


def worker(scene, stage, *options):
    return [os.path.join(os.path.dirname(GLOWWORM), "glowworm-worker"), "--campaign", scene, "--stage", stage, *options]


def events_of(run, stage):
    """Whole lines only: the last one may be being written."""
    try:
        with open(os.path.join(run, "metrics", f"{stage}.jsonl")) as file:
            return [json.loads(line) for line in file if line.endswith("\n")]
    except FileNotFoundError:
        return []


def files_of(run, stage):
    return sorted(glob.glob(os.path.join(run, "metrics", "tensorboard", stage, "*")))


def curves_of(run, stage):
    """{tag: [(step, value)]} as TensorBoard shows them, of all files together."""
    shown = EventAccumulator(os.path.join(run, "metrics", "tensorboard", stage), tensor_size_guidance={"tensors": 0})
    shown.Reload()
    return {tag: [(point.step, float(make_ndarray(point.tensor_proto))) for point in shown.Tensors(tag)]
            for tag in shown.Tags()["tensors"]}


class TensorBoard(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.TemporaryDirectory(prefix="glowworm-tensorboard-")
        cls.folder = os.path.join(cls.work.name, "run")
        cls.scene = make_scene(GLOWWORM, cls.work.name, 500, 20, holdout=100, teacher_epochs=30, every="0.1")
        cls.kill(cls.folder)
        for stage in ("teacher", "kernel"):
            subprocess.run(worker(cls.scene, stage, "--run", cls.folder), check=True, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE)

    @classmethod
    def tearDownClass(cls):
        cls.work.cleanup()

    @classmethod
    def kill(cls, run):
        """At a step behind a checkpoint: looked at while the program is stopped, since between a look and a kill it may
        have saved again, or ended."""
        program = subprocess.Popen(worker(cls.scene, "teacher", "--run", run), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        while not cls.is_behind_a_checkpoint(events_of(run, "teacher")):
            assert program.poll() is None, "the stage ended before it could be killed"
            program.send_signal(signal.SIGCONT)
            time.sleep(0.005)
            program.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, program.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        program.send_signal(signal.SIGKILL)
        program.wait()
        cls.killed_at = events_of(run, "teacher")[-1]["step"]

    @staticmethod
    def is_behind_a_checkpoint(events):
        """By two steps: TensorBoard's file may lack the last."""
        saved = [event["step"] for event in events if event["event"] == "checkpoint"]
        return bool(saved) and events[-1]["event"] == "step" and events[-1]["step"] > saved[-1] + 1

    def test_every_step_is_shown_once_as_the_lines_say_it(self):
        steps = [event for event in events_of(self.folder, "teacher") if event["event"] == "step"]
        curves = curves_of(self.folder, "teacher")
        self.assertGreater(len(steps), self.killed_at)
        for name in CURVES:
            shown = curves[f"train/{name}"]
            self.assertEqual([step for step, _ in shown], [event["step"] for event in steps])
            for (_, value), event in zip(shown, steps):
                self.assertAlmostEqual(value, event[name], delta=1e-6 * abs(event[name]))

    def test_what_a_killed_attempt_said_behind_its_checkpoint_is_taken_back(self):
        first, second = files_of(self.folder, "teacher")
        resumed = [event["step"] for event in events_of(self.folder, "teacher") if event["event"] == "start"]
        before = [event.step for event in EventFileLoader(first).Load() if event.HasField("summary")]
        self.assertGreater(max(before), resumed[-1], "nothing was taken back: the test shows nothing")
        session = [event for event in EventFileLoader(second).Load() if event.HasField("session_log")]
        self.assertEqual([event.step for event in session], [resumed[-1] + 1])

    def test_sub_networks_have_curves_of_their_own(self):
        evaluations = [event for event in events_of(self.folder, "teacher") if event["event"] == "evaluate"]
        curves = curves_of(self.folder, "teacher")
        for name in ("accuracy", "loss"):
            shown = curves[f"holdout_{name}/biggest"]
            self.assertEqual([step for step, _ in shown], [event["step"] for event in evaluations])
            for (_, value), event in zip(shown, evaluations):
                self.assertAlmostEqual(value, event["subnets"][0][name], places=6)

    def test_stages_follow_each_other(self):
        last = max(step for step, _ in curves_of(self.folder, "teacher")["train/loss"])
        curves = curves_of(self.folder, "kernel")
        self.assertEqual(min(step for step, _ in curves["train/loss"]), last + 1)
        self.assertEqual(curves["holdout_accuracy/biggest"][0][0], last)

    def test_a_stage_that_begins_again_leaves_nothing_of_before(self):
        run = os.path.join(self.work.name, "again")
        folder = os.path.join(run, "metrics", "tensorboard", "teacher")
        os.makedirs(folder)
        for name in ("events.out.tfevents.000007", "events.out.tfevents.000002", "notes.txt"):
            with open(os.path.join(folder, name), "w") as file:
                file.write("of another campaign\n")
        subprocess.run(worker(self.scene, "teacher", "--run", run, "--set", "teacher.epochs=1"), check=True,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual([os.path.basename(path) for path in files_of(run, "teacher")],
                         ["events.out.tfevents.000008", "notes.txt"])
        self.assertEqual(len(curves_of(run, "teacher")["train/loss"]), 6)

    def test_without_the_knob_there_are_none(self):
        run = os.path.join(self.work.name, "without")
        subprocess.run(worker(self.scene, "teacher", "--run", run, "--set", "teacher.epochs=1", "--set",
                              "record.tensorboard=no"), check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertTrue(events_of(run, "teacher"))
        self.assertFalse(os.path.exists(os.path.join(run, "metrics", "tensorboard")))


if __name__ == "__main__":
    GLOWWORM = use_build(sys.argv.pop(1))
    unittest.main()
