#!/usr/bin/python3
"""How long the page takes for many runs, and for one long stage: RUNS folders of STAGES stages, a stage of STEPS steps.
usage: page.py BUILD_FOLDER [RUNS [STAGES [STEPS]]]"""
import os
import statistics
import sys
import tempfile
import time

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../page"))
from served import Served, stage, step, write_metrics, write_status  # noqa: E402

BUILD = sys.argv[1]
RUNS, STAGES, STEPS = (int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((2, 280), (3, 36), (4, 1000000)))


def timed(served, path):
    seconds = []
    for _ in range(20):
        begun = time.monotonic()
        served.answer(path)
        seconds.append(time.monotonic() - begun)
    print(f"{path}: {1000 * statistics.median(seconds):.0f} ms (median of 20), {1000 * max(seconds):.0f} at most")


with tempfile.TemporaryDirectory(prefix="glowworm-page-bench-") as work:
    folders = [os.path.join(work, f"run-{i}") for i in range(RUNS)]
    for i, folder in enumerate(folders):
        write_status(folder, f"campaign-{i}", stages=[stage(f"stage-{k}", step=5, steps=9) for k in range(STAGES)])
    write_metrics(folders[0], "stage-0", "".join(step(i, pad="x" * 100) for i in range(1, STEPS + 1)))
    served = Served(os.path.join(os.path.abspath(BUILD), "bin/glowworm"), *folders)
    for path in ("/runs.json", "/metrics", "/status.json?run=7"):
        timed(served, path)
    begun, turns, longest, got = time.monotonic(), 0, 0, {"version": 0, "more": True}
    while got["more"]:
        asked = time.monotonic()
        got = served.json(f"/curves.json?stage=stage-0&from={got['version']}")
        turns, longest = turns + 1, max(longest, time.monotonic() - asked)
    print(f"{STEPS} steps: {time.monotonic() - begun:.1f} s in {turns} answers, {1000 * longest:.0f} ms at most for one; "
          f"{len(got['step'])} points")
    print(f"memory: {served.memory_kib() / 1024:.0f} MiB")
    served.end()
