"""glowworm checkpoint show --tensors, log, diff, export and prune as a person types them.
usage: inspect_commands.py GLOWWORM MAKE_RUN"""
import fcntl
import json
import os
import pathlib
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import unittest

import numpy as np
from reference_weights import read_safetensors, values_of, write_safetensors

GLOWWORM, MAKE_RUN = "", ""
GOLDEN = "tests/golden/data/ofa_mbv3_w1.0.json"
DIFFERS, USAGE, DATA, IO, BUSY, CONFIG = 1, 2, 65, 74, 75, 78


def glowworm(*words, expect=0):
    done = subprocess.run([GLOWWORM, "checkpoint", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == expect, f"{words}: exit {done.returncode}, expected {expect}\n{done.stdout}{done.stderr}"
    assert "\x1b" not in done.stdout + done.stderr, "colour where there is no terminal"
    return done


def read(*words, expect=0):
    return json.loads(glowworm(*words, "--json", expect=expect).stdout)


def on_terminal(width, *words):
    """The lines a terminal so wide is given."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    program = subprocess.Popen([GLOWWORM, "checkpoint", *map(str, words)], stdout=theirs)
    os.close(theirs)
    said = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # nobody writes any more
            break
        if not piece:
            break
        said += piece
    os.close(ours)
    assert program.wait() == 0
    return said.decode().split("\r\n")


class Weights(unittest.TestCase):
    """A network of the reference's own names, written by numpy."""

    @classmethod
    def setUpClass(cls):
        cls.work = pathlib.Path(tempfile.mkdtemp(prefix="glowworm-test-"))
        golden = json.loads(pathlib.Path(GOLDEN).read_text())
        cls.given = {name: values_of(name, shape, golden["seed"]).astype(np.float32)
                     for name, shape in golden["tensors"].items()}
        cls.options = ("--space", "mbv3", "--classes", golden["classes"])
        write_safetensors(cls.work / "given.safetensors", cls.given)
        glowworm("import", cls.work / "given.safetensors", *cls.options, cls.work / "store")
        cls.said = read("export", cls.work / "store@import", cls.work / "out.safetensors")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.work)

    def test_an_export_has_the_names_shapes_and_bits_that_were_imported(self):
        exported, metadata = read_safetensors(self.work / "out.safetensors")
        self.assertEqual(set(exported), set(self.given))
        for name, array in self.given.items():
            self.assertEqual(exported[name].shape, array.shape, name)
            self.assertEqual(exported[name].tobytes(), array.tobytes(), name)
        self.assertEqual((self.said["tensors"], self.said["left_out"]), (len(self.given), 0))
        self.assertEqual(self.said["bytes"], os.path.getsize(self.work / "out.safetensors"))
        self.assertEqual(metadata["checkpoint"], self.said["content"])
        self.assertEqual(metadata["space"], pathlib.Path("configs/spaces/mbv3.yaml").read_text())

    def test_an_import_of_an_export_is_the_same_to_the_bit(self):
        glowworm("import", self.work / "out.safetensors", *self.options, self.work / "again")
        done = glowworm("diff", self.work / "store@import", self.work / "again")
        self.assertIn(f"identical: {len(self.given)} tensors, bit for bit", done.stdout)
        self.assertEqual(read("show", self.work / "again@import")["content"], self.said["content"])
        glowworm("export", self.work / "again", self.work / "again.safetensors")
        self.assertEqual((self.work / "again.safetensors").read_bytes(), (self.work / "out.safetensors").read_bytes())

    def test_statistics_are_numpys(self):
        exported, _ = read_safetensors(self.work / "out.safetensors")
        shown = read("show", self.work / "store", "--tensors")["tensors"]
        self.assertEqual(len(shown), len(exported))
        for line in shown:
            values = exported[line["name"]].astype(np.float64)
            self.assertEqual((line["min"], line["max"]), (values.min(), values.max()), line)
            self.assertAlmostEqual(line["mean"], values.mean(), delta=1e-13 * abs(values).max(), msg=line)
            self.assertAlmostEqual(line["deviation"], values.std(), delta=1e-13 * abs(values).max(), msg=line)
            self.assertEqual((line["count"], line["nan"], line["inf"]), (values.size, 0, 0), line)
            self.assertEqual((line["type"], tuple(line["shape"])), ("f32", values.shape), line)

    def test_tensors_come_in_the_order_that_was_asked_for(self):
        keys = {"name": lambda line: line["name"], "min": lambda line: line["min"],
                "size": lambda line: -line["count"], "max": lambda line: -line["max"],
                "mean": lambda line: -line["mean"], "deviation": lambda line: -line["deviation"]}
        stored = read("show", self.work / "store", "--tensors")["tensors"]
        for word, key in keys.items():
            shown = read("show", self.work / "store", "--sort", word)["tensors"]
            self.assertEqual(shown, sorted(stored, key=key), word)  # equal ones stay as stored
        refused = glowworm("show", self.work / "store", "--sort", "colour", expect=USAGE)
        self.assertIn("name, size, min, max, mean, deviation, nan and inf", refused.stderr)

    def test_tables_fit_the_terminal(self):
        for words in (("show", self.work / "store", "--tensors"), ("list", self.work / "store")):
            lines = on_terminal(100, *words)
            self.assertNotIn("\x1b", "".join(lines))
            for line in lines:
                if not line.startswith("lineage"):
                    self.assertLessEqual(len(line), 100, line)
        wide = on_terminal(250, "show", self.work / "store", "--tensors")
        row = next(line for line in wide if line.startswith("blocks.20.conv.point_linear.conv.conv.weight "))
        self.assertRegex(row, r"\(\d+,\d+,1,1\) +f32 .* 0 +0$")

    def test_a_file_that_is_there_stays_unless_force_is_given(self):
        path = self.work / "taken.safetensors"
        path.write_text("mine")
        refused = glowworm("export", self.work / "store", path, expect=CONFIG)
        self.assertIn("exists; --force replaces it", refused.stderr)
        self.assertEqual(path.read_text(), "mine")
        glowworm("export", self.work / "store", path, "--force")
        self.assertEqual(path.read_bytes(), (self.work / "out.safetensors").read_bytes())
        os.mkfifo(self.work / "fifo")
        for odd in (self.work, self.work / "fifo", "/dev/null"):
            refused = glowworm("export", self.work / "store", odd, "--force", expect=CONFIG)
            self.assertIn("is not a regular file", refused.stderr)
        self.assertIn("/missing/", glowworm("export", self.work / "store", self.work / "missing/file",
                                            expect=IO).stderr)

    def test_wrong_input_is_named_and_leaves_no_file(self):
        out = self.work / "none.safetensors"
        for words, expect, said in (((f"{self.work}/store@nobody", out), DATA, 'no checkpoint "nobody"; there are'),
                                    ((self.work / "nowhere", out), DATA, "there is no store in"),
                                    ((self.work, out), DATA, "there is no store in"),
                                    ((self.work / "store",), USAGE, "name a checkpoint and the")):
            self.assertIn(said, glowworm("export", *words, expect=expect).stderr)
        cut = self.work / "cut.safetensors"
        cut.write_bytes((self.work / "out.safetensors").read_bytes()[:-1])
        self.assertIn("lies outside the file", glowworm("import", cut, *self.options, self.work / "cut", expect=DATA).stderr)
        self.assertEqual([path for path in self.work.iterdir() if ".part" in path.name or path == out], [])

    def test_a_damaged_store_ends_every_command_with_a_word(self):
        folder = shutil.copytree(self.work / "store", self.work / "damaged")
        data = bytearray((folder / "data.mdb").read_bytes())
        values = self.given["classifier.linear.weight"].tobytes()
        at = bytes(data).find(values[:4096])
        data[at] ^= 1
        (folder / "data.mdb").write_bytes(data)
        out = self.work / "damaged.safetensors"
        for words in (("show", folder, "--tensors"), ("export", folder, out)):
            refused = glowworm(*words, expect=DATA)
            self.assertIn("classifier.linear.weight", refused.stderr)
            self.assertIn("its bytes have changed", refused.stderr)
        for place in range(2 * 4096, len(data), len(data) // 6):
            broken = bytearray(data)
            broken[place:place + len(data) // 6] = os.urandom(len(data[place:place + len(data) // 6]))
            (folder / "data.mdb").write_bytes(broken)
            for words in (("show", folder, "--tensors"), ("log", folder), ("diff", folder, self.work / "store"),
                          ("export", folder, out), ("prune", folder)):
                done = subprocess.run([GLOWWORM, "checkpoint", *map(str, words)], capture_output=True, text=True)
                self.assertIn(done.returncode, (0, DIFFERS, DATA), (words, done.stderr))
        self.assertEqual([path for path in self.work.iterdir() if path.name.startswith(out.name)], [])


class Run(unittest.TestCase):
    """A run that was edited once and stopped in the middle of a stage; see make_run.c."""

    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="glowworm-test-"))
        self.run = self.work / "run"
        made = subprocess.run([MAKE_RUN, self.run], capture_output=True, text=True, check=True).stdout
        self.made = dict(line.split() for line in made.splitlines())

    def tearDown(self):
        shutil.rmtree(self.work)

    def label(self, content):
        return next(label for label, hash_ in self.made.items() if hash_.startswith(content))

    def test_log_draws_what_follows_from_what_and_what_changed(self):
        said = glowworm("log", self.run).stdout
        said = re.sub(r"\b[0-9a-f]{12}(?=  )", lambda match: self.label(match[0]), said)
        said = re.sub(r" +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "", said)
        self.assertEqual(said, """\
* teacher-10  teacher, step 10
|   started from 001122334455, which is not in this store
* teacher-30  teacher, step 30, final
|\\
| * kernel-9  kernel, step 9, final
* again-6  kernel, step 6
|   optimiser.decay 3e-5 -> 5e-4
|   program v1 -> v2
* again-11  kernel, step 11, final
|   device cpu x86-64-v2 -> cpu x86-64-v3
* depth-4  depth-1, step 4
* depth-7  depth-1, step 7
* depth-8  depth-1, step 8  latest
""")

    def test_log_in_json_has_the_recorded_parent_and_what_is_followed(self):
        nodes = {self.label(node["content"]): node for node in read("log", self.run)}
        follows = {label: node["follows"] and self.label(node["follows"]) for label, node in nodes.items()}
        self.assertEqual(follows, {"teacher-10": None, "teacher-30": "teacher-10", "kernel-9": "teacher-30",
                                   "again-6": "teacher-30", "again-11": "again-6", "depth-4": "again-11",
                                   "depth-7": "depth-4", "depth-8": "depth-7"})
        self.assertEqual(self.label(nodes["depth-8"]["parent"]), "again-11")
        self.assertTrue(nodes["teacher-30"]["parent"].startswith("00112233"))
        self.assertEqual(nodes["again-6"]["changes"], ["optimiser.decay 3e-5 -> 5e-4", "program v1 -> v2"])
        self.assertEqual(nodes["kernel-9"]["changes"], [])
        self.assertIn("latest", nodes["depth-8"]["names"])

    def test_log_of_one_checkpoint_has_its_ancestors_only(self):
        labels = [self.label(node["content"]) for node in read("log", f"{self.run}@{self.made['again-6'][:10]}")]
        self.assertEqual(labels, ["teacher-10", "teacher-30", "again-6"])
        self.assertIn("nobody", glowworm("log", f"{self.run}@nobody", expect=DATA).stderr)

    def test_a_tensor_with_nan_is_shown(self):
        line = read("show", self.run, "--sort", "nan")["tensors"][0]
        self.assertEqual(line, {"name": "blocks.0.conv.weight", "shape": [1, 7], "type": "f32", "count": 7, "min": 2.0,
                                "max": 2.0, "mean": 2.0, "deviation": 0.0, "nan": 1, "inf": 1})
        empty = next(line for line in read("show", self.run, "--tensors")["tensors"] if line["count"] == 0)
        self.assertEqual([empty[key] for key in ("min", "max", "mean", "deviation")], [None] * 4)
        said = glowworm("show", self.run, "--sort", "inf").stdout
        self.assertRegex(said, r"\nblocks\.0\.conv\.weight +\(1,7\) +f32 +2 +2 +2 +0 +1 +1\n")
        self.assertRegex(said, r"\nblocks\.4\.conv\.weight +\(100,0\) +f32 +- +- +- +- +0 +0\n")

    def test_diff_of_one_store_says_what_differs_and_by_how_much(self):
        words = (f"{self.run}@kernel/final", f"{self.run}@teacher/final")
        done = glowworm("diff", *words, expect=DIFFERS)
        self.assertIn("4 of 6 tensors differ", done.stderr)
        self.assertIn("2 identical, 4 of other values, 0 of another shape, 0 only in A, 0 only in B", done.stdout)
        said = read("diff", *words, expect=DIFFERS)
        self.assertEqual((said["identical"], said["identical_tensors"], len(said["tensors"])), (False, 2, 4))
        relative = [line["relative"] for line in said["tensors"]]
        self.assertEqual(relative, sorted(relative, reverse=True))
        for line in said["tensors"]:
            self.assertAlmostEqual(line["relative"], line["distance"] / line["norm"])
            self.assertLessEqual(line["largest"], line["distance"])
        names = [line["name"] for line in read("diff", *words, "--sort", "name", expect=DIFFERS)["tensors"]]
        self.assertEqual(names, sorted(names))

    def test_diff_of_the_same_says_identical_and_nan_is_counted_apart(self):
        same = glowworm("diff", self.run, f"{self.run}/checkpoints@depth-1/latest")
        self.assertIn("identical: 6 tensors, bit for bit", same.stdout)
        said = read("diff", f"{self.run}@{self.made['depth-7'][:12]}", self.run, "--sort", "changed", expect=DIFFERS)
        spoilt = next(line for line in said["tensors"] if line["name"] == "blocks.0.conv.weight")
        self.assertEqual((spoilt["changed"], spoilt["nonfinite"]), (7, 2))
        self.assertGreater(spoilt["relative"], 0)

    def test_diff_tells_tensors_and_shapes_apart_and_errors_from_differences(self):
        copy = shutil.copytree(self.run, self.work / "copy")
        self.assertTrue(read("diff", self.run, copy)["identical"])
        self.assertIn("copy/checkpoints: there is no checkpoint", glowworm("diff", self.run, f"{copy}@nobody",
                                                                        expect=DATA).stderr)
        self.assertIn("there is no store", glowworm("diff", self.run, self.work / "nowhere", expect=DATA).stderr)
        self.assertIn("name two checkpoints", glowworm("diff", self.run, expect=USAGE).stderr)

    def test_a_checkpoint_whose_space_cannot_be_read_is_not_exported(self):
        refused = glowworm("export", self.run, self.work / "out", expect=DATA)
        self.assertIn("the checkpoint's space", refused.stderr)
        self.assertEqual(list(self.work.glob("out*")), [])

    def going(self, said):
        return {self.label(line["content"]) for line in said["checkpoints"] if not line["stays"]}

    def left(self):
        return {self.label(entry["content"]) for entry in read("list", self.run)}

    def test_prune_says_what_would_go_and_changes_nothing(self):
        before = (self.run / "checkpoints/data.mdb").read_bytes()
        said = read("prune", self.run)
        self.assertEqual((said["keep"], said["done"], self.going(said)), (2, False, set()))
        self.assertIn("--keep 1", glowworm("prune", self.run).stdout)
        said = read("prune", self.run, "--keep", 1)
        self.assertEqual(self.going(said), {"teacher-10", "again-6", "depth-7"})
        why = {self.label(line["content"]): line["why"] for line in said["checkpoints"]}
        self.assertEqual(why["depth-4"], "the journal names it")
        self.assertEqual(why["kernel-9"], "the journal names it")
        self.assertEqual(why["depth-8"], "has a name")
        former = read("prune", self.run, "--keep", 1, "--former")
        self.assertEqual(self.going(former), {"teacher-10", "again-6", "depth-7", "kernel-9"})
        self.assertEqual((self.run / "checkpoints/data.mdb").read_bytes(), before)
        for line in glowworm("list", self.run).stdout.splitlines():
            self.assertEqual(line, line.rstrip())
        for line in on_terminal(100, "prune", self.run, "--keep", "1"):
            self.assertLessEqual(len(line), 100)

    def test_prune_with_yes_lets_go_and_the_file_gets_smaller(self):
        size = os.path.getsize(self.run / "checkpoints/data.mdb")
        said = read("prune", self.run, "--keep", 1, "--former", "--yes")
        self.assertEqual(self.left(), {"teacher-30", "again-11", "depth-4", "depth-8"})
        self.assertLess(os.path.getsize(self.run / "checkpoints/data.mdb"), size - said["bytes"])
        self.assertGreaterEqual(said["freed_bytes"], said["bytes"])
        self.assertTrue(read("verify", self.run)["whole"])
        again = glowworm("prune", self.run, "--keep", 1, "--former", "--yes").stdout
        self.assertIn("0 of 4 checkpoints went", again)

    def hold(self, path):
        file = open(path, "r+")
        fcntl.flock(file, fcntl.LOCK_EX)
        return file

    def test_prune_leaves_a_store_alone_that_is_in_use(self):
        for lock in ("checkpoints/writer.lock", "journal/writer.lock"):
            with self.hold(self.run / lock):
                refused = glowworm("prune", self.run / "checkpoints", "--keep", 1, "--yes", expect=BUSY)
                self.assertIn("is being written by", refused.stderr)
                self.assertIn("wait for the run to end, or stop it", refused.stderr)
                read("prune", self.run)  # looking is fine
        self.assertEqual(len(self.left()), len(self.made))
        with open(self.run / "checkpoints/lock.mdb", "r+") as reader:  # as LMDB marks one
            fcntl.lockf(reader, fcntl.LOCK_SH, 1)
            said = glowworm("prune", self.run, "--keep", 1, "--yes").stdout
            self.assertRegex(said, f"the file keeps its size, later saves use the room: .*process {os.getpid()}")
        self.assertEqual(len(self.left()), len(self.made) - 3)

    def test_prune_refuses_what_it_cannot_prune(self):
        self.assertIn("names one checkpoint", glowworm("prune", f"{self.run}@latest", expect=USAGE).stderr)
        self.assertIn("there is no store", glowworm("prune", self.work / "nowhere", "--yes", expect=DATA).stderr)
        self.assertFalse((self.work / "nowhere").exists())
        self.assertIn("--keep", glowworm("prune", self.run, "--keep", 0, expect=USAGE).stderr)
        (self.run / "journal/data.mdb").write_bytes(b"no journal")
        glowworm("prune", self.run, "--keep", 1, "--yes", expect=DATA)
        self.assertEqual(len(self.left()), len(self.made))


if __name__ == "__main__":
    MAKE_RUN = sys.argv.pop(2)
    GLOWWORM = sys.argv.pop(1)
    unittest.main(verbosity=2)
