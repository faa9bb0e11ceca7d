/* Threads, warps and blocks of the emulated GPU: they compute what CUDA says, in every order, and
 * what CUDA leaves undefined ends the process with a sentence. */
#include "tests/support/cuda/check.h"

enum { COUNT = 1000, THREADS = 96, BLOCKS = 7 };

struct scale {
    const float *from;
    float *to;
    int count;
};

static __global__ void scale_kernel(struct scale op)
{
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < op.count)
        gpu_store(op.to + i, 2 * gpu_load(op.from + i));
}

static void each_thread_has_its_place(void **)
{
    float from[COUNT], to[COUNT];
    for (int i = 0; i < COUNT; i++)
        from[i] = (float)i;
    struct scale op = {(float *)check_upload(from, sizeof from),
                       (float *)check_upload(NULL, sizeof to), COUNT};
    check_launch("scale", scale_kernel, dim3((COUNT + THREADS - 1) / THREADS), dim3(THREADS), 0,
                 op);
    check_download(to, op.to, sizeof to);
    for (int i = 0; i < COUNT; i++)
        assert_true(to[i] == (float)(2 * i));
}

struct place {
    unsigned *to;
};

static __global__ void place_kernel(struct place op)
{
    unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    unsigned i = block * blockDim.x * blockDim.y * blockDim.z + thread;
    gpu_store(op.to + i, i + 1);
}

static void grids_and_blocks_have_three_dimensions(void **)
{
    enum { ALL = 2 * 3 * 4 * 5 * 3 * 2 };
    unsigned to[ALL];
    struct place op = {(unsigned *)check_upload(NULL, sizeof to)};
    check_launch("place", place_kernel, dim3(2, 3, 4), dim3(5, 3, 2), 0, op);
    check_download(to, op.to, sizeof to);
    for (unsigned i = 0; i < ALL; i++)
        assert_int_equal(to[i], i + 1);
}

struct sum {
    const float *from;
    float *to;
};

/* Of a block's threads: shuffles in a warp, shared memory among warps. */
static __global__ void sum_kernel(struct sum op)
{
    GPU_SHARED(float, of_warps, 32);
    unsigned thread = threadIdx.x, lane = thread % 32;
    float sum = gpu_load(op.from + blockIdx.x * blockDim.x + thread);
    for (int by = 16; by > 0; by /= 2)
        sum += __shfl_xor_sync(0xffffffffu, sum, by);
    if (lane == 0)
        of_warps[thread / 32] = sum;
    __syncthreads();
    if (thread == 0) {
        float all = 0;
        for (unsigned i = 0; i < blockDim.x / 32; i++)
            all += of_warps[i];
        gpu_store(op.to + blockIdx.x, all);
    }
}

static void threads_add_up_by_shuffles_and_shared_memory(void **)
{
    float from[BLOCKS * THREADS], to[BLOCKS];
    for (int i = 0; i < BLOCKS * THREADS; i++)
        from[i] = (float)i;
    struct sum op = {(float *)check_upload(from, sizeof from),
                     (float *)check_upload(NULL, sizeof to)};
    check_launch("sum", sum_kernel, dim3(BLOCKS), dim3(THREADS), 0, op);
    check_download(to, op.to, sizeof to);
    for (int b = 0; b < BLOCKS; b++)
        assert_true(to[b] == (float)(THREADS * (b * THREADS) + THREADS * (THREADS - 1) / 2));
}

struct ring {
    unsigned *to; /* (1024) */
    int rounds;
};

/* Every thread hands its number on, in dynamic shared memory. */
static __global__ void ring_kernel(struct ring op)
{
    GPU_SHARED_DYNAMIC(memory);
    shared<unsigned> numbers = shared_cast<unsigned>(memory);
    unsigned thread = threadIdx.x, mine = thread;
    for (int i = 0; i < op.rounds; i++) {
        numbers[thread] = mine;
        __syncthreads();
        mine = numbers[(thread + 1) % blockDim.x];
        __syncthreads();
    }
    gpu_store(op.to + thread, mine);
}

static void a_block_of_1024_threads_meets_at_barriers(void **)
{
    enum { ALL = 1024, ROUNDS = 100 };
    unsigned to[ALL];
    struct ring op = {(unsigned *)check_upload(NULL, sizeof to), ROUNDS};
    check_launch("ring", ring_kernel, dim3(1), dim3(ALL), sizeof to, op);
    check_download(to, op.to, sizeof to);
    for (unsigned i = 0; i < ALL; i++)
        assert_int_equal(to[i], (i + ROUNDS) % ALL);
}

