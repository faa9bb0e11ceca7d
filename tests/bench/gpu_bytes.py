#!/usr/bin/env python3
"""What the kernels for GPUs do to memory in a training step of one sub-network, counted on the emulated GPU, beside the
floor that bench_floor counts for the same step: operation by operation, and the images/s that a card's memory would allow.

Bytes of a launch: "once", what it touches at all; "by blocks", what each of its blocks touches, added up: what would come from
memory if multiprocessors kept all and the cache between them nothing. A card lies between the two. Maps count by the image
and weights by the step: a batch and twice that batch are run, small ones, and the difference is an image's.

usage: gpu_bytes.py BUILD_FOLDER SPACE SUBNET [--batch 2] [--images 64] [--precision bf16|fp32] [--device tests/bench/h100.yaml]
  gpu_bytes.py build configs/spaces/mbv3.yaml "r=224 k=7 e=6 d=4"
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
FIRST, LAST = "stem_forward", "sgd_step"  # of a step; what comes in front of it makes the weights
PARTS = {"pw_dgrad": "pw_backward", "pw_wgrad": "pw_backward"}  # kernels that are not named after their operation
FIELDS = ("launches", "floor", "once", "by_blocks")


def run_floor(options, batch):
    command = [os.path.join(options.build, "bin/bench_floor"), options.space, options.subnet, "--batch", str(batch),
               "--device", options.device, "--json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout)


def read_launches(path):
    """Whole lines: the last one may be being written."""
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def first_step(launches):
    """From the image to the update, or None: it is not all there yet."""
    kernels = [launch["kernel"] for launch in launches]
    first = next((i for i, kernel in enumerate(kernels) if kernel.startswith(FIRST)), len(kernels))
    last = next((i for i, kernel in enumerate(kernels) if kernel.startswith(LAST)), None)
    return None if last is None else launches[first:last + 1]


def run_step(options, batch):
    """The launches of one step; bench_step goes on with others, which nobody waits for."""
    with tempfile.TemporaryDirectory(prefix="glowworm-bytes-") as folder:
        report = os.path.join(folder, "report")
        open(report, "w").close()
        environment = dict(os.environ, GPU_EMULATOR_REPORT=report, GPU_EMULATOR_RACES="0",
                           GLOWWORM_DEVICES=os.path.join(os.path.abspath(options.build), "tests/devices"))
        command = [os.path.join(options.build, "bin/bench_step"), options.space, options.subnet, "--batch", str(batch),
                   "--device", "cuda-emulated", "--precision", options.precision, "--seconds", "0"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT, env=environment) as program:
            while (step := first_step(read_launches(report))) is None:
                if program.poll() is not None and first_step(read_launches(report)) is None:
                    sys.exit(f"bench_step ended ({program.returncode}) before its first step did")
                time.sleep(0.5)
            program.kill()
        return step


def operation_of(kernel, operations):
    return PARTS.get(kernel) or next((name for name in operations if kernel.startswith(name)), "others")


def add_launches(launches, operations):
    """{operation: {field: sum}}"""
    sums = defaultdict(lambda: dict.fromkeys(FIELDS, 0))
    for launch in launches:
        of = sums[operation_of(launch["kernel"], operations)]
        of["launches"] += 1
        of["once"] += sum(used["read_once"] + used["written_once"] for used in launch["memory"])
        of["by_blocks"] += sum(used["read"] + used["written"] for used in launch["memory"])
    return sums


def count_step(options, batch):
    """{operation: {field: sum}}, and what the card is said to do."""
    floor = run_floor(options, batch)
    operations = {row["operation"]: row for row in floor[options.precision]["operations"]}
    sums = add_launches(run_step(options, batch), operations)
    for name, of in sums.items():
        of["floor"] = sum(operations[name][key] for key in ("read_bytes", "written_bytes")) if name in operations else 0
    sums["all"] = {field: sum(of[field] for of in sums.values()) for field in FIELDS}
    return sums, floor


def share(part, whole):
    return f"{part / whole:.2f}" if whole else "-"


def of_image(small, large, batch):
    return {field: (large[field] - small[field]) / batch for field in FIELDS}


def print_row(name, launches, of):
    print(f"| {name} | {launches} | {of['floor'] / 1e6:.3f} | {of['once'] / 1e6:.3f} | {share(of['once'], of['floor'])} | "
          f"{of['by_blocks'] / 1e6:.3f} | {share(of['by_blocks'], of['floor'])} |")


def print_rates(options, floor, small, image):
    """Of a step of so many images: an image's bytes, and what is left of a small step's for all."""
    rate = floor["ceilings"]["read_gb_per_second"] * 1e9
    found = {field: options.images * rate / (small[field] - options.batch * image[field] + options.images * image[field])
             for field in FIELDS[1:]}
    print(f"\n{floor['device']}, {options.images} images a step, by memory alone: floor {found['floor']:.0f} images/s, "
          f"these kernels {found['by_blocks']:.0f} to {found['once']:.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("space")
    parser.add_argument("subnet")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--device", default=os.path.join(HERE, "h100.yaml"))
    options = parser.parse_args()
    small, _ = count_step(options, options.batch)
    large, floor = count_step(options, 2 * options.batch)
    images = {name: of_image(small[name], large[name], options.batch) for name in large}
    print("MB of an image:\n\n| operation | launches | floor | once | of the floor | by blocks | of the floor |\n"
          "|---|---|---|---|---|---|---|")
    for name in sorted(images, key=lambda name: (name == "all", -images[name]["by_blocks"])):
        print_row(name, large[name]["launches"], images[name])
    print_rates(options, floor, small["all"], images["all"])


if __name__ == "__main__":
    main()
