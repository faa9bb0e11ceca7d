/* Finds reads of activations that are no longer there. Buffers of a pass share memory
 * (memory_plan.h), so what is read behind a buffer's last moment may be right today and another map
 * tomorrow. Here a buffer becomes NaN when its last moment is over, and every one that does not
 * live yet is NaN when a pass begins: such a read then changes loss and gradients, which tests see.
 * On in programs built with GLOWWORM_POISON (debug and sanitizer builds), elsewhere every call
 * returns at once. Internal to the supernet's files. */
#ifndef TRAINER_SUPERNET_POISON_H
#define TRAINER_SUPERNET_POISON_H

#include "kernels/device.h"
#include "trainer/supernet/memory_plan.h"
#include <stdbool.h>

struct poison {
    struct device *device;  /* borrowed */
    char *memory;           /* device, borrowed: what the layout was handed out from */
    struct buffer *buffers; /* owned */
    int count;
    int now;    /* the moment that has begun */
    bool is_on; /* as this program was built; a test may say otherwise */
};

/* The layout has been placed. */
void poison_init(struct poison *poison, struct device *device,
                 const struct memory_plan *memory_plan, void *memory);
void poison_fini(struct poison *poison); /* accepts a zeroed one */

/* A pass begins, at moment 0. */
void poison_begin(struct poison *poison);
/* Moment `moment` begins: moments do not go back within a pass. */
void poison_until(struct poison *poison, int moment);

#endif
