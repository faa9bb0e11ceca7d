/* A grid is run block by block, a block warp by warp, a warp lane by lane, each until it waits. */
#include "tests/support/cuda/use.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const uint3 *gpu_thread_index;
uint3 gpu_block_index;
dim3 gpu_block_shape, gpu_grid_shape;
struct block gpu_block;

[[noreturn]] static void refuse(const char *where, const char *format, va_list arguments)
{
    fprintf(stderr, "emulated GPU: %s", where);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    fflush(stderr);
    abort();
}

[[noreturn]] void emulator_refuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    refuse("", format, arguments);
}

[[noreturn]] void block_refuse(const char *format, ...)
{
    char where[512] = "";
    const struct block *block = &gpu_block;
    const struct uint3 b = gpu_block_index, t = block->current ? block->current->index : uint3();
    if (block->kernel)
        snprintf(where, sizeof where,
                 "kernel %s, block (%u, %u, %u), thread (%u, %u, %u): ", block->kernel->name, b.x,
                 b.y, b.z, t.x, t.y, t.z);
    va_list arguments;
    va_start(arguments, format);
    refuse(where, format, arguments);
}

/* ---- */

static bool is_waiting(const struct thread *thread)
{
    return thread->warp->waiting >> thread->lane & 1;
}

/* Whether all that the lane waits for have come; if so they go on. Who is somewhere else yet may
 * still come, or end. */
static bool try_meeting(struct warp *warp, const struct thread *mine)
{
    uint32_t lanes = mine->meeting_lanes & warp->live;
    const struct meeting *meeting = mine->meeting;
    if ((warp->waiting & lanes) != lanes)
        return false;
    for (uint32_t left = lanes; left; left &= left - 1) {
        const struct thread *other = &warp->threads[__builtin_ctz(left)];
        if (other->meeting != meeting || other->meeting_lanes != mine->meeting_lanes)
            return false;
    }
    if (meeting->run)
        meeting->run(warp, meeting, lanes);
    if (lanes == warp->live)
        counters_lanes_met();
    warp->waiting &= ~lanes;
    warp->ready |= lanes;
    return true;
}

void block_meet(const struct meeting *meeting, uint32_t lanes, void *operand)
{
    struct thread *mine = gpu_block.current;
    struct warp *warp = mine->warp;
    uint32_t bit = UINT32_C(1) << mine->lane;
    if (!(lanes & bit))
        block_refuse("lane %d is at %s of lanes %08x, which are without it", mine->lane,
                     meeting->name, lanes);
    mine->meeting = meeting;
    mine->meeting_lanes = lanes;
    mine->operand = operand;
    warp->waiting |= bit;
    if (try_meeting(warp, mine))
        warp->ready &= ~bit; /* goes on at once */
    else
        fibre_yield();
}

/* A barrier of the block or of a warp is passed. */
static uint32_t next_time(void)
{
    if (++gpu_block.time == USE_LAST_STAMP)
        block_refuse("more than %u barriers in one block: the emulator does not count so far",
                     USE_LAST_STAMP / 2);
    return gpu_block.time;
}

static void order_memory(struct warp *warp, const struct meeting *meeting, uint32_t lanes)
{
    (void)meeting, (void)lanes;
    warp->synced = next_time();
}

void gpu_warp_barrier(uint32_t lanes)
{
    static const struct meeting barrier = {"__syncwarp", order_memory};
    block_meet(&barrier, lanes, NULL);
}

void gpu_block_barrier(void)
{
    gpu_block.current->is_at_barrier = true;
    gpu_block.at_barrier++;
    fibre_yield();
}

void gpu_fence(void)
{
    races_fence();
}

/* ---- */

static void run_thread(void *argument)
{
    struct thread *thread = static_cast<struct thread *>(argument);
    struct warp *warp = thread->warp;
    gpu_block.kernel->run(gpu_block.kernel->kernel, gpu_block.argument);
    copies_end_thread(thread);
    gpu_block.ended++;
    warp->live &= ~(UINT32_C(1) << thread->lane);
    for (uint32_t left = warp->waiting; left; left &= left - 1) { /* perhaps for this one */
        int lane = __builtin_ctz(left);
        if (warp->waiting >> lane & 1)
            try_meeting(warp, &warp->threads[lane]);
    }
}

static void run_warp(struct warp *warp)
{
    while (warp->ready) {
        int lane = order_pick(&gpu_block.order, warp->ready);
        struct thread *thread = &warp->threads[lane];
        warp->ready &= ~(UINT32_C(1) << lane);
        gpu_block.current = thread;
        gpu_thread_index = &thread->index;
        fibre_resume(thread->fibre);
    }
    counters_lanes_met();
}

static void say_where(const struct thread *thread, char *text, size_t size)
{
    const struct uint3 t = thread->index;
    if (thread->is_at_barrier)
        snprintf(text, size, "thread (%u, %u, %u) waits at __syncthreads", t.x, t.y, t.z);
    else if (is_waiting(thread))
        snprintf(text, size, "thread (%u, %u, %u) waits at %s of lanes %08x", t.x, t.y, t.z,
                 thread->meeting->name, thread->meeting_lanes);
    else
        snprintf(text, size, "thread (%u, %u, %u) has ended", t.x, t.y, t.z);
}

