#!/usr/bin/python3
"""Sub-networks of a finished run on their way to a camera: what fp16 costs each against fp32 (glowworm check), how long
compiling, checking and validating on the simulated camera take, and how large a bundle is. Prints a Markdown table. Ten are
taken evenly out of all with one expansion and one depth everywhere.
usage: bundles.py BUILD_FOLDER RUN [--device firefly-dl-mono] [--images 500] [--resolutions 24,28] [--expansions 2,3,4]
           [--depths 1,2,3]"""
import argparse
import itertools
import json
import os
import statistics
import subprocess
import tempfile
import time

COUNT = 10


def numbers(text):
    return [int(word) for word in text.split(",")]


def parse():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build")
    parser.add_argument("run")
    parser.add_argument("--device", default="firefly-dl-mono")
    parser.add_argument("--images", type=int, default=500)
    for name, default in (("resolutions", "24,28"), ("expansions", "2,3,4"), ("depths", "1,2,3")):
        parser.add_argument(f"--{name}", type=numbers, default=default)
    return parser.parse_args()


def subnets(args):
    every = [f"r={r} k=3 e={e} d={d}" for r, e, d in itertools.product(args.resolutions, args.expansions, args.depths)]
    return [every[i * len(every) // COUNT] for i in range(min(COUNT, len(every)))]


def timed(args, *words):
    """Seconds it took. A check or a validation that does not pass ends with 1, and its figures are there."""
    begun = time.monotonic()
    ended = subprocess.run([os.path.join(args.build, "bin", "glowworm"), *map(str, words)], stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, text=True, check=False)
    if ended.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(map(str, words))} ended with {ended.returncode}: {ended.stderr}")
    return time.monotonic() - begun


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return json.load(file)


def size_of(folder):
    return sum(os.path.getsize(os.path.join(base, name)) for base, _, names in os.walk(folder) for name in names)


def percent(value):
    return f"{100 * value:.1f}"


def measure(args, subnet, folder):
    seconds = [timed(args, "compile", args.run, "--subnet", subnet, "--to", folder, "--device", args.device)]
    size = size_of(folder)
    seconds.append(timed(args, "check", folder, "--run", args.run, "--images", args.images))
    check = read(folder, "check.json")
    seconds.append(timed(args, "validate", folder, "--camera", "simulated"))
    validate = read(folder, "validate.json")
    found = check["arithmetics"]
    sums32, sums16 = found["fp16/fp32"], found["fp16/fp16"]
    print(f"| {subnet} | {percent(found['fp32']['accuracy'])} | {percent(sums32['accuracy'])} | {percent(sums16['accuracy'])} | "
          f"{sums32['same_answer']} | {sums16['same_answer']} | {sums32['figures']['largest_percent']:.2f} | "
          f"{sums16['figures']['largest_percent']:.2f} | {'yes' if validate['passed'] else 'no'} | "
          f"{' | '.join(f'{s:.1f}' for s in seconds)} | {size / 1e6:.2f} |", flush=True)
    return [*seconds, size / 1e6]


def main():
    args = parse()
    print("| sub-network | fp32 % | fp16/fp32 % | fp16/fp16 % | same answer, fp16/fp32 | fp16/fp16 | largest error %, fp16/fp32 | "
          "fp16/fp16 | validated | compile s | check s | validate s | MB |")
    print("|" + "---|" * 13)
    with tempfile.TemporaryDirectory(prefix="glowworm-bundles-") as work:
        figures = [measure(args, subnet, os.path.join(work, f"b{i}")) for i, subnet in enumerate(subnets(args))]
    print("medians: compile {:.1f} s, check {:.1f} s, validate {:.1f} s, {:.2f} MB".format(*map(statistics.median, zip(*figures))))


main()
