/* Exchanges of device memory between the ranks of a gang, in stream order: what a call reads was
 * written by the operations called before it, and operations called behind it see what it brought.
 * A device's module may bring its own (NCCL); trainer/gang/comm_staged.c makes one for any device
 * out of copies through pinned host memory. Collective: every rank calls the same, in the same
 * order. One thread per rank. No call blocks for ever: ERR_PEER after the gang's deadline. */
#ifndef KERNELS_DEVICE_COMM_H
#define KERNELS_DEVICE_COMM_H

#include "kernels/device.h"

/* Counts and offsets in items, one per rank. */
struct device_exchange {
    const void *send; /* device */
    const size_t *send_counts, *send_offsets;
    void *receive; /* device */
    const size_t *receive_counts, *receive_offsets;
    size_t item_bytes;
};

struct device_comm {
    int rank, size;
    struct device *device; /* borrowed */
    void *own;
    /* alltoallv */
    MUST_CHECK enum err (*exchange)(struct device_comm *, const struct device_exchange *);
    /* what each rank sends (its own count, at `send`) to all, at their offsets; send_counts and
     * send_offsets are not looked at */
    MUST_CHECK enum err (*gather_all)(struct device_comm *, const struct device_exchange *);
    /* *word (device) becomes the smallest of all ranks */
    MUST_CHECK enum err (*least)(struct device_comm *, uint64_t *word);
    void (*close)(struct device_comm *);
};

static inline void device_comm_close(struct device_comm **comm) /* accepts NULL; sets NULL */
{
    if (*comm)
        (*comm)->close(*comm);
    *comm = NULL;
}

#endif
