/* The loader: threads that stay ahead of training and turn records into what a device makes a batch
 * of: u8 pixels, cut out and averaged down, and the numbers of their crops, in pinned memory. What
 * the device makes of them is a function of (seed, epoch, step, record) alone, never of threads or
 * ranks; in which order the pixels lie is not. One consumer thread per loader, the one that calls
 * the device. */
#ifndef TRAINER_DATA_LOADER_H
#define TRAINER_DATA_LOADER_H

#include "kernels/device.h"
#include "trainer/data/augment.h"
#include "trainer/data/dataset.h"

struct batch { /* one micro-batch, borrowed until loader_release */
    int N, resolution, C;
    const void *pinned;          /* host: crops, labels and pixels, for one upload */
    size_t size_bytes;           /* of it */
    size_t labels_at, pixels_at; /* in it, in bytes; the crops lie in front */
    int32_t *labels;             /* host (N), in it */
    uint32_t *records;           /* host (N) */
    struct event *uploaded; /* whoever uploads without waiting records it behind the upload: pinned
                               memory is not written again before it has passed */
};

struct loader_cfg {
    struct device *device;         /* borrowed: its pinned memory and events */
    const struct dataset *dataset; /* borrowed */
    const uint32_t *records;       /* (count) borrowed: the split */
    uint32_t count;
    uint64_t seed;
    enum geometry geometry;            /* in evaluation; augment has its own */
    const struct augment_cfg *augment; /* NULL: evaluation */
    int threads;                       /* >= 1 */
    int max_batch, max_resolution;
};

/* What the consumer will ask for next, in order: a plan of micro-batches. */
struct batch_request {
    uint64_t epoch; /* for the augmentation's draws */
    int resolution;
    int N;
    uint32_t *positions; /* (N) indices into `records`; copied by loader_ask */
};

struct loader;
MUST_CHECK enum err loader_create(const struct loader_cfg *cfg, struct loader **loader);
void loader_destroy(struct loader **loader); /* accepts NULL; stops within a few images */

#define LOADER_QUEUE   8  /* requests asked and not yet taken */
#define LOADER_BATCHES 12 /* queued, or taken and not yet released */

/* Queues a request; threads start on it at once. Memory for a batch is allocated when as many
 * batches are queued or held for the first time (ERR_MEMORY), and never again. ERR_AGAIN:
 * LOADER_QUEUE requests are queued (the one consumer must take first: waiting would be for ever) or
 * LOADER_BATCHES batches are out. ERR_CONFIG: a bigger batch, resolution or position than agreed.
 */
MUST_CHECK enum err loader_ask(struct loader *loader, const struct batch_request *request);
/* The oldest request's batch, waiting for it if need be. ERR_DATA names the first record that
 * cannot be decoded, and the dataset; the request is then done with, and the next one can be taken.
 */
MUST_CHECK enum err loader_take(struct loader *loader, struct batch *batch);
/* Whether there is a batch to take, without an error, that nobody would wait for. */
bool loader_is_ready(struct loader *loader);
void loader_release(struct loader *loader, struct batch *batch); /* accepts a zeroed batch */

/* Bytes of the largest batch. */
size_t loader_batch_bytes(const struct loader *loader);
/* What image_forward makes of a batch whose pinned bytes lie at `uploaded` in device memory, and
 * where its labels (N) are there. Of the batch only sizes and places are looked at: it may have
 * been released, and its loader destroyed. */
struct image_batch loader_image_batch(const struct dataset_info *info, const struct batch *batch,
                                      const void *uploaded);
const int32_t *loader_labels(const struct batch *batch, const void *uploaded);

/* The permutation of an epoch: order[0..count) (mem_array'd by the caller), rng_permute(seed,
 * RNG_SHUFFLE, epoch). */
void loader_shuffle(uint64_t seed, uint64_t epoch, uint32_t count, uint32_t *order);

#endif