static bool is_elsewhere(const struct thread *thread, const struct thread *other)
{
    bool is_at_meeting = is_waiting(thread);
    return thread->is_at_barrier != other->is_at_barrier || is_at_meeting != is_waiting(other) ||
           (is_at_meeting &&
            (thread->meeting != other->meeting || thread->meeting_lanes != other->meeting_lanes));
}

/* Of two threads that will not meet; the first still waits. */
[[noreturn]] static void refuse_deadlock(struct block *block)
{
    char one[256] = "", other[256] = "so do all others";
    int i = 0;
    while (!(block->threads[i].warp->live >> block->threads[i].lane & 1))
        i++;
    const struct thread *first = block->current = &block->threads[i];
    for (i = block->threads_count - 1; i >= 0; i--)
        if (is_elsewhere(&block->threads[i], first))
            say_where(&block->threads[i], other, sizeof other);
    say_where(first, one, sizeof one);
    block_refuse("deadlock: %s; %s", one, other);
}

static void pass_barrier(struct block *block)
{
    if (block->at_barrier != block->threads_count)
        refuse_deadlock(block);
    block->at_barrier = 0;
    block->synced = next_time();
    for (int i = 0; i < block->threads_count; i++)
        block->threads[i].is_at_barrier = false;
    for (int i = 0; i < block->warps_count; i++)
        block->warps[i].ready = block->warps[i].live;
}

static uint32_t first_lanes(int count)
{
    return count >= LANES ? UINT32_MAX : (UINT32_C(1) << count) - 1;
}

static void begin_threads(struct block *block)
{
    for (int i = 0; i < block->threads_count; i++) {
        struct thread *thread = &block->threads[i];
        thread->is_at_barrier = false;
        thread->meeting = NULL;
        thread->copies_first = thread->copies = 0;
        thread->copies_group = 0;
        fibre_start(thread->fibre, run_thread, thread);
    }
    for (int i = 0; i < block->warps_count; i++) {
        struct warp *warp = &block->warps[i];
        warp->live = warp->ready = first_lanes(block->threads_count - i * LANES);
        warp->waiting = warp->synced = 0;
    }
    block->ended = block->at_barrier = 0;
}

/* Stamps of shared memory go on from block to block, as long as they can. */
static void begin_time(struct block *block)
{
    if (block->time > USE_LAST_STAMP / 2) {
        shared_forget();
        block->time = 0;
    }
    block->synced = next_time();
}

static void run_block(struct block *block)
{
    uint32_t numbers[MOST_WARPS];
    begin_time(block);
    shared_begin_block();
    watch_begin_block();
    begin_threads(block);
    for (;;) {
        order_fill(&block->order, numbers, (uint32_t)block->warps_count);
        for (int i = 0; i < block->warps_count; i++)
            run_warp(&block->warps[numbers[i]]);
        if (block->ended == block->threads_count)
            return;
        pass_barrier(block);
    }
}

/* ---- */

static void init_threads(struct block *block, dim3 shape)
{
    static struct fibre *fibres;
    if (!fibres)
        fibres = fibres_create(MOST_THREADS);
    block->threads_count = (int)(shape.x * shape.y * shape.z);
    block->warps_count = (block->threads_count + LANES - 1) / LANES;
    for (int i = 0; i < block->threads_count; i++) {
        struct thread *thread = &block->threads[i];
        unsigned n = (unsigned)i;
        thread->fibre = &fibres[i];
        thread->warp = &block->warps[i / LANES];
        thread->number = i;
        thread->lane = i % LANES;
        thread->index = uint3{n % shape.x, n / shape.x % shape.y, n / shape.x / shape.y};
    }
    for (int i = 0; i < block->warps_count; i++) {
        block->warps[i].threads = &block->threads[i * LANES];
        block->warps[i].number = i;
    }
}

void block_run_grid(const struct gpu_kernel *kernel, const void *argument)
{
    struct block *block = &gpu_block;
    dim3 grid = kernel->grid;
    uint32_t count = grid.x * grid.y * grid.z;
    uint32_t *numbers = static_cast<uint32_t *>(malloc(count * sizeof *numbers));
    if (!numbers)
        emulator_refuse("no memory for %u block numbers", count);
    block->kernel = kernel;
    block->argument = argument;
    block->order = order_read();
    block->launch++;
    block->time = 0;
    gpu_block_shape = kernel->block;
    gpu_grid_shape = grid;
    init_threads(block, kernel->block);
    shared_begin_launch(kernel->shared_bytes, kernel->most_shared_bytes);
    watch_begin_launch();
    fault_begin_launch();
    order_fill(&block->order, numbers, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t n = block->number = numbers[i];
        gpu_block_index = uint3{n % grid.x, n / grid.x % grid.y, n / grid.x / grid.y};
        run_block(block);
    }
    fault_end_launch();
    counters_end_launch(kernel, shared_static_bytes());
    block->kernel = NULL;
    free(numbers);
}
