/* Depthwise forward. A ring holds the input rows around the current output rows, seen through the
 * view: it is applied once per input row. */
#include "kernels/cpu/dw.h"
#include "kernels/cpu/ops.h"

struct forward { /* the whole operation, read only */
    struct device *device;
    struct dw_plan plan;
    struct dw_correlate correlate;
    struct dw_input input;
    const map_value *w;
    int ld;
    map_value *z;
    bool streams;
    double *partial; /* (groups,2,C) */
};

struct job { /* one block of channels over a run of images */
    const struct forward *op;
    int block, vectors;
    struct dw_ring ring;
    float *w, *rows;       /* rows: the outputs of a step */
    struct raw_sums *sums; /* one per vector, of the current tile */
    double *partial;       /* (2,C) of this group */
    int tile_pixels;       /* summed since the tile began */
};

enum { TILE_PIXELS = 512 }; /* summed in fp32 at most, and up to a step more */

static void pack_weights(struct job *job)
{
    const struct dw_plan *plan = &job->op->plan;
    float *to = job->w;
    for (int v = 0; v < job->vectors; v++) {
        int c = dw_channel(plan, job->block, v);
        for (int tap = 0; tap < plan->R * plan->R; tap++, to += VEC_WIDTH) {
            int stored = dw_tap(plan, tap / plan->R, tap % plan->R);
            const map_value *from = job->op->w + (ptrdiff_t)stored * job->op->ld + c;
            vec_store(to, map_load(from, dw_lanes(plan, c)));
        }
    }
}

static void output_row(const struct job *job, int v, int oh, float *to)
{
    const struct forward *op = job->op;
    const struct dw_plan *plan = &op->plan;
    int first = oh * plan->S - plan->top, top = first < 0 ? -first : 0;
    int bottom = first + plan->R > plan->in.H ? plan->in.H - first : plan->R;
    struct dw_rows rows = {.w = job->w + ((ptrdiff_t)v * plan->R + top) * plan->R * VEC_WIDTH,
                           .count = bottom - top,
                           .W = plan->in.W,
                           .left = plan->left};
    dw_ring_rows(&job->ring, v, first + top, rows.count, rows.in);
    op->correlate.run(&rows, op->correlate.tiles, 1, to);
}

/* Output rows [oh, end) of one vector: computed, then stored and summed together. */
static void output_band(const struct job *job, int v, int n, int oh, int end)
{
    const struct forward *op = job->op;
    struct dims out = op->plan.out;
    int c = dw_channel(&op->plan, job->block, v), pixels = (end - oh) * out.W;
    for (int row = oh; row < end; row++) /* a row's last tile may reach into the next row */
        output_row(job, v, row, job->rows + (ptrdiff_t)(row - oh) * out.W * VEC_WIDTH);

    struct raw_sums *sums = &job->sums[v];
    if (job->tile_pixels == 0)
        *sums = raw_sums_about(vec_load(job->rows + pixels / 2 * VEC_WIDTH));
    struct row_shape shape = {pixels, out.C, dw_lanes(&op->plan, c), 0};
    map_value *z = op->z + ((size_t)n * out.H + oh) * out.W * out.C + c;
    MAP_NAME(row_store)(&shape, job->rows, z, op->streams, sums);
}

static void end_tile(struct job *job)
{
    const struct dw_plan *plan = &job->op->plan;
    for (int v = 0; v < job->vectors; v++) {
        int c = dw_channel(plan, job->block, v);
        raw_sums_end(&job->sums[v], job->tile_pixels, dw_lanes(plan, c), &job->partial[c],
                     &job->partial[plan->out.C + c]);
    }
    job->tile_pixels = 0;
}

static void forward_image(struct job *job, int n)
{
    const struct dw_plan *plan = &job->op->plan;
    int loaded = 0; /* chunks of the input */
    for (int oh = 0; oh < plan->out.H; oh += plan->band) {
        int end = oh + plan->band < plan->out.H ? oh + plan->band : plan->out.H;
        int needed = dw_chunks_needed(plan, end);
        for (int v = 0; v < job->vectors; v++) {
            int c = dw_channel(plan, job->block, v);
            for (int chunk = loaded; chunk < needed; chunk++)
                MAP_NAME(dw_load_input)(&job->op->input, &job->ring, v, c, n, chunk);
            output_band(job, v, n, oh, end);
        }
        loaded = needed;
        job->tile_pixels += (end - oh) * plan->out.W;
        if (job->tile_pixels >= TILE_PIXELS)
            end_tile(job);
    }
}

