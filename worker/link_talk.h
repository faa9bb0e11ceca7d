/* What the files of the link's thread share. Inside worker/link only. */
#ifndef WORKER_LINK_TALK_H
#define WORKER_LINK_TALK_H

#include "scheduler/protocol.pb-c.h"
#include "worker/link_internal.h"

#define LINK_REPEAT_S 1.0

struct talk { /* the thread's own */
    struct link *link;
    double heard_s;    /* last message of the scheduler */
    double spoke_s;    /* our last message of the newest lease */
    double progress_s; /* our last progress */
    double lost_s;     /* when the scheduler was given up, 0: not */
    double looked_s;
    uint8_t bytes[PROTOCOL_MAX_BYTES];
};

/* Under the lock, as everything below. Every message of ours goes through here; false: later, a
 * full queue or a server that is not there yet. */
bool talk_speak(struct talk *talk, uint64_t lease_epoch, Gw__FromWorker *message);

/* Says what is due of measuring. */
void talk_measuring(struct talk *talk, double now);
/* The records of that message are durable. False: it was no message of records. */
bool link_forget_kept(struct link *link, uint64_t sequence);
/* Those that no lease wants to hear of any more. */
void link_drop_void(struct link *link);
void link_hear_known(struct link *link, const Gw__ToWorker *message);
void link_hear_share(struct link *link, const Gw__ToWorker *message);

#endif
