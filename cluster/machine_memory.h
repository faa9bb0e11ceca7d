/* How much memory the processes of a run may take together: the machine's own, or less where the
 * control groups this process is in (containers, batch systems) say so. Linux. */
#ifndef CLUSTER_MACHINE_MEMORY_H
#define CLUSTER_MACHINE_MEMORY_H

#include "base/err.h"
#include <stddef.h>

struct machine_memory {
    size_t total_bytes;
    char whose[512];   /* "this machine has", "the control group X allows" */
    size_t card_bytes; /* of a module's device here, the smallest; 0: none is here, or not known */
};

/* root: "" for this machine; a test may point to a folder that has proc/meminfo, proc/self/cgroup
 * and sys/fs/cgroup inside. ERR_IO when there is no meminfo; control groups that cannot be read do
 * not limit. */
MUST_CHECK enum err machine_memory_read(const char *root, struct machine_memory *memory);

#endif
