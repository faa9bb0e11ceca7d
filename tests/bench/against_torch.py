#!/usr/bin/env python3
"""Training throughput of the same work, Glowworm against PyTorch, alternating in one run, and what the machine allows at
most (bench_floor) beside it. Prints a Markdown table of medians; progress goes to standard error.

First each way PyTorch has (channels-last or not, eager or compiled, fp32 or bf16 autocast) is tried once; the two fastest
of each precision stay, and so many rounds follow in which Glowworm and they take turns. A way compiles and warms up
before anything is timed. A row of bf16 compares with the faster of PyTorch's fp32 and bf16. The "floor" columns give the
images/s of bench_floor with arithmetic and memory at the same time, and without overlap, and Glowworm's share of each.
With --device cuda both are on the GPU, on work of its size, channels-last alone, and there is no floor.

Each finished case is kept in --results, with what was built and how it was measured; a run that is started again measures
only what is not there. Compiled code is kept beside the peer's environment, so that a second run warms up faster.

usage: against_torch.py BUILD_FOLDER [--python build/peer/bin/python3] [--case NAME ...] [--precision fp32|bf16 ...]
           [--device cpu|cuda] [--rounds 3] [--seconds 8] [--threads 2] [--results FILE] [--json] [--list]
The peer: tests/bench/peer.sh makes build/peer; --python /usr/bin/python3 is Debian's (cluster/setup.sh --bench), which
does not compile.
"""
import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
from collections import namedtuple

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
KEPT = 2  # ways of each precision that stay for the rounds

Case = namedtuple("Case", "name space resolution batch subnet")  # subnet None: a whole step of phase width-2
Way = namedtuple("Way", "layout compiled precision")


def both_ends(space, resolution, batch, more=""):
    return [Case(f"{space} {name}, {resolution} px{more}", f"configs/spaces/{space}.yaml", resolution, batch, genes)
            for name, genes in (("biggest", "k=7 e=6 d=4"), ("smallest", "k=3 e=3 d=2"))]


CASES = [*both_ends("mbv3", 32, 128), *both_ends("mbv3", 128, 64),
         *both_ends("firefly", 96, 64), *both_ends("firefly", 224, 32),
         Case("mbv3 width-2 step, 32 px", "configs/spaces/mbv3.yaml", 32, 128, None),
         Case("mbv3 width-2 step, 128 px", "configs/spaces/mbv3.yaml", 128, 64, None)]
GPU_CASES = [*(case for resolution in (224, 128) for batch in (64, 512)
               for case in both_ends("mbv3", resolution, batch, f", batch {batch}")),
             *(Case(f"mbv3 width-2 step, {resolution} px", "configs/spaces/mbv3.yaml", resolution, 128, None)
               for resolution in (128, 224))]


def say(text):
    print(text, file=sys.stderr, flush=True)


def describe(way):
    return f"{way.layout}, {'compiled' if way.compiled else 'eager'}, {way.precision}"


class Bench:
    """Glowworm's programs."""

    def __init__(self, build, device, threads):
        self.build, self.device, self.threads = build, device, threads

    def call(self, program, *words):
        command = [os.path.join(self.build, "bin", program), *map(str, words), "--threads", str(self.threads)]
        return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT).stdout)

    def measure(self, case, precision, seconds):
        if case.subnet:
            words = ["bench_step", case.space, f"r={case.resolution} {case.subnet}", "--batch", case.batch]
        else:
            words = ["bench_train", case.space, case.resolution, "--phase", "width-2", "--fixed", "--global", case.batch,
                     "--micro", case.batch]
        return self.call(*words, "--device", self.device, "--precision", precision, "--seconds", seconds)

    def subnets(self, case):
        return [case.subnet] if case.subnet else self.measure(case, "fp32", 0)["subnets"]

    def floor(self, case, subnets):
        """Of this machine's processors; None: of a GPU nothing is known here."""
        if self.device != "cpu":
            return None
        teacher = [] if case.subnet else ["--teacher"]
        return self.call("bench_floor", case.space, *(f"r={case.resolution} {subnet}" for subnet in subnets), *teacher,
                         "--batch", case.batch, "--json")

    def version(self):
        return subprocess.run([os.path.join(self.build, "bin", "glowworm"), "--version"], stdout=subprocess.PIPE, check=True,
                              text=True).stdout.strip()


