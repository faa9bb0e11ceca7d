#!/usr/bin/python3
"""What training in bf16 costs in accuracy. The same campaigns with the same seeds, once with fp32 and once with bf16 maps; prints
Markdown tables of the final evaluation: hold-out and test accuracy of the corners, and their difference.

usage: precision.py BUILD DATASET [--campaigns FILE ...] [--seeds 1 2 3] [--work FOLDER] [--set key=value ...]
What is in the work folder already is not trained again.
"""
import argparse
import json
import os
import sys

from matrices import CAMPAIGNS, ROOT, STAGES, run_worker, spread

PRECISIONS = ["fp32", "bf16"]


def measure(campaign, run, seed, precision, args):
    """{row: (hold-out, test)} of a whole training."""
    print(f"{run} ...", file=sys.stderr)
    run_worker(args.build, campaign, run, STAGES, [f"seed={seed}", f"precision={precision}"], args)
    with open(os.path.join(run, "results", "evaluate.json"), encoding="utf-8") as file:
        return {row["label"]: [row[split]["accuracy"] for split in ("holdout", "test")] for row in json.load(file)["subnets"]}


def compare(campaign, args):
    name = os.path.splitext(os.path.basename(campaign))[0]
    print(f"\n{name}, seeds {', '.join(map(str, args.seeds))}; percent, mean and range over the seeds")
    found = [{side: measure(campaign, os.path.join(args.work, f"{name}-{seed}-{side}"), seed, side, args) for side in PRECISIONS}
             for seed in args.seeds]
    for at, split in enumerate(("hold-out", "test")):
        print(f"\n| {split} | fp32 | bf16 | difference |\n|---|---|---|---|")
        differences = [0.0] * len(found)
        for label in found[0]["fp32"]:
            sides = [[100 * each[side][label][at] for each in found] for side in PRECISIONS]
            change = [narrow - wide for wide, narrow in zip(*sides)]
            differences = [sum(pair) for pair in zip(differences, change)]
            print(f"| {label} | {spread(sides[0])} | {spread(sides[1])} | {spread(change)} |")
        print(f"| mean of all rows | | | {spread([each / len(found[0]['fp32']) for each in differences])} |")


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    parser.add_argument("build", type=os.path.abspath)
    parser.add_argument("dataset", type=os.path.abspath)
    parser.add_argument("--campaigns", nargs="+", type=os.path.abspath, default=CAMPAIGNS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--work", type=os.path.abspath, default=os.path.join(ROOT, "runs", "precision"))
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    for campaign in args.campaigns:
        compare(campaign, args)


if __name__ == "__main__":
    main()
