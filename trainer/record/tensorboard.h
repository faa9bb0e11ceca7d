/* TensorBoard event files: the scalars of a stage, for `tensorboard --logdir`. A copy of what the
 * event log says for people who look at it there; nothing reads it back, so that a file that cannot
 * be written any more is said once and ends no stage. One thread. */
#ifndef TRAINER_RECORD_TENSORBOARD_H
#define TRAINER_RECORD_TENSORBOARD_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

struct tensorboard_cfg {
    const char *folder; /* of the stage; made where it is not there. Borrowed */
    bool is_resume;     /* older files stay; otherwise they are removed */
    uint64_t
        first_step; /* to come: what older files say of it and of later ones counts no longer */
};

struct tensorboard;
/* Begins a file whose name sorts behind all that were ever there: TensorBoard never goes back to an
 * earlier one. ERR_IO, ERR_FULL. Returns owned. */
MUST_CHECK enum err tensorboard_open(const struct tensorboard_cfg *cfg,
                                     struct tensorboard **tensorboard);
void tensorboard_close(struct tensorboard **tensorboard); /* accepts NULL */

/* The scalars of one step: begin, any number of them, end (one write). */
void tensorboard_begin(struct tensorboard *tensorboard, uint64_t step);
void tensorboard_scalar(struct tensorboard *tensorboard, const char *tag, double value);
void tensorboard_end(struct tensorboard *tensorboard);

#endif
