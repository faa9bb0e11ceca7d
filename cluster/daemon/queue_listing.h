/* All that a glowworm-scheduler lists, in the order of ids. One thread. */
#ifndef CLUSTER_DAEMON_QUEUE_LISTING_H
#define CLUSTER_DAEMON_QUEUE_LISTING_H

#include "cluster/daemon/control_client.h"

struct queue_listing {
    Gwd__Reply **replies; /* (reply_count) owned; each of what they list has a `submitted` */
    int reply_count;
};

/* The errors of control_client_ask(). The listing is to be freed after an error as well. */
MUST_CHECK enum err queue_listing_ask(struct control_client *client, struct queue_listing *listing);
void queue_listing_fini(struct queue_listing *listing); /* accepts zeroes */

#endif
