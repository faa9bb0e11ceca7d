#include "kernels/cpu/dw_backward.h"
#include "kernels/cpu/ops.h"

enum { TILE_PIXELS = 512 }; /* summed in fp32 at most, and up to a step more */

/* The tile's weight gradient, fp32, to the group's, fp64. */
static void end_weights(struct dw_backward_job *job)
{
    const struct dw_plan *plan = &job->op->plan;
    ptrdiff_t taps = (ptrdiff_t)plan->R * plan->R;
    double *parts = job->op->weight_parts + taps * plan->in.C * job->group;
    for (int v = 0; v < job->vectors; v++) {
        int c = dw_channel(plan, job->block, v), lanes = dw_lanes(plan, c);
        for (ptrdiff_t tap = 0; tap < taps; tap++) {
            float *dw = job->dw + (v * taps + tap) * VEC_WIDTH;
            sums_add_lanes(parts + tap * plan->in.C + c, vec_load(dw), lanes);
            vec_store(dw, vec_zero());
        }
    }
}

/* The tile's sums: of image n behind a gate, else of the group. */
static void end_sums(struct dw_backward_job *job, int n)
{
    const struct grad_sink *sink = job->op->sink;
    ptrdiff_t C = job->op->plan.in.C;
    double *to =
        sink->gate_sums ? sink->gate_sums + 3 * C * n : job->op->sum_parts + 2 * C * job->group;
    for (int v = 0; v < job->vectors; v++) {
        int c = dw_channel(&job->op->plan, job->block, v);
        sink_sums_end(&job->sums[v], sink->gate_sums != NULL, dw_lanes(&job->op->plan, c), to + c,
                      C);
        memset(&job->sums[v], 0, sizeof job->sums[v]);
    }
}

static void end_tile(struct dw_backward_job *job, int n)
{
    end_weights(job);
    if (job->op->sink && (job->op->sink->sums || job->op->sink->gate_sums))
        end_sums(job, n);
}

/* Zeroes this block's channels of (count,C). */
static void clear_block(const struct dw_backward_job *job, double *to, ptrdiff_t count)
{
    const struct dw_plan *plan = &job->op->plan;
    int c = dw_channel(plan, job->block, 0), end = dw_channel(plan, job->block, job->vectors);
    if (end > plan->in.C)
        end = plan->in.C;
    for (ptrdiff_t i = 0; i < count; i++)
        memset(to + i * plan->in.C + c, 0, (size_t)(end - c) * sizeof *to);
}

/* Input rows whose gradient is complete once the output rows below `end` are there. */
static int completed(const struct dw_backward *op, int from, int end)
{
    const struct dw_plan *plan = &op->plan;
    if (!op->sink || end == plan->out.H)
        return plan->in.H;
    while (from < plan->in.H && ISA_NAME(dw_backward_last_row)(op, from) < end)
        from++;
    return from;
}

/* One step per band of output rows: the rows it needs, its part of dw, and the input rows it
 * completes. Takes and returns the pixels of the current tile. */
static int backward_image(struct dw_backward_job *job, int n, int pixels)
{
    const struct dw_backward *op = job->op;
    const struct dw_plan *plan = &op->plan;
    int loaded = 0, stored = 0;
    for (int oh = 0; oh < plan->out.H; oh += plan->band) {
        int end = oh + plan->band < plan->out.H ? oh + plan->band : plan->out.H;
        int needed = dw_chunks_needed(plan, end), done = completed(op, stored, end);
        for (int v = 0; v < job->vectors; v++) {
            int c = dw_channel(plan, job->block, v);
            for (int chunk = loaded; chunk < needed; chunk++)
                ISA_NAME(dw_load_input)(&op->input, &job->x, v, c, n, chunk);
            ISA_NAME(dw_backward_outputs)(job, v, n, oh, end);
            if (op->sink && done > stored)
                ISA_NAME(dw_backward_inputs)(job, v, n, stored, done);
        }
        loaded = needed;
        stored = done;
        pixels += (end - oh) * plan->out.W;
        if (pixels >= TILE_PIXELS) {
            end_tile(job, n);
            pixels = 0;
        }
    }
    return pixels;
}

