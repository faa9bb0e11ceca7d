#!/usr/bin/python3
"""glowworm validate on the simulated camera, over GigE Vision: with every fault that camera has, stopped, killed, and
started by itself. Afterwards the camera is as it was found, as Aravis's own tool reads it. usage: round_trip.py BUILD_FOLDER [Sound|Faults]"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

BUILD = ""
FAILED, USAGE, AGAIN, CONFIG, HELD, INTERRUPTED = 1, 2, 75, 78, 86, 130
# What no validation sets: results, and what follows from others.
RESULTS = ("FileOperationStatus", "FileOperationResult", "FileWriteToFlash", "InferenceTime", "InferencePreprocessingTime",
           "InferenceScalingTime", "PayloadSize", "TimestampLatch")
DEADLINE = 60
tested = 0


def program(name):
    return os.path.join(BUILD, "bin", name)


class Camera:
    """A simulated one, on an address of its own."""

    def __init__(self, *options, address=None):
        global tested
        tested += 1
        pid = os.getpid()
        self.address = address or f"127.{180 + tested}.{pid // 250 % 250}.{pid % 250 + 1}"
        self.process = subprocess.Popen([program("glowworm-camera-sim"), "--address", self.address, "--speed", "8", *options],
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        line = self.process.stdout.readline()
        assert line == f"ready {self.address}\n", line + self.process.stdout.read()

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def state(self):
        """Every node that can be set, as text."""
        end = time.monotonic() + DEADLINE
        while True:
            said = subprocess.run(["arv-tool-0.8", "-a", self.address, "values"], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=DEADLINE).stdout
            values = dict(re.findall(r"'(\w+)' = (.*)", said))
            if "InferenceEnable" in values:
                return {name: value for name, value in values.items() if name not in RESULTS}
            assert time.monotonic() < end, said


class Scene(unittest.TestCase):
    def setUp(self):
        self.work = tempfile.mkdtemp(prefix="glowworm-round-trip-")
        self.bundle = os.path.join(self.work, "tiny")
        subprocess.run([program("write_bundle"), self.bundle, "firefly-dl-mono"], check=True)
        self.environment = dict(os.environ, XDG_STATE_HOME=os.path.join(self.work, "state"))
        self.cameras = []

    def tearDown(self):
        for camera in self.cameras:
            camera.end()
        shutil.rmtree(self.work)

    def camera(self, *options):
        self.cameras.append(Camera(*options))
        return self.cameras[-1]

    def command(self, camera, *options):
        return [program("glowworm"), "validate", self.bundle, "--camera", f"simulated@{camera.address}", *options]

    def call(self, command, expect=0):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=DEADLINE,
                              env=self.environment)
        self.assertEqual(done.returncode, expect, f"{command}\n{done.stdout}{done.stderr}")
        return done

    def validate(self, camera, *options, expect=0):
        return self.call(self.command(camera, *options), expect)

    def restore(self):
        """As a person does who tries again: the camera waits a while for the one that is gone."""
        end = time.monotonic() + DEADLINE
        while True:
            done = subprocess.run([program("glowworm"), "validate", "--restore"], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, timeout=DEADLINE, env=self.environment)
            if done.returncode == 0:
                return done.stdout
            self.assertIn(done.returncode, (AGAIN, 65), done.stderr)
            self.assertLess(time.monotonic(), end, done.stderr)

    def verdict(self):
        with open(os.path.join(self.bundle, "validate.json")) as file:
            return json.load(file)

    def states(self):
        return os.path.join(self.work, "state/glowworm/cameras")

    def left_over(self):
        return [file for _, _, files in os.walk(self.states()) for file in files]


class Sound(Scene):
    def test_a_camera_is_named_by_its_serial_number_alone(self):
        serial = f"GW{os.getpid()}"
        self.camera("--serial", serial)
        shutil.copy(os.path.join(self.bundle, "network.pb"), os.path.join(self.bundle, "firefly.graph"))
        said = self.call([program("glowworm"), "validate", self.bundle, "--camera", serial]).stdout
        self.assertIn(f" (serial {serial}, ", said)
        self.assertNotIn("  (serial", said)

    def test_a_sound_bundle_passes_and_the_camera_is_as_it_was(self):
        camera = self.camera()
        before = camera.state()
        self.assertIn("passes", self.validate(camera, "--budget", "40").stdout)
        self.assertEqual(camera.state(), before)
        self.assertEqual(self.left_over(), [])
        verdict = self.verdict()
        self.assertTrue(verdict["passed"])
        self.assertEqual(verdict["camera"]["model"], "Firefly FFY-U3-16S2M-DL")
        self.assertGreaterEqual(verdict["latency"]["measured"], 50)
        self.assertEqual(verdict["answers"]["same_answer"], verdict["answers"]["images"])
        with open(os.path.join(self.bundle, "validate.html")) as file:
            self.assertIn("The network passes on the camera", file.read())

    def test_caffe_files_answer_like_the_graphdef(self):
        camera = self.camera()
        with open(os.path.join(self.bundle, "bundle.json")) as file:
            listed = json.load(file)
        listed["files"] = [row for row in listed["files"] if row["name"] != "network.pb"]
        with open(os.path.join(self.bundle, "bundle.json"), "w") as file:
            json.dump(listed, file)
        os.remove(os.path.join(self.bundle, "network.pb"))
        self.validate(camera)
        self.assertEqual(self.verdict()["network"]["file"], "network.caffemodel")

    def test_latency_is_fitted_to_verdicts_and_predicts_them(self):
        self.validate(self.camera("--latency", "30 0.5 0.01"))
        self.assertTrue(any("glowworm validate --fit" in word for word in self.verdict()["warnings"]))
        device = os.path.join(self.work, "own.yaml")
        said = self.call([program("glowworm"), "validate", "--fit", os.path.join(self.bundle, "validate.json"), "--to", device])
        self.assertIn("the camera was simulated", said.stdout)
        with open(device) as file:
            fixed = float(re.search(r"^latency: {fixed_ms: ([0-9.]+), convolution_ms: ", file.read(), re.M).group(1))
        self.assertAlmostEqual(fixed, 30, delta=1.5)
        with open(device + ".html") as file:
            self.assertIn("Predicted against measured", file.read())
        self.call([program("glowworm"), "validate", "--fit", device, "--to", device], expect=65)

    def test_colour_goes_through_the_mosaic(self):
        shutil.rmtree(self.bundle)
        subprocess.run([program("write_bundle"), self.bundle, "firefly-dl-colour"], check=True)
        self.validate(self.camera("--model", "colour"))
        answers = self.verdict()["answers"]
        self.assertLess(answers["largest_confidence_difference"], 1e-3)
        self.assertIn("firefly-dl-mono", self.validate(self.camera(), expect=CONFIG).stderr)

    def test_a_budget_that_is_broken_ends_with_1_and_says_what_to_do(self):
        done = self.validate(self.camera(), "--budget", "5", expect=FAILED)
        self.assertIn("its budget is 5.00 ms", done.stderr)
        self.assertFalse(self.verdict()["passed"])

    def start_and_wait(self, command, folder):
        """A validation that has changed the camera, and goes on."""
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=self.environment)
        end = time.monotonic() + DEADLINE
        while not any("found.json" in files for _, _, files in os.walk(folder)):
            self.assertLess(time.monotonic(), end)
            self.assertIsNone(process.poll(), "it ended")
        return process

    def test_ctrl_c_puts_the_camera_back(self):
        for which, code in ((signal.SIGINT, INTERRUPTED), (signal.SIGTERM, 128 + signal.SIGTERM)):
            camera = self.camera("--speed", "1")
            before = camera.state()
            process = self.start_and_wait(self.command(camera), self.states())
            process.send_signal(which)
            said = process.communicate(timeout=DEADLINE)
            self.assertEqual(process.returncode, code, said)
            self.assertEqual(camera.state(), before)
            self.assertEqual(self.left_over(), [])

    def kill_one(self, command, folder):
        process = self.start_and_wait(command, folder)
        process.kill()
        process.communicate(timeout=DEADLINE)

    def test_a_kill_is_mended_by_restore(self):
        camera = self.camera("--speed", "1")
        before = camera.state()
        self.kill_one(self.command(camera), self.states())
        self.restore()
        self.assertEqual(camera.state(), before)
        self.assertEqual(self.left_over(), [])

    def test_one_that_cannot_be_put_back_keeps_no_other_from_it(self):
        camera = self.camera("--speed", "1")
        before = camera.state()
        self.kill_one(self.command(camera), self.states())
        for number in range(6):  # some of them are looked at before it
            folder = os.path.join(self.states(), f"Firefly_{number}")
            os.mkdir(folder)
            with open(os.path.join(folder, "found.json"), "w") as file:
                file.write("{}")
        done, end = None, time.monotonic() + DEADLINE
        while self.left_over().count("found.json") > 6:  # it waits a while for the one that is gone
            self.assertLess(time.monotonic(), end)
            done = subprocess.run([program("glowworm"), "validate", "--restore"], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, timeout=DEADLINE, env=self.environment)
        self.assertIn("is as it was found", done.stdout)
        self.assertIn(" 6 of 7 cameras were not put back", done.stderr)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(camera.state(), before)

    def test_a_camera_is_put_back_where_it_is_now(self):
        camera = self.camera("--speed", "1", "--serial", "MOVES")
        before = camera.state()
        self.kill_one(self.command(camera), self.states())
        camera.end()
        other = Camera("--serial", "OTHER", address=camera.address)
        self.cameras[0] = other
        moved = self.camera("--serial", "MOVES")
        others = other.state()
        self.assertIn("MOVES", self.restore())
        self.assertEqual(moved.state()["GammaEnable"], before["GammaEnable"])
        self.assertEqual(other.state(), others)
        self.assertEqual(self.left_over(), [])

    def test_nothing_is_kept_of_a_camera_that_was_started_for_it(self):
        scratch = os.path.join(self.work, "scratch")
        os.mkdir(scratch)
        self.environment["TMPDIR"] = scratch
        self.kill_one([program("glowworm"), "validate", self.bundle, "--camera", "simulated"], scratch)
        self.assertEqual(self.left_over(), [])
        self.assertIn("no camera was left changed", self.restore())

    def test_a_network_that_was_there_is_kept(self):
        old = os.path.join(self.bundle, "network.pb")
        camera = self.camera("--network", old)
        before = camera.state()
        self.assertNotEqual(before["FileSize"], before.get("InferenceMaxNetworkSize"))
        self.validate(camera)
        self.assertEqual(camera.state(), before)
        self.assertIn("--keep", self.validate(camera, "--flash", expect=CONFIG).stderr)
        self.validate(camera, "--flash", "--keep")
        (kept,) = [name for name in self.left_over() if name.endswith(".kept")]
        folder = os.path.join(self.work, "state/glowworm/cameras")
        (path,) = [os.path.join(at, kept) for at, _, files in os.walk(folder) if kept in files]
        with open(path, "rb") as one, open(old, "rb") as other:
            self.assertEqual(one.read(), other.read())

    def test_a_simulated_camera_is_started_and_ended(self):
        self.assertIn("passes", self.call([program("glowworm"), "validate", self.bundle, "--camera", "simulated"]).stdout)
        self.assertTrue(self.verdict()["camera"]["simulated"])

    def test_a_real_camera_waits_for_its_graph(self):
        camera = self.camera()
        done = self.call([program("glowworm"), "validate", self.bundle, "--camera", camera.address], expect=HELD)
        self.assertIn("put firefly.graph into the bundle", done.stderr)

    def test_a_camera_that_is_not_there_is_answered_with_those_that_are(self):
        camera = self.camera()
        shutil.copy(os.path.join(self.bundle, "network.pb"), os.path.join(self.bundle, "firefly.graph"))
        done = self.call([program("glowworm"), "validate", self.bundle, "--camera", "127.0.99.99"], expect=65)
        self.assertIn(camera.address.replace(".", ".")[:4], done.stderr)
        self.call([program("glowworm"), "validate", self.bundle], expect=USAGE)


class Faults(Scene):
    def test_lost_and_reordered_packets_and_slow_flash_hurt_nothing(self):
        for options, fault in (((), "lost-packets:5"), ((), "reordered-packets:20"), (("--flash",), "slow-flash")):
            camera = self.camera("--fault", fault)
            self.validate(camera, *options)

    def test_a_frame_with_another_ones_result_is_left_out(self):
        self.validate(self.camera("--fault", "wrong-frame-id:3"))
        self.assertGreater(self.verdict()["frames_left_out"]["of_another_frame"], 0)

    def check_fault(self, fault, expect, words, *options):
        camera = self.camera("--fault", fault)
        before = camera.state() if "other-model" not in fault else None
        done = self.validate(camera, *options, expect=expect)
        self.assertIn(words, done.stderr)
        if before:
            self.assertEqual(camera.state(), before)
        self.assertEqual(self.left_over(), [])

    def test_frames_of_no_use_are_given_up(self):
        self.check_fault("wrong-frame-id", FAILED, "with another frame's result")
        self.check_fault("chunk-garbage:value", FAILED, "were of no use")
        self.check_fault("chunk-garbage:length", FAILED, "were of no use")
        self.check_fault("never-ready", FAILED, "the inference was never ready")

    def test_a_verdict_does_not_outlive_a_failure(self):
        self.validate(self.camera())
        self.assertTrue(self.verdict()["passed"])
        self.validate(self.camera("--fault", "never-ready"), expect=FAILED)
        verdict = self.verdict()
        self.assertFalse(verdict["passed"] or verdict["complete"])
        self.assertIn("the inference was never ready", verdict["failures"][0])
        with open(os.path.join(self.bundle, "validate.html")) as file:
            self.assertIn("came to no verdict", file.read())
        self.call([program("glowworm"), "check", self.bundle])  # its list of files is not broken by it
        self.validate(self.camera())
        self.call([program("glowworm"), "validate", self.bundle, "--camera", "simulated@127.0.99.98"], expect=65)
        self.assertFalse(self.verdict()["passed"])

    def test_a_network_that_does_not_get_onto_it_is_told(self):
        self.check_fault("write-error:1000", FAILED, "file InferenceNetwork cannot be written")
        self.check_fault("refused-file", FAILED, "the camera did not take the bundle's network")

    def test_a_node_that_does_not_take_is_named(self):
        self.check_fault("stuck-node:TriggerSource", FAILED, "TriggerSource = InferenceReady")
        self.check_fault("stuck-node:GammaEnable", FAILED, "GammaEnable")

    def test_another_camera_is_refused(self):
        self.check_fault("other-model", CONFIG, "which is no Firefly DL")

    def test_a_verdict_is_told_though_the_camera_went_away_behind_it(self):
        camera = self.camera("--fault", "dropped-connection:Width=2", "--silence", "8")
        done = self.validate(camera, "--flash", expect=AGAIN)
        self.assertIn("passes", done.stdout)
        self.assertTrue(self.verdict()["passed"])
        self.restore()
        after = camera.state()
        self.assertNotEqual(after["InferenceNetworkSize"].split()[0], "0")
        self.assertEqual(after["Width"].split()[0], "1440")

    def test_a_lost_connection_is_mended_by_restore(self):
        camera = self.camera("--fault", "dropped-connection:TestPattern=1", "--silence", "8")
        before = camera.state()
        done = self.validate(camera, expect=AGAIN)
        self.assertIn("--restore", done.stderr)
        self.assertIn("found.json", self.left_over())
        self.assertIn("is as it was found", self.restore())
        self.assertEqual(camera.state(), before)
        self.assertEqual(self.left_over(), [])


if __name__ == "__main__":
    BUILD = sys.argv.pop(1)
    if not shutil.which("arv-tool-0.8"):
        print("arv-tool-0.8 is not installed (aravis-tools-cli)")
        sys.exit(77)
    unittest.main()
