/* The tensor cores' instructions against plain products: fragments lie as PTX says. */
#include "tests/support/cuda/check.h"

enum { M = 16, N = 8, K = 16 };

struct product {
    const bf16 *a, *b; /* (M,K) (K,N) */
    const float *c;    /* (M,N) */
    float *d;          /* (M,N) */
};

/* Two elements of a row, the first in the low half. */
static __device__ uint32_t pair(const bf16 *from, int stride)
{
    return gpu_load(from).bits | (uint32_t)gpu_load(from + stride).bits << 16;
}

static __global__ void mma_kernel(struct product op)
{
    int g = (int)threadIdx.x / 4, t = (int)threadIdx.x % 4 * 2;
    uint32_t a[4], b[2];
    float d[4];
    for (int i = 0; i < 4; i++)
        a[i] = pair(op.a + (g + i % 2 * 8) * K + t + i / 2 * 8, 1);
    for (int i = 0; i < 2; i++)
        b[i] = pair(op.b + (t + i * 8) * N + g, N);
    for (int i = 0; i < 4; i++)
        d[i] = gpu_load(op.c + (g + i / 2 * 8) * N + t + i % 2);
    ptx_mma(d, a, b);
    for (int i = 0; i < 4; i++)
        gpu_store(op.d + (g + i / 2 * 8) * N + t + i % 2, d[i]);
}

/* The same by way of shared memory: A by ldmatrix, B, whose rows are k, transposed. */
static __global__ void ldmatrix_kernel(struct product op)
{
    GPU_SHARED(uint4, a_memory, M * K / 8);
    GPU_SHARED(uint4, b_memory, K * N / 8);
    shared<bf16> a_tile = shared_cast<bf16>(a_memory), b_tile = shared_cast<bf16>(b_memory);
    int lane = (int)threadIdx.x, g = lane / 4, t = lane % 4 * 2;
    for (int i = lane; i < M * K; i += 32)
        a_tile[i] = gpu_load(op.a + i);
    for (int i = lane; i < K * N; i += 32)
        b_tile[i] = gpu_load(op.b + i);
    __syncwarp();
    uint32_t a[4], b[4];
    float d[4];
    ptx_ldmatrix(a, a_tile + lane % 16 * K + lane / 16 * 8);
    ptx_ldmatrix_transposed(b, b_tile + lane % 16 * N);
    for (int i = 0; i < 4; i++)
        d[i] = gpu_load(op.c + (g + i / 2 * 8) * N + t + i % 2);
    const uint32_t two[2] = {b[0], b[1]};
    ptx_mma(d, a, two);
    for (int i = 0; i < 4; i++)
        gpu_store(op.d + (g + i / 2 * 8) * N + t + i % 2, d[i]);
}

static float number(int i)
{
    return (float)((i * 37 + 11) % 64 - 32) / 8;
}

static void check_product(const char *name, void (*kernel)(struct product))
{
    bf16 a[M * K], b[K * N];
    float c[M * N], d[M * N];
    for (int i = 0; i < M * K; i++)
        a[i] = bf16_round(number(i));
    for (int i = 0; i < K * N; i++)
        b[i] = bf16_round(number(3 * i + 1));
    for (int i = 0; i < M * N; i++)
        c[i] = number(5 * i + 2);
    struct product op = {(bf16 *)check_upload(a, sizeof a), (bf16 *)check_upload(b, sizeof b),
                         (float *)check_upload(c, sizeof c), (float *)check_upload(NULL, sizeof d)};
    check_launch(name, kernel, dim3(1), dim3(32), 0, op);
    check_download(d, op.d, sizeof d);
    for (int row = 0; row < M; row++)
        for (int column = 0; column < N; column++) {
            float sum = c[row * N + column]; /* exact: these numbers are multiples of 1/64 */
            for (int k = 0; k < K; k++)
                sum += map_widen(a[row * K + k]) * map_widen(b[k * N + column]);
            if (d[row * N + column] != sum)
                fail_msg("%s: (%d, %d) is %g, not %g", name, row, column,
                         (double)d[row * N + column], (double)sum);
        }
}

static void mma_multiplies_its_fragments(void **)
{
    check_product("mma", mma_kernel);
}

static void ldmatrix_loads_the_fragments_of_mma(void **)
{
    check_product("ldmatrix", ldmatrix_kernel);
}

static void pairs_round_to_nearest_and_ties_to_even(void **)
{
    static const struct {
        uint32_t bits, want;
    } cases[] = {{0x3f800000, 0x3f80}, {0x3f807fff, 0x3f80}, {0x3f808000, 0x3f80},
                 {0x3f808001, 0x3f81}, {0x3f818000, 0x3f82}, {0xbf818000, 0xbf82},
                 {0x7f7fffff, 0x7f80}, {0xff800000, 0xff80}, {0x7f800001, 0x7fff},
                 {0xffc00000, 0x7fff}, {0x00008000, 0x0000}, {0x00008001, 0x0001}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float value = __uint_as_float(cases[i].bits);
        assert_int_equal(ptx_bf16_pair(value, 1), 0x3f800000 | cases[i].want);
        assert_int_equal(ptx_bf16_pair(1, value), cases[i].want << 16 | 0x3f80);
    }
}

