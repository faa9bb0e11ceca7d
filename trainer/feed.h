/* Keeps a loader ahead of one rank: the micro-batches it will need, in order, asked for before they
 * are needed, with pixels and labels where the device reads them. The loader is the feed's own. One
 * thread. */
#ifndef TRAINER_FEED_H
#define TRAINER_FEED_H

#include "kernels/device.h"
#include "trainer/data/loader.h"

#define FEED_AHEAD 6 /* fewer than the loader queues, so that asking never waits */

struct feed_cfg {
    struct device *device;    /* borrowed */
    struct loader_cfg loader; /* max_batch and max_resolution count here too */
    uint64_t first, end;      /* requests to come */
    int ahead;                /* batches prepared before they are taken; at most FEED_AHEAD */
    void *own;
    /* Request number `index`: epoch, resolution, N and positions (room for max_batch). Called in
     * order. */
    void (*fill)(void *own, uint64_t index, struct batch_request *request);
};

struct fed {               /* borrowed until feed_release */
    const float *images;   /* device (N,R,R,C) */
    const int32_t *labels; /* device (N) */
    struct batch host;     /* the same, and records, in host memory */
};

struct feed;
/* ERR_MEMORY, and what loader_create says. Returns owned. */
MUST_CHECK enum err feed_create(const struct feed_cfg *cfg, struct feed **feed);
void feed_destroy(struct feed **feed); /* accepts NULL */

MUST_CHECK enum err feed_take(struct feed *feed, struct fed *fed);
void feed_release(struct feed *feed, struct fed *fed);

#endif
