/* A gang's link to its scheduler: rank 0 only. A thread of its own owns the socket, sends
 * heartbeats, repeats what was not acknowledged and listens; the trainer's thread only leaves notes
 * and reads a flag, so training never waits for a message. Endpoint and token come from the
 * environment the scheduler sets (link_from_environment).
 *
 * Life of a gang: link_open, link_take (an assignment), the stage with link_progress,
 * link_checkpoint, link_warning and link_stop_requested at every step boundary, then link_done or
 * link_failed, link_take again (ERR_INTERRUPTED: told to end), link_close.
 *
 * Told to end in the middle of a stage, its lease is void: link_stop_requested() turns true, every
 * wait ends with ERR_INTERRUPTED, and nothing more is reported. If the scheduler falls silent,
 * link_stop_requested() turns true; if the gang has not closed the link a while after that, the
 * link's thread ends the process with exit code 75, so that no orphan computes for ever. */
#ifndef WORKER_LINK_H
#define WORKER_LINK_H

#include "base/err.h"
#include "base/hash.h"
#include "base/wire/curve.h"
#include <stdbool.h>
#include <stdint.h>

#define LINK_PATH 512

struct link;
struct address;
struct rank_work;

struct link_cfg {
    const char *endpoint;           /* "ipc:///...", or with keys "tcp://..." */
    const struct wire_curve *curve; /* the keys; NULL: none. Borrowed by link_open() */
    const char *token;
    uint64_t lease_epoch;
    int ranks;
    const char *version;          /* commit */
    const char *lineage;          /* device, instruction set, libraries */
    const struct rank_work *work; /* rank 0's, read by the thread; NULL: nothing is said of it */
    double silence_s;             /* scheduler unheard for so long: stop; 0: 30 */
    double grace_s; /* link still open so long after a lost scheduler: exit 75; 0: 60 */
};

/* Fills endpoint and curve (address_find()), token and lease_epoch (GLOWWORM_TOKEN,
 * GLOWWORM_LEASE); borrowed from the environment and *address. ERR_USAGE when they are not set: the
 * worker is started by a scheduler. The errors of address_find(). */
MUST_CHECK enum err link_from_environment(struct link_cfg *cfg, struct address *address);

/* Starts the thread and says hello. ERR_UNAVAILABLE. Returns owned. */
MUST_CHECK enum err link_open(const struct link_cfg *cfg, struct link **link);
/* Sends what is left (at most a second), ends the thread. Accepts NULL. */
void link_close(struct link **link);

struct assignment {
    char campaign[LINK_PATH]; /* resolved campaign.yaml */
    char run_folder[LINK_PATH];
    char stage[64];
    int stage_index; /* in campaign_expand()'s plan */
    char stage_key[HASH_HEX_BYTES];
    char start[HASH_HEX_BYTES];   /* content hash of the checkpoint to start from; "": none */
    bool is_resume;               /* `start` belongs to this stage: continue at its position */
    char teacher[HASH_HEX_BYTES]; /* final checkpoint of the run's own teacher; "": none */
    int attempt;
    bool is_helper;            /* measure shares of it, for the gang that holds the stage's lease */
    char published[LINK_PATH]; /* the copy of the stores to read, inside run_folder; "": the stores
                                */
    uint64_t lease_epoch;      /* goes into checkpoint_meta.lease_epoch */
};

/* Waits for the next assignment; what is reported from now on is of its stage and lease, and stays
 * so however often it has to be said. ERR_INTERRUPTED: told to end (exit 0), or to stop before one
 * came. ERR_PEER: the scheduler is silent. */
MUST_CHECK enum err link_take(struct link *link, struct assignment *assignment);

struct link_progress {
    uint64_t step, steps;
    uint64_t reused; /* of `step` measurements: not measured again */
    double epoch;
    double images_per_second;
    double loss;
    double accuracy;   /* 0..1; below 0: not known */
    const char *doing; /* "training", "calibrating", "evaluating"; copied, 31 bytes at most */
};
/* Leaves the latest figures; older ones that were not sent yet are forgotten. Never waits. */
void link_progress(struct link *link, const struct link_progress *progress);

/* A checkpoint became durable. Sent until acknowledged. Never waits. */
void link_checkpoint(struct link *link, uint64_t step, const struct hash *content);

/* Something a person should know while the stage goes on. Sent until acknowledged. Never waits. */
void link_warning(struct link *link, const char *text);

/* The stage is done. content: its final checkpoint, NULL where it makes none; results: path of its
 * result file relative to the run's folder, or NULL. Waits for the acknowledgement: ERR_PEER when
 * none comes, ERR_INTERRUPTED when none is needed: the lease is void. */
MUST_CHECK enum err link_done(struct link *link, const struct hash *content, const char *results);
/* The stage ended with `code`; ERR_INTERRUPTED: the stop that was asked for, its checkpoint saved
 * and reported. Waits for the acknowledgement like link_done(). */
MUST_CHECK enum err link_failed(struct link *link, enum err code, const char *text, uint64_t step);

/* The scheduler asks for a stop, has given the stage to others, or is lost. Reads a flag; any
 * thread. */
bool link_stop_requested(const struct link *link);
/* Its lease is void: nothing it could still report counts. Reads a flag; any thread. */
bool link_is_sent_away(const struct link *link);
/* The scheduler is lost: stop, save, and end with exit code 75. */
bool link_is_lost(const struct link *link);

#endif
