/* One optimisation step (OFA reference file, sec. 4.4): every micro-batch of the global batch is a
 * leaf; the leaf's gradient is the sum over the step's sub-networks, divided by the global batch;
 * leaves are summed in the tree; one SGD update. All ranks end with the same weights, bit for bit.
 * One thread per rank. */
#ifndef TRAINER_TRAIN_STEP_H
#define TRAINER_TRAIN_STEP_H

#include "trainer/gang/comm.h"
#include "trainer/input/prefetch.h"
#include "trainer/spec/campaign.h"
#include "trainer/supernet/supernet.h"
#include "trainer/train/teacher.h"

struct step_cfg { /* all borrowed */
    struct comm *comm;
    struct device_comm *device_comm; /* of the same gang */
    struct supernet *net;
    const struct campaign *campaign; /* batch, optimiser, distil, seed */
    const struct phase *phase;
    struct teacher *teacher; /* NULL: no distillation */
    int evaluation_batch;    /* images of the largest batch of an evaluation between two steps */
    bool trains_matrices;    /* false: kernel matrices and their momentum keep every bit */
};

struct step;
/* ERR_MEMORY, ERR_CONFIG (a gang larger than the number of leaves). Returns owned. */
MUST_CHECK enum err step_create(const struct step_cfg *cfg, struct step **step);
void step_destroy(struct step **step); /* accepts NULL */

float *step_momentum(struct step *step); /* device (net->weight_count), borrowed */
/* Borrowed. For forwards between two steps, of up to evaluation_batch and batch.micro images at the
 * space's largest side: it works in the step's own block of memory, where nothing is kept then. */
struct activation_arena *step_evaluation_arena(struct step *step);
/* Leaves this rank computed since step_create: the proof that nobody computes one twice. */
uint64_t step_computed(const struct step *step);

/* Computes the next leaf of this rank: teacher, then each sub-network forward, loss, backward.
 * schedule_step: counted over the whole schedule. An error leaves the step to be forgotten. */
MUST_CHECK enum err step_leaf(struct step *step, uint64_t schedule_step,
                              const struct prefetched *prefetched);

struct step_result { /* means over images and sub-networks */
    double loss;     /* what is minimised: cross entropy plus weighted distillation */
    double distil;   /* the distillation part, unweighted; 0 without a teacher */
    double accuracy; /* top-1 on the training batch, 0..1 */
};
/* Collective, when all leaves of this rank are computed: sums, checks, updates the weights.
 * ERR_NUMERIC names the layer when the loss or the gradient is not finite; the weights are
 * untouched then. */
MUST_CHECK enum err step_update(struct step *step, double rate, struct step_result *result);

#endif
