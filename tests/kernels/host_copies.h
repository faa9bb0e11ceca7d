/* The arrays of one operation, as the device of a test has them: a map that bf16 holds becomes one
 * of bf16, and where the device's memory is not the host's, every array is uploaded to a block of
 * exactly its size, and comes back when the operation is done. What an operation only writes
 * arrives full of NaN. An array that is named twice stays one. One thread.
 *
 *     struct host_copies copies = {.of = ...};
 *     float *y = copies_array(&copies, COPY_OUT, host_y, count * sizeof *y);
 *     operation(..., y);
 *     copies_end(&copies);
 */
#ifndef TESTS_KERNELS_HOST_COPIES_H
#define TESTS_KERNELS_HOST_COPIES_H

#include "kernels/device.h"

struct copied_device { /* how it is itself, behind its face */
    const struct device_ops *ops;
    size_t map_bytes;
    bool is_host; /* computes in the host's memory */
};

enum copy_way { COPY_IN = 1, COPY_OUT = 2, COPY_IN_OUT = 3 };

struct host_copy {
    void *host;
    void *at; /* as the operation gets it; owned */
    size_t count, item_bytes;
    bool is_narrow, is_on_device;
    unsigned way;
};

struct host_copies {
    struct device *device;
    const struct copied_device *of;
    struct host_copy *all; /* (count) */
    int count, room;
};

/* What the device has of these bytes; NULL of NULL. On a device that an earlier operation left an
 * error on it is memory of the host: nothing runs there, and what would be written comes back as
 * NaN. */
void *copies_array(struct host_copies *copies, unsigned way, const void *host, size_t size_bytes);
/* Of a map, floats for the test. A value that bf16 does not hold is a mistake of the test and ends
 * the process. */
void *copies_map(struct host_copies *copies, unsigned way, const void *floats, size_t count);
/* Brings back what was written, and frees everything. */
void copies_end(struct host_copies *copies);

uint16_t narrow_value(float value); /* to the nearest bf16, ties to even */
float narrow_widened(uint16_t value);

#endif