class Peer:
    """One way of PyTorch's, warmed up and waiting."""

    def __init__(self, command, build, case, subnets, way, device, threads):
        options = ["--resolution", case.resolution, "--batch", case.batch, "--layout", way.layout, "--precision",
                   way.precision, "--device", device, "--threads", threads, *(["--compile"] if way.compiled else []),
                   *([] if case.subnet else ["--elastic"])]
        env = dict(os.environ, OMP_NUM_THREADS=str(threads),
                   TORCHINDUCTOR_CACHE_DIR=os.path.join(os.path.dirname(os.path.dirname(command[0])), "inductor"))
        self.process = subprocess.Popen([*command, build, case.space, *map(str, options), *subnets], cwd=ROOT, env=env,
                                        text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.way, self.rates = way, []
        self.about = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.close()
            raise RuntimeError(f"PyTorch, {describe(self.way)}: ended with {self.process.returncode}")
        return json.loads(line)

    def measure(self, seconds):
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        self.rates.append(self.answer()["images_per_second"])
        return self.rates[-1]

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def ways(args):
    """A row of bf16 compares with the peer's fp32 as well."""
    compiled = [False, True] if args.compiles else [False]
    precisions = sorted({"fp32", *args.precision}, reverse=True) if args.device == "cpu" else args.precision
    layouts = ("nhwc", "nchw") if args.device == "cpu" else ("nhwc",)
    return [Way(*way) for way in itertools.product(layouts, compiled, precisions)]


def keep_fastest(peers, precision):
    """What has lost ends at once: a peer that waits holds its memory."""
    rivals = [peer for peer in peers if peer.way.precision == precision]
    for loser in sorted(rivals, key=lambda peer: peer.rates[0], reverse=True)[KEPT:]:
        peers.remove(loser)
        loser.close()


def try_ways(args, case, subnets, peers):
    """Fills `peers` with the fastest of each precision, warmed up. Returns what each way did, None: it failed."""
    tried = {}
    for way in ways(args):
        try:
            peer = Peer(args.command, args.build, case, subnets, way, args.device, args.threads)
        except RuntimeError as failure:
            say(f"{case.name}: {failure}")
            tried[describe(way)] = None
            continue
        peers.append(peer)
        tried[describe(way)] = peer.measure(args.seconds / 2)
        say(f"{case.name}: torch {peer.about['torch']} {describe(way)} {peer.rates[0]:.1f} images/s, "
            f"warm after {peer.about['warm_up_seconds']} s")
        keep_fastest(peers, way.precision)
    if not peers:
        raise RuntimeError(f"{case.name}: PyTorch does it no way")
    for peer in peers:
        peer.rates = []
    return tried


def take_rounds(args, bench, case, peers):
    ours = {precision: [] for precision in args.precision}
    for turn in range(args.rounds):
        for precision, rates in ours.items():
            rates.append(bench.measure(case, precision, args.seconds)["images_per_second"])
        for peer in peers:
            peer.measure(args.seconds)
        rates = [f"glowworm {precision} {rates[-1]:.1f}" for precision, rates in ours.items()]
        rates += [f"torch {describe(peer.way)} {peer.rates[-1]:.1f}" for peer in peers]
        say(f"{case.name}, round {turn + 1}: " + "; ".join(rates))
    return ours


def measure_case(args, bench, case):
    subnets, peers = bench.subnets(case), []
    try:
        tried = try_ways(args, case, subnets, peers)
        ours = take_rounds(args, bench, case, peers)
        theirs = [{"way": describe(peer.way), "precision": peer.way.precision, "rates": peer.rates} for peer in peers]
        torch = peers[0].about["torch"]
    finally:
        for peer in peers:
            peer.close()
    return {"case": case.name, "batch": case.batch, "subnets": subnets, "ours": ours, "torch": torch, "tried": tried,
            "theirs": theirs, "floor": bench.floor(case, subnets)}


def row_of(result, precision):
    """What the table says of one precision. A bf16 row may take any of the peer's ways, an fp32 row those of fp32."""
    rivals = [way for way in result["theirs"] if way["precision"] in ("fp32", precision)]
    best = max(rivals, key=lambda way: statistics.median(way["rates"]))
    ours, theirs = statistics.median(result["ours"][precision]), statistics.median(best["rates"])
    row = {"case": result["case"], "precision": precision, "batch": result["batch"], "glowworm": ours, "torch": theirs,
           "way": best["way"], "ratio": ours / theirs}
    if result["floor"]:
        floor = result["floor"][precision]
        overlap, apart = floor["max_images_per_second"], floor["sum_images_per_second"]
        row |= {"floor_overlap": overlap, "share_overlap": ours / overlap, "floor_apart": apart, "share_apart": ours / apart}
    return row


HEAD = ["work", "precision", "batch", "Glowworm img/s", "PyTorch img/s (its fastest way)", "ratio"]
FLOOR_HEAD = ["floor, overlapping", "share", "floor, one after the other", "share"]


def head(device):
    cells = HEAD + (FLOOR_HEAD if device == "cpu" else [])
    return f"| {' | '.join(cells)} |\n|{'---|' * len(cells)}"


def markdown(row):
    cells = [row["case"], row["precision"], str(row["batch"]), f"{row['glowworm']:,.0f}",
             f"{row['torch']:,.0f} ({row['way']})", f"{row['ratio']:.2f}"]
    for floor in ("overlap", "apart") if "floor_overlap" in row else ():
        cells += [f"{row['floor_' + floor]:,.0f}", f"{100 * row['share_' + floor]:.0f} %"]
    return f"| {' | '.join(cells)} |"


class Results:
    """Finished cases in a file, each under what would make it another measurement."""

    def __init__(self, path):
        self.path, self.kept = path, {}
        if path and os.path.exists(path):
            with open(path) as stream:
                self.kept = json.load(stream)

    def get(self, key, take):
        if key not in self.kept:
            self.kept[key] = take()
            self.save()
        return self.kept[key]

    def save(self):
        if self.path:
            with open(self.path + ".new", "w") as stream:
                json.dump(self.kept, stream, indent=1)
            os.replace(self.path + ".new", self.path)


def read_arguments(words):
    parser = argparse.ArgumentParser(usage=__doc__[__doc__.index("usage:") + 7:])
    parser.add_argument("build")
    parser.add_argument("--python", default=os.path.join(ROOT, "build/peer/bin/python3"))
    parser.add_argument("--case", nargs="+", help="each a part of a case's name")
    parser.add_argument("--precision", nargs="+", choices=["fp32", "bf16"], default=["fp32", "bf16"])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--results")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--list", action="store_true", help="names the cases")
    args = parser.parse_args(words)
    args.build = os.path.abspath(args.build)
    args.results = args.results or os.path.join(args.build, "against_torch.json")
    args.command = [args.python, os.path.join(HERE, "torch_step.py")]
    return args


