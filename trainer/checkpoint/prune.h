/* Dropping the checkpoints of a store that nothing needs any more: what retention keeps for comfort
 * (checkpoint.keep, edits that may be taken back) goes when somebody asks. Kept in any case: named
 * ones, the newest of every stage and its final one, what the caller says is needed, and everything
 * one of these descends from. */
#ifndef TRAINER_CHECKPOINT_PRUNE_H
#define TRAINER_CHECKPOINT_PRUNE_H

#include "trainer/checkpoint/checkpoint.h"

struct prune_cfg {
    int keep; /* newest of every stage, >= 1 */
    /* PRUNE_FORMER: of settings that a stage had before an edit nothing is kept for its own sake.
     * PRUNE_SURPLUS: the newest of each, so that the edit may be taken back. */
    enum { PRUNE_SURPLUS, PRUNE_FORMER } what;
    const struct hash *needed; /* (needed_count) borrowed: contents that somebody else counts on */
    int needed_count;
};

enum prune_reason {
    PRUNE_KEPT_NAMED,
    PRUNE_KEPT_NEEDED, /* cfg.needed */
    PRUNE_KEPT_FINAL,
    PRUNE_KEPT_NEWEST, /* of its stage, or of the settings it was saved with */
    PRUNE_KEPT_PARENT, /* one that is kept started from it */
    PRUNE_SURPLUS_GOES,
    PRUNE_FORMER_GOES
};

struct prune_row {
    struct hash content;
    struct position position;
    int64_t saved_ms;
    enum prune_reason reason;
    bool is_kept;
    uint64_t bytes; /* of its tensors that no kept checkpoint has too */
};

struct prune_plan {
    struct prune_row *rows; /* (count) newest save first */
    int count, going;
    uint64_t bytes;            /* of all blobs that go, unfinished ones included */
    uint64_t unfinished_bytes; /* of those: blobs of saves that did not come to their end */
};

/* Says what would go. Errors as checkpoint_list(). The caller calls prune_plan_fini. */
MUST_CHECK enum err prune_look(struct checkpoint_store *store, const struct prune_cfg *cfg,
                               struct prune_plan *plan);
/* Lets it go, in one transaction; writers only. */
MUST_CHECK enum err prune_apply(struct checkpoint_store *store, const struct prune_cfg *cfg,
                                struct prune_plan *plan);
void prune_plan_fini(struct prune_plan *plan); /* accepts a zeroed one */

/* LMDB's file keeps its size when records go: this writes it anew without free pages. Takes the
 * store (a writer's), succeed or fail. ERR_AGAIN where another process reads it, ERR_FULL where the
 * disk has no room for the copy: the store is as it was. *freed_bytes: of the file. */
MUST_CHECK enum err prune_compact(struct checkpoint_store **store, uint64_t *freed_bytes);

#endif
