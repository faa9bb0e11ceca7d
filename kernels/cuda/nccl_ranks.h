/* A communicator of NCCL's and what keeps it from hanging. Exchanges are queued on the device's
 * stream, and the host goes on; so a rank that is gone would be seen by whoever waits for the
 * device, and for ever. Therefore a watchdog, a thread for each communicator: it asks NCCL for
 * asynchronous errors, and the stream whether an exchange that it has reached is over within the
 * gang's deadline. Where not, it logs the reason, leaves it as the device's error, aborts the
 * communicator, which ends what waits in the device, and ends the process (_exit with ERR_PEER's
 * code) if the abort hangs, or if the thread that calls operations does not come to hear of it.
 *
 * The communicator is non-blocking: each call into NCCL returns at once, and is made under the
 * lock, so that an abort never meets one. */
#ifndef KERNELS_CUDA_NCCL_RANKS_H
#define KERNELS_CUDA_NCCL_RANKS_H

#include "kernels/cuda/host.h"
#include "kernels/cuda/nccl_library.h"
#include <pthread.h>
#include <stdbool.h>

enum { NCCL_UNDER_WAY = 16 }; /* exchanges between two waits of the host; a step has three */

struct nccl_wait { /* for others: seconds of a clock that never goes back; 0: not yet */
    double start_s, looked_s;
};

struct nccl_exchange { /* on the stream, not known to be over */
    const char *name;
    cudaEvent_t began, ended;
    struct nccl_wait wait; /* since it was seen to have begun */
};

struct nccl_ranks {
    struct device_comm face; /* first */
    struct cuda *cuda;
    struct nccl_library nccl;
    double deadline_s; /* of one exchange; 0: none */
    pthread_t watchdog;
    bool is_watched;

    pthread_mutex_t lock; /* of all below, and of every call into NCCL */
    pthread_cond_t changed;
    nccl_comm comm;                                 /* NULL: not yet, or no more */
    struct nccl_exchange under_way[NCCL_UNDER_WAY]; /* a ring: [first, first + count) */
    int first, count;
    char reason[400]; /* why it failed, the device's error since then; "": it has not */
    bool is_closing;
};

/* Collective: id is rank 0's. ERR_PEER after the deadline, and what NCCL says. The device is
 * borrowed; returns owned. */
MUST_CHECK enum err nccl_ranks_create(struct cuda *cuda, const struct device_gang *gang,
                                      const struct nccl_library *nccl, const struct nccl_id *id,
                                      struct nccl_ranks **ranks);
/* Collective where all went well. Accepts NULL. */
void nccl_ranks_destroy(struct nccl_ranks **ranks);

/* Around the calls of one exchange: begin takes the lock and notes that the stream gets there; end
 * waits until NCCL has queued them, and gives the lock back. After an error of begin there is no
 * end; end takes the first error of what was called between them. */
MUST_CHECK enum err nccl_ranks_begin(struct nccl_ranks *ranks, const char *name);
MUST_CHECK enum err nccl_ranks_end(struct nccl_ranks *ranks, enum err err);

/* What a call into the communicator came to; of one that is non-blocking "in progress" is as good
 * as done. The lock is held. */
MUST_CHECK enum err nccl_ranks_check(const struct nccl_ranks *ranks, enum nccl_result result,
                                     const char *call);
/* The first reason counts; the watchdog does the rest. The lock is held. */
void nccl_ranks_fail(struct nccl_ranks *ranks, const char *format, ...) PRINTF_LIKE(2, 3);
void nccl_ranks_retire(struct nccl_ranks *ranks); /* what is over; the lock is held */

/* Seconds since it was first asked, without those in which the whole process slept. */
double nccl_waited(struct nccl_wait *wait);
MUST_CHECK enum err nccl_watchdog_start(struct nccl_ranks *ranks);
void nccl_watchdog_stop(struct nccl_ranks *ranks);     /* waits for an abort that is under way */
double nccl_leaving_s(const struct nccl_ranks *ranks); /* what an end may take */

#endif
