/* Any device behind the face of one that computes on fp32 maps in the host's memory, so that suites
 * written in floats hold all of them: around each operation host_copies.h brings the arrays to the
 * device and back. Traffic is counted as if maps were fp32. One thread. */
#ifndef TESTS_KERNELS_HOST_FACE_H
#define TESTS_KERNELS_HOST_FACE_H

#include "kernels/device.h"

/* Takes the device and changes its face, where it needs one; device_close() closes it. A process
 * does so with one kind of device. */
void host_face_wrap(struct device *device);

#endif
