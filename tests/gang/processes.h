/* A gang of processes on this machine that speaks through trainer/gang/comm.h: for tests of what a
 * process has one of (a card, a library), and of ranks that end before the others. */
#ifndef TESTS_GANG_PROCESSES_H
#define TESTS_GANG_PROCESSES_H

#include "trainer/gang/comm.h"

enum { PROCESSES_MOST = 4 };

struct ending {
    int code, signal; /* one of them 0 */
    double seconds;   /* since the start */
    char said[8192];  /* on standard error, cut */
};

struct processes {
    int size;
    double deadline_s; /* of the gang */
    double limit_s;    /* then ranks are killed */
    /* In each process; what it returns becomes its exit code. own is memory that all share where
     * processes_share() gave it. */
    enum err (*work)(struct comm *comm, void *own);
    void *own;
};

void *processes_share(size_t size_bytes); /* zeroed */
void processes_unshare(void *memory, size_t size_bytes);
void processes_run(const struct processes *processes, struct ending *endings); /* (size) */

#endif
