/* What link.c (the trainer's side) and link_thread.c (the socket's side) share. Inside worker/link
 * only. */
#ifndef WORKER_LINK_INTERNAL_H
#define WORKER_LINK_INTERNAL_H

#include "base/wire/wire.h"
#include "scheduler/protocol.h"
#include "worker/link.h"
#include <pthread.h>
#include <stdatomic.h>

#define LINK_MAX_NOTES 32

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

struct link {
    struct wire *wire; /* the thread's, once it runs */
    pthread_t thread;
    bool has_thread;
    int wake_fd; /* written by the trainer's side: there is something to send */
    double silence_s, grace_s;
    char token[128], version[64], lineage[512];
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
};

/* Under the lock. Nothing that is said of a void lease counts: it is not said. */
static inline bool link_is_void(const struct link *link, uint64_t lease_epoch)
{
    return lease_epoch < link->void_below;
}

/* Talks until link->is_closing and nothing is left to send. Argument: the link. */
void *link_talk(void *link);

#endif
