"""Weights from outside, all the way: a .safetensors file written here from the golden formula goes
through `glowworm checkpoint import` and `glowworm evaluate`, and the logits must be those that the
reference implementation computed on the same weights (tests/golden).
usage: import_golden.py GLOWWORM"""
import json, math, pathlib, struct, subprocess, sys, tempfile
import numpy as np

GLOWWORM = sys.argv[1]
GOLDEN = {"mbv3": "tests/golden/data/ofa_mbv3_w1.0.json", "proxyless": "tests/golden/data/ofa_proxyless_w1.0.json"}
TOLERANCE = 1e-3  # of the largest logit: the reference computed in double precision


def unit(name, seed, count):
    """The formula's u in [-1, 1): SplitMix64 seeded by FNV-1a of the name."""
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = (state ^ byte) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(state ^ seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) / 2.0**53 * 2 - 1


def values_of(name, shape, seed):
    u = unit(name, seed, math.prod(shape)).reshape(shape)
    is_norm = ".bn." in name
    if name.endswith("_matrix"):
        return np.eye(shape[0]) + 0.05 * u
    if name.endswith("running_var"):
        return 1 + 0.2 * u
    if is_norm and name.endswith(".weight"):
        return 1 + 0.1 * u
    if len(shape) == 1:
        return 0.1 * u
    fan_in = math.prod(shape[1:])
    return math.sqrt((6 if len(shape) == 4 else 3) / fan_in) * u


def write_safetensors(path, tensors, counters):
    header, blobs, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, array in list(tensors.items()) + list(counters.items()):
        data = array.tobytes()
        kind = {"float32": "F32", "int64": "I64"}[str(array.dtype)]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [at, at + len(data)]}
        blobs.append(data)
        at += len(data)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


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
        write_safetensors(folder / "weights.safetensors", tensors, counters)
        report = json.loads(run("checkpoint", "import", folder / "weights.safetensors", "--space", space,
                                "--classes", golden["classes"], folder / "store", "--json"))
        if report["tensors"] != len(tensors) or not report["has_statistics"]:
            sys.exit(f"{space}: {len(tensors)} tensors given, {report}")
        run("checkpoint", "verify", folder / "store")
        shown = json.loads(run("checkpoint", "show", f"{folder / 'store'}@import", "--json"))
        if {t["name"]: t["shape"] for t in shown["tensors"]} != golden["tensors"]:
            sys.exit(f"{space}: the checkpoint's names or shapes are not the reference's")
        for index in range(len(golden["forward"])):
            check_forward(folder, golden, index)


for space, path in GOLDEN.items():
    check_space(space, path)
