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
    while (from < plan->in.H && MAP_NAME(dw_backward_last_row)(op, from) < end)
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
                MAP_NAME(dw_load_input)(&op->input, &job->x, v, c, n, chunk);
            MAP_NAME(dw_backward_outputs)(job, v, n, oh, end);
            if (op->sink && done > stored)
                MAP_NAME(dw_backward_inputs)(job, v, n, stored, done);
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

/* Scratch of a job, in the order it is carved. */
struct pieces { /* bytes */
    size_t x, dz, w, dw, rows, sums;
};

static struct pieces pieces_of(const struct dw_backward *op)
{
    const struct dw_plan *plan = &op->plan;
    const size_t vectors = (size_t)plan->vectors, vec_bytes = VEC_WIDTH * sizeof(float);
    size_t weight_bytes = vectors * (size_t)(plan->R * plan->R) * vec_bytes;
    return (struct pieces){.x = vectors * (size_t)(plan->in_slots * plan->in.W) * vec_bytes,
                           .dz = vectors * (size_t)(op->dz_slots * plan->out.W) * vec_bytes,
                           .w = weight_bytes,
                           .dw = weight_bytes,
                           .rows =
                               (size_t)(op->most_rows * plan->in.W + 2 * DW_TILE_MAX) * vec_bytes,
                           .sums = vectors * sizeof(struct sink_sums)};
}

static void carve(struct dw_backward_job *job, char *scratch)
{
    const struct dw_backward *op = job->op;
    struct pieces bytes = pieces_of(op);
    job->x = (struct dw_ring){cpu_carve(&scratch, bytes.x), op->plan.in_slots, op->plan.in.W};
    job->dz = (struct dw_ring){cpu_carve(&scratch, bytes.dz), op->dz_slots, op->plan.out.W};
    job->w = cpu_carve(&scratch, bytes.w);
    job->dw = cpu_carve(&scratch, bytes.dw);
    job->rows = cpu_carve(&scratch, bytes.rows);
    job->sums = cpu_carve(&scratch, bytes.sums);
    memset(job->dw, 0, bytes.dw);
    memset(job->sums, 0, bytes.sums);
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
        MAP_NAME(dw_backward_pack)(&job);
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

static size_t weight_part_bytes(const struct dw_plan *plan)
{
    size_t weights = (size_t)(plan->R * plan->R) * (size_t)plan->in.C;
    return (size_t)plan->groups * weights * sizeof(double);
}

static size_t sum_part_bytes(const struct dw_plan *plan)
{
    return (size_t)plan->groups * 2 * (size_t)plan->in.C * sizeof(double);
}

static size_t mean_bytes(const struct dw_plan *plan)
{
    return (size_t)vec_round(plan->in.C) * sizeof(float);
}

static struct cpu_need need_of(const struct dw_backward *op)
{
    const struct dw_plan *plan = &op->plan;
    struct pieces bytes = pieces_of(op);
    return (struct cpu_need){
        .scratch_bytes = cpu_aligned(bytes.x) + cpu_aligned(bytes.dz) + cpu_aligned(bytes.w) +
                         cpu_aligned(bytes.dw) + cpu_aligned(bytes.rows) + cpu_aligned(bytes.sums),
        .activated_bytes = bytes.x + bytes.dz,
        .shared_bytes = cpu_aligned(weight_part_bytes(plan)) + cpu_aligned(sum_part_bytes(plan)) +
                        3 * cpu_aligned(channels_bytes(plan->in.C)) + mean_bytes(plan)};
}

struct cpu_need MAP_NAME(dw_backward_need)(const struct work *work)
{
    struct dw_backward op = {.plan = MAP_NAME(dw_plan)(&work->conv)};
    plan_rings(&op);
    return need_of(&op);
}

static void carve_shared(struct dw_backward *op)
{
    int C = op->plan.in.C;
    size_t channel_bytes = channels_bytes(C);
    const struct view *of = op->sink ? &op->sink->of : &op->input.x;
    char *shared = cpu_shared(op->device);
    op->weight_parts = cpu_carve(&shared, weight_part_bytes(&op->plan));
    op->sum_parts = cpu_carve(&shared, sum_part_bytes(&op->plan));
    op->input.channels = channels_init(cpu_carve(&shared, channel_bytes), C, &op->input.x, NULL);
    op->dz_channels = channels_init(cpu_carve(&shared, channel_bytes), C, &op->dz.of, &op->dz);
    op->of_channels = channels_init(cpu_carve(&shared, channel_bytes), C, of, NULL);
    float *mean = cpu_carve(&shared, mean_bytes(&op->plan));
    op->mean = channels_fill(&mean, C, op->sink ? op->sink->mean : NULL, 0);
}

void MAP_NAME(dw_backward)(struct device *device, const struct conv *conv, const struct grad *dz,
                           struct view x, const void *w, const struct grad_sink *sink, float *dw)
{
    struct dw_backward op = {.device = device,
                             .plan = MAP_NAME(dw_plan)(conv),
                             .dz = *dz,
                             .sink = sink,
                             .w = w,
                             .ld = conv->ld};
    struct dims in = op.plan.in;
    op.streams = sink && row_can_stream(sink->q, in);
    op.input = (struct dw_input){.plan = &op.plan, .x = x};
    plan_parities(&op);
    plan_rings(&op);
    struct cpu_need need = need_of(&op);
    if (!cpu_reserve(device, &(struct work){.kind = WORK_DW_BACKWARD, .conv = *conv}, &need))
        return;
    carve_shared(&op);
    cpu_run(device, op.plan.groups * op.plan.blocks, backward_job, &op);
    struct reduction reduction = {&op, dw};
    cpu_run(device, op.plan.R * op.plan.R, reduce_tap, &reduction);
    ISA_NAME(sink_finish)(conv, op.plan.groups, op.sum_parts, sink);
    if (sink)
        device->traffic.gradient_bytes +=
            sizeof(map_value) * (size_t)in.N * (size_t)in.H * (size_t)in.W * (size_t)in.C;
}
