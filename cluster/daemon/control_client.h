/* A question to a glowworm-scheduler. One thread. */
#ifndef CLUSTER_DAEMON_CONTROL_CLIENT_H
#define CLUSTER_DAEMON_CONTROL_CLIENT_H

#include "base/err.h"
#include "cluster/daemon/daemon.pb-c.h"

struct control_client_cfg {
    const char *folder; /* the scheduler's, as a person named it; NULL: daemon_folder_find() */
    double answer_s;    /* so long each answer is waited for; 0: 30, its disk may be busy */
};
struct control_client;
/* ERR_UNAVAILABLE, with the cure: no scheduler is there. ERR_CONFIG. Returns owned. */
MUST_CHECK enum err control_client_open(const struct control_client_cfg *cfg,
                                        struct control_client **client);
void control_client_close(struct control_client **client); /* accepts NULL */

/* Sets the request's number. ERR_PEER: it ended, or gave no answer in time, and nobody knows what
 * was done. What the scheduler refuses is the error, in its words; after another one the client is
 * of no more use. *reply: gwd__reply__free_unpacked() it. */
MUST_CHECK enum err control_client_ask(struct control_client *client, Gwd__Request *request,
                                       Gwd__Reply **reply);

#endif
