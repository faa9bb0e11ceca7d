/* Depthwise forward. A ring holds the R input rows around the current output row, seen through the
 * view: it is applied once per input row. */
#include "kernels/cpu/dw.h"
#include "kernels/cpu/ops.h"

struct forward { /* the whole operation, read only */
    struct device *device;
    struct dw_plan plan;
    struct dw_correlate correlate;
    struct view x;
    struct channels channels;
    const float *w;
    int ld;
    float *z;
    bool streams;
    double *partial; /* (groups,2,C) */
    size_t ring_floats, weight_floats, row_floats;
};

struct job { /* one block of channels over a run of images */
    const struct forward *op;
    int block, vectors;
    float *ring, *w, *row;
    struct row_sums *sums; /* one per vector, of the current tile */
    double *partial;       /* (2,C) of this group */
    int tile_rows;         /* rows summed since the tile began */
};

enum { TILE_PIXELS = 512 }; /* summed in fp32 at most, and up to a row more */

static float *ring_row(const struct job *job, int v, int ih)
{
    const struct dw_plan *plan = &job->op->plan;
    ptrdiff_t row = (ptrdiff_t)v * plan->R + ih % plan->R;
    return job->ring + row * plan->in.W * VEC_WIDTH;
}

static void pack_weights(struct job *job)
{
    const struct dw_plan *plan = &job->op->plan;
    float *to = job->w;
    for (int v = 0; v < job->vectors; v++) {
        int c = dw_channel(plan, job->block, v);
        for (int tap = 0; tap < plan->R * plan->R; tap++, to += VEC_WIDTH) {
            int stored = dw_tap(plan, tap / plan->R, tap % plan->R);
            const float *from = job->op->w + (ptrdiff_t)stored * job->op->ld + c;
            vec_store(to, vec_load_part(from, dw_lanes(plan, c)));
        }
    }
}

static void load_row(const struct job *job, int v, int n, int ih)
{
    const struct forward *op = job->op;
    struct dims in = op->plan.in;
    int c = dw_channel(&op->plan, job->block, v), lanes = dw_lanes(&op->plan, c);
    struct row_shape shape = {in.W, in.C, lanes, (ptrdiff_t)in.W * in.C};
    const float *gate = view_gate_row(&op->x, &op->channels, in.C, n) + c;
    struct view_row row = {.z = op->x.z + ((size_t)n * in.H + ih) * in.W * in.C + c,
                           .k = view_vec_load(&op->channels, c),
                           .gate = vec_load_part(gate, lanes),
                           .act = op->x.act};
    ISA_NAME(row_load_view)(&shape, &row, ring_row(job, v, ih));
}

static void output_row(const struct job *job, int v, int n, int oh)
{
    const struct forward *op = job->op;
    const struct dw_plan *plan = &op->plan;
    struct dims out = plan->out;
    int c = dw_channel(plan, job->block, v);
    int first = oh * plan->S - plan->P, top = first < 0 ? -first : 0;
    int bottom = first + plan->R > plan->in.H ? plan->in.H - first : plan->R;
    struct dw_rows rows = {.w = job->w + ((ptrdiff_t)v * plan->R + top) * plan->R * VEC_WIDTH,
                           .count = bottom - top,
                           .W = plan->in.W};
    for (int i = 0; i < rows.count; i++)
        rows.in[i] = ring_row(job, v, first + top + i);
    op->correlate.run(&rows, op->correlate.tiles, 1, job->row);

    struct row_sums *sums = &job->sums[v];
    if (job->tile_rows == 0)
        *sums = (struct row_sums){.shift = vec_load(job->row + out.W / 2 * VEC_WIDTH)};
    struct row_shape shape = {out.W, out.C, dw_lanes(plan, c), 0};
    float *z = op->z + ((size_t)n * out.H + oh) * out.W * out.C + c;
    ISA_NAME(row_store)(&shape, job->row, z, op->streams, sums);
}

static void end_tile(struct job *job)
{
    const struct dw_plan *plan = &job->op->plan;
    double count = (double)job->tile_rows * plan->out.W;
    job->tile_rows = 0;
    for (int v = 0; v < job->vectors; v++) {
        int c = dw_channel(plan, job->block, v);
        const struct row_sums *sums = &job->sums[v];
        for (int i = 0; i < dw_lanes(plan, c); i++)
            sums_shift_back(&job->partial[c + i], &job->partial[plan->out.C + c + i], count,
                            sums->shift[i], sums->sum[i], sums->square[i]);
    }
}