static void carve(struct dw_backward_job *job, char *scratch)
{
    const struct dw_backward *op = job->op;
    size_t sums_bytes = (size_t)op->plan.vectors * sizeof *job->sums;
    job->x = (struct dw_ring){cpu_carve(&scratch, op->x_floats * sizeof(float)), op->plan.in_slots,
                              op->plan.in.W};
    job->dz = (struct dw_ring){cpu_carve(&scratch, op->dz_floats * sizeof(float)), op->dz_slots,
                               op->plan.out.W};
    job->w = cpu_carve(&scratch, op->weight_floats * sizeof(float));
    job->dw = cpu_carve(&scratch, op->weight_floats * sizeof(float));
    job->rows = cpu_carve(&scratch, op->row_floats * sizeof(float));
    job->sums = cpu_carve(&scratch, sums_bytes);
    memset(job->dw, 0, op->weight_floats * sizeof(float));
    memset(job->sums, 0, sums_bytes);
}

static void backward_job(void *context, int i, int thread)
{
    const struct dw_backward *op = context;
    const struct dw_plan *plan = &op->plan;
    struct dw_backward_job job = {.op = op, .group = i / plan->blocks, .block = i % plan->blocks};
    ptrdiff_t taps = (ptrdiff_t)plan->R * plan->R, C = plan->in.C;
    bool is_gated = op->sink && op->sink->gate_sums;
    job.vectors = dw_vectors(plan, job.block);
    carve(&job, cpu_scratch(op->device, thread));
    clear_block(&job, op->weight_parts + taps * C * job.group, taps);
    clear_block(&job, op->sum_parts + 2 * C * job.group, 2);
    if (op->sink)
        ISA_NAME(dw_backward_pack)(&job);
    int pixels = 0;
    for (int n = dw_first_image(plan, job.group); n < dw_first_image(plan, job.group + 1); n++) {
        if (is_gated)
            clear_block(&job, op->sink->gate_sums + 3 * C * n, 3);
        pixels = backward_image(&job, n, pixels);
        if (is_gated && pixels > 0) { /* sums of a gate belong to one image */
            end_sums(&job, n);
        }
    }
    if (pixels > 0)
        end_tile(&job, dw_first_image(plan, job.group + 1) - 1);
    if (op->streams)
        vec_stream_fence();
}

struct reduction { /* of the groups' weight gradients, one job per tap */
    const struct dw_backward *op;
    float *dw;
};

static void reduce_tap(void *context, int tap, int thread)
{
    (void)thread;
    const struct reduction *reduction = context;
    const struct dw_backward *op = reduction->op;
    const struct dw_plan *plan = &op->plan;
    ptrdiff_t taps = (ptrdiff_t)plan->R * plan->R, C = plan->in.C;
    float *dw = reduction->dw + (ptrdiff_t)dw_tap(plan, tap / plan->R, tap % plan->R) * op->ld;
    enum { RUN = 64 };
    for (ptrdiff_t first = 0; first < C; first += RUN) {
        double sum[RUN] = {0};
        ptrdiff_t count = C - first < RUN ? C - first : RUN;
        for (int group = 0; group < plan->groups; group++)
            for (ptrdiff_t i = 0; i < count; i++)
                sum[i] += op->weight_parts[(group * taps + tap) * C + first + i];
        for (ptrdiff_t i = 0; i < count; i++)
            dw[first + i] += (float)sum[i];
    }
}

static void reserve_scratch(struct dw_backward *op)
{
    const struct dw_plan *plan = &op->plan;
    size_t vectors = (size_t)plan->vectors;
    op->x_floats = vectors * (size_t)(plan->in_slots * plan->in.W) * VEC_WIDTH;
    op->dz_floats = vectors * (size_t)(op->dz_slots * plan->out.W) * VEC_WIDTH;
    op->weight_floats = vectors * (size_t)(plan->R * plan->R) * VEC_WIDTH;
    op->row_floats = (size_t)(op->most_rows * plan->in.W + 2 * DW_TILE_MAX) * VEC_WIDTH;
    size_t floats = op->x_floats + op->dz_floats + 2 * op->weight_floats + op->row_floats;
    cpu_reserve_scratch(op->device,
                        floats * sizeof(float) + vectors * sizeof(struct sink_sums) + 6 * 64,
                        (op->x_floats + op->dz_floats) * sizeof(float));
}

