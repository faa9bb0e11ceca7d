/* The gradient of the stem's weights; none flows to the image. */
#include "kernels/cpu/ops.h"
#include "kernels/cpu/stem.h"

enum { TILE_PIXELS = 512, SUMS = 9 };

struct backward {
    struct device *device;
    struct stem_plan plan;
    struct grad dz;
    struct view x;
    struct channels channels; /* of dz */
    double *partial;          /* (groups,taps,K) */
};

struct job {
    const struct backward *op;
    int group;
    const float *image[STEM_R];
    float *image_rows, *dz;
    float *dw; /* per vector (taps): sums of the current tile */
};

/* SUMS weight gradients in registers over a row: `rows` image rows of SUMS / rows scalars each. */
VEC_INLINE void wgrad_row(const int rows, const int C, const int S, const float *const *image,
                          const float *dz, int W, float *to)
{
    const int per_row = SUMS / rows;
    vec sum[SUMS];
    VEC_UNROLL
    for (int i = 0; i < SUMS; i++)
        sum[i] = vec_load(to + (ptrdiff_t)i * VEC_WIDTH);
    for (int o = 0; o < W; o++) {
        vec d = vec_load(dz + (ptrdiff_t)o * VEC_WIDTH);
        VEC_UNROLL
        for (int i = 0; i < SUMS; i++)
            sum[i] += d * image[i / per_row][(ptrdiff_t)o * S * C + i % per_row];
    }
    VEC_UNROLL
    for (int i = 0; i < SUMS; i++)
        vec_store(to + (ptrdiff_t)i * VEC_WIDTH, sum[i]);
}

static void wgrad(const struct job *job, int v)
{
    const struct stem_plan *plan = &job->op->plan;
    float *to = job->dw + (ptrdiff_t)v * plan->taps * VEC_WIDTH;
    if (plan->in.C == 1) { /* 9 taps: all at once */
        if (plan->S == 2)
            wgrad_row(3, 1, 2, job->image, job->dz, plan->out.W, to);
        else
            wgrad_row(3, 1, 1, job->image, job->dz, plan->out.W, to);
        return;
    }
    for (int kh = 0; kh < STEM_R; kh++, to += SUMS * VEC_WIDTH) {
        if (plan->S == 2)
            wgrad_row(1, 3, 2, &job->image[kh], job->dz, plan->out.W, to);
        else
            wgrad_row(1, 3, 1, &job->image[kh], job->dz, plan->out.W, to);
    }
}

static void load_dz(const struct job *job, int v, int n, int oh)
{
    const struct backward *op = job->op;
    struct dims out = op->plan.out;
    int c = v * VEC_WIDTH, lanes = stem_lanes(&op->plan, v);
    struct row_shape shape = {out.W, out.C, lanes, (ptrdiff_t)out.W * out.C};
    size_t at = ((size_t)n * out.H + oh) * out.W * out.C + c;
    const float *s = view_gate_row(&op->dz.of, &op->channels, out.C, n) + c;
    const float *p = grad_p_row(&op->dz, &op->channels, out.C, n) + c;
    struct grad_row row = {.z = map_at(op->dz.of.z, at),
                           .q = op->dz.q ? map_at(op->dz.q, at) : map_zeros(op->channels.zeros),
                           .q_stride = op->dz.q ? out.C : 0,
                           .k = grad_vec_load(&op->channels, c),
                           .s = vec_load_part(s, lanes),
                           .p = vec_load_part(p, lanes),
                           .act = op->dz.of.act};
    MAP_NAME(row_load_grad)(&shape, &row, job->dz);
}

static void end_tile(const struct job *job)
{
    const struct stem_plan *plan = &job->op->plan;
    ptrdiff_t K = plan->out.C;
    for (int v = 0; v < plan->vectors; v++)
        for (int tap = 0; tap < plan->taps; tap++) {
            float *dw = job->dw + ((ptrdiff_t)v * plan->taps + tap) * VEC_WIDTH;
            double *to = job->op->partial + (job->group * plan->taps + tap) * K + v * VEC_WIDTH;
            sums_add_lanes(to, vec_load(dw), stem_lanes(plan, v));
            vec_store(dw, vec_zero());
        }
}

