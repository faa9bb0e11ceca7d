#!/usr/bin/python3
"""How long `glowworm status` takes for many runs: makes so many folders, each with the status of a run under way as its
runner writes it, and shows them all. usage: status.py BUILD_FOLDER [RUNS [STAGES [TIMES]]]"""
import json
import os
import subprocess
import sys
import tempfile
import time


def stage(number, done):
    state = "done" if number < done else "running" if number == done else "waiting"
    return {"name": f"stage-{number}", "kind": "train", "state": state, "why": "" if state != "waiting" else f"needs stage-{number - 1}",
            "needs": "" if state != "waiting" else f"stage-{number - 1}", "retry_at_ms": 0,
            "step": 12345 if state != "waiting" else 0, "steps": 20000, "reused": 0, "epoch": 3.25,
            "images_per_second": 2140.5, "loss": 1.23456, "accuracy": 0.7125, "doing": "training",
            "eta_seconds": 1234.5, "attempts": 1, "failures": 0, "error": "", "error_text": "", "warning": "",
            "log": f"logs/stage-{number}-1.log", "started_ms": 1790000000000, "ended_ms": 0, "seconds": 321.5,
            "pid": 4711, "gangs": 1}


def make_run(folder, number, stages):
    os.makedirs(os.path.join(folder, "published"))
    now = int(time.time() * 1000)
    status = {"format": 1, "campaign": f"campaign-{number}", "run_folder": folder,
              "command": f"glowworm run campaign-{number}.yaml", "work_folder": "/home/somebody", "host": "node17",
              "place": "another-boot node17", "pid": 4711, "started_ticks": 1234, "started_ms": now - 3600000,
              "written_ms": now, "state": "running", "error": "", "text": "", "eta_seconds": 40000.5,
              "stages": [stage(at, number % stages) for at in range(stages)]}
    with open(os.path.join(folder, "published", "status.json"), "w") as file:
        json.dump(status, file, indent=1)


def main():
    glowworm = os.path.join(os.path.abspath(sys.argv[1]), "bin", "glowworm")
    runs, stages, times = (int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((2, 280), (3, 36), (4, 20)))
    with tempfile.TemporaryDirectory(prefix="glowworm-status-") as work:
        folders = [os.path.join(work, f"run-{number:03}") for number in range(runs)]
        for number, folder in enumerate(folders):
            make_run(folder, number, stages)
        for options in ([], ["--json"]):
            taken = []
            for _ in range(times):
                start = time.monotonic()
                done = subprocess.run([glowworm, "status", *folders, *options], stdout=subprocess.PIPE, check=True)
                taken.append(time.monotonic() - start)
            shown = done.stdout.count(b"campaign-")
            assert shown >= runs, f"{shown} of {runs} runs were shown"
            taken.sort()
            print(f"{runs} runs of {stages} stages {' '.join(options) or 'as a table'}: median "
                  f"{1000 * taken[times // 2]:.0f} ms, longest {1000 * taken[-1]:.0f} ms of {times}")


if __name__ == "__main__":
    main()
