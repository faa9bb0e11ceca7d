#include "kernels/cpu/run.h"

VEC_INLINE void view_body(enum act act, const struct run *run, int row, const int rows, int c,
                          const int lanes)
{
    struct view_vec k = view_vec_load(run->channels, run->c0 + c);
    vec gate = vec_load_part(run->gate + c, lanes);
    const float *z = run->z + (size_t)row * run->C + c;
    float *to = run->scratch + (size_t)row * run->ld + c;
    for (int r = 0; r < rows; r++, z += run->C, to += run->ld)
        vec_store_part(to, view_value(act, &k, vec_load_part(z, lanes)) * gate, lanes);
}

void ISA_NAME(tile_load_view)(const struct tile_columns *at, const struct view *view,
                              const struct channels *channels, float *to, int ld)
{
    for (int i = 0; i < at->tile->images; i++) {
        struct run run = run_make(at, i, view->z, to, ld);
        run.channels = channels;
        run.gate = view_gate_row(view, channels, at->C, at->tile->image + i) + at->c0;
        ACT_SWITCH(view->act, run_walk, view_body, &run);
    }
}

VEC_INLINE void grad_body(enum act act, const struct run *run, int row, const int rows, int c,
                          const int lanes)
{
    struct grad_vec k = grad_vec_load(run->channels, run->c0 + c);
    vec s = vec_load_part(run->gate + c, lanes), p = vec_load_part(run->p + c, lanes);
    const float *z = run->z + (size_t)row * run->C + c;
    const float *q = run->other + (size_t)row * run->other_C + c;
    float *to = run->scratch + (size_t)row * run->ld + c;
    for (int r = 0; r < rows; r++, z += run->C, q += run->other_C, to += run->ld) {
        vec dz = grad_value(act, &k, vec_load_part(z, lanes), vec_load_part(q, lanes), s, p);
        vec_store_part(to, dz, lanes);
    }
}

void ISA_NAME(tile_load_grad)(const struct tile_columns *at, const struct grad *grad,
                              const struct channels *channels, float *to, int ld)
{
    for (int i = 0; i < at->tile->images; i++) {
        int image = at->tile->image + i;
        struct run run = run_make(at, i, grad->of.z, to, ld);
        run.channels = channels;
        run.gate = view_gate_row(&grad->of, channels, at->C, image) + at->c0;
        run.p = grad_p_row(grad, channels, at->C, image) + at->c0;
        run.other = grad->q ? grad->q + run_offset(at, i) : channels->zeros + at->c0;
        run.other_C = grad->q ? run.C : 0;
        ACT_SWITCH(grad->of.act, run_walk, grad_body, &run);
    }
}
