/* What the ranks of a stage hold in memory at most, worked out from the campaign before anything
 * starts: activations are laid out as a run lays them out, the rest is counted as the files that
 * allocate it do, on a device whose memory is the host's and whose maps are fp32. An upper bound
 * that is meant to be close: tests/integration holds it against real ranks. Files that are mapped
 * (data set, checkpoints) do not count. Pure: allocates no tensor, opens no device. */
#ifndef TRAINER_FOOTPRINT_H
#define TRAINER_FOOTPRINT_H

#include "trainer/spec/campaign.h"

struct footprint_cfg { /* all borrowed */
    const struct campaign *campaign;
    const struct space *space;
    const struct phase *phase; /* a training stage's row; NULL: it evaluates, searches, compiles */
    const char *precision;     /* that it computes in; NULL: the campaign's */
    int ranks;
    uint32_t train_images, holdout_images, test_images;
    int image_side; /* the longest of a stored image, pixels */
};

struct footprint {            /* bytes, of rank 0: it holds most */
    size_t weight_bytes;      /* weights, statistics, momentum, the teacher's weights */
    size_t sum_bytes;         /* gradients and calibration in the tree, what is exchanged of them */
    size_t activation_bytes;  /* the step's block, which calibration shares, and the teacher's */
    size_t image_bytes;       /* batches loaded ahead, and what is kept of them */
    size_t checkpoint_bytes;  /* beyond all these: read in the beginning or, in training, written */
    size_t program_bytes;     /* the program, MPI, what the device's operations work in */
    size_t rank_bytes;        /* all of these */
    size_t gang_bytes;        /* of all ranks; the others hold no checkpoint */
    size_t device_bytes;      /* of a module's device: weights, sums, activations, images, and...*/
    size_t scratch_bytes;     /* ...what its operations work in, where it says so. CPU: both 0 */
    size_t micro_bytes;       /* of the activations: what a micro-batch asks for, and... */
    size_t calibration_bytes; /* ...what a calibration batch does: the larger counts */
};

void footprint_of(const struct footprint_cfg *cfg, struct footprint *footprint);

#endif