static void forward_image(struct job *job, int n)
{
    const struct dw_plan *plan = &job->op->plan;
    int loaded = 0;
    for (int oh = 0; oh < plan->out.H; oh++) {
        int need = oh * plan->S + plan->P + 1;
        if (need > plan->in.H)
            need = plan->in.H;
        for (int v = 0; v < job->vectors; v++) {
            for (int ih = loaded; ih < need; ih++)
                load_row(job, v, n, ih);
            output_row(job, v, n, oh);
        }
        loaded = need;
        if (++job->tile_rows * plan->out.W >= TILE_PIXELS)
            end_tile(job);
    }
}

static void forward_job(void *context, int i, int thread)
{
    const struct forward *op = context;
    const struct dw_plan *plan = &op->plan;
    int group = i / plan->blocks, C = plan->out.C;
    char *scratch = cpu_scratch(op->device, thread);
    struct job job = {.op = op, .block = i % plan->blocks};
    job.vectors = dw_vectors(plan, job.block);
    job.ring = cpu_carve(&scratch, op->ring_floats * sizeof(float));
    job.w = cpu_carve(&scratch, op->weight_floats * sizeof(float));
    job.row = cpu_carve(&scratch, op->row_floats * sizeof(float));
    job.sums = cpu_carve(&scratch, (size_t)plan->vectors * sizeof *job.sums);
    job.partial = op->partial + (ptrdiff_t)2 * C * group;
    int c = dw_channel(plan, job.block, 0), end = dw_channel(plan, job.block, job.vectors);
    for (int k = c; k < end && k < C; k++)
        job.partial[k] = job.partial[C + k] = 0;
    pack_weights(&job);
    for (int n = dw_first_image(plan, group); n < dw_first_image(plan, group + 1); n++)
        forward_image(&job, n);
    if (job.tile_rows > 0)
        end_tile(&job);
    if (op->streams)
        _mm_sfence();
}

static void reserve(struct forward *op)
{
    const struct dw_plan *plan = &op->plan;
    size_t vectors = (size_t)plan->vectors;
    op->ring_floats = vectors * (size_t)(plan->R * plan->in.W) * VEC_WIDTH;
    op->weight_floats = vectors * (size_t)(plan->R * plan->R) * VEC_WIDTH;
    op->row_floats = (size_t)(plan->out.W + DW_TILE_MAX) * VEC_WIDTH;
    size_t ring_bytes = cpu_aligned(op->ring_floats * sizeof(float));
    cpu_reserve_scratch(op->device,
                        ring_bytes + cpu_aligned(op->weight_floats * sizeof(float)) +
                            cpu_aligned(op->row_floats * sizeof(float)) +
                            cpu_aligned(vectors * sizeof(struct row_sums)),
                        ring_bytes);
}

void ISA_NAME(dw_forward)(struct device *device, const struct conv *conv, struct view x,
                          const float *w, float *z, double *sums)
{
    struct forward op = {.device = device, .plan = ISA_NAME(dw_plan)(conv), .x = x, .w = w, .z = z};
    struct dims out = op.plan.out;
    size_t partial_bytes = sizeof(double) * 2 * (size_t)op.plan.groups * (size_t)out.C;
    op.ld = conv->ld;
    op.streams = row_can_stream(z, out);
    op.correlate = ISA_NAME(dw_correlate)(op.plan.R, op.plan.S, out.W);
    char *shared = cpu_reserve_shared(device, cpu_aligned(partial_bytes) + channels_bytes(out.C));
    op.partial = cpu_carve(&shared, partial_bytes);
    op.channels = channels_init(cpu_carve(&shared, channels_bytes(out.C)), out.C, &x, NULL);
    reserve(&op);
    cpu_run(device, op.plan.groups * op.plan.blocks, forward_job, &op);
    if (sums)
        cpu_add_partial_sums(op.plan.groups, 2 * (size_t)out.C, op.partial, sums);
    device->traffic.raw_bytes +=
        sizeof *z * (size_t)out.N * (size_t)out.H * (size_t)out.W * (size_t)out.C;
}
