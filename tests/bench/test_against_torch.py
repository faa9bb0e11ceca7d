#!/usr/bin/python3
"""The parts of against_torch.py without PyTorch: which layers a sub-network has, what a table says, and a whole small run
against a peer that invents its figures. usage: test_against_torch.py BUILD_FOLDER"""
import os
import sys
import tempfile
import unittest

import against_torch
import layer_shapes

BUILD = ""
TINY = "configs/spaces/firefly-tiny.yaml"

# What torch_step.py is to against_torch.py: a line when it is warm, and one for each number of seconds it is asked for.
PEER = """
import json, sys
words = sys.argv
with open({log!r}, "a") as log:
    print(" ".join(words[1:]), file=log)
if {fails!r} in words:
    sys.exit(1)
rate = 10.0 + 5 * ("--compile" in words) + 2 * ("bf16" in words) + ("nhwc" in words)
print(json.dumps({{"torch": "none", "warm_up_seconds": 0}}), flush=True)
for line in sys.stdin:
    print(json.dumps({{"images_per_second": rate}}), flush=True)
"""


class Layers(unittest.TestCase):
    def check(self, space_file, subnet):
        space = layer_shapes.glowworm(BUILD, "space", "show", space_file)
        count = layer_shapes.parameters(layer_shapes.shapes(space, subnet))
        layer_shapes.check_parameters(BUILD, space_file, subnet, count)
        with self.assertRaises(ValueError):
            layer_shapes.check_parameters(BUILD, space_file, subnet, count + 1)

    def test_parameters_are_those_that_glowworm_counts(self):
        depths = "d=4,3,2,3,4"
        mixed = "k=" + ",".join("375"[i % 3] for i in range(20)) + " e=" + ",".join("364"[i % 3] for i in range(20))
        for subnet in ("k=7 e=6 d=4", "k=3 e=3 d=2", f"r=128 {mixed} {depths}"):
            self.check("configs/spaces/mbv3.yaml", subnet)
        for subnet in ("k=7 e=6 d=4", "k=3 e=3 d=2", "k=5 e=4 d=2,3,4,3,2"):
            self.check("configs/spaces/firefly.yaml", subnet)
        self.check(TINY, "k=3 e=2 d=1")

    def test_a_list_of_the_wrong_length_is_refused(self):
        space = layer_shapes.glowworm(BUILD, "space", "show", TINY)
        with self.assertRaises(ValueError):
            layer_shapes.shapes(space, "k=3,5 e=2 d=1")


def invented():
    floor = {"max_images_per_second": 200.0, "sum_images_per_second": 160.0}
    theirs = [("nhwc, eager, fp32", "fp32", [20.0, 30.0, 22.0]), ("nchw, eager, fp32", "fp32", [21.0, 21.0, 24.0]),
              ("nhwc, eager, bf16", "bf16", [18.0, 18.0, 90.0])]
    return {"case": "work", "batch": 8, "ours": {"fp32": [80.0, 10.0, 90.0], "bf16": [120.0, 120.0, 110.0]}, "torch": "none",
            "theirs": [{"way": way, "precision": precision, "rates": rates} for way, precision, rates in theirs],
            "floor": {"fp32": floor, "bf16": {key: 2 * value for key, value in floor.items()}}}


class Table(unittest.TestCase):
    def test_medians_are_compared(self):
        row = against_torch.row_of(invented(), "fp32")
        self.assertEqual((row["glowworm"], row["torch"], row["way"]), (80, 22, "nhwc, eager, fp32"))
        self.assertEqual(against_torch.markdown(row),
                         "| work | fp32 | 8 | 80 | 22 (nhwc, eager, fp32) | 3.64 | 200 | 40 % | 160 | 50 % |")

    def test_a_bf16_row_takes_the_faster_of_both_precisions(self):
        result = invented()
        self.assertEqual(against_torch.row_of(result, "bf16")["way"], "nhwc, eager, fp32")
        result["theirs"][2]["rates"] = [40.0]
        self.assertEqual(against_torch.row_of(result, "bf16")["way"], "nhwc, eager, bf16")
        self.assertEqual(against_torch.row_of(result, "fp32")["way"], "nhwc, eager, fp32")

    def test_a_row_has_a_cell_for_every_head(self):
        for device in ("cpu", "cuda"):
            result = invented()
            result["floor"] = result["floor"] if device == "cpu" else None
            head, rule = against_torch.head(device).splitlines()
            for line in (rule, against_torch.markdown(against_torch.row_of(result, "bf16"))):
                self.assertEqual(line.count("|"), head.count("|"))


class Run(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="glowworm-bench-")
        self.log, peer = (os.path.join(self.folder.name, name) for name in ("log", "peer.py"))
        with open(peer, "w") as stream:
            stream.write(PEER.format(log=self.log, fails="nchw"))
        self.args = against_torch.read_arguments([BUILD, "--rounds", "1", "--seconds", "0", "--threads", "1", "--results",
                                                  os.path.join(self.folder.name, "results.json")])
        self.args.command = [sys.executable, peer]
        self.args.compiles = True

    def tearDown(self):
        self.folder.cleanup()

    def asked(self):
        with open(self.log) as stream:
            return stream.read().splitlines()

    def test_a_case_is_measured_once(self):
        case = against_torch.Case("tiny", TINY, 20, 2, "k=3 e=2 d=1")
        row, narrow = against_torch.run(self.args, [case])
        self.assertEqual((row["case"], row["precision"], row["torch"]), ("tiny", "fp32", 16))
        self.assertEqual(row["way"], "nhwc, compiled, fp32")
        self.assertEqual((narrow["precision"], narrow["torch"], narrow["way"]), ("bf16", 18, "nhwc, compiled, bf16"))
        self.assertGreater(row["glowworm"], 0)
        self.assertGreater(narrow["glowworm"], 0)
        self.assertGreater(row["floor_overlap"], row["floor_apart"])
        asked = self.asked()
        self.assertEqual(len(asked), len(set(asked)))  # every way once
        self.assertEqual(against_torch.run(self.args, [case])[0], row)
        self.assertEqual(self.asked(), asked)

    def test_a_way_that_fails_is_left_out(self):
        kept, peers = against_torch.KEPT, []
        case = against_torch.Case("tiny", TINY, 20, 2, "k=3 e=2 d=1")
        tried = against_torch.try_ways(self.args, case, [case.subnet], peers)
        for peer in peers:
            peer.close()
        self.assertEqual(len(tried), 8)
        self.assertEqual({way for way, rate in tried.items() if rate is None}, {way for way in tried if "nchw" in way})
        self.assertEqual(len(peers), 2 * kept)

    def test_what_was_measured_otherwise_is_measured_again(self):
        for key, expected in (("3 rounds", 1), ("5 rounds", 2), ("3 rounds", 1)):
            results = against_torch.Results(self.args.results)
            self.assertEqual(results.get(key, lambda found=results: len(found.kept) + 1), expected)

    def test_a_whole_step_has_the_same_subnets_on_both_sides(self):
        self.args.precision, self.args.compiles = ["fp32"], False
        against_torch.run(self.args, [against_torch.Case("step", TINY, 20, 2, None)])
        subnets = against_torch.Bench(self.args.build, "cpu", 1).subnets(against_torch.Case("step", TINY, 20, 2, None))
        self.assertEqual(len(set(subnets)), 4)
        for line in self.asked():
            self.assertIn("--elastic", line)
            self.assertTrue(line.endswith(" ".join(subnets)), line)


if __name__ == "__main__":
    BUILD = os.path.abspath(sys.argv.pop(1))
    os.chdir(against_torch.ROOT)
    unittest.main()