/* ---- cp.async */

enum { ROWS = 8, WORDS = 4 * 32 };

struct copy {
    const unsigned *from; /* (ROWS, WORDS) */
    unsigned *to;         /* (ROWS, WORDS) */
    int early;
};

/* Two rows on their way while one is used; of row 3 zeros. */
static __global__ void copy_kernel(struct copy op)
{
    enum { STAGES = 3 };
    GPU_SHARED(uint4, memory, STAGES * 32);
    shared<unsigned char> bytes = shared_cast<unsigned char>(memory);
    shared<unsigned> words = shared_cast<unsigned>(memory);
    int lane = (int)threadIdx.x;
    for (int i = 0; i < ROWS + STAGES - 1; i++) {
        if (i < ROWS)
            ptx_copy_async(bytes + i % STAGES * 512 + lane * 16, op.from + i * WORDS + lane * 4,
                           i != 3);
        ptx_copy_commit();
        if (i < STAGES - 1)
            continue;
        int row = i - (STAGES - 1);
        if (!op.early)
            ptx_copy_wait<STAGES - 1>();
        __syncthreads();
        for (int k = 0; k < 4; k++)
            gpu_store(op.to + row * WORDS + k * 32 + lane,
                      (unsigned)words[row % STAGES * WORDS + k * 32 + lane]);
        if (op.early)
            ptx_copy_wait<STAGES - 1>();
        __syncthreads();
    }
}

static void run_copies(int early, unsigned *to, size_t to_bytes)
{
    unsigned from[ROWS * WORDS];
    for (unsigned i = 0; i < ROWS * WORDS; i++)
        from[i] = i;
    struct copy op = {(unsigned *)check_upload(from, sizeof from),
                      (unsigned *)check_upload(NULL, to_bytes), early};
    check_launch("copy", copy_kernel, dim3(1), dim3(32), 0, op);
    check_download(to, op.to, to_bytes);
}

static void copies_land_at_their_wait(void **)
{
    unsigned to[ROWS * WORDS];
    run_copies(0, to, sizeof to);
    for (unsigned i = 0; i < ROWS * WORDS; i++)
        assert_int_equal(to[i], i / WORDS == 3 ? 0 : i);
}

static void early_copies(int)
{
    unsigned to[ROWS * WORDS];
    run_copies(1, to, sizeof to);
    abort();
}

static void what_is_read_in_front_of_the_wait_is_found(void **)
{
    check_dies(early_copies, 0, "which cp.async of thread (");
}

enum fault_kind { ENDS_EARLY, HALF_A_WARP, NO_WAIT_BY_OTHERS, BAD_SOURCE, BAD_TARGET };

struct fault {
    int kind;
    const unsigned *from; /* (4) */
    unsigned *to;
};

static __global__ void fault_kernel(struct fault op)
{
    GPU_SHARED(uint4, memory, 32);
    shared<unsigned char> bytes = shared_cast<unsigned char>(memory);
    int lane = (int)threadIdx.x;
    uint32_t four[4] = {0, 0, 0, 0};
    if (op.kind == ENDS_EARLY)
        ptx_copy_async(bytes, op.from, lane == 0);
    if (op.kind == HALF_A_WARP && lane < 16)
        ptx_ldmatrix(four, shared_cast<bf16>(memory));
    if (op.kind == NO_WAIT_BY_OTHERS) {
        ptx_copy_async(bytes + 16 * lane, op.from, true);
        ptx_copy_commit();
        ptx_copy_wait<0>();
        four[0] = shared_cast<unsigned>(memory)[(4 * lane + 4) % 128];
    }
    if (op.kind == BAD_SOURCE)
        ptx_copy_async(bytes, op.from + 1, true);
    if (op.kind == BAD_TARGET)
        ptx_copy_async(bytes + 8, op.from, true);
    gpu_store(op.to + lane, four[0]);
}

static void run_fault(int kind)
{
    struct fault op = {kind, (unsigned *)check_upload(NULL, 16),
                       (unsigned *)check_upload(NULL, 128)};
    check_launch("fault", fault_kernel, dim3(1), dim3(kind == ENDS_EARLY ? 1 : 32), 0, op);
}

static void faults_of_copies_are_found(void **)
{
    check_dies(run_fault, ENDS_EARLY, "ends with 1 copies on their way");
    check_dies(run_fault, NO_WAIT_BY_OTHERS, "a race in shared memory");
    check_dies(run_fault, BAD_SOURCE, "a load of 16 bytes, misaligned,");
    check_dies(run_fault, BAD_TARGET, "misaligned: 16 bytes of shared memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_round_to_nearest_and_ties_to_even),
        cmocka_unit_test(mma_multiplies_its_fragments),
        cmocka_unit_test(ldmatrix_loads_the_fragments_of_mma),
        cmocka_unit_test(copies_land_at_their_wait),
        cmocka_unit_test(what_is_read_in_front_of_the_wait_is_found),
        cmocka_unit_test(faults_of_copies_are_found),
    };
    return check_in_all_orders(tests);
}
