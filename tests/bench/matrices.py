#!/usr/bin/python3
"""What small kernels gain where kernel matrices rest until a smaller kernel is open. Two builds, before and after, train the
same campaigns with the same seeds, each in folders of its own, teachers included: that these differ in nothing but the
kernel matrices is checked, bit by bit, and ends the run where it is not so. Prints Markdown tables: hold-out accuracy of
uniform sub-networks at the start and the end of the kernel phase, and the final table.

usage: matrices.py OLD_BUILD NEW_BUILD DATASET [--campaigns FILE ...] [--seeds 1 2 3] [--work FOLDER] [--set key=value ...]
What is in the work folder already is not trained again. NEW_BUILD's `glowworm checkpoint diff` compares the teachers; --diff
names another build's.
"""
import argparse
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CAMPAIGNS = [os.path.join(ROOT, path) for path in ("configs/quickstart.yaml", "tests/bench/matrices-long-teacher.yaml")]
STAGES = ["teacher", "kernel", "depth-1", "depth-2", "width-1", "width-2", "evaluate"]
# One phase of no step: the corners of what it leaves open are measured, and nothing is trained.
LOOK = "{kernel: {kernels: [5, 7], epochs: 0, warmup: 0, distil: no}}"


def run_worker(build, campaign, run, stages, sets, args):
    """A gang's stages of a campaign; a stage that is done is not done again."""
    words = ["mpirun", "-q", "-n", str(args.ranks), "--bind-to", "none", "--oversubscribe", "--mca", "btl", "self,vader",
             os.path.join(build, "bin", "glowworm-worker"), "--campaign", campaign, "--run", run, "--stage", ",".join(stages)]
    for text in [f"dataset.path={args.dataset}", *args.set, *sets]:
        words += ["--set", text]
    environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    os.makedirs(run, exist_ok=True)
    with open(os.path.join(run, "log"), "a", encoding="utf-8") as log:
        if subprocess.run(words, stdout=log, stderr=log, env=environment, cwd=ROOT, check=False).returncode != 0:
            sys.exit(f"{run}: a stage of {', '.join(stages)} failed; see {log.name}")


def read_grids(run):
    """Hold-out accuracy by sub-network of the kernel phase's evaluations, in order."""
    with open(os.path.join(run, "metrics", "kernel.jsonl"), encoding="utf-8") as lines:
        events = [json.loads(line) for line in lines]
    return [{row["label"]: row["accuracy"] for row in event["subnets"]} for event in events if event["event"] == "evaluate"]


def look(build, campaign, run, checkpoint, seed, args):
    """Hold-out accuracy of K5 and of the biggest sub-network of one checkpoint."""
    folder = os.path.join(run, "look-" + checkpoint.replace("/", "-"))
    sets = [f"seed={seed}", f"teacher.from={run}/checkpoints@{checkpoint}", "teacher.epochs=0", f"shrink.rows={LOOK}"]
    run_worker(build, campaign, folder, ["kernel"], sets, args)
    return read_grids(folder)[-1]


def small_label(labels, kernel):
    """The uniform sub-network of this kernel, everything else at its largest."""
    return next(label for label in labels if label.startswith(f"K{kernel} "))


def measure(build, campaign, run, seed, args):
    """{row: accuracy} of the kernel phase, and the final table: {row: (hold-out, test)}."""
    run_worker(build, campaign, run, STAGES, [f"seed={seed}"], args)
    grids = read_grids(run)
    kernel, final = {}, {}
    for when, grid, checkpoint in (("start", grids[0], "teacher/final"), ("end", grids[-1], "kernel/final")):
        five = look(build, campaign, run, checkpoint, seed, args)
        if five["biggest"] != grid["biggest"]:
            sys.exit(f"{run}: {checkpoint} measured again is another network")
        for label in (small_label(grid, 3), "biggest"):
            kernel[f"{label}, {when}"] = grid[label]
        label = small_label(five, 5)
        kernel[f"{label}, {when}"] = five[label]
    with open(os.path.join(run, "results", "evaluate.json"), encoding="utf-8") as file:
        for row in json.load(file)["subnets"]:
            final[row["label"]] = tuple(row[split]["accuracy"] for split in ("holdout", "test"))
    return kernel, final


def compare_teachers(folders, args):
    """How far the old kernel matrices had decayed; ends everything where anything else differs."""
    words = [os.path.join(args.diff or args.new, "bin", "glowworm"), "checkpoint", "diff", "--json"]
    words += [f"{folder}/checkpoints@teacher/final" for folder in folders]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode > 1 or not done.stdout:
        sys.exit("the teachers cannot be compared: a build with `glowworm checkpoint diff` is needed (--diff)")
    found = json.loads(done.stdout)
    others = [tensor["name"] for tensor in found["tensors"] if not tensor["name"].endswith("_matrix")]
    if others:
        sys.exit(f"the teachers differ in more than their kernel matrices: {', '.join(others[:5])} ...")
    return found["identical_tensors"], max((tensor["largest"] for tensor in found["tensors"]
                                            if not tensor["name"].startswith("momentum/")), default=0.0)


def spread(values):
    mean = sum(values) / len(values)
    return f"{mean:.2f} ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else f"{mean:.2f}"


def print_table(title, rows):
    """rows: {label: [(old, new) of each seed]}, fractions."""
    print(f"\n| {title} | before | after | difference |\n|---|---|---|---|")
    for label, pairs in rows.items():
        old, new = ([100 * pair[side] for pair in pairs] for side in (0, 1))
        print(f"| {label} | {spread(old)} | {spread(new)} | {spread([b - a for a, b in zip(old, new)])} |")


def compare(campaign, args):
    kernel, holdout, test = {}, {}, {}
    name = os.path.splitext(os.path.basename(campaign))[0]
    print(f"\n{name}, seeds {', '.join(map(str, args.seeds))}; percent, mean and range over the seeds\n")
    for seed in args.seeds:
        folders = [os.path.join(args.work, f"{name}-{seed}-{side}") for side in ("before", "after")]
        both = []
        for build, folder in zip((args.old, args.new), folders):
            print(f"{folder} ...", file=sys.stderr)
            both.append(measure(build, campaign, folder, seed, args))
        same, decayed = compare_teachers(folders, args)
        print(f"Seed {seed}: the teachers have {same} tensors bit for bit in common, and differ in the kernel matrices alone, "
              f"by {decayed:.4f} at most.")
        for label in both[0][0]:
            kernel.setdefault(label, []).append(tuple(side[0][label] for side in both))
        for label in both[0][1]:
            holdout.setdefault(label, []).append(tuple(side[1][label][0] for side in both))
            test.setdefault(label, []).append(tuple(side[1][label][1] for side in both))
    print_table("kernel phase, hold-out", kernel)
    print_table("final, hold-out", holdout)
    print_table("final, test", test)


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    parser.add_argument("old", type=os.path.abspath)
    parser.add_argument("new", type=os.path.abspath)
    parser.add_argument("dataset", type=os.path.abspath)
    parser.add_argument("--campaigns", nargs="+", type=os.path.abspath, default=CAMPAIGNS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--work", type=os.path.abspath, default=os.path.join(ROOT, "runs", "matrices"))
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--diff", type=os.path.abspath)
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    for campaign in args.campaigns:
        compare(campaign, args)


if __name__ == "__main__":
    main()
