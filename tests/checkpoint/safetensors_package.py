"""The Python package `safetensors` reads what `glowworm checkpoint export` writes, and writes what `glowworm checkpoint
import` reads, to the bit. Ends with 77 where the package is not there. usage: safetensors_package.py GLOWWORM"""
import glob
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from reference_weights import values_of, write_safetensors

sys.path[1:1] = glob.glob("build/python/lib/python3*/site-packages")  # cluster/setup.sh --tests makes it
try:
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file
except ImportError as trouble:
    print(f"skipped: {trouble}; \"cluster/setup.sh --tests\" installs it")
    sys.exit(77)

GLOWWORM = sys.argv[1]
GOLDEN = json.loads(pathlib.Path("tests/golden/data/ofa_proxyless_w1.0.json").read_text())


def run(*words):
    done = subprocess.run([GLOWWORM, "checkpoint", *map(str, words)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{words}: exit {done.returncode}\n{done.stderr}")


def check(path, given):
    found = load_file(path)
    if set(found) != set(given):
        sys.exit(f"{path}: other names: {sorted(set(found) ^ set(given))}")
    for name, array in given.items():
        if found[name].dtype != np.float32 or found[name].shape != array.shape:
            sys.exit(f"{path}: {name} is {found[name].dtype} {found[name].shape}, expected {array.shape}")
        if found[name].tobytes() != array.tobytes():
            sys.exit(f"{path}: {name} has other bits")


with tempfile.TemporaryDirectory(prefix="glowworm-test-") as name:
    folder = pathlib.Path(name)
    tensors = {key: values_of(key, shape, GOLDEN["seed"]).astype(np.float32) for key, shape in GOLDEN["tensors"].items()}
    write_safetensors(folder / "given.safetensors", tensors)
    options = ("--space", "proxyless", "--classes", GOLDEN["classes"])
    run("import", folder / "given.safetensors", *options, folder / "store")
    run("export", folder / "store@import", folder / "ours.safetensors")
    check(folder / "ours.safetensors", tensors)
    with safe_open(folder / "ours.safetensors", "np") as file:
        if file.metadata()["classes"] != str(GOLDEN["classes"]):
            sys.exit(f"metadata: {file.metadata()}")
    save_file(load_file(folder / "ours.safetensors"), folder / "theirs.safetensors")
    run("import", folder / "theirs.safetensors", *options, folder / "back")
    run("diff", folder / "store@import", folder / "back@import")
