/* A training stage between memory and the store: weights and momentum under the outside names, the
 * position, and where a stage starts from. Rank 0 reads and writes; the others get the numbers over
 * the gang. Nothing else needs saving, since randomness is a function. */
#ifndef TRAINER_TRAIN_RESUME_H
#define TRAINER_TRAIN_RESUME_H

#include "trainer/checkpoint/provenance.h"
#include "trainer/record/event_log.h"
#include "trainer/record/mixed.h"
#include "trainer/spec/blueprint.h"
#include "trainer/spec/lr_schedule.h"
#include "trainer/supernet/supernet.h"

#define RESUME_MOMENTUM "momentum/" /* in front of a weight's name */

struct stage_start {     /* what the scheduler says; zeroed: look into the store */
    const char *content; /* hex of the checkpoint to start from; NULL or "": by name */
    bool is_resume;      /* content is this very stage's own, of an attempt before */
};

struct resume_cfg { /* all borrowed */
    const struct blueprint *blueprint;
    struct comm *comm;
    struct supernet *net;
    struct mixed *mixed;
    /* Rank 0 only: */
    struct checkpoint_store *store;
    const struct provenance *provenance;
};

struct resume {                  /* the same on every rank */
    uint64_t step;               /* done in this stage */
    bool has_begun;              /* a checkpoint of this very stage was loaded */
    bool is_final;               /* the stage was done already: nothing to do */
    struct hash content;         /* of what was loaded, when has_begun */
    char parent[HASH_HEX_BYTES]; /* what the stage started from, "" for fresh weights */
};

/* Collective. Fills net->weights and `momentum` (device): from this stage's newest sound checkpoint
 * of the same stage key if there is one, whether the scheduler knows of it or not; otherwise
 * weights of the stage before (or the imported teacher, or fresh ones) and no momentum. Where
 * damaged ones were passed over, or there is none though the scheduler knows of one, the observer
 * is warned. ERR_NOT_FOUND, ERR_DATA: what the stage starts from is missing, damaged (the
 * stage before has to run again), or was made by other settings.
 * ERR_CONFIG: it was computed on another device, and resources.lineage is same. */
MUST_CHECK enum err resume_load(const struct resume_cfg *cfg, int stage,
                                const struct stage_start *start, float *momentum,
                                struct resume *resume);

/* Collective: the frozen teacher's weights into `weights` (device): "teacher/final" of this run,
 * or the imported teacher. */
MUST_CHECK enum err resume_load_teacher(const struct resume_cfg *cfg, float *weights);

/* Collective: what training ended with, into net->weights, for evaluation, search and compilation:
 * the last training stage's, or the imported teacher's where nothing is trained. content: the
 * checkpoint's, written on rank 0; NULL: not asked. */
MUST_CHECK enum err resume_load_trained(const struct resume_cfg *cfg, struct hash *content);

struct resume_saving { /* what the saves of a stage share; must last until the last is durable */
    const struct resume_cfg *of;
    int stage;
    const struct lr_schedule *lr_schedule;
    const float *momentum;          /* device (weight_count) */
    const struct event_log *events; /* a checkpoint counts on them: on the disk before it is */
    /* Of resume_prepare(): */
    float *copy;         /* host, pinned (2,weight_count): weights, momentum, of one moment */
    struct event *taken; /* the copy is there */
};

/* Rank 0, before the first save: memory for the copy. ERR_MEMORY. */
MUST_CHECK enum err resume_prepare(struct resume_saving *saving);
/* Once the last save is done (checkpoint_finish). Accepts a zeroed one. */
void resume_release(struct resume_saving *saving);

/* Rank 0: begins to copy weights and momentum as they are behind everything that was queued so far,
 * and returns; operations called from now on may change them. The async writer does the rest
 * (checkpoint_saved tells when it is durable). Waits only for a save before that is not durable.
 * Errors as checkpoint_save(); the save itself fails with ERR_NUMERIC, naming the parameter, where
 * weights or momentum are not finite. */
MUST_CHECK enum err resume_save(const struct resume_saving *saving, const struct resume *resume,
                                bool is_final);

#endif
