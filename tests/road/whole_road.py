#!/usr/bin/python3
"""The whole road on a small scale: images in, `glowworm run`, camera bundles out, read by OpenCV; then ten more
sub-networks compiled and read. usage: whole_road.py BUILD_FOLDER"""
import gzip
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile

SOURCE = "/usr/share/datasets/fashion-mnist"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
READER = os.path.join(ROOT, "tests/export/read_bundle.py")

CAMPAIGN = """
campaign: road
dataset: {{path: {data}, holdout: 400, augment: {{crop: 0.8, flip: yes, colour: no}}}}
space: {root}/configs/spaces/firefly-tiny.yaml
resolutions: [24, 28]
seed: 3
batch: {{global: 64, micro: 16}}
teacher: {{epochs: 2, rate: 0.1}}
shrink:
  schedule: ofa
  rows:
    kernel: {{epochs: 1, warmup: 0, rate: 0.05}}
    depth-1: {{epochs: 1, rate: 0.05}}
    depth-2: {{epochs: 1, warmup: 0, rate: 0.05}}
    width-1: {{epochs: 1, rate: 0.03}}
    width-2: {{epochs: 1, warmup: 0, rate: 0.03}}
evaluate: {{calibration_images: 400, every_epochs: 1}}
checkpoint: {{every: 5s, keep: 2}}
search:
  evaluations: 12
  targets:
    - {{name: small, device: firefly-dl, macs: 0.8M}}
    - {{name: best, device: firefly-dl, latency_ms: 19.45}}
compile: {{formats: [tensorflow, caffe, onnx]}}
resources: {{launcher: local, ranks: 2, threads: 1}}
"""


def run(*command, expect=0):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    if done.returncode != expect:
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}, expected {expect}\n{done.stdout}\n{done.stderr}")
    return done


def cut_idx(name, count, folder):
    """The first `count` items of one of Fashion-MNIST's files."""
    with gzip.open(os.path.join(SOURCE, name)) as file:
        data = file.read()
    dims = data[3]
    header = struct.unpack(f">{dims}I", data[4:4 + 4 * dims])
    item = 1
    for size in header[1:]:
        item *= size
    start = 4 + 4 * dims
    with open(os.path.join(folder, name[:-3]), "wb") as file:
        file.write(data[:4] + struct.pack(f">{dims}I", count, *header[1:]) + data[start:start + count * item])


def mixed_subnet(space, number):
    """A random sub-network of k, e and d mixed; number 0 and 1 are the ends of the space."""
    draw = random.Random(number)
    blocks, stages = space["blocks"], space["stages"]
    pick = {0: min, 1: max}.get(number, draw.choice)
    genes = {"k": [pick([3, 5, 7]) for _ in range(blocks)], "e": [pick([2, 3, 4]) for _ in range(blocks)],
             "d": [pick([1, 2, 3]) for _ in range(stages)]}
    return f"r={pick([24, 28])} " + " ".join(f"{key}={','.join(map(str, values))}" for key, values in genes.items())


def check_predict(glowworm, bundle):
    with open(os.path.join(bundle, "samples.json")) as file:
        samples = json.load(file)[:4]
    images = [os.path.join(bundle, sample["file"]) for sample in samples]
    answers = json.loads(run(glowworm, "predict", bundle, *images, "--json").stdout)
    for answer, sample in zip(answers, samples):
        expected = max(range(len(sample["logits"])), key=lambda k: sample["logits"][k])
        assert answer["class"] == expected, (answer, sample)


def main():
    build = os.path.abspath(sys.argv[1])
    glowworm = os.path.join(build, "bin", "glowworm")
    os.environ["PATH"] = os.path.join(build, "bin") + ":" + os.environ["PATH"]
    work = tempfile.mkdtemp(prefix="glowworm-road-")
    try:
        source, data, folder = (os.path.join(work, name) for name in ("source", "data", "run"))
        os.mkdir(source)
        for kind, count in (("train", 2000), ("t10k", 500)):
            cut_idx(f"{kind}-images-idx3-ubyte.gz", count, source)
            cut_idx(f"{kind}-labels-idx1-ubyte.gz", count, source)
        run(glowworm, "dataset", "import", source, data)
        campaign = os.path.join(work, "road.yaml")
        with open(campaign, "w") as file:
            file.write(CAMPAIGN.format(data=data, root=ROOT))
        run(glowworm, "plan", campaign, "--run-folder", folder)
        done = run(glowworm, "run", campaign, "--run-folder", folder)
        print(done.stdout)
        for target in ("small", "best"):
            assert f"bundles/{target}" in done.stdout, done.stdout
        assert os.path.getsize(os.path.join(folder, "report.html")) > 20000
        bundles = [os.path.join(folder, "bundles", target) for target in ("small", "best")]
        print(run(READER, *bundles).stdout)
        check_predict(glowworm, bundles[0])

        before = {name: os.path.getmtime(os.path.join(folder, name)) for name in ("report.html", "results/search.json")}
        run(glowworm, "run", campaign, "--run-folder", folder)
        assert before == {name: os.path.getmtime(os.path.join(folder, name)) for name in before}, "done twice"

        shape = {"blocks": 6, "stages": 2}
        device = os.path.join(work, "any.yaml")
        with open(os.path.join(ROOT, "configs/devices/firefly-dl.yaml")) as file:
            text = file.read()
        with open(device, "w") as file:
            file.write(text.replace("kernels: [3]", "kernels: [3, 5, 7]"))
        mixed = []
        for number in range(10):
            mixed.append(os.path.join(work, f"mixed-{number}"))
            run(glowworm, "compile", folder, "--subnet", mixed_subnet(shape, number), "--device", device, "--to",
                mixed[-1])
        print(run(READER, *mixed).stdout)
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