static void reserve_shared(struct dw_backward *op)
{
    size_t groups = (size_t)op->plan.groups, taps = (size_t)(op->plan.R * op->plan.R);
    int C = op->plan.in.C;
    size_t weight_bytes = groups * taps * (size_t)C * sizeof(double);
    size_t sum_bytes = groups * 2 * (size_t)C * sizeof(double), channel_bytes = channels_bytes(C);
    size_t mean_bytes = (size_t)vec_round(C) * sizeof(float);
    char *shared =
        cpu_reserve_shared(op->device, cpu_aligned(weight_bytes) + cpu_aligned(sum_bytes) +
                                           3 * cpu_aligned(channel_bytes) + mean_bytes);
    const struct view *of = op->sink ? &op->sink->of : &op->input.x;
    op->weight_parts = cpu_carve(&shared, weight_bytes);
    op->sum_parts = cpu_carve(&shared, sum_bytes);
    op->input.channels = channels_init(cpu_carve(&shared, channel_bytes), C, &op->input.x, NULL);
    op->dz_channels = channels_init(cpu_carve(&shared, channel_bytes), C, &op->dz.of, &op->dz);
    op->of_channels = channels_init(cpu_carve(&shared, channel_bytes), C, of, NULL);
    float *mean = cpu_carve(&shared, mean_bytes);
    op->mean = channels_fill(&mean, C, op->sink ? op->sink->mean : NULL, 0);
}

/* Of parity e behind `before` rows or columns of zeros. */
static struct dw_parity parity_of(const struct dw_plan *plan, int e, int before)
{
    int last = plan->R - 1;
    while ((last - e - before) % plan->S != 0)
        last--;
    return (struct dw_parity){.taps = last / plan->S + 1, .last = last};
}

/* The taps of each parity, and the register tiles for them. */
static void plan_parities(struct dw_backward *op)
{
    const struct dw_plan *plan = &op->plan;
    for (int e = 0; e < plan->S; e++) {
        op->rows[e] = parity_of(plan, e, plan->top);
        op->columns[e] = parity_of(plan, e, plan->left);
        int columns = (plan->in.W - e + plan->S - 1) / plan->S;
        op->correlate[e] = ISA_NAME(dw_correlate)(op->columns[e].taps, 1, columns ? columns : 1);
    }
    op->wgrad = ISA_NAME(dw_weigh)(plan->R, plan->S, plan->out.W);
}

/* The ring of dz: a step's rows and those before it that an unfinished input row still needs. */
static void plan_rings(struct dw_backward *op)
{
    const struct dw_plan *plan = &op->plan;
    int taps = (plan->R - 1) / plan->S + 1;
    int rows = (plan->band + taps - 1 + plan->band - 1) / plan->band * plan->band;
    op->dz_slots = rows < plan->out.H ? rows : plan->out.H;
    int most = plan->band * plan->S + plan->R; /* the last step completes the rest of the map */
    op->most_rows = most < plan->in.H ? most : plan->in.H;
}

void ISA_NAME(dw_backward)(struct device *device, const struct conv *conv, const struct grad *dz,
                           struct view x, const void *w, const struct grad_sink *sink, float *dw)
{
    struct dw_backward op = {.device = device,
                             .plan = ISA_NAME(dw_plan)(conv),
                             .dz = *dz,
                             .sink = sink,
                             .w = w,
                             .ld = conv->ld};
    struct dims in = op.plan.in;
    op.streams = sink && row_can_stream(sink->q, in);
    op.input = (struct dw_input){.plan = &op.plan, .x = x};
    plan_parities(&op);
    plan_rings(&op);
    reserve_shared(&op);
    reserve_scratch(&op);
    cpu_run(device, op.plan.groups * op.plan.blocks, backward_job, &op);
    struct reduction reduction = {&op, dw};
    cpu_run(device, op.plan.R * op.plan.R, reduce_tap, &reduction);
    ISA_NAME(sink_finish)(conv, op.plan.groups, op.sum_parts, sink);
    if (sink)
        device->traffic.gradient_bytes +=
            sizeof(float) * (size_t)in.N * (size_t)in.H * (size_t)in.W * (size_t)in.C;
}
