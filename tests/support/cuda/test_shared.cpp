/* Shared memory of the emulated GPU: what it holds, and races in it. */
#include "tests/support/cuda/check.h"

enum { THREADS = 64 };

struct words {
    unsigned *to;
};

static __global__ void fresh_kernel(struct words op)
{
    GPU_SHARED(unsigned, declared, THREADS);
    GPU_SHARED_DYNAMIC(memory);
    shared<unsigned> dynamic = shared_cast<unsigned>(memory);
    unsigned i = threadIdx.x, both = (unsigned)declared[i] & (unsigned)dynamic[i];
    gpu_store(op.to + blockIdx.x * THREADS + i, both);
    __syncthreads();
    declared[i] = dynamic[i] = i;
}

static void every_block_finds_it_full_of_nan(void **)
{
    unsigned to[2 * THREADS];
    struct words op = {(unsigned *)check_upload(NULL, sizeof to)};
    check_launch("fresh", fresh_kernel, dim3(2), dim3(THREADS), 4 * THREADS, op);
    check_download(to, op.to, sizeof to);
    for (unsigned word : to)
        assert_int_equal(word, 0xffffffffu);
}

static __global__ void words_kernel(struct words op)
{
    GPU_SHARED(float4, four, THREADS / 4);
    GPU_SHARED(bf16, half, THREADS);
    shared<float> one = shared_cast<float>(four);
    unsigned i = threadIdx.x;
    shared<const float> read = one + 1;
    one[i] = (float)i;
    one[i] += 1;
    half[i] = bf16_round((float)(2 * i));
    __syncthreads();
    float4 mine = shared_load<float4>(one + i / 4 * 4);
    float sum = mine.x + mine.y + mine.z + mine.w + map_widen(half[i]);
    sum += i + 1 < THREADS ? read[i] : 0.0f;
    __syncthreads();
    if (i < THREADS / 4)
        shared_store(one + 4 * i, make_float4(sum, sum, sum, sum));
    __syncthreads();
    gpu_store(op.to + i, (unsigned)one[i / 4 * 4] * 1000 + (unsigned)sum);
}

static unsigned expected_sum(unsigned i)
{
    unsigned first = i / 4 * 4, next = i + 1 < THREADS ? i + 2 : 0;
    return 4 * first + 6 + 4 + 2 * i + next;
}

static void elements_are_read_one_by_one_or_as_vectors(void **)
{
    unsigned to[THREADS];
    struct words op = {(unsigned *)check_upload(NULL, sizeof to)};
    check_launch("words", words_kernel, dim3(1), dim3(THREADS), 0, op);
    check_download(to, op.to, sizeof to);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(to[i], expected_sum(i / 4) * 1000 + expected_sum(i));
}

/* In halves of a word each its own thread's, and in order by __syncwarp. */
static __global__ void ordered_kernel(struct words op)
{
    GPU_SHARED(uint16_t, half, THREADS);
    GPU_SHARED(unsigned, count, 1);
    unsigned i = threadIdx.x, warp = i / 32 * 32;
    if (i == 0)
        count[0] = 0u;
    __syncthreads();
    for (unsigned round = 1; round < 40; round++) {
        half[i] = (uint16_t)round;
        __syncwarp();
        unsigned other = half[warp + (i + round) % 32];
        atomicAdd(&count[0], other);
        __syncwarp();
    }
    __syncthreads();
    if (i == 0)
        gpu_store(op.to, (unsigned)count[0]);
}

static void what_barriers_order_is_no_race(void **)
{
    unsigned to = 0;
    struct words op = {(unsigned *)check_upload(NULL, sizeof to)};
    check_launch("ordered", ordered_kernel, dim3(1), dim3(THREADS), 0, op);
    check_download(&to, op.to, sizeof to);
    assert_int_equal(to, THREADS * 39 * 40 / 2);
}

/* ---- planted faults */

enum fault_kind {
    STORES_OF_TWO,
    LOAD_BEHIND_STORE,
    STORE_BEHIND_LOAD,
    STORE_BEHIND_LOADS_OF_WARPS,
    LANES_WITHOUT_SYNC,
    WARPS_BEHIND_SYNCWARP,
    SHUFFLE_IS_NO_FENCE,
    VECTOR_OVERLAPS,
    OUTSIDE,
    IN_FRONT,
    MISALIGNED,
    TOO_MUCH
};

struct fault {
    int kind;
    unsigned *to;
};

