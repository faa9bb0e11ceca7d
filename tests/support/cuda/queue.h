/* Streams are queues of jobs. Nothing in them runs until the host waits for something, or until a
 * queue is long; what else may run then is the order's to say (emulator.h). Callers hold the lock,
 * streams_lock(). */
#ifndef TESTS_SUPPORT_CUDA_QUEUE_H
#define TESTS_SUPPORT_CUDA_QUEUE_H

#include "tests/support/cuda/internal.h"

enum job_kind { JOB_KERNEL, JOB_COPY, JOB_SET, JOB_RECORD, JOB_WAIT, JOB_CALL };

struct job {
    struct job *next;
    enum job_kind kind;
    struct gpu_kernel kernel;
    void *to;
    const void *from;
    size_t size_bytes;
    enum cudaMemcpyKind direction;
    int byte;
    struct CUevent_st *event;
    uint64_t mark;              /* the record of the event that is meant */
    void *argument;             /* of a kernel, behind it */
    bool (*is_over)(void *own); /* of a call */
    void *own;
};

struct CUevent_st {
    uint64_t recorded, passed; /* counts of records queued, and run */
    int jobs;                  /* that name it */
    bool is_destroyed;
};

struct CUstream_st {
    struct CUstream_st *next;
    struct job *first, **last;
    size_t length;
    bool is_blocking; /* the default stream waits for it */
};

extern struct CUstream_st *queue_streams; /* in the order of their creation */

/* The argument's bytes are the kernel's. Its first user owns it until queue_add() takes it. */
struct job *job_make(enum job_kind kind, size_t argument_bytes);
void job_run(struct job *job);
void copy_run(const struct job *job); /* copies.cpp */
void copy_set(const struct job *job);
void event_forget(struct CUevent_st *event); /* frees it, when nobody needs it any more */

/* On the default stream, NULL, it runs at once, behind all streams that block. Takes it. */
void queue_add(struct CUstream_st *stream, struct job *job);
void queue_check(const struct CUstream_st *stream); /* refuses what is no stream */

/* Runs one job, of this stream or of one that the order prefers. False: nothing could run. */
bool queue_run_one(struct CUstream_st *wanted);
/* As queue_run_one(); where all wait for calls, others may come in meanwhile. */
void queue_run_or_wait(struct CUstream_st *wanted);
void queue_run(struct CUstream_st *stream); /* all of it */
void queue_run_blocking(void);              /* all streams that the default one waits for */
void queue_read_order(void);                /* in front of the first queue_run_one() of a wait */

#endif