struct lanes {
    unsigned *to; /* (8, 32) */
};

static __global__ void lanes_kernel(struct lanes op)
{
    unsigned lane = threadIdx.x, all = 0xffffffffu;
    gpu_store(op.to + lane, __shfl_sync(all, lane + 100, 5));
    gpu_store(op.to + 32 + lane, __shfl_up_sync(all, lane + 100, 3));
    gpu_store(op.to + 64 + lane, __shfl_down_sync(all, lane + 100, 3));
    gpu_store(op.to + 96 + lane, __shfl_xor_sync(all, lane + 100, 9));
    gpu_store(op.to + 128 + lane, __shfl_down_sync(all, lane + 100, 3, 8));
    gpu_store(op.to + 160 + lane, __ballot_sync(all, lane % 3 == 0));
    gpu_store(op.to + 192 + lane, (unsigned)(__any_sync(all, lane == 7) + __all_sync(all, 1)));
    double wide = __shfl_sync(all, 1.0 / 3 + lane, 30);
    gpu_store(op.to + 224 + lane, (unsigned)(wide == 1.0 / 3 + 30));
}

static unsigned expected_lane(unsigned row, unsigned lane)
{
    unsigned thirds = 0;
    for (unsigned i = 0; i < 32; i += 3)
        thirds |= 1u << i;
    const unsigned wanted[] = {105,
                               100 + (lane >= 3 ? lane - 3 : lane),
                               100 + (lane + 3 < 32 ? lane + 3 : lane),
                               100 + (lane ^ 9),
                               100 + (lane % 8 + 3 < 8 ? lane + 3 : lane),
                               thirds,
                               2,
                               1};
    return wanted[row];
}

static void lanes_shuffle_and_vote(void **)
{
    unsigned to[8 * 32];
    struct lanes op = {(unsigned *)check_upload(NULL, sizeof to)};
    check_launch("lanes", lanes_kernel, dim3(1), dim3(32), 0, op);
    check_download(to, op.to, sizeof to);
    for (unsigned i = 0; i < 8 * 32; i++)
        assert_int_equal(to[i], expected_lane(i / 32, i % 32));
}

/* Two halves; the last lanes of both meet each other and go. */
static __global__ void leavers_kernel(struct lanes op)
{
    unsigned lane = threadIdx.x, half = lane / 16 ? 0xffff0000u : 0x0000ffffu;
    if (lane % 16 == 15) {
        __syncwarp(0x80008000u);
        return;
    }
    gpu_store(op.to + lane, __ballot_sync(half, 1));
}

static void lanes_that_have_ended_are_not_waited_for(void **)
{
    unsigned to[8 * 32];
    struct lanes op = {(unsigned *)check_upload(NULL, sizeof to)};
    check_launch("leavers", leavers_kernel, dim3(1), dim3(32), 0, op);
    check_download(to, op.to, sizeof to);
    for (unsigned i = 0; i < 32; i++)
        assert_int_equal(to[i], i % 16 == 15 ? 0xffffffffu : i < 16 ? 0x7fffu : 0x7fff0000u);
}

struct turn {
    unsigned *next; /* (1) */
    unsigned *to;   /* (blocks, threads): whose turn it was */
};

static __global__ void turn_kernel(struct turn op)
{
    unsigned turn = atomicAdd(op.next, 1u);
    gpu_store(op.to + turn, blockIdx.x * blockDim.x + threadIdx.x);
}

static bool is_in_order(const unsigned *turns, unsigned count, bool is_reversed)
{
    for (unsigned i = 0; i < count; i++)
        if (turns[i] != (is_reversed ? count - 1 - i : i))
            return false;
    return true;
}

static void the_environment_says_in_which_order_they_run(void **)
{
    enum { ALL = BLOCKS * THREADS };
    unsigned zero = 0, turns[ALL], seen[ALL] = {0};
    const char *order = getenv("GPU_EMULATOR_ORDER");
    struct turn op = {(unsigned *)check_upload(&zero, sizeof zero),
                      (unsigned *)check_upload(NULL, sizeof turns)};
    check_launch("turn", turn_kernel, dim3(BLOCKS), dim3(THREADS), 0, op);
    check_download(turns, op.to, sizeof turns);
    assert_int_equal(is_in_order(turns, ALL, false), strcmp(order, "forward") == 0);
    assert_int_equal(is_in_order(turns, ALL, true), strcmp(order, "reversed") == 0);
    for (unsigned turn : turns)
        seen[turn]++;
    for (unsigned times : seen)
        assert_int_equal(times, 1);
}

