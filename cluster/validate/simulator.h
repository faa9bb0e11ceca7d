/* A simulated camera for one validation: glowworm-camera-sim, where it lies beside this program, on
 * a loopback address that nobody else uses. It ends with us. One thread. */
#ifndef CLUSTER_VALIDATE_SIMULATOR_H
#define CLUSTER_VALIDATE_SIMULATOR_H

#include "scheduler/process.h"

struct simulator { /* starts zeroed */
    struct process process;
    char address[32];
    char *folder; /* for what it says */
};

/* channels: 1, 3: which model. ERR_UNAVAILABLE: it is not installed, or did not start; its own
 * words are in the text. The caller calls simulator_end() whatever happens. */
MUST_CHECK enum err simulator_start(int channels, struct simulator *simulator);
void simulator_end(struct simulator *simulator); /* accepts a zeroed one */

#endif
