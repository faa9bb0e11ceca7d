#!/usr/bin/env python3
"""The suites that run on the emulated GPU, as CTest has them in a build: what run.sh runs on a card. Prints a line for
each: name, program, words behind it, variables of its environment but for the device and its folder, tabs between them.
usage: suites.py BUILD_FOLDER"""
import json
import os
import subprocess
import sys

EMULATED = "GLOWWORM_TEST_DEVICE=cuda-emulated"
OF_THE_EMULATOR = ("GLOWWORM_TEST_DEVICE=", "GLOWWORM_DEVICES=", "GLOWWORM_NCCL=", "GPU_EMULATOR_")


def environment(test):
    for one in test.get("properties", []):
        if one["name"] == "ENVIRONMENT":
            return one["value"]
    return []


def main():
    build = os.path.abspath(sys.argv[1])
    shown = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], stdout=subprocess.PIPE, check=True, text=True)
    for test in json.loads(shown.stdout)["tests"]:
        variables = environment(test)
        if EMULATED not in variables or "command" not in test or any(one.startswith("GLOWWORM_NCCL=") for one in variables):
            continue
        program, *words = test["command"]
        kept = [one for one in variables if not one.startswith(OF_THE_EMULATOR)]
        print(test["name"], os.path.relpath(program, build), " ".join(words), " ".join(kept), sep="\t")


if __name__ == "__main__":
    main()
