#!/usr/bin/python3
"""Makes class folders of synthetic JPEGs as detailed as photographs (1/f spectrum), for the import
and loader measurements: make_pictures.py FOLDER COUNT HEIGHT WIDTH [CLASSES]."""
import os
import sys

import cv2
import numpy


def picture(rng, height, width):
    """Three correlated channels with an amplitude spectrum of 1/f."""
    rows = numpy.fft.fftfreq(height)[:, None]
    columns = numpy.fft.rfftfreq(width)[None, :]
    fall = 1.0 / numpy.maximum(numpy.hypot(rows, columns), 1.0 / max(height, width))
    planes = []
    for _ in range(3):
        phase = rng.uniform(0, 2 * numpy.pi, fall.shape)
        planes.append(numpy.fft.irfft2(fall * numpy.exp(1j * phase), s=(height, width)))
    common, *own = planes
    image = numpy.stack([common + 0.25 * plane for plane in (own[0], own[1], -own[0])], axis=-1)
    return numpy.clip(128 + 48 * image / image.std(), 0, 255).astype(numpy.uint8)


def main():
    folder, count, height, width = sys.argv[1], *map(int, sys.argv[2:5])
    classes = int(sys.argv[5]) if len(sys.argv) > 5 else 10
    rng = numpy.random.default_rng(1)
    for i in range(count):
        name = os.path.join(folder, f"class{i % classes:02d}", f"{i:06d}.jpg")
        os.makedirs(os.path.dirname(name), exist_ok=True)
        cv2.imwrite(name, picture(rng, height, width), [cv2.IMWRITE_JPEG_QUALITY, 90])


main()
