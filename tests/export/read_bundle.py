#!/usr/bin/python3
"""Reads bundles with OpenCV's dnn module, which knows nothing of Glowworm: every format must give the logits the
supernet gave, within 1e-4 of the largest. usage: read_bundle.py [--expect FORMAT,...] [--samples N] BUNDLE... (prints a
line each; exit 1 on a difference, or when the formats or the number of samples are not the expected ones)"""
import argparse
import json
import os
import sys

import cv2
import numpy as np

TOLERANCE = 1e-4


def read_samples(bundle):
    with open(os.path.join(bundle, "camera.json")) as file:
        camera = json.load(file)["input"]
    with open(os.path.join(bundle, "samples.json")) as file:
        samples = json.load(file)
    flag = cv2.IMREAD_GRAYSCALE if camera["channels"] == 1 else cv2.IMREAD_COLOR
    for sample in samples:
        pixels = cv2.imread(os.path.join(bundle, sample["file"]), flag)
        if camera["channels"] == 1:
            pixels = pixels[:, :, None]
        elif camera["pixel_format"] != "BGR8":  # which is what OpenCV reads
            pixels = pixels[:, :, ::-1]
        values = (pixels.astype(np.float64) - camera["mean"]) / camera["scale"]
        yield values.transpose(2, 0, 1)[None].astype(np.float32), np.array(sample["logits"])


def open_networks(bundle):
    """(format, network, name of the logits) of everything in the folder."""
    path = lambda name: os.path.join(bundle, name)
    yield "onnx", cv2.dnn.readNetFromONNX(path("network.onnx")), "logits"
    if os.path.exists(path("network.pb")):
        yield "tensorflow", cv2.dnn.readNetFromTensorflow(path("network.pb")), "logits"
    if os.path.exists(path("network.prototxt")):
        yield "caffe", cv2.dnn.readNetFromCaffe(path("network.prototxt"), path("network.caffemodel")), "logits"


def read_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--expect", help="the formats there must be, and no others: onnx,tensorflow,caffe")
    parser.add_argument("--samples", type=int, help="how many there must be")
    parser.add_argument("bundles", nargs="+")
    return parser.parse_args()


def check_lists(bundle, formats, samples, arguments):
    """What bundle.json says of its formats, samples and labels, against what was found."""
    with open(os.path.join(bundle, "bundle.json")) as file:
        listed = json.load(file)
    with open(os.path.join(bundle, "labels.txt")) as file:
        labels = file.read().splitlines()
    with open(os.path.join(bundle, "camera.json")) as file:
        camera = json.load(file)
    assert camera["classes"] == samples[0][1].size, f"{bundle}: {camera['classes']} classes for {samples[0][1].size} logits"
    assert len(labels) == camera["outputs"], f"{bundle}: {len(labels)} labels for {camera['outputs']} outputs"
    assert all(label.startswith("(unused") for label in labels[camera["classes"]:]), f"{bundle}: {labels}"
    assert listed["samples"] == len(samples) == (arguments.samples or len(samples)), f"{bundle}: {len(samples)} samples"
    refused = {refusal["format"]: refusal["reason"] for refusal in listed["refused"]}
    assert not refused.keys() & set(formats) and all(refused.values()), f"{bundle} refused {refused}"
    if arguments.expect:
        assert sorted(formats) == sorted(arguments.expect.split(",")), f"{bundle}: {formats}, refused {refused}"


def main():
    failures = 0
    arguments = read_arguments()
    for bundle in arguments.bundles:
        samples = list(read_samples(bundle))
        networks = list(open_networks(bundle))
        check_lists(bundle, [form for form, _, _ in networks], samples, arguments)
        for form, network, output in networks:
            worst = 0.0
            for image, expected in samples:
                network.setInput(image)
                logits = network.forward(output).reshape(-1)
                worst = max(worst, np.abs(logits[: expected.size] - expected).max() / np.abs(expected).max())
                assert (logits[expected.size :] == -100).all(), f"{bundle} {form}: {logits}"
            verdict = "ok" if worst <= TOLERANCE else "DIFFERS"
            failures += worst > TOLERANCE
            print(f"{bundle} {form}: {verdict}, {worst:.2e} of the largest logit over {len(samples)} images")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
