"""Weights from outside, all the way: a .safetensors file written here from the golden formula goes
through `glowworm checkpoint import` and `glowworm evaluate`, and the logits must be those that the
reference implementation computed on the same weights (tests/golden).
usage: import_golden.py GLOWWORM"""
import json, math, pathlib, subprocess, sys, tempfile
import numpy as np
from reference_weights import unit, values_of, write_safetensors

GLOWWORM = sys.argv[1]
GOLDEN = {"mbv3": "tests/golden/data/ofa_mbv3_w1.0.json", "proxyless": "tests/golden/data/ofa_proxyless_w1.0.json"}
TOLERANCE = 1e-3  # of the largest logit: the reference computed in double precision


def run(*words):
    done = subprocess.run([GLOWWORM, *map(str, words)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"glowworm {' '.join(map(str, words))}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def subnet_text(subnet, resolution):
    lists = {"k": subnet["ks"], "e": subnet["e"], "d": subnet["d"]}
    return f"r={resolution} " + " ".join(f"{key}={','.join(map(str, value))}" for key, value in lists.items())


def check_forward(folder, golden, index):
    case = golden["forward"][index]
    resolution, batch = case["resolution"], case["batch"]
    shape = (batch, 3, resolution, resolution)
    images = unit("images", golden["seed"], math.prod(shape)).reshape(shape).astype(np.float32)
    np.save(folder / "images.npy", images)
    for mode in ("eval", "train"):
        run("evaluate", f"{folder / 'store'}@import", "--subnet", subnet_text(case["subnet"], resolution),
            "--input", folder / "images.npy", "--mode", mode, "--output", folder / "logits.npy")
        got, expected = np.load(folder / "logits.npy"), np.array(case[f"logits_{mode}"])
        if got.shape != expected.shape:
            sys.exit(f"logits of shape {got.shape}, expected {expected.shape}")
        error = abs(got - expected).max() / abs(expected).max()
        print(f"{golden['space']} case {index} {mode}: {error:.1e} of the largest logit")
        if not error <= TOLERANCE:
            sys.exit(f"  got {got[0]}\n  expected {expected[0]}")


def check_space(space, path):
    golden = json.loads(pathlib.Path(path).read_text())
    with tempfile.TemporaryDirectory(prefix="glowworm-test-") as name:
        folder = pathlib.Path(name)
        tensors = {key: values_of(key, shape, golden["seed"]).astype(np.float32)
                   for key, shape in golden["tensors"].items()}
        counters = {key.replace("running_mean", "num_batches_tracked"): np.array(5, dtype=np.int64)
                    for key in tensors if key.endswith("running_mean")}
        write_safetensors(folder / "weights.safetensors", {**tensors, **counters})
        report = json.loads(run("checkpoint", "import", folder / "weights.safetensors", "--space", space,
                                "--classes", golden["classes"], folder / "store", "--json"))
        if report["tensors"] != len(tensors) or not report["has_statistics"]:
            sys.exit(f"{space}: {len(tensors)} tensors given, {report}")
        run("checkpoint", "verify", folder / "store")
        shown = json.loads(run("checkpoint", "show", f"{folder / 'store'}@import", "--json"))
        if shown["trained"] != {"kernels": [3, 5, 7], "expansions": [3, 4, 6], "depths": [2, 3, 4]}:
            sys.exit(f"{space}: weights from elsewhere count as trained for everything, not {shown['trained']}")
        run("checkpoint", "import", folder / "weights.safetensors", "--space", space, "--classes", golden["classes"],
            "--trained", "k=5 e=4", folder / "store")
        if "k=5,7 e=4,6 d=4" not in run("checkpoint", "show", f"{folder / 'store'}@import"):
            sys.exit(f"{space}: --trained was not heard")
        if {t["name"]: t["shape"] for t in shown["tensors"]} != golden["tensors"]:
            sys.exit(f"{space}: the checkpoint's names or shapes are not the reference's")
        for index in range(len(golden["forward"])):
            check_forward(folder, golden, index)


for space, path in GOLDEN.items():
    check_space(space, path)