static __global__ void race_kernel(struct fault op)
{
    GPU_SHARED(unsigned, words, 2 * THREADS);
    unsigned i = threadIdx.x, got = 0;
    switch (op.kind) {
    case STORES_OF_TWO:
        words[i / 2] = i;
        break;
    case LOAD_BEHIND_STORE:
        words[i] = i;
        got = words[(i + 33) % THREADS];
        break;
    case STORE_BEHIND_LOAD:
        words[i] = i;
        __syncthreads();
        got = words[(i + 1) % THREADS];
        words[i] = got;
        break;
    case STORE_BEHIND_LOADS_OF_WARPS:
        got = words[0]; /* both warps */
        __syncwarp();
        if (i == 33)
            words[0] = i;
        break;
    case LANES_WITHOUT_SYNC:
        words[i] = i;
        got = words[i ^ 1];
        break;
    case WARPS_BEHIND_SYNCWARP:
        words[i] = i;
        __syncwarp();
        got = words[i ^ 32];
        break;
    case SHUFFLE_IS_NO_FENCE:
        words[i] = i;
        got = __shfl_sync(0xffffffffu, i, 0);
        got += words[i ^ 1];
        break;
    case VECTOR_OVERLAPS:
        shared_store(words + 2 * (i / 2 * 2), make_uint4(i, i, i, i));
        break;
    }
    gpu_store(op.to + i, got);
}

static __global__ void place_kernel(struct fault op)
{
    GPU_SHARED(unsigned, words, THREADS);
    GPU_SHARED(unsigned, more, THREADS);
    unsigned i = threadIdx.x;
    more[i] = i;
    if (op.kind == OUTSIDE)
        words[i + 1] = i;
    if (op.kind == IN_FRONT)
        gpu_store(op.to + i, (unsigned)words[(int)i - 1]);
    if (op.kind == MISALIGNED)
        gpu_store(op.to + i, shared_load<uint2>(words + (i | 1)).x);
}

static __global__ void huge_kernel(struct fault op)
{
    GPU_SHARED(unsigned, words, 12 << 10);
    GPU_SHARED(unsigned, more, 1);
    words[0] = more[0] = 1u;
    gpu_store(op.to, (unsigned)words[0]);
}

static __global__ void brink_kernel(struct fault op)
{
    GPU_SHARED_DYNAMIC(memory);
    GPU_SHARED(unsigned, words, (16 << 10) / 4 + 1);
    shared<unsigned> more = shared_cast<unsigned>(memory);
    words[0] = more[0] = 1u;
    gpu_store(op.to, (unsigned)words[0]);
}

static void run_brink(int beyond)
{
    struct fault op = {0, (unsigned *)check_upload(NULL, 4 * THREADS)};
    check_launch("brink", brink_kernel, dim3(1), dim3(1), (32 << 10) + 4 * (size_t)beyond, op);
    check_cuda(cudaDeviceSynchronize());
}

static void run_race(int kind)
{
    struct fault op = {kind, (unsigned *)check_upload(NULL, 4 * THREADS)};
    check_launch("race", race_kernel, dim3(1), dim3(THREADS), 0, op);
}

static void run_place(int kind)
{
    struct fault op = {kind, (unsigned *)check_upload(NULL, 4 * THREADS)};
    check_launch("place", kind == TOO_MUCH ? huge_kernel : place_kernel, dim3(1), dim3(THREADS), 0,
                 op);
}

static void races_are_found(void **)
{
    for (int kind = STORES_OF_TWO; kind <= VECTOR_OVERLAPS; kind++)
        check_dies(run_race, kind, "thread (");
    check_dies(run_race, STORES_OF_TWO, "a race in shared memory: it stores 4 bytes");
    check_dies(run_race, STORES_OF_TWO, "has stored since the last barrier");
    check_dies(run_race, WARPS_BEHIND_SYNCWARP, "a race in shared memory");
    check_dies(run_race, SHUFFLE_IS_NO_FENCE, "a race in shared memory");
    check_dies(run_race, STORE_BEHIND_LOADS_OF_WARPS, "a race in shared memory");
}

static void what_is_outside_or_misaligned_is_found(void **)
{
    check_dies(run_place, OUTSIDE, "4 bytes at byte 256 of a piece of shared memory that has 256");
    check_dies(run_place, IN_FRONT, "4 bytes at byte -4 of a piece");
    check_dies(run_place, MISALIGNED, "misaligned: 8 bytes of shared memory at byte");
    check_dies(run_place, TOO_MUCH, "49156 bytes of static shared memory");
    check_dies(run_brink, 0, "16388 bytes of static shared memory beside 32768 of dynamic");
    run_brink(1); /* who asks has more */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_block_finds_it_full_of_nan),
        cmocka_unit_test(elements_are_read_one_by_one_or_as_vectors),
        cmocka_unit_test(what_barriers_order_is_no_race),
        cmocka_unit_test(races_are_found),
        cmocka_unit_test(what_is_outside_or_misaligned_is_found),
    };
    return check_in_all_orders(tests);
}
