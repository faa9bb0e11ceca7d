/* A gang of threads in this process that speaks through trainer/gang/comm.h: for tests of what must
 * not depend on the number of ranks. */
#ifndef TESTS_GANG_GANG_H
#define TESTS_GANG_GANG_H

#include "trainer/gang/comm.h"

/* Runs work(comm, own) on `size` threads at once and waits for all of them. */
void gang_run(int size, void (*work)(struct comm *comm, void *own), void *own);

#endif
