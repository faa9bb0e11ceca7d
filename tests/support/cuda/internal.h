/* The emulator's parts among each other. One host thread at a time is in here: queue.cpp has the
 * lock. */
#ifndef TESTS_SUPPORT_CUDA_INTERNAL_H
#define TESTS_SUPPORT_CUDA_INTERNAL_H

#include "gpu_emulator.h"
#include "tests/support/cuda/emulator.h"
#include "tests/support/cuda/fibre.h"

enum {
    MOST_THREADS = 1024,
    LANES = 32,
    MOST_WARPS = MOST_THREADS / LANES,
    MOST_STATIC_BYTES = 48 << 10,
    MOST_SHARED_BYTES = 163 << 10, /* an A100's: more is asked for of no card */
};

/* order.cpp: the order of blocks, threads and streams. */
enum order_kind { ORDER_FORWARD, ORDER_REVERSED, ORDER_SHUFFLED };
struct order {
    enum order_kind kind;
    uint64_t state; /* of the random numbers */
};
/* From GPU_EMULATOR_ORDER. */
struct order order_read(void);
uint32_t order_below(struct order *order, uint32_t bound); /* random; bound > 0 */
int order_pick(struct order *order, uint32_t bits);        /* the number of one of the bits set */
void order_fill(struct order *order, uint32_t *numbers, uint32_t count); /* of 0 to count - 1 */

/* block.cpp: one block at a time. */
struct warp;

/* What lanes of a warp do together: the last to come runs it for all. */
struct meeting {
    const char *name; /* all lanes are at the same */
    void (*run)(struct warp *warp, const struct meeting *meeting, uint32_t lanes);
};

struct thread {
    struct fibre *fibre;
    bool is_at_barrier;
    struct warp *warp;
    uint3 index;
    int number, lane;
    const struct meeting *meeting; /* that it waits at */
    uint32_t meeting_lanes;
    void *operand;            /* on its stack, for run() */
    int copies_first, copies; /* of cp.async, on their way (ptx.cpp) */
    unsigned copies_group;    /* not yet committed */
};

struct warp {
    struct thread *threads; /* (LANES) */
    int number;
    uint32_t live, ready, waiting; /* lanes that have not ended; may run; are at a meeting */
    uint32_t synced;               /* the time of its last __syncwarp (use.h) */
};

struct block {
    const struct gpu_kernel *kernel;
    const void *argument;
    struct order order;
    uint64_t launch, number; /* launch: since the start; number: in its grid */
    int threads_count, warps_count, ended, at_barrier;
    uint32_t time, synced; /* a count of barriers (use.h); that of the last of the block */
    struct thread *current;
    struct thread threads[MOST_THREADS];
    struct warp warps[MOST_WARPS];
};

extern struct block gpu_block;

void block_run_grid(const struct gpu_kernel *kernel, const void *argument);
/* Waits for the lanes; `operand` is then read and written by meeting->run(). */
void block_meet(const struct meeting *meeting, uint32_t lanes, void *operand);
/* Inside a kernel. */
[[noreturn]] void block_refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Anywhere. */
[[noreturn]] void emulator_refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* shared.cpp */
void shared_begin_launch(size_t dynamic_bytes, size_t most_bytes);
size_t shared_static_bytes(void);
/* As gpu_shared_note_load(); code: where in the kernel. */
void shared_note_load(const void *at, size_t size_bytes, const void *code);
void shared_begin_block(void); /* full of NaN */
void shared_forget(void);      /* as if nobody had used it */
/* Between them nobody may use what the copy stores. */
void shared_begin_copy(const void *to, size_t size_bytes, const void *code);
void shared_end_copy(const void *to, size_t size_bytes);

/* ptx.cpp */
void copies_end_thread(const struct thread *thread);

/* memory.cpp */
struct gpu_allocation {
    struct gpu_extent extent;
    struct gpu_allocation *next;
    struct allocation_count *counted; /* counters.cpp's; NULL: not yet */
    struct uses *uses;                /* races.cpp's; NULL: not yet */
};
struct gpu_allocation *memory_first(void); /* of those that live */
/* An address and what is near it. */
void memory_say_where(const void *at, char *text, size_t size);
bool memory_alloc(size_t size_bytes, void **handle); /* false: there is not so much */
/* false: no live allocation begins there. */
bool memory_free(void *handle);
void memory_info(size_t *free_bytes, size_t *total_bytes);
bool memory_is_device(const void *handle);
/* Where all of these bytes of one live allocation are; else refuses, for `what`. */
void *memory_reach(const char *what, const void *handle, size_t size_bytes);
bool memory_pin(size_t size_bytes, void **host);
bool memory_unpin(void *host);
bool memory_is_pinned(const void *host, size_t size_bytes);

/* watch.cpp, counters.cpp, races.cpp */
enum watched { WATCHED_LOAD, WATCHED_STORE, WATCHED_SHARED_LOAD, WATCHED_SHARED_STORE };

/* Bytes. loaded, stored: as threads asked for; read, written: sectors of 32 that a block touched,
 * each once, added over blocks; ..._once: those that the launch touched at all; sectors: those that
 * instructions of warps touched; used: what they asked of those. */
struct memory_count {
    uint64_t loaded, stored, read, written, read_once, written_once, sectors, used;
};

struct launch_count {
    uint64_t sectors, used;
    uint64_t shared_accesses, shared_passes; /* if no two lanes wanted one bank; as it was */
};

void watch_begin_launch(void);
void watch_begin_block(void);
/* code: where in the kernel. */
void watch_access(enum gpu_access access, const void *at, size_t size_bytes, const void *code);

void counters_begin_launch(void);
void counters_begin_block(void);
void counters_end_launch(const struct gpu_kernel *kernel, size_t static_bytes);
bool counters_are_on(void);
void counters_note(enum watched what, uintptr_t at, size_t size_bytes, const void *code);
void counters_lanes_met(void); /* those of the warp that runs */
void counters_forget(struct gpu_allocation *allocation);

void races_begin_launch(void);
void races_begin_block(void);
bool races_are_on(void);
void races_note(enum gpu_access access, uint64_t from, size_t size_bytes);
void races_fence(void);
void races_forget(struct gpu_allocation *allocation);

/* fault.cpp */
void fault_begin_launch(void);
void fault_end_launch(void);

/* runtime.cpp: that a block of this card may have; MOST_SHARED_BYTES at most. */
size_t runtime_shared_bytes(void);

/* queue.cpp, streams.cpp */
void streams_lock(void);
void streams_unlock(void);
/* Runs all that was queued. */
void streams_drain(void);
/* What every call returns, once the card is lost. */
cudaError_t streams_lost(void);
void streams_found(void); /* it is there again, and has forgotten what was queued */
/* Work of somebody else's (tests/support/nccl): when its turn comes it is asked, under the lock and
 * again and again, until it is over. */
cudaError_t streams_queue_call(cudaStream_t stream, bool (*is_over)(void *own), void *own);

#endif