static void backward_row(struct job *job, int n, int oh)
{
    const struct stem_plan *plan = &job->op->plan;
    for (int kh = 0; kh < STEM_R; kh++) {
        float *row = job->image_rows + kh * plan->image_row_floats;
        MAP_NAME(stem_load_row)(plan, &job->op->x, n, oh * plan->S - plan->top + kh, row);
        job->image[kh] = row;
    }
    for (int v = 0; v < plan->vectors; v++) {
        load_dz(job, v, n, oh);
        wgrad(job, v);
    }
}

static size_t row_bytes(const struct stem_plan *plan)
{
    return (size_t)plan->out.W * VEC_WIDTH * sizeof(float);
}

static size_t partial_bytes(const struct stem_plan *plan)
{
    size_t weights = (size_t)plan->taps * (size_t)plan->out.C;
    return (size_t)plan->groups * weights * sizeof(double);
}

static struct cpu_need need_of(const struct stem_plan *plan)
{
    return (struct cpu_need){
        .scratch_bytes = cpu_aligned(stem_image_bytes(plan)) + cpu_aligned(row_bytes(plan)) +
                         cpu_aligned(stem_weight_bytes(plan)),
        .activated_bytes = stem_image_bytes(plan) + row_bytes(plan),
        .shared_bytes = cpu_aligned(partial_bytes(plan)) + channels_bytes(plan->out.C)};
}

struct cpu_need MAP_NAME(stem_backward_need)(const struct work *work)
{
    struct stem_plan plan = MAP_NAME(stem_plan)(&work->conv);
    return need_of(&plan);
}

static void backward_job(void *context, int group, int thread)
{
    const struct backward *op = context;
    const struct stem_plan *plan = &op->plan;
    size_t taps_K = (size_t)plan->taps * (size_t)plan->out.C;
    char *scratch = cpu_scratch(op->device, thread);
    struct job job = {.op = op, .group = group};
    job.image_rows = cpu_carve(&scratch, stem_image_bytes(plan));
    job.dz = cpu_carve(&scratch, row_bytes(plan));
    job.dw = cpu_carve(&scratch, stem_weight_bytes(plan));
    memset(job.dw, 0, stem_weight_bytes(plan));
    memset(op->partial + taps_K * (size_t)group, 0, taps_K * sizeof *op->partial);
    int pixels = 0;
    for (int n = stem_first_image(plan, group); n < stem_first_image(plan, group + 1); n++)
        for (int oh = 0; oh < plan->out.H; oh++) {
            backward_row(&job, n, oh);
            pixels += plan->out.W;
            if (pixels >= TILE_PIXELS) {
                end_tile(&job);
                pixels = 0;
            }
        }
    end_tile(&job);
}

/* dw (taps,ld) += the groups' parts, in order. */
static void reduce(const struct backward *op, float *dw)
{
    const struct stem_plan *plan = &op->plan;
    ptrdiff_t K = plan->out.C;
    for (ptrdiff_t tap = 0; tap < plan->taps; tap++)
        for (ptrdiff_t k = 0; k < K; k++) {
            double sum = 0;
            for (int group = 0; group < plan->groups; group++)
                sum += op->partial[(group * plan->taps + tap) * K + k];
            dw[tap * plan->ld + k] += (float)sum;
        }
}

void MAP_NAME(stem_backward)(struct device *device, const struct conv *conv, const struct grad *dz,
                             struct view x, float *dw)
{
    struct backward op = {.device = device, .plan = MAP_NAME(stem_plan)(conv), .dz = *dz, .x = x};
    const struct stem_plan *plan = &op.plan;
    struct dims out = plan->out;
    struct cpu_need need = need_of(plan);
    if (!cpu_reserve(device, &(struct work){.kind = WORK_STEM_BACKWARD, .conv = *conv}, &need))
        return;
    char *shared = cpu_shared(device);
    op.partial = cpu_carve(&shared, partial_bytes(plan));
    op.channels = channels_init(cpu_carve(&shared, channels_bytes(out.C)), out.C, &dz->of, dz);
    cpu_run(device, plan->groups, backward_job, &op);
    reduce(&op, dw);
}
