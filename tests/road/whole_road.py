#!/usr/bin/python3
"""The whole road on a small scale: images in, `glowworm run`, camera bundles out, read by OpenCV; then ten more
sub-networks compiled and read. usage: whole_road.py BUILD_FOLDER"""
import json
import os
import random
import shutil
import sys
import tempfile

from road import ROOT, make_scene, run, use_build

READER = os.path.join(ROOT, "tests/export/read_bundle.py")


def mixed_subnet(space, number):
    """A random sub-network of k, e and d mixed; numbers 0 and 1 are the ends of the space."""
    draw = random.Random(number)
    blocks, stages = space["blocks"], space["stages"]
    pick = {0: min, 1: max}.get(number, draw.choice)
    genes = {"k": [pick([3, 5, 7]) for _ in range(blocks)], "e": [pick([2, 3, 4]) for _ in range(blocks)],
             "d": [pick([1, 2, 3]) for _ in range(stages)]}
    return f"r={pick([24, 28])} " + " ".join(f"{key}={','.join(map(str, values))}" for key, values in genes.items())


def check_holdout(bundles):
    """Samples are different held-out images, the same for every target."""
    found = []
    for bundle in bundles:
        with open(os.path.join(bundle, "bundle.json")) as file:
            listed = json.load(file)
        with open(os.path.join(bundle, "samples.json")) as file:
            records = [sample["record"] for sample in json.load(file)]
        assert listed["sample_split"] == "holdout" and listed["refused"] == [], listed
        assert len(set(records)) == len(records) and max(records) < 2000, records
        found.append(records)
    assert found[0] == found[1], found


def check_predict(glowworm, bundle):
    with open(os.path.join(bundle, "samples.json")) as file:
        samples = json.load(file)[:4]
    images = [os.path.join(bundle, sample["file"]) for sample in samples]
    answers = json.loads(run(glowworm, "predict", bundle, *images, "--json").stdout)
    for answer, sample in zip(answers, samples):
        expected = max(range(len(sample["logits"])), key=lambda k: sample["logits"][k])
        assert answer["class"] == expected, (answer, sample)


def main():
    glowworm = use_build(sys.argv[1])
    work = tempfile.mkdtemp(prefix="glowworm-road-")
    try:
        folder = os.path.join(work, "run")
        campaign = make_scene(glowworm, work, 2000, 500, holdout=400, teacher_epochs=2, every="5s")
        run(glowworm, "plan", campaign, "--run-folder", folder)
        done = run(glowworm, "run", campaign, "--run-folder", folder)
        print(done.stdout)
        for target in ("small", "best"):
            assert f"bundles/{target}" in done.stdout, done.stdout
        assert os.path.getsize(os.path.join(folder, "report.html")) > 20000
        bundles = [os.path.join(folder, "bundles", target) for target in ("small", "best")]
        print(run(READER, "--expect", "onnx,tensorflow,caffe", "--samples", "32", *bundles).stdout)
        check_holdout(bundles)
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
        for number in range(12):  # the ends and ten mixed ones
            mixed.append(os.path.join(work, f"mixed-{number}"))
            run(glowworm, "compile", folder, "--subnet", mixed_subnet(shape, number), "--device", device, "--to",
                mixed[-1])
        print(run(READER, "--expect", "onnx,tensorflow,caffe", "--samples", "32", *mixed).stdout)
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
