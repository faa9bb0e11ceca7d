"""What the tests of whole commands share: the built programs, a cut of Fashion-MNIST, a small campaign."""
import gzip
import os
import struct
import subprocess
import sys

SOURCE = "/usr/share/datasets/fashion-mnist"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

CAMPAIGN = """
campaign: road
dataset: {{path: {data}, holdout: {holdout}, augment: {{crop: 0.8, flip: yes, colour: no}}}}
space: {root}/configs/spaces/firefly-tiny.yaml
resolutions: [24, 28]
seed: 3
batch: {{global: 64, micro: 16}}
teacher: {{epochs: {teacher_epochs}, rate: 0.1}}
shrink:
  schedule: ofa
  rows:
    kernel: {{epochs: 1, warmup: 0, rate: 0.05}}
    depth-1: {{epochs: 1, rate: 0.05}}
    depth-2: {{epochs: 1, warmup: 0, rate: 0.05}}
    width-1: {{epochs: 1, rate: 0.03}}
    width-2: {{epochs: 1, warmup: 0, rate: 0.03}}
evaluate: {{calibration_images: 400, every_epochs: 1}}
checkpoint: {{every: {every}, keep: 2}}
search:
  evaluations: 12
  targets:
    - {{name: small, device: firefly-dl-mono, macs: 0.36M}}
    - {{name: best, device: firefly-dl-mono, latency_ms: 19.45}}
compile: {{formats: [tensorflow, caffe, onnx]}}
resources: {{launcher: local, ranks: 2, threads: 1}}
"""


def use_build(folder):
    """Puts the build's programs in front of the PATH; returns the path of glowworm."""
    binaries = os.path.join(os.path.abspath(folder), "bin")
    os.environ["PATH"] = binaries + ":" + os.environ["PATH"]
    return os.path.join(binaries, "glowworm")


def run(*command, expect=0):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=600)
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


def make_scene(glowworm, work, train, test, **numbers):
    """Imports so many images into WORK/data and writes WORK/road.yaml; returns the campaign's path."""
    source, data, campaign = (os.path.join(work, name) for name in ("source", "data", "road.yaml"))
    os.mkdir(source)
    for kind, count in (("train", train), ("t10k", test)):
        cut_idx(f"{kind}-images-idx3-ubyte.gz", count, source)
        cut_idx(f"{kind}-labels-idx1-ubyte.gz", count, source)
    run(glowworm, "dataset", "import", source, data)
    with open(campaign, "w") as file:
        file.write(CAMPAIGN.format(data=data, root=ROOT, **numbers))
    return campaign
