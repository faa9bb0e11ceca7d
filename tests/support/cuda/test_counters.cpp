/* What the emulated GPU counts of a launch, and races of blocks in device memory. */
#include "tests/support/cuda/check.h"

enum { WARP = 32, FLOATS = 4096 };

struct counted {
    float *from, *to;
    int stride, width;
};

/* Reads the report of one launch, which is removed. */
static const char *report_of(void (*kernel)(struct counted), dim3 grid, dim3 block,
                             struct counted op)
{
    static char text[8192];
    char path[] = "/tmp/gpu-report-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    setenv("GPU_EMULATOR_REPORT", path, 1);
    check_launch("counted", kernel, grid, block, 0, op);
    unsetenv("GPU_EMULATOR_REPORT");
    ssize_t size = read(file, text, sizeof text - 1);
    close(file);
    unlink(path);
    assert_true(size > 0);
    text[size] = 0;
    return text;
}

/* The n-th number of that name, from 0. */
static long number_in(const char *report, const char *name, int n)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\":", name);
    for (;; n--) {
        report = strstr(report, key);
        if (!report)
            fail_msg("no %s", key);
        report += strlen(key);
        if (n == 0)
            return strtol(report, NULL, 10);
    }
}

static void check_number(const char *report, const char *name, int n, long wanted)
{
    long is = number_in(report, name, n);
    if (is != wanted)
        fail_msg("%s is %ld, not %ld, in %s", name, is, wanted, report);
}

static struct counted make(int stride, int width)
{
    float *zeros = (float *)calloc(FLOATS, sizeof *zeros);
    struct counted op = {(float *)check_upload(zeros, FLOATS * sizeof *zeros),
                         (float *)check_upload(zeros, FLOATS * sizeof *zeros), stride, width};
    free(zeros);
    return op;
}

static void unmake(struct counted op)
{
    check_cuda(cudaFree(op.from));
    check_cuda(cudaFree(op.to));
}

/* Every thread some floats, `stride` apart; lanes go by different numbers of rounds. */
static __global__ void strided_kernel(struct counted op)
{
    int thread = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    for (int i = thread * op.stride; i < op.width; i += (int)blockDim.x * op.stride)
        gpu_store(op.to + i, gpu_load(op.from + i));
}

static void neighbours_use_whole_sectors(void **)
{
    struct counted op = make(1, 1000);
    const char *report = report_of(strided_kernel, dim3(1), dim3(WARP), op);
    check_number(report, "loaded", 0, 4000);
    check_number(report, "stored", 0, 4000);
    check_number(report, "sectors", 0, 8000);
    check_number(report, "used", 0, 8000);
    check_number(report, "at", 0, (long)(uintptr_t)op.to); /* the newest first */
    check_number(report, "read", 1, 4000);
    check_number(report, "read_once", 1, 4000);
    check_number(report, "written", 0, 4000);
    unmake(op);
}

static void strides_waste_sectors(void **)
{
    struct counted op = make(4, 1024);
    const char *report = report_of(strided_kernel, dim3(1), dim3(WARP), op);
    check_number(report, "loaded", 0, 1024);
    check_number(report, "used", 0, 2048);
    check_number(report, "sectors", 0, 8192);
    check_number(report, "read", 1, 4096);
    check_number(report, "read_once", 1, 1024);
    unmake(op);
}

/* Each of the blocks reads all. */
static __global__ void reread_kernel(struct counted op)
{
    float sum = 0;
    for (int i = (int)threadIdx.x; i < op.width; i += (int)blockDim.x)
        sum += gpu_load(op.from + i) + gpu_load(op.from + i);
    gpu_store(op.to + blockIdx.x * blockDim.x + threadIdx.x, sum);
}

static void what_blocks_read_again_counts_again_and_what_a_block_does_not(void **)
{
    struct counted op = make(1, 1024);
    const char *report = report_of(reread_kernel, dim3(3), dim3(64), op);
    check_number(report, "loaded", 0, 3 * 2 * 4096);
    check_number(report, "read", 1, 3 * 4096);
    check_number(report, "read_once", 1, 4096);
    unmake(op);
}

static __global__ void broadcast_kernel(struct counted op)
{
    float4 sum = gpu_load(reinterpret_cast<const float4 *>(op.from) + threadIdx.x);
    sum.x += gpu_load(op.from + 8);
    gpu_store(reinterpret_cast<float4 *>(op.to) + threadIdx.x, sum);
}

static void lanes_that_read_one_word_use_it_once(void **)
{
    struct counted op = make(1, 0);
    const char *report = report_of(broadcast_kernel, dim3(1), dim3(WARP), op);
    check_number(report, "loaded", 0, 512 + 128);
    check_number(report, "sectors", 0, 512 + 32 + 512);
    check_number(report, "used", 0, 512 + 4 + 512);
    unmake(op);
}

static __global__ void banks_kernel(struct counted op)
{
    GPU_SHARED(float4, memory, 1024);
    shared<float> tile = shared_cast<float>(memory);
    int lane = (int)threadIdx.x;
    float sum = 0;
    if (op.width == 4)
        sum = (float)shared_load<float4>(tile + lane * op.stride).x;
    else
        sum = tile[lane * op.stride];
    gpu_store(op.to + lane, sum);
}

