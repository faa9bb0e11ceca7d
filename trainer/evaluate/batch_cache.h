/* Batches that are walked over again for every sub-network, kept in device memory within one budget
 * for all the lists and resolutions of a rank (trainer/evaluate/eval_batches.h). An album is one
 * list at one resolution; its first batches are kept, as many as fit, the rest is loaded at every
 * walk.
 *
 * As what: as maps, ready to be computed, while the whole album fits so beside what is kept
 * already; as the loader had it otherwise, u8 pixels and the numbers of their crops, of which the
 * device makes the images again at every walk.
 *
 * Who stays: the batches of the resolution that is walked push out those of others, the album that
 * was walked longest ago first, its last batch first. Those of one resolution never push out each
 * other: calibration and hold-out are walked in turn, and of two that push each other out neither
 * is ever found.
 *
 * The same bits whatever is kept, and as what. One thread, the device's. */
#ifndef TRAINER_EVALUATE_BATCH_CACHE_H
#define TRAINER_EVALUATE_BATCH_CACHE_H

#include "trainer/input/prefetch.h"

struct batch_cache_cfg {
    struct device *device;         /* borrowed */
    const struct dataset *dataset; /* borrowed: of every list */
    size_t budget_bytes;           /* of device memory; 0: nothing is kept */
};

struct batch_cache;
struct batch_cache *batch_cache_create(const struct batch_cache_cfg *cfg); /* returns owned */
void batch_cache_destroy(struct batch_cache **cache);                      /* accepts NULL */
size_t batch_cache_bytes(const struct batch_cache *cache); /* kept now: at most the budget */

/* The number of a list of images: no two have the same. */
int batch_cache_list(struct batch_cache *cache);

/* Device map of a batch of N images of R x R that was not kept as one; borrowed until a larger one
 * is asked for. ERR_MEMORY. */
MUST_CHECK enum err batch_cache_images(struct batch_cache *cache, int N, int R, void **images);

struct album_key {
    int list, resolution;
    int batches, max_batch; /* of this rank; images in one of them at most */
};

struct album;
/* Begins a walk: whatever is kept of the album stays until that of another resolution begins.
 * Borrowed from the cache until then. */
struct album *batch_cache_album(struct batch_cache *cache, const struct album_key *key);
int album_count(const struct album *album); /* batches kept: 0..count-1 of the list */

/* The next batch of the list behind those that are kept. *is_kept false: there is no room, and none
 * behind it may be kept. ERR_MEMORY. */
MUST_CHECK enum err batch_cache_keep(struct batch_cache *cache, struct album *album,
                                     const struct prefetched *prefetched, bool *is_kept);
/* Batch `index` of those kept, its images in the map of batch_cache_images(), which has been asked
 * for, where it is not one already. Borrowed until the next batch is shown or kept. */
void batch_cache_show(struct batch_cache *cache, const struct album *album, int index,
                      struct prefetched *prefetched);

#endif
