/* A wait of rank 0 for something outside the gang, however long it takes: it waits in a thread, and
 * the gang meets every moment meanwhile, so that no rank takes the others for gone, and one that is
 * gone is noticed. */
#ifndef WORKER_WAIT_TOGETHER_H
#define WORKER_WAIT_TOGETHER_H

#include "trainer/gang/comm.h"

/* Collective. wait: called on rank 0 only, in another thread; NULL: there is nothing to wait for.
 * Rank 0 gets what it returned, with its text; the others ERR_OK. ERR_PEER: the gang has come
 * apart; `wait` has returned nevertheless. */
MUST_CHECK enum err wait_together(struct comm *comm, enum err (*wait)(void *own), void *own);

#endif
