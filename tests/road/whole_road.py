#!/usr/bin/python3
"""The whole road on a small scale: images in, `glowworm run`, camera bundles out, read by OpenCV; then ten more
sub-networks compiled and read. usage: whole_road.py BUILD_FOLDER"""
import json
import os
import random
import re
import shutil
import sys
import tempfile

from report_page import check_page
from road import ROOT, make_scene, run, use_build

TARGETS = ["small", "best"]
ESTIMATE = 1, 120  # seconds for all of it: before the first run the rate is assumed, not measured
PHASES = 6  # the teacher's and the five shrinking ones
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
    with open(os.path.join(bundle, "camera.json")) as file:
        camera = json.load(file)["input"]
    frames = [os.path.join(bundle, sample["raw"]) for sample in samples]  # of 10 bits, without a header
    raw = ["--raw", f"{camera['width']}x{camera['height']}", "--bits", "10"]
    for answer, frame in zip(answers, json.loads(run(glowworm, "predict", bundle, *frames, *raw, "--json").stdout)):
        assert frame["logits"] == answer["logits"], (frame, answer)
    network = os.path.join(bundle, "network.onnx")
    with open(network, "rb") as file:
        whole = file.read()
    with open(network, "wb") as file:
        file.write(whole[:-100])
    assert f"{network}: this is no ONNX file" in run(glowworm, "predict", bundle, images[0], expect=65).stderr
    with open(network, "wb") as file:
        file.write(whole)


def check_labels(glowworm, work, folder):
    """Training images that get another label are those that the network contradicts then, and no others anew."""
    sure = "--confidence", "0.5"  # it was not trained long
    def contradicted(name):
        found = json.loads(run(glowworm, "dataset", "check", os.path.join(work, name), "--run", folder, *sure, "--json").stdout)
        assert found["network"].startswith(folder) and found["images"] == 2500, found["network"]
        assert all(row["confidence"] >= 0.5 and row["class"] != row["predicted"] for row in found["mislabelled"])
        return {row["name"] for row in found["mislabelled"]}
    source = os.path.join(work, "relabelled")
    shutil.copytree(os.path.join(work, "source"), source)
    with open(os.path.join(source, "train-labels-idx1-ubyte"), "r+b") as file:
        file.seek(8)
        labels = file.read(100)
        file.seek(8)
        file.write(bytes((label + 1) % 10 for label in labels))
    run(glowworm, "dataset", "import", source, os.path.join(work, "relabelled-data"))
    anew = contradicted("relabelled-data") - contradicted("data")
    print(f"{len(anew)} of 100 images with another label are contradicted")
    assert len(anew) >= 10 and anew <= {f"train[{i}]" for i in range(100)}, anew


def check_check(glowworm, bundle, holdout):
    """In the camera's arithmetic, on what the run held out."""
    found = json.loads(run(glowworm, "check", bundle, "--json").stdout)
    assert found["passed"] and (found["images"], found["images_from"]) == (holdout, "hold-out"), found
    assert {files["format"] for files in found["formats"]} == {"tensorflow", "caffe", "onnx"}, found["formats"]
    assert max(files["difference"] for files in found["formats"]) <= 1e-5, found["formats"]
    assert found["arithmetics"]["fp16/fp32"]["same_answer"] >= 0.98 * holdout, found["arithmetics"]
    assert os.path.exists(os.path.join(bundle, "check.html"))


def results(folder, stage):
    with open(os.path.join(folder, "results", f"{stage}.json")) as file:
        return json.load(file)


