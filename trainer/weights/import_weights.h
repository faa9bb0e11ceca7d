/* Weights that were trained elsewhere, as a checkpoint of our own: every tensor of a supernet under
 * the reference implementation's name and in its shape, nothing missing and nothing left over.
 * Older spellings of the reference's names are understood. One thread. */
#ifndef TRAINER_WEIGHTS_IMPORT_WEIGHTS_H
#define TRAINER_WEIGHTS_IMPORT_WEIGHTS_H

#include "trainer/checkpoint/checkpoint.h"
#include "trainer/supernet/supernet.h"

struct imported_weights {
    int taken;      /* tensors of the file */
    int identities; /* kernel matrices that were not in it: the identity, a plain crop */
};

/* Fills checkpoint->tensors (a zeroed checkpoint; the caller calls checkpoint_fini) and
 * meta.has_statistics: all running means and variances were given. None given is fine, some is not.
 * Moves the values out of `given`. ERR_DATA lists, in one text, every tensor that is unknown,
 * missing, of a wrong shape, or has a value that cannot be. */
MUST_CHECK enum err import_weights(const struct supernet *net, struct tensor *given,
                                   int given_count, struct checkpoint *checkpoint,
                                   struct imported_weights *imported);

#endif
