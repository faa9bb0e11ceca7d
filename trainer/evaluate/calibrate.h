/* Batch-norm statistics of one sub-network: the weights are shared, the statistics cannot be (OFA
 * reference file, sec. 3.7). Every batch of a fixed set of training images is normalised by its own
 * statistics, as in training; mean and variance come from the sums over all of them (law of total
 * variance), so that a last, smaller batch counts by its images, as in the reference. Batches are
 * those of evaluate.calibration_batch, whatever a training step's are. They are shared by the
 * ranks; the answer does not depend on how many. Everybody who needs statistics comes here:
 * training's evaluations, the stages, the search, compile. */
#ifndef TRAINER_EVALUATE_CALIBRATE_H
#define TRAINER_EVALUATE_CALIBRATE_H

#include "base/text.h"
#include "trainer/evaluate/eval_batches.h"
#include "trainer/gang/comm.h"
#include "trainer/spec/campaign.h"
#include "trainer/supernet/supernet.h"

struct calibrate_cfg { /* all borrowed */
    struct comm *comm;
    struct device_comm *device_comm; /* of the same gang */
    struct supernet *net;
    const struct dataset *dataset;
    const uint32_t *train; /* records, without the hold-out */
    uint32_t train_count;
    struct calibration_set set; /* campaign_calibration(train_count) */
    uint64_t seed;
    const struct augment_cfg *augment;
    int loader_threads;
    struct batch_cache *cache; /* of the device and the data set */
    struct rank_work *work;    /* as in prefetch_cfg */
    void *own;
    void (*is_alive)(void *own); /* NULL: nobody listens. Called behind every batch */
};

/* All the statistics depend on beside network, data set and hold-out, as lines "name=value": part
 * of the key of every measurement. */
void calibrate_describe(const struct calibrate_cfg *cfg, struct text *lines);

struct calibrate;
MUST_CHECK enum err calibrate_create(const struct calibrate_cfg *cfg, struct calibrate **calibrate);
void calibrate_destroy(struct calibrate **calibrate); /* accepts NULL */

/* Collective. Sets net->means, variances and has_statistics for this sub-network at its resolution;
 * channels it does not use keep what they had. arena: of at least set.batch images. */
MUST_CHECK enum err calibrate_subnet(struct calibrate *calibrate, struct activation_arena *arena,
                                     const struct subnet *subnet);

#endif
