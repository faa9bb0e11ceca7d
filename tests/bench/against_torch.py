#!/usr/bin/python3
"""Training throughput of the same static sub-network: Glowworm against PyTorch, alternating in one run. PyTorch gets the
fastest of channels-last or not, reference BLAS or OpenBLAS. Prints a Markdown table of medians.

usage: against_torch.py BUILD_FOLDER [--rounds 3] [--seconds 8] [--case biggest:32 ...]
Needs Debian's python3-torch: cluster/setup.sh --bench
"""
import argparse
import glob
import json
import os
import statistics
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BATCH = {32: 128, 128: 64}
SUBNETS = {"biggest": "k=7 e=6 d=4", "smallest": "k=3 e=3 d=2"}
# Images/s that arithmetic and memory of two Zen 4 cores allow with the traffic of one pass per raw map (counted).
FLOOR = {("biggest", 32): 2225, ("biggest", 128): 149, ("smallest", 32): 5731, ("smallest", 128): 567}


def glowworm(build, net, resolution, threads, seconds):
    command = [os.path.join(build, "bin", "bench_step"), "configs/spaces/mbv3.yaml",
               f"r={resolution} {SUBNETS[net]}", str(BATCH[resolution]), str(threads), str(seconds)]
    out = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT).stdout
    return json.loads(out)["images_per_second"]


def blas_folders():
    found = {"reference": glob.glob("/usr/lib/*/blas"), "openblas": glob.glob("/usr/lib/*/openblas-pthread")}
    missing = [name for name, folders in found.items() if not folders]
    if missing:
        sys.exit(f"no {' and no '.join(missing)} BLAS here: run cluster/setup.sh --bench first")
    lapack = glob.glob("/usr/lib/*/lapack")
    return {name: ":".join(folders + (lapack if name == "reference" else [])) for name, folders in found.items()}


def torch(net, resolution, threads, seconds, layout, folder):
    env = dict(os.environ, LD_LIBRARY_PATH=folder, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS=str(threads))
    command = ["/usr/bin/python3", os.path.join(ROOT, "tests/bench/torch_step.py"), "--net", net, "--resolution",
               str(resolution), "--batch", str(BATCH[resolution]), "--layout", layout, "--threads", str(threads),
               "--seconds", str(seconds)]
    out = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, env=env).stdout
    return json.loads(out)["images_per_s"]


def measure(build, net, resolution, args, folders):
    ours, theirs = [], {}
    for _ in range(args.rounds):
        ours.append(glowworm(build, net, resolution, args.threads, args.seconds))
        for layout in ("nhwc", "nchw"):
            for blas, folder in folders.items():
                speed = torch(net, resolution, args.threads, args.seconds, layout, folder)
                theirs.setdefault(f"{layout}, {blas} BLAS", []).append(speed)
                print(f"{net} {resolution}: glowworm {ours[-1]:.0f}, torch {layout} {blas} {speed:.0f}", file=sys.stderr)
    best = max(theirs, key=lambda way: statistics.median(theirs[way]))
    return statistics.median(ours), best, statistics.median(theirs[best])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--case", nargs="*", default=[f"{net}:{side}" for net in SUBNETS for side in BATCH])
    args = parser.parse_args()
    folders = blas_folders()
    print("| sub-network | batch | Glowworm img/s | PyTorch img/s (its fastest way) | ratio | floor img/s |")
    print("|---|---|---|---|---|---|")
    for case in args.case:
        net, side = case.split(":")
        ours, way, theirs = measure(os.path.abspath(args.build), net, int(side), args, folders)
        print(f"| mbv3 {net}, {side} px | {BATCH[int(side)]} | {ours:.0f} | {theirs:.0f} ({way}) | {ours / theirs:.2f} | "
              f"{FLOOR[(net, int(side))]} |", flush=True)


if __name__ == "__main__":
    main()
