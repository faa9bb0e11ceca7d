/* Every rank's sign of life to the scheduler: a thread that says once a second how far its rank has
 * got, on a connection of its own, so that a rank that was stopped, hangs, or lost its machine is
 * told from those that wait for it. It hears nothing and never delays the rank: rank 0 speaks for
 * the gang (worker/link.h). */
#ifndef WORKER_PULSE_H
#define WORKER_PULSE_H

#include "base/err.h"
#include "base/wire/curve.h"
#include "trainer/gang/work.h"
#include <stdint.h>

struct pulse;

struct pulse_cfg { /* all borrowed until pulse_close() */
    const char *endpoint;
    const struct wire_curve *curve; /* of a "tcp://" one; NULL: none */
    const char *token;
    uint64_t lease_epoch;
    int rank;
    struct rank_work *work; /* only read */
};

/* ERR_UNAVAILABLE, ERR_CONFIG, ERR_IO. Returns owned. */
MUST_CHECK enum err pulse_open(const struct pulse_cfg *cfg, struct pulse **pulse);
void pulse_close(struct pulse **pulse); /* accepts NULL */

#endif