static size_t ring_bytes(const struct dw_plan *plan)
{
    size_t rows = (size_t)plan->vectors * (size_t)plan->in_slots;
    return rows * (size_t)plan->in.W * VEC_WIDTH * sizeof(float);
}

static size_t weight_bytes(const struct dw_plan *plan)
{
    return (size_t)plan->vectors * (size_t)(plan->R * plan->R) * VEC_WIDTH * sizeof(float);
}

static size_t rows_bytes(const struct dw_plan *plan)
{
    return (size_t)(plan->band * plan->out.W + DW_TILE_MAX) * VEC_WIDTH * sizeof(float);
}

static size_t sums_bytes(const struct dw_plan *plan)
{
    return (size_t)plan->vectors * sizeof(struct raw_sums);
}

static size_t partial_bytes(const struct dw_plan *plan)
{
    return (size_t)plan->groups * 2 * (size_t)plan->out.C * sizeof(double);
}

static void forward_job(void *context, int i, int thread)
{
    const struct forward *op = context;
    const struct dw_plan *plan = &op->plan;
    int group = i / plan->blocks, C = plan->out.C;
    char *scratch = cpu_scratch(op->device, thread);
    struct job job = {.op = op, .block = i % plan->blocks};
    job.vectors = dw_vectors(plan, job.block);
    job.ring = (struct dw_ring){cpu_carve(&scratch, ring_bytes(plan)), plan->in_slots, plan->in.W};
    job.w = cpu_carve(&scratch, weight_bytes(plan));
    job.rows = cpu_carve(&scratch, rows_bytes(plan));
    job.sums = cpu_carve(&scratch, sums_bytes(plan));
    job.partial = op->partial + (ptrdiff_t)2 * C * group;
    int c = dw_channel(plan, job.block, 0), end = dw_channel(plan, job.block, job.vectors);
    for (int k = c; k < end && k < C; k++)
        job.partial[k] = job.partial[C + k] = 0;
    pack_weights(&job);
    for (int n = dw_first_image(plan, group); n < dw_first_image(plan, group + 1); n++)
        forward_image(&job, n);
    if (job.tile_pixels > 0)
        end_tile(&job);
    if (op->streams)
        vec_stream_fence();
}

static struct cpu_need need_of(const struct dw_plan *plan)
{
    return (struct cpu_need){
        .scratch_bytes = cpu_aligned(ring_bytes(plan)) + cpu_aligned(weight_bytes(plan)) +
                         cpu_aligned(rows_bytes(plan)) + cpu_aligned(sums_bytes(plan)),
        .activated_bytes = cpu_aligned(ring_bytes(plan)),
        .shared_bytes = cpu_aligned(partial_bytes(plan)) + channels_bytes(plan->out.C)};
}

struct cpu_need MAP_NAME(dw_forward_need)(const struct work *work)
{
    struct dw_plan plan = MAP_NAME(dw_plan)(&work->conv);
    return need_of(&plan);
}

void MAP_NAME(dw_forward)(struct device *device, const struct conv *conv, struct view x,
                          const void *w, void *z, const struct norm_forward *norm)
{
    struct forward op = {.device = device, .plan = MAP_NAME(dw_plan)(conv), .w = w, .z = z};
    struct dims out = op.plan.out;
    struct cpu_need need = need_of(&op.plan);
    if (!cpu_reserve(device, &(struct work){.kind = WORK_DW_FORWARD, .conv = *conv}, &need))
        return;
    op.ld = conv->ld;
    op.streams = row_can_stream(z, out);
    op.correlate = ISA_NAME(dw_correlate)(op.plan.R, op.plan.S, out.W);
    char *shared = cpu_shared(device);
    op.partial = cpu_carve(&shared, partial_bytes(&op.plan));
    float *channels = cpu_carve(&shared, channels_bytes(out.C));
    op.input = (struct dw_input){&op.plan, x, channels_init(channels, out.C, &x, NULL)};
    cpu_run(device, op.plan.groups * op.plan.blocks, forward_job, &op);
    ISA_NAME(norm_finish)(conv, op.plan.groups, op.partial, norm);
    device->traffic.raw_bytes +=
        sizeof *op.z * (size_t)out.N * (size_t)out.H * (size_t)out.W * (size_t)out.C;
}
