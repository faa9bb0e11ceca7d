#!/usr/bin/python3
"""launches.py on a report of the real thing. usage: test_launches.py BENCH_GPU_EMULATOR"""
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
BENCH = ""


def report(*options):
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run([BENCH], env={**os.environ, "GPU_EMULATOR_REPORT": file.name}, check=True,
                       stdout=subprocess.DEVNULL)
        return subprocess.run([os.path.join(HERE, "launches.py"), file.name, *options], check=True, text=True,
                              stdout=subprocess.PIPE).stdout.splitlines()


class Launches(unittest.TestCase):
    def test_each_kernel_has_a_line_of_its_biggest_launch(self):
        lines = report()
        self.assertEqual(lines[0], "measured: 36 launches, 4096x1x1 of 256x1x1, 0 bytes shared; 4.194 MB loaded, "
                                   "4.194 stored; 1.00 of sectors used; - turns of the banks an access")
        self.assertEqual(lines[1], "    4.194 MB: loaded 4.194, read 4.194, read_once 4.194, stored 4.194, written 4.194, "
                                   "written_once 4.194; 1.00 of sectors used")
        self.assertEqual(len(lines), 2)

    def test_all_launches_have_lines_when_they_are_asked_for(self):
        lines = [line for line in report("--all") if line.startswith("measured")]
        self.assertEqual(len(lines), 36)
        self.assertIn("1.00 turns of the banks an access", lines[-7])


if __name__ == "__main__":
    BENCH = sys.argv.pop(1)
    unittest.main()
