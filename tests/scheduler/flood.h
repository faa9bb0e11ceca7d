/* Strangers that send to a run's socket as fast as they can, in a process of their own. They end
 * by themselves after a minute. */
#ifndef TESTS_SCHEDULER_FLOOD_H
#define TESTS_SCHEDULER_FLOOD_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

struct flood {
    pid_t pid;
    struct flood_shared {
        char endpoint[512]; /* written before is_open */
        atomic_bool is_open;
        atomic_ullong sent;
    } * shared;
};

/* Before the loop runs; they wait for flood_open(). */
void flood_start(struct flood *flood);
void flood_open(struct flood *flood, const char *endpoint);
/* How many messages were sent; 0: it ended by itself before. */
unsigned long long flood_end(struct flood *flood);

#endif
