#include "kernels/cpu/ops.h"
#include "kernels/cpu/run.h"

enum { TILE_ROWS = 256, CHANNEL_BLOCK = 64 };

struct pool {
    struct device *device;
    struct dims dims;
    struct tile_plan plan; /* a tile is a piece of one image */
    struct view x;
    struct channels channels;
    const float *mean; /* (C) */
    float *pooled;
    double *pool_sums;
};

/* totals: sum y, sum act', sum act' (z - mean), each of `columns` rounded up to vectors. */
VEC_INLINE void pool_body(enum act act, const struct run *run, int c, const int vecs,
                          const int lanes)
{
    const int step = vec_round(run->columns);
    vec sum[RUN_VECS], slope[RUN_VECS], moment[RUN_VECS], mean[RUN_VECS];
    struct view_vec k[RUN_VECS];
    for (int v = 0; v < vecs; v++) {
        k[v] = view_vec_load(run->channels, run->c0 + c + v * VEC_WIDTH);
        mean[v] = vec_load_part(run->mean + c + v * VEC_WIDTH, lanes);
        sum[v] = slope[v] = moment[v] = vec_zero();
    }
    for (int r = 0; r < run->rows; r++)
        for (int v = 0; v < vecs; v++) {
            vec z = map_load(run->z + (size_t)r * run->C + c + v * VEC_WIDTH, lanes);
            vec x = z * k[v].scale + k[v].shift, d = act_slope(act, x);
            sum[v] += act_value(act, x);
            slope[v] += d;
            moment[v] += d * (z - mean[v]);
        }
    for (int v = 0; v < vecs; v++) {
        float *totals = (float *)run->totals + c + v * VEC_WIDTH;
        vec_store(totals, sum[v]);
        vec_store(totals + step, slope[v]);
        vec_store(totals + 2 * step, moment[v]);
    }
}

static void pool_tile(const struct pool *op, const struct tile_columns *at, float *totals,
                      double *sums)
{
    struct run run = run_make(at, 0, op->x.z);
    size_t step = (size_t)vec_round(run.columns);
    run.channels = &op->channels;
    run.mean = op->mean + at->c0;
    run.totals = totals;
    ACT_SWITCH(op->x.act, run_sum, pool_body, &run);
    for (size_t i = 0; i < 3 * step; i++)
        sums[i] += (double)totals[i];
}

/* One image, one block of columns. */
static void pool_job(void *context, int i, int thread)
{
    const struct pool *op = context;
    int C = op->dims.C, image = i / op->plan.blocks, c0 = i % op->plan.blocks * op->plan.width;
    int c1 = c0 + op->plan.width < C ? c0 + op->plan.width : C;
    size_t step = (size_t)vec_round(c1 - c0);
    char *memory = cpu_scratch(op->device, thread);
    double *sums = cpu_carve(&memory, 3 * step * sizeof *sums);
    float *totals = cpu_carve(&memory, 3 * step * sizeof *totals);
    struct tile tile = tile_first(&op->plan, image);
    struct tile_columns at = {&op->plan, &tile, C, c0, c1};
    memset(sums, 0, 3 * step * sizeof *sums);
    do
        pool_tile(op, &at, totals, sums);
    while (tile_next(&op->plan, image, &tile));
    for (int c = c0; c < c1; c++) {
        double *pool_sums =
            op->pool_sums ? op->pool_sums + (size_t)image * 2 * (size_t)C + c : NULL;
        op->pooled[(size_t)image * (size_t)C + c] = (float)(sums[c - c0] / op->plan.HW);
        if (pool_sums) {
            pool_sums[0] = sums[step + (size_t)(c - c0)];
            pool_sums[C] = sums[2 * step + (size_t)(c - c0)];
        }
    }
}

static struct tile_plan plan_of(struct dims dims)
{
    struct tile_plan plan = tile_plan_make(dims, TILE_ROWS, dims.C, dims.N);
    plan.images = 1; /* an image is one job, whatever its size */
    plan.groups = dims.N;
    tile_plan_cut(&plan, dims.C, 16);
    return plan;
}

struct cpu_need MAP_NAME(pool_forward_need)(const struct work *work)
{
    struct dims dims = work->conv.in;
    struct tile_plan plan = plan_of(dims);
    size_t step = (size_t)vec_round(plan.width < dims.C ? plan.width : dims.C);
    return (struct cpu_need){.scratch_bytes = cpu_aligned(3 * step * sizeof(double)) +
                                              cpu_aligned(3 * step * sizeof(float)),
                             .shared_bytes = channels_bytes(dims.C)};
}

void MAP_NAME(pool_forward)(struct device *device, struct dims dims, struct view x,
                            const float *mean, float *pooled, double *pool_sums)
{
    struct pool op = {
        .device = device, .dims = dims, .x = x, .pooled = pooled, .pool_sums = pool_sums};
    struct work work = {.kind = WORK_POOL_FORWARD, .conv = {.in = dims}};
    struct cpu_need need = MAP_NAME(pool_forward_need)(&work);
    if (!cpu_reserve(device, &work, &need))
        return;
    op.plan = plan_of(dims);
    op.channels = channels_init(cpu_shared(device), dims.C, &x, NULL);
    op.mean = mean ? mean : op.channels.zeros;
    cpu_run(device, tile_plan_jobs(&op.plan), pool_job, &op);
}

/* One behind the other: the pool, then the products. */
struct cpu_need MAP_NAME(excite_forward_need)(const struct work *work)
{
    return cpu_need_most(MAP_NAME(pool_forward_need)(work), ISA_NAME(gate_forward_need)(work));
}

void MAP_NAME(excite_forward)(struct device *device, struct dims dims,
                              const struct squeeze_excite *se, struct view x, const float *mean,
                              const struct excitation *out)
{
    MAP_NAME(pool_forward)(device, dims, x, mean, out->pooled, out->pool_sums);
    ISA_NAME(gate_forward)(device, dims, se, out);
}

struct pool_backward {
    struct dims dims;
    const struct pool_grad *grad;
};

static void pool_backward_job(void *context, int i, int thread)
{
    const struct pool_backward *op = context;
    const struct pool_grad *grad = op->grad;
    size_t C = (size_t)op->dims.C, c0 = (size_t)i * CHANNEL_BLOCK;
    size_t c1 = c0 + CHANNEL_BLOCK < C ? c0 + CHANNEL_BLOCK : C;
    float share = 1.0f / (float)(op->dims.H * op->dims.W);
    (void)thread;
    memset(grad->sums + c0, 0, (c1 - c0) * sizeof *grad->sums);
    memset(grad->sums + C + c0, 0, (c1 - c0) * sizeof *grad->sums);
    for (size_t n = 0; n < (size_t)op->dims.N; n++) {
        const double *slope = grad->pool_sums + n * 2 * C, *moment = slope + C;
        for (size_t c = c0; c < c1; c++) {
            float p = grad->dpooled[n * C + c] * share;
            grad->p[n * C + c] = p;
            grad->sums[c] += (double)p * slope[c];
            grad->sums[C + c] += (double)p * moment[c];
        }
    }
}

void MAP_NAME(pool_backward)(struct device *device, struct dims dims, const struct pool_grad *grad)
{
    struct pool_backward op = {dims, grad};
    cpu_run(device, (dims.C + CHANNEL_BLOCK - 1) / CHANNEL_BLOCK, pool_backward_job, &op);
    if (grad->norm)
        ISA_NAME(norm_backward)(dims.C, dims_pixels(dims), grad->sums, grad->norm);
}