def can_compile(python):
    """Whether the peer's torch has a compiler; it must be there at all."""
    code = "import torch; print(hasattr(torch, 'compile'))"
    done = subprocess.run([python, "-c", code], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{python} has no torch: tests/bench/peer.sh makes build/peer")
    return done.stdout.strip() == "True"


def chosen(args):
    cases = CASES if args.device == "cpu" else GPU_CASES
    return [case for case in cases if not args.case or any(part in case.name for part in args.case)]


def run(args, cases):
    bench, results, rows = Bench(args.build, args.device, args.threads), Results(args.results), []
    settings = f"{bench.version()} {args.command[0]} {args.device} {args.threads} threads, {args.rounds} rounds of {args.seconds} s"
    for case in cases:
        key = f"{case.name} {' '.join(args.precision)}: {settings}"
        result = results.get(key, lambda case=case: measure_case(args, bench, case))
        rows += [row_of(result, precision) for precision in args.precision]
    return rows


def main():
    args = read_arguments(sys.argv[1:])
    if args.list:
        print("\n".join(case.name for case in (CASES if args.device == "cpu" else GPU_CASES)))
        return
    args.compiles = can_compile(args.python)
    rows = run(args, chosen(args))
    print(json.dumps(rows, indent=1) if args.json else "\n".join([head(args.device), *map(markdown, rows)]))


if __name__ == "__main__":
    main()
