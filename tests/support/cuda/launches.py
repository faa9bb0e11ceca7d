#!/usr/bin/env python3
"""What launches did with memory, of a report that the emulated GPU wrote (emulator.h): a line for each kernel's biggest
launch, and beneath it the allocations that it used most. MB are 10^6 bytes.
usage: GPU_EMULATOR_REPORT=PATH PROGRAM...; tests/support/cuda/launches.py PATH [--all]   (--all: every launch)"""
import json
import sys


def share(part, whole):
    return f"{part / whole:.2f}" if whole else "-"


def print_launch(launch, times):
    size = "x".join(str(n) for n in launch["grid"]) + " of " + "x".join(str(n) for n in launch["block"])
    print(f"{launch['kernel']}: {times} launches, {size}, {launch['shared']} bytes shared; "
          f"{launch['loaded'] / 1e6:.3f} MB loaded, {launch['stored'] / 1e6:.3f} stored; "
          f"{share(launch['used'], launch['sectors'])} of sectors used; "
          f"{share(launch['shared_passes'], launch['shared_accesses'])} turns of the banks an access")
    memory = sorted(launch["memory"], key=lambda m: -m["loaded"] - m["stored"])
    for used in memory[:6]:
        parts = [f"{what} {used[what] / 1e6:.3f}" for what in ("loaded", "read", "read_once", "stored", "written",
                                                              "written_once") if used[what]]
        print(f"    {used['size'] / 1e6:.3f} MB: {', '.join(parts)}; {share(used['used'], used['sectors'])} of sectors used")


def main():
    paths = [argument for argument in sys.argv[1:] if argument != "--all"]
    if len(paths) != 1:
        sys.exit(__doc__)
    with open(paths[0], encoding="utf-8") as file:
        launches = [json.loads(line) for line in file]
    if "--all" in sys.argv:
        for launch in launches:
            print_launch(launch, 1)
        return
    kernels = {}
    for launch in launches:
        kernels.setdefault(launch["kernel"], []).append(launch)
    for of_kernel in kernels.values():
        print_launch(max(of_kernel, key=lambda launch: launch["loaded"] + launch["stored"]), len(of_kernel))


if __name__ == "__main__":
    main()
