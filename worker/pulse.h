/* A rank's sign of life to the scheduler, so that one that was stopped, hangs, or lost its machine
 * is told from those that wait for it: a thread that says once a second how far its rank has got,
 * on a connection of its own. It hears nothing and never delays the rank. Rank 0, which speaks for
 * the gang (worker/link.h), says it with its words. */
#ifndef WORKER_PULSE_H
#define WORKER_PULSE_H

#include "base/err.h"
#include "base/wire/curve.h"
#include "scheduler/protocol.pb-c.h"
#include "trainer/gang/work.h"
#include <stdint.h>

struct pulse;

struct pulse_cfg { /* all borrowed until pulse_close() */
    const char *endpoint;
    const struct wire_curve *curve; /* of a "tcp://" one; NULL: none */
    const char *token;
    uint64_t lease_epoch;
    int rank;
    const struct rank_work *work;
};

/* What a rank says of itself; `host` is borrowed. Any thread. */
void pulse_describe(int rank, const struct rank_work *work, const char *host, Gw__RankAlive *alive);

/* ERR_UNAVAILABLE, ERR_CONFIG, ERR_IO. Returns owned. */
MUST_CHECK enum err pulse_open(const struct pulse_cfg *cfg, struct pulse **pulse);
void pulse_close(struct pulse **pulse); /* accepts NULL */

#endif