static void what_no_card_launches_is_an_error(void **)
{
    struct place op = {NULL};
    const struct launch wrong[] = {{"place", dim3(0), dim3(1), 0, NULL},
                                   {"place", dim3(1), dim3(1025), 0, NULL},
                                   {"place", dim3(1, 65536), dim3(1), 0, NULL},
                                   {"place", dim3(1), dim3(1, 1, 65), 0, NULL},
                                   {"place", dim3(1), dim3(1), (163 << 10) + 1, NULL}};
    for (const struct launch &at : wrong)
        assert_int_equal(gpu_launch(place_kernel, &at, &op), cudaErrorInvalidConfiguration);
    setenv("GPU_EMULATOR_CAPABILITY", "86", 1);
    const struct launch most = {"place", dim3(1), dim3(1), (99 << 10) + 1, NULL};
    assert_int_equal(gpu_launch(place_kernel, &most, &op), cudaErrorInvalidConfiguration);
    assert_int_equal(
        cudaFuncSetAttribute(NULL, cudaFuncAttributeMaxDynamicSharedMemorySize, (99 << 10) + 1),
        cudaErrorInvalidValue);
    unsetenv("GPU_EMULATOR_CAPABILITY");
}

/* ---- planted faults */

struct fault {
    int kind;
    unsigned *to;
};

enum { SOME_AT_BARRIER, SOME_AT_SHUFFLE, OTHER_COLLECTIVE, WITHOUT_ITSELF };

static __global__ void fault_kernel(struct fault op)
{
    unsigned lane = threadIdx.x % 32;
    if (op.kind == SOME_AT_BARRIER && threadIdx.x != 40)
        __syncthreads();
    if (op.kind == SOME_AT_SHUFFLE) {
        if (lane < 16)
            gpu_store(op.to + threadIdx.x, __shfl_sync(0xffffffffu, lane, 0));
        __syncthreads();
    }
    if (op.kind == OTHER_COLLECTIVE) {
        if (lane < 16)
            gpu_store(op.to + threadIdx.x, __shfl_sync(0xffffffffu, lane, 0));
        else
            gpu_store(op.to + threadIdx.x, __ballot_sync(0xffffffffu, 1));
    }
    if (op.kind == WITHOUT_ITSELF)
        gpu_store(op.to + threadIdx.x, __shfl_sync(0x0000ffffu, lane, 0));
}

static void run_fault(int kind)
{
    struct fault op = {kind, (unsigned *)check_upload(NULL, 256)};
    check_launch("fault", fault_kernel, dim3(1), dim3(64), 0, op);
}

static void a_barrier_that_not_all_threads_reach_is_found(void **)
{
    check_dies(run_fault, SOME_AT_BARRIER,
               "kernel fault, block (0, 0, 0), thread (0, 0, 0): deadlock");
    check_dies(run_fault, SOME_AT_BARRIER, "thread (40, 0, 0) has ended");
}

static void a_collective_that_not_all_lanes_reach_is_found(void **)
{
    check_dies(run_fault, SOME_AT_SHUFFLE, "deadlock: thread (0, 0, 0) waits at __shfl_sync");
    check_dies(run_fault, OTHER_COLLECTIVE, "at a vote of lanes ffffffff");
    check_dies(run_fault, WITHOUT_ITSELF, "which are without it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_thread_has_its_place),
        cmocka_unit_test(grids_and_blocks_have_three_dimensions),
        cmocka_unit_test(threads_add_up_by_shuffles_and_shared_memory),
        cmocka_unit_test(a_block_of_1024_threads_meets_at_barriers),
        cmocka_unit_test(lanes_shuffle_and_vote),
        cmocka_unit_test(lanes_that_have_ended_are_not_waited_for),
        cmocka_unit_test(what_no_card_launches_is_an_error),
        cmocka_unit_test(the_environment_says_in_which_order_they_run),
        cmocka_unit_test(a_barrier_that_not_all_threads_reach_is_found),
        cmocka_unit_test(a_collective_that_not_all_lanes_reach_is_found),
    };
    return check_in_all_orders(tests);
}
