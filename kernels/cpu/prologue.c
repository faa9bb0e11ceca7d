/* The prologue of a 1x1 convolution's product: a view is applied, or a gradient formed, while a
 * tile is loaded into panels, whose values are rounded as a map's. */
#include "kernels/cpu/run.h"

VEC_INLINE vec view_body(enum act act, const struct run *run, int row, int c, const int lanes)
{
    struct view_vec k = view_vec_load(run->channels, run->c0 + c);
    vec z = map_load(run->z + (size_t)row * run->C + c, lanes);
    return view_value(act, &k, z) * vec_load_part(run->gate + c, lanes);
}

void MAP_NAME(prologue_view)(const struct tile_columns *at, const struct view *view,
                             const struct channels *channels, const struct operand *to)
{
    for (int i = 0; i < at->tile->images; i++) {
        struct run run = run_make(at, i, view->z);
        run.to = *to;
        run.channels = channels;
        run.gate = view_gate_row(view, channels, at->C, at->tile->image + i) + at->c0;
        ACT_SWITCH(view->act, run_load, view_body, &run);
    }
}

VEC_INLINE vec grad_body(enum act act, const struct run *run, int row, int c, const int lanes)
{
    struct grad_vec k = grad_vec_load(run->channels, run->c0 + c);
    vec s = vec_load_part(run->gate + c, lanes), p = vec_load_part(run->p + c, lanes);
    vec z = map_load(run->z + (size_t)row * run->C + c, lanes);
    vec q = map_load(run->other + (size_t)row * run->other_C + c, lanes);
    return grad_value(act, &k, z, q, s, p);
}

void MAP_NAME(prologue_grad)(const struct tile_columns *at, const struct grad *grad,
                             const struct channels *channels, const struct operand *to)
{
    for (int i = 0; i < at->tile->images; i++) {
        int image = at->tile->image + i;
        struct run run = run_make(at, i, grad->of.z);
        run.to = *to;
        run.channels = channels;
        run.gate = view_gate_row(&grad->of, channels, at->C, image) + at->c0;
        run.p = grad_p_row(grad, channels, at->C, image) + at->c0;
        run.other = grad->q ? map_at(grad->q, run_offset(at, i)) : map_zeros(channels->zeros);
        run.other_C = grad->q ? run.C : 0;
        ACT_SWITCH(grad->of.act, run_load, grad_body, &run);
    }
}
