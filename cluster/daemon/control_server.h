/* The daemon's end of its socket: takes requests, has them answered, sends the replies. What cannot
 * be read changes nothing and is logged once a second at most; a turn takes so many and no more,
 * however many knock. One thread. */
#ifndef CLUSTER_DAEMON_CONTROL_SERVER_H
#define CLUSTER_DAEMON_CONTROL_SERVER_H

#include "base/mem.h"
#include "base/wire/wire.h"
#include "cluster/daemon/daemon.pb-c.h"

#define CONTROL_FORMAT    1      /* raised when an old reader would misunderstand a new writer */
#define CONTROL_MAX_BYTES 524288 /* of one message: a reply of the longest campaigns */
#define CONTROL_LISTED    16     /* campaigns in a reply */

/* Fills in `reply`, zeroed but for its number; what it points at may come from the arena, which
 * lasts until it is sent. An error goes into it with control_refuse(). */
typedef void control_answer(void *own, const Gwd__Request *request, Gwd__Reply *reply,
                            struct arena *arena);
/* The error that err_text() tells of. */
void control_refuse(enum err err, Gwd__Reply *reply, struct arena *arena);

struct control_server_cfg {
    const char *endpoint;           /* borrowed */
    const struct wire_curve *curve; /* for the call; NULL: plain, for ipc:// */
    control_answer *answer;
    void *own;
};

struct control_server;
/* Errors of wire_open(). Returns owned. */
MUST_CHECK enum err control_server_open(const struct control_server_cfg *cfg,
                                        struct control_server **server);
void control_server_close(struct control_server **server); /* accepts NULL */
/* Where it is reached. Borrowed. */
const char *control_server_endpoint(const struct control_server *server);

/* Waits for requests so long at most, and answers those that are there. */
void control_server_turn(struct control_server *server, int timeout_ms);

/* What a request may be, from any bytes; NULL: none. gwd__request__free_unpacked() it. */
Gwd__Request *control_read_request(const void *bytes, size_t size);

#endif
