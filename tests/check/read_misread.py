#!/usr/bin/python3
"""Reads the misread.pb of probes with OpenCV: it must give the logits of samples.json within 1e-4 of the largest.
usage: read_misread.py PROBE..."""
import json
import os
import sys

import cv2
import numpy as np


def main():
    for probe in sys.argv[1:]:
        with open(os.path.join(probe, "camera.json")) as file:
            camera = json.load(file)["input"]
        with open(os.path.join(probe, "samples.json")) as file:
            samples = json.load(file)
        network = cv2.dnn.readNetFromTensorflow(os.path.join(probe, "misread.pb"))
        for sample in samples:
            pixels = cv2.imread(os.path.join(probe, sample["file"]))  # blue, green, red, as the network takes them
            values = (pixels.astype(np.float64) - camera["mean"]) / camera["scale"]
            network.setInput(values.transpose(2, 0, 1)[None].astype(np.float32))
            found, expected = network.forward("logits").reshape(-1), np.array(sample["logits"])
            worst = np.abs(found - expected).max() / np.abs(expected).max()
            if not worst <= 1e-4:
                sys.exit(f"{probe}: {worst:.2e} of the largest logit")


if __name__ == "__main__":
    main()
