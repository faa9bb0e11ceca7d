/* A CPU device of bf16 maps behind the face of one of fp32 maps, so that suites written in floats
 * hold both: each operation narrows the maps and convolution weights it reads, computes, and widens
 * what was written. A value that bf16 does not hold is a mistake of the test and ends the process.
 * Traffic is counted as if maps were fp32. One thread. */
#ifndef TESTS_KERNELS_NARROW_DEVICE_H
#define TESTS_KERNELS_NARROW_DEVICE_H

#include "kernels/device.h"

/* Takes the device and changes its face; device_close() closes it. */
void narrow_device_wrap(struct device *device);

uint16_t narrow_value(float value); /* to nearest, ties to even */
float narrow_widened(uint16_t value);

#endif