def check_learning(folder):
    """What chance, a wrong label or a calibration gone astray would not give; the bounds bind and are met."""
    ends = {subnet["label"]: subnet for subnet in results(folder, "evaluate")["subnets"]}
    biggest, smallest = ends["biggest"], ends["smallest"]
    winners = {target["name"]: target for target in results(folder, "search")["targets"]}
    assert biggest["test"]["accuracy"] >= 0.65, biggest["test"]["accuracy"]
    assert smallest["test"]["accuracy"] >= max(0.5, biggest["test"]["accuracy"] - 0.25), smallest["test"]["accuracy"]
    for end in (biggest, smallest):
        assert abs(end["test"]["accuracy"] - end["holdout"]["accuracy"]) <= 0.1, end["label"]
    assert smallest["macs"] <= biggest["macs"] / 5
    small, best = (winners[name] for name in TARGETS)
    assert small["macs"] <= small["macs_max"], small
    assert best["latency_ms"] <= best["latency_ms_max"], best
    line = best["latency"]
    assert abs(line["fixed_ms"] + line["per_mmac_ms"] * best["macs"] / 1e6 - best["latency_ms"]) < 1e-6, best
    assert small["subnet"] != best["subnet"] and best["holdout_accuracy"] >= small["holdout_accuracy"], winners
    assert biggest["subnet"] not in (small["subnet"], best["subnet"])
    for winner in winners.values():
        assert winner["test"]["accuracy"] >= 0.5, winner["name"]


def check_table(said, folder):
    """The closing table says what results/search.json holds, and where the bundles lie."""
    row = re.compile(r"^(\S+) +([\d.]+) M +([\d.]+) ms +([\d.]+) % +([\d.]+) % +(\S+)\n +(r=.*)$", re.MULTILINE)
    rows = {match[1]: match.groups()[1:] for match in row.finditer(said)}
    for target in results(folder, "search")["targets"]:
        macs, latency, holdout, test, path, subnet = rows.pop(target["name"])
        numbers = (target["macs"] / 1e6, target["latency_ms"], 100 * target["holdout_accuracy"],
                   100 * target["test"]["accuracy"])
        for shown, number in zip((macs, latency, holdout, test), numbers):
            assert abs(float(shown) - number) <= 0.0051, (shown, number)
        assert os.path.isfile(os.path.join(path, "bundle.json")), path
        assert subnet == target["subnet"], subnet
    assert rows == {}, rows
    for end in ("biggest", "smallest"):
        assert re.search(rf"^{end} +[\d.]+ M +- +[\d.]+ % +[\d.]+ % +-$", said, re.MULTILINE), said


def check_plan(before, after):
    """Every stage has an estimate; together they are of a size that can be; nothing is left at the end."""
    assert all(stage["seconds_left"] > 0 for stage in before["stages"]), before["stages"]
    assert ESTIMATE[0] <= before["seconds_left"] <= ESTIMATE[1], before["seconds_left"]
    assert after["seconds_left"] == 0 and all(stage["state"] == "done" for stage in after["stages"]), after


def main():
    glowworm = use_build(sys.argv[1])
    work = tempfile.mkdtemp(prefix="glowworm-road-")
    try:
        folder = os.path.join(work, "run")
        campaign = make_scene(glowworm, work, 2000, 500, holdout=400, teacher_epochs=2, every="5s")
        plan = [glowworm, "plan", campaign, "--run-folder", folder, "--json"]
        before = json.loads(run(*plan).stdout)
        done = run(glowworm, "run", campaign, "--run-folder", folder)
        print(done.stdout)
        bundles = [os.path.join(folder, "bundles", target) for target in TARGETS]
        check_plan(before, json.loads(run(*plan).stdout))
        check_learning(folder)
        check_table(done.stdout, folder)
        check_page(folder, results(folder, "search"), bundles, PHASES)
        print(run(READER, "--expect", "onnx,tensorflow,caffe", "--samples", "32", *bundles).stdout)
        check_holdout(bundles)
        check_predict(glowworm, bundles[0])
        check_labels(glowworm, work, folder)
        for bundle in bundles:
            check_check(glowworm, bundle, 400)

        before = {name: os.path.getmtime(os.path.join(folder, name)) for name in ("report.html", "results/search.json")}
        run(glowworm, "run", campaign, "--run-folder", folder)
        assert before == {name: os.path.getmtime(os.path.join(folder, name)) for name in before}, "done twice"

        shape = {"blocks": 6, "stages": 2}
        device = os.path.join(work, "any.yaml")
        with open(os.path.join(ROOT, "configs/devices/firefly-dl-mono.yaml")) as file:
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
