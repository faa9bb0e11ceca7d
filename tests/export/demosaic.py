#!/usr/bin/python3
"""Holds a raw frame that was read back against OpenCV's bilinear interpolation of the same mosaic, away from the border.
usage: demosaic.py FRAME.raw PIXELS.rgb HEIGHT WIDTH (exit 1 on a difference)"""
import sys

import cv2
import numpy as np


def main():
    frame, pixels, height, width = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    words = np.fromfile(frame, "<u2").reshape(height, width)
    found = np.fromfile(pixels, np.uint8).reshape(height, width, 3)
    # OpenCV names a mosaic after its second row's second and third pixel: BG is red, green at the top left
    expected = cv2.cvtColor((words >> 2).astype(np.uint8), cv2.COLOR_BayerBG2RGB)
    inside = (slice(1, -1), slice(1, -1))
    print("differences inside:", np.count_nonzero(found[inside] != expected[inside]))
    return 1 if (found[inside] != expected[inside]).any() else 0


if __name__ == "__main__":
    sys.exit(main())
