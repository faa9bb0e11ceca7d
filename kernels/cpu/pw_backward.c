#include "kernels/cpu/gemm.h"
#include "kernels/cpu/ops.h"
#include "kernels/cpu/pw.h"
#include "kernels/cpu/tile.h"

enum {
    JOBS = 16,
    ROWS_PER_GROUP = 256 /* fewer would spend more on adding up dw's partial sums than on dw */
};

struct pw_backward {
    struct tile_plan plan; /* its columns are those of C */
    const struct conv *conv;
    struct device *device;
    const struct grad *dz;
    struct view x;
    struct channels dz_channels, x_channels, sink_channels;
    const float *w;
    const struct grad_sink *sink;
    float *dw;
    float *partial_dw;    /* (groups,K,C); NULL with one group: straight to dw */
    double *partial_sums; /* sink->sums: (groups,2,C); sink->gate_sums: that array itself */
};

struct scratch { /* one thread's, per tile */
    float *dz;   /* (rows,K) */
    float *x;    /* (rows,width) of the columns, then again as dx */
    float *room;
};

static size_t scratch_bytes(const struct pw_backward *op)
{
    size_t rows = (size_t)tile_plan_rows(&op->plan);
    return cpu_aligned(rows * (size_t)op->conv->K * sizeof(float)) +
           cpu_aligned(rows * (size_t)op->plan.width * sizeof(float)) +
           cpu_aligned(tile_room_floats(op->plan.width) * sizeof(float));
}

static struct scratch scratch_carve(const struct pw_backward *op, int thread)
{
    size_t rows = (size_t)tile_plan_rows(&op->plan);
    char *memory = cpu_scratch(op->device, thread);
    struct scratch scratch;
    scratch.dz = cpu_carve(&memory, rows * (size_t)op->conv->K * sizeof(float));
    scratch.x = cpu_carve(&memory, rows * (size_t)op->plan.width * sizeof(float));
    scratch.room = cpu_carve(&memory, tile_room_floats(op->plan.width) * sizeof(float));
    return scratch;
}

/* dw[:, c0..c1) += dz^T x of a group's tile; the first tile of a group overwrites partial sums. */
static void add_weight_gradient(const struct pw_backward *op, const struct tile_columns *at,
                                const struct scratch *scratch, int group)
{
    int C = op->conv->in.C, K = op->conv->K;
    bool is_first = at->tile->first == 0 && at->tile->image == tile_first(&op->plan, group).image;
    struct gemm gemm = {.m = K,
                        .n = at->c1 - at->c0,
                        .k = tile_rows(at->tile),
                        .a = scratch->dz,
                        .lda = K,
                        .b = scratch->x,
                        .ldb = op->plan.width,
                        .c = op->dw + at->c0,
                        .ldc = op->conv->ld,
                        .accumulates = true};
    if (op->partial_dw) {
        gemm.c = op->partial_dw + (size_t)group * (size_t)K * (size_t)C + at->c0;
        gemm.ldc = C;
        gemm.accumulates = !is_first;
    }
    gemm_tn(&gemm);
}

/* dx = dz w, then the sink. */
static void send_data_gradient(const struct pw_backward *op, const struct tile_columns *at,
                               const struct scratch *scratch, int group)
{
    int K = op->conv->K;
    struct gemm gemm = {.m = tile_rows(at->tile),
                        .n = at->c1 - at->c0,
                        .k = K,
                        .a = scratch->dz,
                        .lda = K,
                        .b = op->w + at->c0,
                        .ldb = op->conv->ld,
                        .c = scratch->x,
                        .ldc = op->plan.width};
    double *sums = op->partial_sums;
    gemm_nn(&gemm);
    if (op->sink->sums)
        sums += (size_t)group * 2 * (size_t)at->C;
    ISA_NAME(tile_store_sink)
    (at, scratch->x, op->plan.width, op->sink, &op->sink_channels, sums, scratch->room);
}

static void backward_job(void *context, int i, int thread)
{
    const struct pw_backward *op = context;
    const struct scratch scratch = scratch_carve(op, thread);
    int group = i / op->plan.blocks, c0 = i % op->plan.blocks * op->plan.width;
    int C = op->conv->in.C, K = op->conv->K;
    struct tile tile = tile_first(&op->plan, group);
    struct tile_columns out = {&op->plan, &tile, K, 0, K};
    struct tile_columns in = {&op->plan, &tile, C, c0, c0 + op->plan.width};
    if (in.c1 > C)
        in.c1 = C;
    do {
        ISA_NAME(tile_load_grad)(&out, op->dz, &op->dz_channels, scratch.dz, K);
        ISA_NAME(tile_load_view)(&in, &op->x, &op->x_channels, scratch.x, op->plan.width);
        add_weight_gradient(op, &in, &scratch, group);
        if (op->sink)
            send_data_gradient(op, &in, &scratch, group);
    } while (tile_next(&op->plan, group, &tile));
}

