#include "kernels/cpu/ops.h"
#include "kernels/cpu/stem.h"

enum { TILE = 8, TILE_PIXELS = 512 };

struct forward {
    struct device *device;
    struct stem_plan plan;
    struct view x;
    const map_value *w;
    map_value *z;
    bool streams;
    double *partial; /* (groups,2,K) */
};

struct job {
    const struct forward *op;
    const float *image[STEM_R]; /* the rows around the output row */
    float *image_rows, *w, *row;
    struct raw_sums *sums; /* one per vector, of the current tile */
    double *partial;
    int tile_rows;
};

/* TILE outputs from column o on: one vector of weights meets TILE scalars of the image. */
VEC_INLINE void outputs(const int C, const int S, const float *const *image, const float *w, int o,
                        float *to)
{
    vec sum[TILE];
    VEC_UNROLL
    for (int t = 0; t < TILE; t++)
        sum[t] = vec_zero();
    for (int kh = 0; kh < STEM_R; kh++) {
        const float *x = image[kh] + (ptrdiff_t)o * S * C;
        VEC_UNROLL
        for (int i = 0; i < STEM_R * C; i++, w += VEC_WIDTH) {
            vec tap = vec_load(w);
            VEC_UNROLL
            for (int t = 0; t < TILE; t++)
                sum[t] += tap * x[t * S * C + i];
        }
    }
    VEC_UNROLL
    for (int t = 0; t < TILE; t++)
        vec_store(to + (ptrdiff_t)(o + t) * VEC_WIDTH, sum[t]);
}

VEC_INLINE void outputs_row(const int C, const int S, const struct job *job, const float *w)
{
    for (int o = 0; o < job->op->plan.out.W; o += TILE)
        outputs(C, S, job->image, w, o, job->row);
}

static void correlate(const struct job *job, int v)
{
    const struct stem_plan *plan = &job->op->plan;
    const float *w = job->w + (ptrdiff_t)v * plan->taps * VEC_WIDTH;
    if (plan->in.C == 3 && plan->S == 2)
        outputs_row(3, 2, job, w);
    else if (plan->in.C == 3)
        outputs_row(3, 1, job, w);
    else if (plan->S == 2)
        outputs_row(1, 2, job, w);
    else
        outputs_row(1, 1, job, w);
}

static void output_row(struct job *job, int n, int oh)
{
    const struct forward *op = job->op;
    struct dims out = op->plan.out;
    for (int v = 0; v < op->plan.vectors; v++) {
        struct row_shape shape = {out.W, out.C, stem_lanes(&op->plan, v), 0};
        struct raw_sums *sums = &job->sums[v];
        correlate(job, v);
        if (job->tile_rows == 0)
            *sums = raw_sums_about(vec_load(job->row + out.W / 2 * VEC_WIDTH));
        map_value *z = op->z + ((size_t)n * out.H + oh) * out.W * out.C + v * VEC_WIDTH;
        MAP_NAME(row_store)(&shape, job->row, z, op->streams, sums);
    }
}

static void end_tile(struct job *job)
{
    const struct stem_plan *plan = &job->op->plan;
    double count = (double)job->tile_rows * plan->out.W;
    job->tile_rows = 0;
    for (int v = 0; v < plan->vectors; v++) {
        double *sum = job->partial + v * VEC_WIDTH;
        raw_sums_end(&job->sums[v], count, stem_lanes(plan, v), sum, sum + plan->out.C);
    }
}

static void forward_image(struct job *job, int n)
{
    const struct forward *op = job->op;
    const struct stem_plan *plan = &op->plan;
    for (int oh = 0; oh < plan->out.H; oh++) {
        for (int kh = 0; kh < STEM_R; kh++) {
            float *row = job->image_rows + kh * plan->image_row_floats;
            MAP_NAME(stem_load_row)(plan, &op->x, n, oh * plan->S - plan->top + kh, row);
            job->image[kh] = row;
        }
        output_row(job, n, oh);
        if (++job->tile_rows * plan->out.W >= TILE_PIXELS)
            end_tile(job);
    }
}

/* (taps,ld) to one run of taps per vector. */
static void pack_weights(struct job *job)
{
    const struct stem_plan *plan = &job->op->plan;
    float *to = job->w;
    for (int v = 0; v < plan->vectors; v++)
        for (int tap = 0; tap < plan->taps; tap++, to += VEC_WIDTH) {
            const map_value *from = job->op->w + (ptrdiff_t)tap * plan->ld + v * VEC_WIDTH;
            vec_store(to, map_load(from, stem_lanes(plan, v)));
        }
}

static size_t row_bytes(const struct stem_plan *plan)
{
    return (size_t)(plan->out.W + TILE) * VEC_WIDTH * sizeof(float);
}

static void forward_job(void *context, int group, int thread)
{
    const struct forward *op = context;
    const struct stem_plan *plan = &op->plan;
    size_t K = (size_t)plan->out.C;
    char *scratch = cpu_scratch(op->device, thread);
    struct job job = {.op = op, .partial = op->partial + 2 * K * (size_t)group};
    job.image_rows = cpu_carve(&scratch, stem_image_bytes(plan));
    job.w = cpu_carve(&scratch, stem_weight_bytes(plan));
    job.row = cpu_carve(&scratch, row_bytes(plan));
    job.sums = cpu_carve(&scratch, (size_t)plan->vectors * sizeof *job.sums);
    memset(job.partial, 0, 2 * K * sizeof *job.partial);
    pack_weights(&job);
    for (int n = stem_first_image(plan, group); n < stem_first_image(plan, group + 1); n++)
        forward_image(&job, n);
    if (job.tile_rows > 0)
        end_tile(&job);
    if (op->streams)
        vec_stream_fence();
}

static struct cpu_need need_of(const struct stem_plan *plan)
{
    size_t sums_bytes = (size_t)plan->vectors * sizeof(struct raw_sums);
    return (struct cpu_need){
        .scratch_bytes = cpu_aligned(stem_image_bytes(plan)) +
                         cpu_aligned(stem_weight_bytes(plan)) + cpu_aligned(row_bytes(plan)) +
                         cpu_aligned(sums_bytes),
        .activated_bytes = stem_image_bytes(plan),
        .shared_bytes = sizeof(double) * 2 * (size_t)plan->groups * (size_t)plan->out.C};
}

struct cpu_need MAP_NAME(stem_forward_need)(const struct work *work)
{
    struct stem_plan plan = MAP_NAME(stem_plan)(&work->conv);
    return need_of(&plan);
}

void MAP_NAME(stem_forward)(struct device *device, const struct conv *conv, struct view x,
                            const void *w, void *z, const struct norm_forward *norm)
{
    struct forward op = {
        .device = device, .plan = MAP_NAME(stem_plan)(conv), .x = x, .w = w, .z = z};
    const struct stem_plan *plan = &op.plan;
    struct dims out = plan->out;
    struct cpu_need need = need_of(plan);
    if (!cpu_reserve(device, &(struct work){.kind = WORK_STEM_FORWARD, .conv = *conv}, &need))
        return;
    op.streams = row_can_stream(z, out);
    op.partial = cpu_shared(device);
    cpu_run(device, plan->groups, forward_job, &op);
    ISA_NAME(norm_finish)(conv, plan->groups, op.partial, norm);
    device->traffic.raw_bytes +=
        sizeof *op.z * (size_t)out.N * (size_t)out.H * (size_t)out.W * (size_t)out.C;
}
