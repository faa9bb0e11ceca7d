/* The memory that operations of the CPU device work in: a block of each thread, and one that all
 * share. They grow when the device is prepared; on a device that nobody prepared, when an operation
 * asks. In builds with AddressSanitizer an operation can touch exactly what it asked for. The
 * thread that calls the device. */
#ifndef KERNELS_CPU_WORKSPACE_H
#define KERNELS_CPU_WORKSPACE_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

struct cpu_need {           /* bytes, of one operation */
    size_t scratch_bytes;   /* each thread's */
    size_t activated_bytes; /* normalised or activated map values among them, or in the shared
                               block; at most 1 MiB */
    size_t shared_bytes;
};

struct workspace_block {
    void *memory; /* 64-aligned; undefined contents */
    size_t size_bytes;
};

struct workspace {
    int threads;
    struct workspace_block *of_thread; /* (threads) */
    struct workspace_block shared;
    bool is_prepared;
};

void workspace_init(struct workspace *workspace, int threads);
void workspace_fini(struct workspace *workspace); /* accepts a zeroed one */

/* The larger of both, field by field. */
struct cpu_need cpu_need_most(struct cpu_need left, struct cpu_need right);
/* Of these threads. */
size_t cpu_need_bytes(const struct cpu_need *need, int threads);

bool workspace_holds(const struct workspace *workspace, const struct cpu_need *need);
/* Holds at least this, and what it held. ERR_MEMORY: it holds at least what it held. */
MUST_CHECK enum err workspace_grow(struct workspace *workspace, const struct cpu_need *need);
/* It holds the need: nothing behind it may be touched until somebody asks again. */
void workspace_guard(const struct workspace *workspace, const struct cpu_need *need);

#endif
