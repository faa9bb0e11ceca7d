/* Where a gang finds its scheduler: a socket on this machine, or, for a gang of several nodes, a
 * port of another one, with the run's keys. From the environment that the scheduler sets. */
#ifndef WORKER_ADDRESS_H
#define WORKER_ADDRESS_H

#include "base/err.h"
#include "base/wire/key_folder.h"
#include "base/wire/wire.h"

struct address {
    char endpoint[WIRE_ENDPOINT];
    const struct wire_curve *curve; /* of `keys`; NULL: a socket needs none */
    struct key_folder keys;
};

/* GLOWWORM_ADDRESS and GLOWWORM_KEYS where they are set, else `endpoint` (GLOWWORM_ENDPOINT).
 * An address without a host ("tcp://" and a star) is a port of the node that srun was called on.
 * *address must stay where it is. The errors of key_folder_join(); ERR_USAGE: an address that is
 * none. */
MUST_CHECK enum err address_find(const char *endpoint, struct address *address);

#endif
