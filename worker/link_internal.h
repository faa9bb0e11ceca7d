/* What the trainer's side of the link (link.c, link_exchange.c) and the socket's (link_thread.c,
 * link_measure.c) share. Inside worker/link only. */
#ifndef WORKER_LINK_INTERNAL_H
#define WORKER_LINK_INTERNAL_H

#include "base/text.h"
#include "base/wire/wire.h"
#include "scheduler/protocol.h"
#include "trainer/evaluate/exchange.h"
#include "worker/link.h"
#include <pthread.h>
#include <stdatomic.h>

#define LINK_MAX_NOTES 32
#define LINK_MANY_KEPT 4096 /* records that are not durable yet: no share is taken... */
#define LINK_MAX_KEPT  8192 /* ...and what else is measured is not kept */

enum note_kind { NOTE_HELLO, NOTE_CHECKPOINT, NOTE_WARNING, NOTE_DONE, NOTE_FAILED };

struct note { /* a message that is repeated until it is acknowledged */
    enum note_kind kind;
    uint64_t lease_epoch; /* of what it reports: a newer lease does not change it */
    uint64_t sequence;
    double sent_s; /* 0: never */
    uint64_t step;
    char stage[64];
    char content[HASH_HEX_BYTES];
    enum err code;
    char text[PROTOCOL_MAX_TEXT]; /* results path, the warning, or the error's text */
};

struct link_wish {               /* a score that is wanted */
    struct exchange_score score; /* its text is owned */
    enum { WISH_OPEN, WISH_KNOWN, WISH_TOLD } state;
    struct text record; /* behind WISH_OPEN; empty: nobody knows it */
};

struct link_kept { /* a record that is said again until it is durable */
    struct hash key;
    int detail;
    uint8_t *bytes;
    size_t size_bytes;
    uint64_t lease_epoch; /* that it was measured under */
    char stage[64];
    uint64_t sequence; /* of its message; 0: not said yet. Those of one message lie together */
    double sent_s;
};

struct link_measuring { /* what worker/link_exchange.h is about; all of it under the link's lock */
    enum exchange_aim aim;
    struct link_wish *wishes; /* (wish_count) */
    int wish_count;
    double asked_s;         /* 0: not yet */
    struct link_kept *kept; /* (kept_count) oldest first */
    int kept_count, kept_room;
    bool is_ready;                 /* for a share */
    double ready_s;                /* said last; 0: not yet */
    uint64_t share;                /* number of the last one that came */
    bool has_share;                /* it has not been taken */
    struct exchange_score *shared; /* (shared_count) its scores, until the gang is ready again */
    int shared_count;
};

struct link {
    struct wire *wire; /* the thread's, once it runs */
    pthread_t thread;
    bool has_thread;
    int wake_fd; /* written by the trainer's side: there is something to send */
    double silence_s, grace_s;
    char token[128], version[64], lineage[512];
    char host[256];
    const struct rank_work *work;
    int ranks;
    atomic_bool stop_requested, is_lost, is_closing;
    atomic_bool is_void; /* the lease of what the trainer works on */

    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t changed;
    uint64_t lease_epoch; /* the newest */
    uint64_t void_below;  /* the scheduler has ended the leases before this one */
    uint64_t last_sequence;
    int note_count;
    struct note notes[LINK_MAX_NOTES]; /* oldest first */
    bool has_progress;
    struct link_progress progress;
    char doing[32];
    bool has_assignment;
    struct assignment assignment; /* the latest */
    struct {
        uint64_t lease_epoch;
        char stage[64];
    } taken; /* what the trainer works on: what is reported, whatever has come since */
    struct link_measuring measuring;
};

void link_wake(struct link *link); /* the thread: there is something to send */
/* Under the lock: waits for a change, at most so long (flags outside the lock). */
void link_wait(struct link *link, int timeout_ms);
void link_forget_share(struct link_measuring *measuring);
void link_begin_measuring(struct link_measuring *measuring); /* of another lease; records stay */
void link_end_measuring(struct link_measuring *measuring);   /* frees all of it */

/* Under the lock. Nothing that is said of a void lease counts: it is not said. */
static inline bool link_is_void(const struct link *link, uint64_t lease_epoch)
{
    return lease_epoch < link->void_below;
}

/* Talks until link->is_closing and nothing is left to send. Argument: the link. */
void *link_talk(void *link);

#endif