/* Row k of dw: the groups in order. */
static void add_partial_row(void *context, int k, int thread)
{
    const struct pw_backward *op = context;
    size_t C = (size_t)op->conv->in.C, K = (size_t)op->conv->K;
    float *dw = op->dw + (size_t)k * (size_t)op->conv->ld;
    (void)thread;
    for (int c = 0; c < op->conv->in.C; c += VEC_WIDTH) {
        int lanes = op->conv->in.C - c < VEC_WIDTH ? op->conv->in.C - c : VEC_WIDTH;
        vec sum = vec_zero();
        for (size_t group = 0; group < (size_t)op->plan.groups; group++)
            sum += vec_load_part(op->partial_dw + (group * K + (size_t)k) * C + c, lanes);
        vec_store_part(dw + c, vec_load_part(dw + c, lanes) + sum, lanes);
    }
}

static void plan_backward(struct pw_backward *op, size_t M)
{
    const struct conv *conv = op->conv;
    int tile_rows_aim = pw_tile_rows(M, conv->in.C, conv->K);
    size_t most_groups = M / ROWS_PER_GROUP > 1 ? M / ROWS_PER_GROUP : 1;
    int groups = most_groups < JOBS ? (int)most_groups : JOBS;
    op->plan = tile_plan_make(conv->in, tile_rows_aim, conv->in.C, groups);
    if (op->plan.groups < JOBS / 2) /* few rows: cut the columns too */
        tile_plan_cut(&op->plan, conv->in.C, JOBS / 2);
}

/* Carves the shared block and fills the per-channel numbers. */
static void prepare(struct pw_backward *op)
{
    int C = op->conv->in.C, K = op->conv->K;
    const struct grad_sink *sink = op->sink;
    const struct view none = {.z = NULL};
    size_t groups = (size_t)op->plan.groups;
    size_t dw_bytes = groups > 1 ? groups * (size_t)K * (size_t)C * sizeof(float) : 0;
    size_t sums_bytes = sink && sink->sums ? groups * 2 * (size_t)C * sizeof(double) : 0;
    char *shared = cpu_reserve_shared(
        op->device, 2 * cpu_aligned(channels_bytes(C)) + cpu_aligned(channels_bytes(K)) +
                        cpu_aligned(dw_bytes) + cpu_aligned(sums_bytes));
    op->x_channels = channels_init(cpu_carve(&shared, channels_bytes(C)), C, &op->x, NULL);
    op->sink_channels =
        channels_init(cpu_carve(&shared, channels_bytes(C)), C, sink ? &sink->of : &none, NULL);
    op->dz_channels = channels_init(cpu_carve(&shared, channels_bytes(K)), K, &op->dz->of, op->dz);
    op->partial_dw = dw_bytes ? cpu_carve(&shared, dw_bytes) : NULL;
    if (sums_bytes) {
        op->partial_sums = cpu_carve(&shared, sums_bytes);
        memset(op->partial_sums, 0, sums_bytes);
    } else if (sink && sink->gate_sums) {
        op->partial_sums = sink->gate_sums;
        memset(sink->gate_sums, 0, (size_t)op->conv->in.N * 3 * (size_t)C * sizeof(double));
    }
}

void ISA_NAME(pw_backward)(struct device *device, const struct conv *conv, const struct grad *dz,
                           struct view x, const float *w, const struct grad_sink *sink, float *dw)
{
    struct pw_backward op = {
        .conv = conv, .device = device, .dz = dz, .x = x, .w = w, .sink = sink, .dw = dw};
    size_t M = (size_t)conv->in.N * (size_t)conv->in.H * (size_t)conv->in.W;
    plan_backward(&op, M);
    prepare(&op);
    cpu_reserve_scratch(device, scratch_bytes(&op),
                        (size_t)tile_plan_rows(&op.plan) * (size_t)op.plan.width * sizeof *w);
    cpu_run(device, tile_plan_jobs(&op.plan), backward_job, &op);
    if (op.partial_dw)
        cpu_run(device, conv->K, add_partial_row, &op);
    if (!sink)
        return;
    if (sink->sums)
        cpu_add_partial_sums(op.plan.groups, 2 * (size_t)conv->in.C, op.partial_sums, sink->sums);
    device->traffic.gradient_bytes += M * (size_t)conv->in.C * sizeof *w;
}
