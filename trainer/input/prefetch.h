/* Keeps a loader ahead of one rank: the micro-batches it will need, in order, asked for before they
 * are needed, with images and labels where the device reads them. What the loader holds is uploaded
 * as it is, and the device makes the images; nobody waits. The loader is the prefetch's own. One
 * thread, the device's. */
#ifndef TRAINER_INPUT_PREFETCH_H
#define TRAINER_INPUT_PREFETCH_H

#include "kernels/device.h"
#include "trainer/data/loader.h"
#include "trainer/gang/work.h"

#define PREFETCH_AHEAD 6 /* fewer than the loader queues, so that asking never waits */

struct prefetch_cfg {
    struct device *device;    /* borrowed */
    struct loader_cfg loader; /* max_batch and max_resolution count here too; its device is ours */
    uint64_t first, end;      /* requests to come */
    int ahead;                /* batches prepared before they are taken; at most PREFETCH_AHEAD */
    struct rank_work *work;   /* borrowed: shows that it waits for the loader; NULL: nobody looks */
    void *images; /* device: room for the largest batch's map. NULL: of the prefetch's own */
    void *own;
    /* Request number `index`: epoch, resolution, N and positions (room for max_batch). Called in
     * order. */
    void (*fill)(void *own, uint64_t index, struct batch_request *request);
};

struct prefetched { /* borrowed until prefetch_release; device memory until the next prefetch_take
                       or prefetch_ahead */
    const void *images;    /* device map (N,R,R,C), normalised */
    const int32_t *labels; /* device (N) */
    const void *uploaded;  /* device: what they were made of, as loader_image_batch() reads it */
    struct batch host;     /* labels and records in host memory */
};

struct prefetch;
/* The first `ahead` requests are asked for at once. ERR_MEMORY, and what loader_create says.
 * Returns owned. */
MUST_CHECK enum err prefetch_create(const struct prefetch_cfg *cfg, struct prefetch **prefetch);
void prefetch_destroy(struct prefetch **prefetch); /* accepts NULL */

MUST_CHECK enum err prefetch_take(struct prefetch *prefetch, struct prefetched *prefetched);
void prefetch_release(struct prefetch *prefetch, struct prefetched *prefetched);
/* Uploads what will be taken next, if the loader has it by now: to call when all is queued that
 * reads the batch taken last, and before somebody waits for the device. What is taken stays the
 * same. */
void prefetch_ahead(struct prefetch *prefetch);

#endif
