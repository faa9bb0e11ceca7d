"""Prometheus' own package reads what the page says at /metrics, hostile names and half-known runs too. Ends with 77 where
it is not there. usage: prometheus_package.py GLOWWORM"""
import glob
import math
import os
import shutil
import sys
import tempfile
import unittest

sys.path[1:1] = glob.glob("build/python/lib/python3*/site-packages")  # cluster/setup.sh --tests makes it
try:
    from prometheus_client.parser import text_string_to_metric_families
except ImportError as trouble:
    print(f"skipped: {trouble}; \"cluster/setup.sh --tests\" installs it")
    sys.exit(77)
from served import Served, stage, write_status  # noqa: E402

GLOWWORM = ""
HOSTILE = 'a "name" \\ {x="y"} 1\n# TYPE of\\n'
STATES = {"starting", "running", "stopping", "done", "stopped", "failed", "killed", "silent"}


class Metrics(unittest.TestCase):
    def setUp(self):
        self.work = tempfile.mkdtemp(prefix="glowworm-metrics-")
        self.addCleanup(shutil.rmtree, self.work)

    def read(self, *folders):
        """{name: (type, {labels: value})} of what is served."""
        served = Served(GLOWWORM, *folders)
        self.addCleanup(served.end)
        status, headers, body = served.answer("/metrics")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
        found = {}
        for family in text_string_to_metric_families(body.decode()):
            self.assertTrue(family.documentation, family.name)
            self.assertNotIn(family.name, found, "a metric's samples stand together")
            samples = {}
            for sample in family.samples:
                labels = frozenset(sample.labels.items())
                self.assertNotIn(labels, samples)
                self.assertTrue(math.isfinite(sample.value), sample)
                samples[labels] = sample.value
            found[family.name] = (family.type, samples)
        return found

    def value(self, found, name, **labels):
        return found[name][1].get(frozenset(labels.items()))

    def test_a_run_s_numbers_are_those_of_its_status(self):
        folder = os.path.join(self.work, "run")
        write_status(folder, eta_seconds=90.5, stages=[
            stage("teacher", state="done", step=10, steps=10, attempts=3, seconds=12.5, failures=1,
                  causes={"crash": 2}),
            stage("kernel", step=3, steps=10, images_per_second=1234.5, loss=0.75, accuracy=0.5, attempts=1, gangs=2),
            stage("search", "search", state="backing off", attempts=1, failures=1, gangs=0), stage("report", "report", "waiting")])
        found = self.read(folder)
        run = {"run": folder, "campaign": "road"}
        kernel = {**run, "stage": "kernel"}
        for name, value in (("step", 3), ("steps", 10), ("images_per_second", 1234.5), ("loss", 0.75),
                            ("accuracy_ratio", 0.5), ("gangs", 2), ("failures", 0), ("duration_seconds", None)):
            self.assertEqual(self.value(found, "glowworm_stage_" + name, **kernel), value, name)
        self.assertEqual(found["glowworm_stage_attempts"][0], "counter")
        self.assertEqual(self.value(found, "glowworm_stage_attempts", **run, stage="teacher"), 3)
        self.assertEqual(self.value(found, "glowworm_stage_duration_seconds", **run, stage="teacher"), 12.5)
        self.assertEqual(found["glowworm_stage_attempts_ended"],
                         ("counter", {frozenset({**run, "stage": "teacher", "cause": "crash"}.items()): 2}))
        self.assertIsNone(self.value(found, "glowworm_stage_step", **run, stage="report"))
        self.assertEqual(self.value(found, "glowworm_gangs", **run), 2)
        self.assertEqual(self.value(found, "glowworm_run_eta_seconds", **run), 90.5)
        self.assertEqual(self.value(found, "glowworm_run_readable", run=folder), 1)
        for state, count in (("done", 1), ("running", 1), ("backing off", 1), ("waiting", 1), ("failed", 0)):
            self.assertEqual(self.value(found, "glowworm_stages", **run, state=state), count, state)
        states = {dict(labels)["state"]: value for labels, value in found["glowworm_run_state"][1].items()}
        self.assertEqual((set(states), {state for state in states if states[state]}), (STATES, {"running"}))

    def test_names_that_mean_harm_are_labels_and_nothing_else(self):
        folder = os.path.join(self.work, "run \"x\" \\n")
        write_status(folder, campaign=HOSTILE, stages=[stage(HOSTILE, attempts=7)])
        found = self.read(folder)
        samples = found["glowworm_stage_attempts"][1]
        self.assertEqual(list(samples.values()), [7])
        labels = dict(next(iter(samples)))
        shown = HOSTILE  # what a terminal may be told of it
        self.assertEqual((labels["run"], labels["campaign"], labels["stage"]), (folder, shown, shown))

    def test_runs_that_cannot_be_read_are_counted_as_such(self):
        folders = [os.path.join(self.work, name) for name in ("one", "none", "other")]
        write_status(folders[0], stages=[stage("teacher")])
        os.mkdir(folders[1])
        write_status(folders[2], campaign="other", state="failed", stages=[stage("teacher", state="failed")])
        found = self.read(*folders)
        self.assertEqual([self.value(found, "glowworm_run_readable", run=folder) for folder in folders], [1, 0, 1])
        self.assertEqual(self.value(found, "glowworm_run_state", run=folders[2], campaign="other", state="failed"), 1)
        self.assertEqual(len(found["glowworm_gangs"][1]), 2)


if __name__ == "__main__":
    GLOWWORM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
