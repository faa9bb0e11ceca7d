#include "kernels/cpu/stem.h"

struct stem_plan MAP_NAME(stem_plan)(const struct conv *conv)
{
    const int jobs = 32;
    struct stem_plan plan = {.in = conv->in, .out = conv_out(conv), .S = conv->S, .ld = conv->ld};
    if (conv->R != STEM_R || (conv->in.C != 1 && conv->in.C != 3) || conv->ld < conv->K)
        BUG("a stem of kernel %d, %d channels in, %d out, weight stride %d", conv->R, conv->in.C,
            conv->K, conv->ld);
    plan.vectors = vec_round(conv->K) / VEC_WIDTH;
    plan.taps = STEM_R * STEM_R * conv->in.C;
    plan.groups = conv->in.N < jobs ? conv->in.N : jobs;
    plan.top = pad_before(conv->pad, conv->in.H, STEM_R, conv->S);
    plan.left = pad_before(conv->pad, conv->in.W, STEM_R, conv->S);
    /* room for the last register tile behind the row */
    plan.image_row_floats = (size_t)(conv->in.W + STEM_R - 1 + 16) * (size_t)conv->in.C;
    return plan;
}

/* act on one float, through the vector form that every other map goes through. */
static float act_scalar(enum act act, float x)
{
    return act_value(act, vec_set(x))[0];
}

static void widen(const map_value *from, int count, float *to)
{
    for (int i = 0; i < count; i += VEC_WIDTH) {
        int lanes = count - i < VEC_WIDTH ? count - i : VEC_WIDTH;
        vec_store_part(to + i, map_load(from + i, lanes), lanes);
    }
}

void MAP_NAME(stem_load_row)(const struct stem_plan *plan, const struct view *x, int n, int ih,
                             float *to)
{
    struct dims in = plan->in;
    memset(to, 0, plan->image_row_floats * sizeof *to);
    if (ih < 0 || ih >= in.H)
        return;
    const map_value *from = map_at(x->z, ((size_t)n * in.H + ih) * in.W * in.C);
    to += plan->left * in.C;
    widen(from, in.W * in.C, to);
    if (!x->scale && !x->gate && x->act == ACT_NONE)
        return;
    for (int c = 0; c < in.C; c++) {
        float scale = x->scale ? x->scale[c] : 1, shift = x->shift ? x->shift[c] : 0;
        float gate = x->gate ? x->gate[(size_t)n * in.C + c] : 1;
        for (int col = 0; col < in.W; col++) {
            float *value = &to[(ptrdiff_t)col * in.C + c];
            *value = act_scalar(x->act, *value * scale + shift) * gate;
        }
    }
}
