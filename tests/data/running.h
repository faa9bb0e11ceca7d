/* A loader that runs over all training images of a small data set. */
#ifndef TESTS_DATA_RUNNING_H
#define TESTS_DATA_RUNNING_H

#include "tests/data/fixture.h"
#include "trainer/data/loader.h"

#define RUNNING_MOST 16 /* images of a batch */

extern const struct augment_cfg running_augment; /* every switch on */

struct running {
    struct dataset *dataset;
    struct loader *loader;
    struct device *device;
    uint32_t *records, count;
};
/* Imports the data set where it is not there yet. */
struct running running_start(const struct import_cfg *cfg, const struct augment_cfg *augment,
                             int threads);
void running_stop(struct running *running);

/* N images that the epoch decides. */
void running_ask(struct running *running, uint64_t epoch, int N, int R);
struct batch running_take(struct running *running);

#endif