static void check_banks(int stride, int width, long accesses, long passes)
{
    struct counted op = make(stride, width);
    const char *report = report_of(banks_kernel, dim3(1), dim3(WARP), op);
    check_number(report, "shared_accesses", 0, accesses);
    check_number(report, "shared_passes", 0, passes);
    unmake(op);
}

static void lanes_of_one_bank_wait_for_each_other(void **)
{
    check_banks(1, 1, 1, 1);
    check_banks(0, 1, 1, 1); /* one word for all */
    check_banks(2, 1, 1, 2);
    check_banks(32, 1, 1, 32);
    check_banks(33, 1, 1, 1);
    check_banks(4, 4, 4, 4); /* 16 bytes go by quarters of the warp */
    check_banks(8, 4, 4, 8);
    check_banks(32, 4, 4, 32);
}

/* ---- races of blocks */

enum fault_kind { BOTH_STORE, LOADS_ANOTHERS, STORES_WHAT_IS_LOADED, NO_TICKET, NO_FRESH, NONE };

struct race {
    int kind;
    float *to;        /* (BLOCKS) */
    unsigned *ticket; /* (1) */
};

enum { BLOCKS = 4 };

enum thread_fault_kind { SAME_WORD, NEIGHBOURS, NEIGHBOURS_STORE, LANES, LANES_SYNCED, SYNCED };

static __global__ void race_kernel(struct race op)
{
    int block = (int)blockIdx.x, other = (block + 1) % BLOCKS;
    float mine = (float)block;
    if (op.kind == BOTH_STORE)
        block /= 2;
    if (op.kind == LOADS_ANOTHERS || op.kind == STORES_WHAT_IS_LOADED)
        mine = gpu_load(op.to + other);
    gpu_store(op.to + block, mine);
    __threadfence();
    if (op.kind == NO_TICKET && block == 2)
        gpu_store(op.to + BLOCKS, gpu_load_fresh(op.to) + gpu_load_fresh(op.to + 3));
    if (op.kind < NO_FRESH || atomicInc(op.ticket, BLOCKS - 1) != BLOCKS - 1)
        return;
    __threadfence();
    for (int i = 0; i < BLOCKS; i++)
        mine += op.kind == NO_FRESH ? gpu_load(op.to + i) : gpu_load_fresh(op.to + i);
    gpu_store(op.to, mine);
}

static void run_race(int kind)
{
    float zeros[BLOCKS + 1] = {0};
    struct race op = {kind, (float *)check_upload(zeros, sizeof zeros),
                      (unsigned *)check_upload(zeros, 4)};
    check_launch("race", race_kernel, dim3(BLOCKS), dim3(1), 0, op);
}

static __global__ void threads_kernel(struct race op)
{
    int i = (int)threadIdx.x, next = (i + 1) % (int)blockDim.x, lane = i ^ 1;
    float got = 0;
    switch (op.kind) {
    case SAME_WORD:
        gpu_store(op.to, (float)i);
        break;
    case NEIGHBOURS:
        gpu_store(op.to + i, (float)i);
        got = gpu_load(op.to + next);
        break;
    case NEIGHBOURS_STORE:
        got = gpu_load(op.to + i);
        gpu_store(op.to + next, got);
        break;
    case SYNCED:
        gpu_store(op.to + i, (float)i);
        __syncthreads();
        got = gpu_load(op.to + next);
        __syncthreads();
        gpu_store(op.to + i, got);
        break;
    default:
        gpu_store(op.to + i, (float)i);
        if (op.kind == LANES_SYNCED)
            __syncwarp();
        got = gpu_load(op.to + lane);
    }
}

static void run_threads(int kind)
{
    struct race op = {kind, (float *)check_upload(NULL, 256), NULL};
    check_launch("threads", threads_kernel, dim3(1), dim3(64), 0, op);
}

static void races_of_threads_in_device_memory_are_found(void **)
{
    for (int kind = SAME_WORD; kind <= LANES; kind++)
        check_dies(run_threads, kind, "a race of threads: it");
    run_threads(LANES_SYNCED);
    run_threads(SYNCED);
}

static void races_of_blocks_are_found(void **)
{
    check_dies(run_race, BOTH_STORE, "a race of blocks: it stores");
    check_dies(run_race, LOADS_ANOTHERS, "a race of blocks");
    check_dies(run_race, STORES_WHAT_IS_LOADED, "a race of blocks");
    check_dies(run_race, NO_TICKET, "a race of blocks: it loads without having passed a ticket");
    check_dies(run_race, NO_FRESH, "a race of blocks: it loads");
}

static void a_last_block_behind_its_ticket_is_no_race(void **)
{
    run_race(NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_use_whole_sectors),
        cmocka_unit_test(strides_waste_sectors),
        cmocka_unit_test(what_blocks_read_again_counts_again_and_what_a_block_does_not),
        cmocka_unit_test(lanes_that_read_one_word_use_it_once),
        cmocka_unit_test(lanes_of_one_bank_wait_for_each_other),
        cmocka_unit_test(races_of_threads_in_device_memory_are_found),
        cmocka_unit_test(races_of_blocks_are_found),
        cmocka_unit_test(a_last_block_behind_its_ticket_is_no_race),
    };
    return check_in_all_orders(tests);
}
