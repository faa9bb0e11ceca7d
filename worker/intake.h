/* How all ranks learn of the next assignment while only rank 0 hears the scheduler. */
#ifndef WORKER_INTAKE_H
#define WORKER_INTAKE_H

#include "trainer/gang/comm.h"
#include "worker/link.h"

/* Collective; link: rank 0's, NULL elsewhere. As link_take, the same on every rank. */
MUST_CHECK enum err intake_take(struct comm *comm, struct link *link,
                                struct assignment *assignment);

#endif
