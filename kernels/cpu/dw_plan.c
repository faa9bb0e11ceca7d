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
static int vectors_per_block(int C, int R, int W)
{
    const size_t l1_bytes = (size_t)24 << 10, most_bytes = (size_t)320 << 10;
    size_t channel_bytes = sizeof(float) * (size_t)R * (size_t)(W + DW_TILE_MAX);
    int channels = 64 * channel_bytes <= l1_bytes     ? 64
                   : 32 * channel_bytes <= most_bytes ? 32
                                                      : VEC_WIDTH;
    int all = vec_round(C) / VEC_WIDTH;
    int blocks = (all * VEC_WIDTH + channels - 1) / channels;
    return (all + blocks - 1) / blocks;
}

struct dw_plan ISA_NAME(dw_plan)(const struct conv *conv)
{
    const int jobs = 64; /* enough to share out evenly, few enough that partial sums stay small */
    struct dw_plan plan = {.in = conv->in, .out = conv_out(conv), .R_stored = conv->R};
    if (conv->K != conv->in.C || conv->ld < conv->in.C)
        BUG("a depthwise convolution of %d to %d channels, weight stride %d", conv->in.C, conv->K,
            conv->ld);
    plan.R = cropped_side(conv);
    plan.crop = (conv->R - plan.R) / 2;
    plan.P = plan.R / 2;
    plan.S = plan.R == 1 ? 1 : conv->S; /* one pixel: the stride has nowhere to go */
    plan.vectors = vectors_per_block(plan.in.C, plan.R, plan.in.W);
    plan.blocks = (vec_round(plan.in.C) / VEC_WIDTH + plan.vectors - 1) / plan.vectors;
    plan.groups = (jobs + plan.blocks - 1) / plan.blocks;
    if (plan.groups > plan.in.N)
        plan.groups = plan.in.N;
    return plan;
}
