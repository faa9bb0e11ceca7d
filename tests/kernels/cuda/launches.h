/* What the launches of an emulated GPU did with memory (tests/support/cuda/emulator.h,
 * GPU_EMULATOR_REPORT), added up. */
#ifndef TESTS_KERNELS_CUDA_LAUNCHES_H
#define TESTS_KERNELS_CUDA_LAUNCHES_H

#include "kernels/device.h"

struct launches {
    int count;
    double loaded_bytes, stored_bytes;        /* what threads asked for */
    double shared_accesses, shared_passes;    /* without bank conflicts, and with them */
    double read_bytes, written_bytes;         /* of all memory, whole sectors, each block's */
    double map_read_bytes, map_written_bytes; /* of the maps that were named */
    double map_once_bytes;                    /* of them, touched at all by a launch */
    double map_sector_bytes, map_used_bytes;  /* sectors of warps, and what of them was used */
};

/* Launches from here on are written down. */
void launches_begin(void);
/* Waits for the device; what was launched since the begin. maps: (count) addresses that allocations
 * begin with. */
void launches_end(struct device *device, void *const *maps, int count, struct launches *launches);

#endif
