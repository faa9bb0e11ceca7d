#include "kernels/cpu/gemm.h"
#include "kernels/cpu/ops.h"
#include "kernels/cpu/pw.h"
#include "kernels/cpu/tile.h"

enum {
    JOBS = 32,
    TRANSPOSE_ROWS = 1024 /* from here on the library's own packing of w^T per tile costs more */
};

struct pw_forward {
    struct tile_plan plan;
    const struct conv *conv;
    struct device *device;
    struct view x;
    struct channels channels;
    const float *w;
    float *w_transposed; /* (C,K) or NULL */
    float *z;
    double *partial; /* (groups,2,K) or NULL */
};

static bool view_is_plain(const struct view *view)
{
    return !view->scale && !view->shift && !view->gate && view->act == ACT_NONE;
}

static void multiply(const struct pw_forward *op, const float *x, int rows, float *z, int c0,
                     int c1)
{
    int C = op->conv->in.C, K = op->conv->K;
    struct gemm gemm = {.m = rows, .n = c1 - c0, .k = C, .a = x, .lda = C, .c = z, .ldc = K};
    if (op->w_transposed) {
        gemm.b = op->w_transposed + c0;
        gemm.ldb = K;
        gemm_nn(&gemm);
    } else {
        gemm.b = op->w + (size_t)c0 * (size_t)op->conv->ld;
        gemm.ldb = op->conv->ld;
        gemm_nt(&gemm);
    }
}

static void forward_tile(const struct pw_forward *op, const struct tile *tile, int group, int c0,
                         int c1, float *scratch)
{
    int C = op->conv->in.C, K = op->conv->K;
    size_t row = tile_row(&op->plan, tile);
    struct tile_columns in = {&op->plan, tile, C, 0, C}, out = {&op->plan, tile, K, c0, c1};
    const float *x = op->x.z + row * (size_t)C;
    float *z = op->z + row * (size_t)K + c0;
    if (!view_is_plain(&op->x)) {
        ISA_NAME(tile_load_view)(&in, &op->x, &op->channels, scratch, C);
        x = scratch;
    }
    multiply(op, x, tile_rows(tile), z, c0, c1);
    if (op->partial)
        ISA_NAME(tile_store)
        (&out, NULL, 0, op->z, op->partial + (size_t)group * 2 * (size_t)K, scratch);
}

static void forward_job(void *context, int i, int thread)
{
    const struct pw_forward *op = context;
    int group = i / op->plan.blocks, c0 = i % op->plan.blocks * op->plan.width;
    int K = op->conv->K, c1 = c0 + op->plan.width < K ? c0 + op->plan.width : K;
    struct tile tile = tile_first(&op->plan, group);
    do
        forward_tile(op, &tile, group, c0, c1, cpu_scratch(op->device, thread));
    while (tile_next(&op->plan, group, &tile));
}

static void transpose_job(void *context, int c_block, int thread)
{
    const struct pw_forward *op = context;
    int C = op->conv->in.C, K = op->conv->K, end = c_block * 16 + 16 < C ? c_block * 16 + 16 : C;
    (void)thread;
    for (int k = 0; k < K; k++)
        for (int c = c_block * 16; c < end; c++)
            op->w_transposed[(size_t)c * (size_t)K + k] =
                op->w[(size_t)k * (size_t)op->conv->ld + c];
}

void ISA_NAME(pw_forward)(struct device *device, const struct conv *conv, struct view x,
                          const float *w, float *z, double *sums)
{
    struct pw_forward op = {.conv = conv, .device = device, .x = x, .w = w, .z = z};
    size_t C = (size_t)conv->in.C, K = (size_t)conv->K;
    size_t M = (size_t)conv->in.N * (size_t)conv->in.H * (size_t)conv->in.W;
    op.plan = tile_plan_make(conv->in, pw_tile_rows(M, conv->in.C, conv->K), conv->K, JOBS);
    size_t groups = (size_t)op.plan.groups, rows = (size_t)tile_plan_rows(&op.plan);
    size_t transposed = M >= TRANSPOSE_ROWS ? C * K * sizeof *w : 0;
    char *shared =
        cpu_reserve_shared(device, cpu_aligned(channels_bytes(conv->in.C)) +
                                       cpu_aligned(transposed) + groups * 2 * K * sizeof *sums);
    op.channels =
        channels_init(cpu_carve(&shared, channels_bytes(conv->in.C)), conv->in.C, &x, NULL);
    op.w_transposed = transposed ? cpu_carve(&shared, transposed) : NULL;
    if (sums) {
        op.partial = cpu_carve(&shared, groups * 2 * K * sizeof *sums);
        memset(op.partial, 0, groups * 2 * K * sizeof *sums);
    }
    size_t activated = view_is_plain(&x) ? 0 : rows * C * sizeof *z;
    size_t room = tile_room_floats(conv->K) * sizeof *z;
    cpu_reserve_scratch(device, activated > room ? activated : room, activated);
    if (op.w_transposed)
        cpu_run(device, (conv->in.C + 15) / 16, transpose_job, &op);
    cpu_run(device, tile_plan_jobs(&op.plan), forward_job, &op);
    if (sums)
        cpu_add_partial_sums(op.plan.groups, 2 * K, op.partial, sums);
    device->traffic.raw_bytes += M * K * sizeof *z;
}
