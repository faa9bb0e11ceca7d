/* The maker's converter, where it is installed: run on a copy of a bundle, so that nothing it does
 * reaches the bundle but the graph it was asked for. One thread. */
#ifndef CLUSTER_VALIDATE_CONVERTER_H
#define CLUSTER_VALIDATE_CONVERTER_H

#include "base/err.h"
#include <signal.h>

#define FIREFLY_GRAPH "firefly.graph" /* what it writes, and a camera loads */

struct converter_cfg {       /* borrowed */
    const char *bundle;      /* the folder */
    const char *const *argv; /* of the command, NULL at the end; never a shell's */
    const volatile sig_atomic_t *stop;
};

/* Puts its graph into the bundle as CONVERTED_GRAPH, with a record (conversion_record.h). ERR_HELD:
 * there is no such program here, with what to do; ERR_FAILED: it failed, with its last words, or
 * wrote no graph; ERR_INTERRUPTED, ERR_IO, ERR_FULL.
 */
MUST_CHECK enum err converter_run(const struct converter_cfg *cfg);

#endif
