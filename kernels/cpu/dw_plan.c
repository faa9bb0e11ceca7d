#include "kernels/cpu/dw.h"

/* Taps further than side - 1 from the centre meet padding at every output. */
static int cropped_side(const struct conv *conv)
{
    int side = conv->in.H > conv->in.W ? conv->in.H : conv->in.W;
    int widest = 2 * side - 1;
    return conv->R < widest ? conv->R : widest;
}

/* Channels per block: whole cache lines in a row so that memory is read in runs, few enough that
 * the rows of one block stay in L1 (L2 on wide maps), and that both rings of the backward pass are
 * below 1 MiB. */
static int vectors_per_block(int C, int slots, int W)
{
    const size_t l1_bytes = (size_t)24 << 10, most_bytes = (size_t)320 << 10;
    size_t channel_bytes = sizeof(float) * (size_t)slots * (size_t)W;
    int channels = 64 * channel_bytes <= l1_bytes     ? 64
                   : 32 * channel_bytes <= most_bytes ? 32
                                                      : VEC_WIDTH;
    int all = vec_round(C) / VEC_WIDTH;
    int blocks = (all * VEC_WIDTH + channels - 1) / channels;
    return (all + blocks - 1) / blocks;
}

/* Rows per step, and the ring they need: a step reads (band - 1) S + R rows, and the last chunk may
 * bring band S - 1 rows more. */
static void plan_bands(struct dw_plan *plan)
{
    const int pixels = 64; /* about; bands of one map are of one height */
    int bands = plan->out.H * plan->out.W / pixels;
    bands = bands < 1 ? 1 : bands > plan->out.H ? plan->out.H : bands;
    plan->band = (plan->out.H + bands - 1) / bands;
    int chunk = plan->band * plan->S;
    int rows = (plan->band - 1) * plan->S + plan->R + chunk - 1;
    rows = (rows + chunk - 1) / chunk * chunk;
    plan->in_slots = rows < plan->in.H ? rows : plan->in.H;
}

struct dw_plan MAP_NAME(dw_plan)(const struct conv *conv)
{
    const int jobs = 32; /* enough to share out evenly, few enough that partial sums stay small */
    struct dw_plan plan = {.in = conv->in, .out = conv_out(conv), .R_stored = conv->R};
    if (conv->K != conv->in.C || conv->ld < conv->in.C)
        BUG("a depthwise convolution of %d to %d channels, weight stride %d", conv->in.C, conv->K,
            conv->ld);
    plan.R = cropped_side(conv);
    plan.crop = (conv->R - plan.R) / 2;
    plan.S = plan.R == 1 ? 1 : conv->S; /* one pixel: the stride has nowhere to go */
    plan.top = pad_before(conv->pad, conv->in.H, conv->R, conv->S) - plan.crop;
    plan.left = pad_before(conv->pad, conv->in.W, conv->R, conv->S) - plan.crop;
    plan_bands(&plan);
    plan.vectors = vectors_per_block(plan.in.C, plan.in_slots, plan.in.W);
    plan.blocks = (vec_round(plan.in.C) / VEC_WIDTH + plan.vectors - 1) / plan.vectors;
    int groups = (jobs + plan.blocks - 1) / plan.blocks;
    int images = (plan.in.N + groups - 1) / groups;
    plan.groups = (plan.in.N + images - 1) / images;
    return plan;
}

void MAP_NAME(dw_load_input)(const struct dw_input *input, const struct dw_ring *ring, int v, int c,
                             int n, int chunk)
{
    const struct dw_plan *plan = input->plan;
    struct dims in = plan->in;
    int rows = plan->band * plan->S, first = chunk * rows, lanes = dw_lanes(plan, c);
    ptrdiff_t next = (ptrdiff_t)rows * in.W * in.C;
    if (first + rows > in.H)
        rows = in.H - first;
    struct row_shape shape = {rows * in.W, in.C, lanes, next};
    const float *gate = view_gate_row(&input->x, &input->channels, in.C, n) + c;
    struct view_row row = {.z = map_at(input->x.z, ((size_t)n * in.H + first) * in.W * in.C + c),
                           .k = view_vec_load(&input->channels, c),
                           .gate = vec_load_part(gate, lanes),
                           .act = input->x.act};
    MAP_NAME(row_load_view)(&shape, &row, dw_ring_row(ring, v, first));
}
