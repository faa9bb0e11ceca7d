/* The exchange (trainer/evaluate/exchange.h) of a gang that has a scheduler: what it wants, has
 * measured and is ready for goes over the link and is said again until it has come; what is known,
 * and shares, come back. Rank 0, the trainer's thread. */
#ifndef WORKER_LINK_EXCHANGE_H
#define WORKER_LINK_EXCHANGE_H

#include "trainer/evaluate/exchange.h"
#include "worker/link.h"

/* Of the assignment that was taken last. Borrows the link and is as long there as it is; nothing to
 * free. Where the scheduler is lost or the lease void, nothing comes any more, and what is kept is
 * dropped. */
struct exchange link_exchange(struct link *link);

/* Waits until all that was kept is durable, or cannot become so. */
void link_finish_measuring(struct link *link);

#endif
