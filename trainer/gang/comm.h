/* What the trainer asks of its gang: who am I, sums in a fixed tree, agreement on a flag. MPI
 * behind it (worker/comm_mpi.c), or a gang of one (comm_alone). The answer never depends on the
 * number of ranks.
 *
 * Leaves: the global batch is M micro-batches; rank r computes those in [comm_first, comm_first of
 * r+1). Sums go up the binary tree that halves [0, M): node [lo, hi) splits at (lo + hi) / 2. A
 * rank sends the largest whole subtrees it owns. One thread per rank calls. No call blocks for
 * ever: ERR_PEER after the deadline, ERR_INTERRUPTED never. */
#ifndef TRAINER_GANG_COMM_H
#define TRAINER_GANG_COMM_H

#include "kernels/device_comm.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct comm {
    int rank, size;
    char node[64];     /* name of this rank's machine; "": it does not matter */
    double deadline_s; /* how long a rank waits for the others; 0: for ever */
    void *own;
    /* alltoallv of floats or doubles: counts and offsets in items, per rank (size entries) */
    enum err (*exchange)(struct comm *, const void *send, const size_t *send_counts,
                         const size_t *send_offsets, void *receive, const size_t *receive_counts,
                         const size_t *receive_offsets, size_t item_bytes);
    enum err (*gather_all)(struct comm *, const void *mine, void *all, const size_t *counts,
                           const size_t *offsets, size_t item_bytes);
    enum err (*broadcast)(struct comm *, void *bytes, size_t size_bytes); /* from rank 0 */
    enum err (*any)(struct comm *, uint32_t *flags); /* bitwise or over all ranks */
    void (*close)(struct comm *);
};

void comm_alone(struct comm *comm); /* a gang of one, no MPI */

/* Collective: ERR_OK when every rank says ERR_OK; otherwise every rank returns the code of the
 * lowest rank that failed, with its text behind "rank 1 on n2: ", so that all leave a stage by the
 * same door. A rank that says ERR_PEER returns at once: its gang is gone. */
MUST_CHECK enum err comm_agree(struct comm *comm, enum err mine);

/* Collective: `size_bytes` of every rank to all of them, (size) in order of ranks; host memory. */
MUST_CHECK enum err comm_gather_equal(struct comm *comm, const void *mine, void *all,
                                      size_t size_bytes);

/* Exchanges of device memory for any device, through the host. Both are borrowed and must outlive
 * it. Returns owned (device_comm_close). */
struct device_comm *comm_staged(struct comm *comm, struct device *device);
/* Collective. The device's own exchanges where its module brings some, else staged ones. ERR_PEER,
 * and what the module says. Borrows and returns as comm_staged(). */
MUST_CHECK enum err comm_on_device(struct comm *comm, struct device *device,
                                   struct device_comm **device_comm);

/* First leaf of a rank when M leaves are dealt to `size` ranks in contiguous runs; comm_first(M,
 * size, size) = M. */
int comm_first(int leaves, int size, int rank);

struct tree_sum; /* one rank's subtrees, and the sum over all of them */
struct tree_sum_cfg {
    struct comm *comm;             /* borrowed */
    struct device_comm *on_device; /* of the same gang: leaves lie in its device's memory. NULL: in
                                      host memory. Borrowed */
    int leaves;
    size_t count;   /* items of a leaf */
    bool is_double; /* statistics; else floats: gradients */
};
/* ERR_MEMORY. Returns owned. */
MUST_CHECK enum err tree_sum_create(const struct tree_sum_cfg *cfg, struct tree_sum **sum);
void tree_sum_destroy(struct tree_sum **sum); /* accepts NULL */
/* Bytes such a sum holds on the rank that holds most in a gang of `size`, what its exchanges are
 * staged in (comm_staged) included. Pure. */
size_t tree_sum_bytes(int size, int leaves, size_t leaf_bytes);
/* Where the next leaf of this rank (in order) is to be written: zeroed. Leaves must be taken in
 * order. */
void *tree_sum_leaf(struct tree_sum *sum);
/* The leaf is complete: folds it into the subtree it closes. */
void tree_sum_close_leaf(struct tree_sum *sum);
/* Drops what was summed so far, an open leaf too: after an error the next leaf is the first again.
 */
void tree_sum_forget(struct tree_sum *sum);
/* Collective: the total, the same bits on every rank and for every number of ranks. Borrowed until
 * the next leaf; whoever reads it may leave zeros there and say so with tree_sum_cleared(). */
MUST_CHECK enum err tree_sum_total(struct tree_sum *sum, void **total);
/* The total is zero by now: the next leaves need not be zeroed again. */
void tree_sum_cleared(struct tree_sum *sum);

#endif
