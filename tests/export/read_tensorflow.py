#!/usr/bin/env python3
"""Reads the GraphDef of bundles with TensorFlow itself: each sample must give the logits that the supernet gave, within 1e-4 of
the largest, and probabilities that are their softmax. usage: read_tensorflow.py BUNDLE... (tests/tensorflow.sh installs it)"""
import json
import os
import sys

import numpy as np
import tensorflow as tf

TOLERANCE = 1e-4


def read(bundle, name):
    with open(os.path.join(bundle, name), "rb") as file:
        return file.read()


def pixels_of(bundle, sample, channels):
    return tf.io.decode_png(read(bundle, sample["file"]), channels=channels).numpy().astype(np.float64)


def answer(bundle, images):
    graph_def = tf.compat.v1.GraphDef()
    graph_def.ParseFromString(read(bundle, "network.pb"))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(graph_def, name="")
        return session.run(["logits:0", "probabilities:0"], {"input:0": images})


def one_by_one(bundle, images):
    """The placeholder has a batch of 1."""
    answers = [answer(bundle, image[None]) for image in images]
    return [np.concatenate([one[k].reshape(1, -1) for one in answers]) for k in range(2)]


def check(bundle):
    camera, samples = json.loads(read(bundle, "camera.json")), json.loads(read(bundle, "samples.json"))
    taken = camera["input"]
    pixels = np.stack([pixels_of(bundle, sample, taken["channels"]) for sample in samples])
    if taken["pixel_format"] == "BGR8":
        pixels = pixels[..., ::-1]
    logits, probabilities = one_by_one(bundle, ((pixels - taken["mean"]) / taken["scale"]).astype(np.float32))
    wanted = np.array([sample["logits"] for sample in samples])
    difference = np.abs(logits[:, :camera["classes"]] - wanted).max() / np.abs(wanted).max()
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    softmax = np.abs(probabilities - powers / powers.sum(axis=1, keepdims=True)).max()
    print(f"{bundle}: TensorFlow {tf.__version__}, {len(samples)} samples, logits within {difference:.1e} of the largest, "
          f"probabilities within {softmax:.1e}")
    return difference <= TOLERANCE and softmax <= 1e-5


def main():
    results = [check(bundle) for bundle in sys.argv[1:]]
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed, 0 skipped")
    return 0 if results and all(results) else 1


sys.exit(main())
