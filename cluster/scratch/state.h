/* Copies of a run's stores in its folder, published/state-<claim>-<sequence>/ (base/published.h):
 * made while the stores are being written, whole or not there, and brought back to scratch. The two
 * newest stay. Processes, not threads: the one that publishes is a child of the runner. */
#ifndef CLUSTER_SCRATCH_STATE_H
#define CLUSTER_SCRATCH_STATE_H

#include "base/published.h"
#include "base/text.h"
#include "cluster/scratch/claim.h"
#include <jansson.h>

#define STATE_KEPT     2
#define STATE_MANIFEST "manifest.json"

struct state_file {
    const char *store;   /* PUBLISHED_JOURNAL or PUBLISHED_CHECKPOINTS; not owned */
    bool is_there;       /* nobody has trained yet: there are no checkpoints */
    uint64_t size_bytes; /* of its data file */
    uint64_t last_write; /* of the store it was copied from: store_info() */
    char hash[HASH_HEX_BYTES];
};
#define STATE_FILES 2
struct state_manifest {
    struct published_state name;
    char stores[CLAIM_ID]; /* those it was copied from */
    int64_t written_ms;    /* since 1970 */
    struct state_file files[STATE_FILES];
};
/* ERR_NOT_FOUND, ERR_DATA: damaged, or of a later version; ERR_IO. */
MUST_CHECK enum err state_read_manifest(const char *run_folder, const struct published_state *state,
                                        struct state_manifest *manifest);

/* The same of its JSON, for the state that is named in it; `path` is what errors say. ERR_DATA. */
MUST_CHECK enum err state_take_manifest(const char *path, const json_t *json,
                                        struct state_manifest *manifest);

struct publish_cfg { /* borrowed */
    const char *run_folder, *stores;
    uint64_t claim;
};
/* Publishes the stores as they are, unless the newest state already says it all (*name is that one
 * then, *is_new false). A state whose journal counts on checkpoints that were let go between the
 * two copies is made anew. ERR_AGAIN: the claim is lost, or the stores change too fast; ERR_FULL,
 * ERR_IO, ERR_DATA: what was published before stays. */
MUST_CHECK enum err state_publish(const struct publish_cfg *cfg, struct published_state *name,
                                  bool *is_new);

/* The newest state that holds the checkpoint of this content (hex). ERR_NOT_FOUND: none does;
 * otherwise errors of the store. */
MUST_CHECK enum err state_find(const char *run_folder, const char *content,
                               struct published_state *state);

struct restore_cfg { /* borrowed */
    const char *run_folder;
    const char *into; /* a folder, which is made anew */
    /* Asked before each block: an error ends the copy. NULL: nothing does. */
    enum err (*check)(void *own);
    void *own;
};
/* Copies the newest whole state: "journal" and, where there were some, "checkpoints", every byte
 * compared with the manifest's hashes and durable. One that is damaged, or that cannot be read
 * twice in turn, is passed over for the one before: which and why is added to `damage`, a line
 * each. ERR_NOT_FOUND: none was published; ERR_DATA: none is whole; ERR_IO: none can be read, or
 * `into` cannot be written; ERR_FULL; those of the check. */
MUST_CHECK enum err state_restore(const struct restore_cfg *cfg, struct published_state *name,
                                  struct text *damage);

#endif
