#include "kernels/cpu/rows.h"

VEC_INLINE void load_view(enum act act, const int lanes, const struct row_shape *shape,
                          const struct view_row *row, float *to)
{
    const struct row_shape at = *shape;
    const float *z = row->z;
    struct view_vec k = row->k;
    vec gate = row->gate;
    for (int col = 0; col < at.W; col++, z += at.stride, to += VEC_WIDTH) {
        __builtin_prefetch(z + at.prefetch, 0, 1); /* into L2: L1 has no room for it */
        vec_store(to, view_value(act, &k, vec_load_part(z, lanes)) * gate);
    }
}

VEC_INLINE void load_view_lanes(enum act act, const struct row_shape *shape,
                                const struct view_row *row, float *to)
{
    if (shape->lanes == VEC_WIDTH)
        load_view(act, VEC_WIDTH, shape, row, to);
    else
        load_view(act, shape->lanes, shape, row, to);
}

void ISA_NAME(row_load_view)(const struct row_shape *shape, const struct view_row *row, float *to)
{
    ACT_SWITCH(row->act, load_view_lanes, shape, row, to);
}

VEC_INLINE void load_grad(enum act act, const int lanes, const struct row_shape *shape,
                          const struct grad_row *row, float *to)
{
    const struct row_shape at = *shape;
    const float *z = row->z, *q = row->q;
    int q_stride = row->q_stride;
    struct grad_vec k = row->k;
    vec s = row->s, p = row->p;
    ptrdiff_t q_prefetch = q_stride ? at.prefetch : 0;
    for (int col = 0; col < at.W; col++, to += VEC_WIDTH) {
        __builtin_prefetch(z + at.prefetch, 0, 1); /* into L2: L1 has no room for it */
        __builtin_prefetch(q + q_prefetch, 0, 1);
        vec_store(to, grad_value(act, &k, vec_load_part(z, lanes), vec_load_part(q, lanes), s, p));
        z += at.stride;
        q += q_stride;
    }
}

VEC_INLINE void load_grad_lanes(enum act act, const struct row_shape *shape,
                                const struct grad_row *row, float *to)
{
    if (shape->lanes == VEC_WIDTH)
        load_grad(act, VEC_WIDTH, shape, row, to);
    else
        load_grad(act, shape->lanes, shape, row, to);
}

void ISA_NAME(row_load_grad)(const struct row_shape *shape, const struct grad_row *row, float *to)
{
    ACT_SWITCH(row->act, load_grad_lanes, shape, row, to);
}

VEC_INLINE void store_pixel(float *to, vec value, const int lanes, bool streams)
{
    if (lanes == VEC_WIDTH && streams)
        vec_stream(to, value);
    else
        vec_store_part(to, value, lanes);
}

/* Two sets of sums, for even and odd pixels: one alone waits for its own last addition. */
VEC_INLINE void store_row(const int lanes, const struct row_shape *shape, const float *from,
                          float *z, bool streams, struct row_sums *sums)
{
    const struct row_shape at = *shape;
    vec shift = sums->shift, sum[2] = {sums->sum, vec_zero()},
        square[2] = {sums->square, vec_zero()};
    for (int col = 0; col < at.W; col += 2)
        for (int odd = 0; odd < 2 && col + odd < at.W; odd++) {
            vec value = vec_load(from + (ptrdiff_t)(col + odd) * VEC_WIDTH);
            vec about = value - shift;
            store_pixel(z + (ptrdiff_t)(col + odd) * at.stride, value, lanes, streams);
            sum[odd] += about;
            square[odd] += about * about;
        }
    sums->sum = sum[0] + sum[1];
    sums->square = square[0] + square[1];
}

void ISA_NAME(row_store)(const struct row_shape *shape, const float *from, float *z, bool streams,
                         struct row_sums *sums)
{
    if (shape->lanes == VEC_WIDTH)
        store_row(VEC_WIDTH, shape, from, z, streams, sums);
    else
        store_row(shape->lanes, shape, from, z, streams, sums);
}

/* One pixel: q, and its terms of the sums into total. */
VEC_INLINE void sink_pixel(enum act act, const enum sink_kind kind, const int lanes,
                           const struct sink_row *sink, vec q, ptrdiff_t at, vec total[3])
{
    store_pixel(sink->q + at, q, lanes, sink->streams);
    if (kind == SINK_PLAIN)
        return;
    vec z = vec_load_part(sink->z + at, lanes);
    vec x = z * sink->k.scale + sink->k.shift;
    vec g = act_backward(act, q, x);
    vec moment = g * (z - sink->mean);
    if (kind == SINK_SUMS) {
        total[0] += g;
        total[1] += moment;
    } else {
        total[0] += q * act_value(act, x);
        total[1] += g;
        total[2] += moment;
    }
}

VEC_INLINE void store_sink(enum act act, const enum sink_kind kind, const int lanes,
                           const struct row_shape *shape, const float *from, struct sink_row *out)
{
    const struct row_shape at = *shape;
    struct sink_row sink = *out; /* the compiler then knows that stores do not change it */
    vec total[2][3] = {{sink.total[0], sink.total[1], sink.total[2]}};
    for (int col = 0; col < at.W; col += 2)
        for (int odd = 0; odd < 2 && col + odd < at.W; odd++) {
            ptrdiff_t pixel = col + odd;
            vec q = vec_load(from + pixel * VEC_WIDTH) +
                    vec_load_part(sink.add + pixel * sink.add_stride, lanes);
            sink_pixel(act, kind, lanes, &sink, q, pixel * at.stride, total[odd]);
        }
    for (int i = 0; i < 3; i++)
        out->total[i] = total[0][i] + total[1][i];
}

VEC_INLINE void store_sink_lanes(enum act act, const enum sink_kind kind,
                                 const struct row_shape *shape, const float *from,
                                 struct sink_row *sink)
{
    if (shape->lanes == VEC_WIDTH)
        store_sink(act, kind, VEC_WIDTH, shape, from, sink);
    else
        store_sink(act, kind, shape->lanes, shape, from, sink);
}

void ISA_NAME(row_store_sink)(const struct row_shape *shape, const float *from,
                              struct sink_row *sink)
{
    switch (sink->kind) {
    case SINK_PLAIN:
        store_sink_lanes(ACT_NONE, SINK_PLAIN, shape, from, sink);
        break;
    case SINK_SUMS:
        ACT_SWITCH(sink->act, store_sink_lanes, SINK_SUMS, shape, from, sink);
        break;
    case SINK_GATE:
        ACT_SWITCH(sink->act, store_sink_lanes, SINK_GATE, shape, from, sink);
        break;
    }
}
