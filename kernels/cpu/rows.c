#include "kernels/cpu/rows.h"

VEC_INLINE void load_view(enum act act, const int lanes, const struct row_shape *shape,
                          const struct view_row *row, float *to)
{
    const struct row_shape at = *shape;
    const map_value *z = row->z;
    struct view_vec k = row->k;
    vec gate = row->gate;
    for (int col = 0; col < at.W; col++, z += at.stride, to += VEC_WIDTH) {
        __builtin_prefetch(z + at.prefetch, 0, 1); /* into L2: L1 has no room for it */
        vec_store(to, view_value(act, &k, map_load(z, lanes)) * gate);
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

void MAP_NAME(row_load_view)(const struct row_shape *shape, const struct view_row *row, float *to)
{
    ACT_SWITCH(row->act, load_view_lanes, shape, row, to);
}

VEC_INLINE void load_grad(enum act act, const int lanes, const struct row_shape *shape,
                          const struct grad_row *row, float *to)
{
    const struct row_shape at = *shape;
    const map_value *z = row->z, *q = row->q;
    int q_stride = row->q_stride;
    struct grad_vec k = row->k;
    vec s = row->s, p = row->p;
    ptrdiff_t q_prefetch = q_stride ? at.prefetch : 0;
    for (int col = 0; col < at.W; col++, to += VEC_WIDTH) {
        __builtin_prefetch(z + at.prefetch, 0, 1); /* into L2: L1 has no room for it */
        __builtin_prefetch(q + q_prefetch, 0, 1);
        vec_store(to, grad_value(act, &k, map_load(z, lanes), map_load(q, lanes), s, p));
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

void MAP_NAME(row_load_grad)(const struct row_shape *shape, const struct grad_row *row, float *to)
{
    ACT_SWITCH(row->act, load_grad_lanes, shape, row, to);
}

/* Returns what was stored. */
VEC_INLINE vec store_pixel(map_value *to, vec value, const int lanes, bool streams)
{
    if (lanes == VEC_WIDTH && streams)
        return map_stream(to, value);
    return map_store(to, value, lanes);
}

/* Two sets of sums, for even and odd pixels: one alone waits for its own last addition. */
VEC_INLINE void store_row(const int lanes, const struct row_shape *shape, const float *from,
                          map_value *z, bool streams, struct raw_sums *sums)
{
    const struct row_shape at = *shape;
    struct raw_sums parts[2] = {*sums, raw_sums_about(sums->shift)};
    for (int col = 0; col < at.W; col += 2)
        for (int odd = 0; odd < 2 && col + odd < at.W; odd++) {
            ptrdiff_t pixel = col + odd;
            vec value = vec_load(from + pixel * VEC_WIDTH);
            raw_sums_add(&parts[odd], store_pixel(z + pixel * at.stride, value, lanes, streams));
        }
    sums->sum = parts[0].sum + parts[1].sum;
    sums->square = parts[0].square + parts[1].square;
}

void MAP_NAME(row_store)(const struct row_shape *shape, const float *from, map_value *z,
                         bool streams, struct raw_sums *sums)
{
    if (shape->lanes == VEC_WIDTH)
        store_row(VEC_WIDTH, shape, from, z, streams, sums);
    else
        store_row(shape->lanes, shape, from, z, streams, sums);
}

VEC_INLINE void store_sink(enum act act, const enum sink_kind kind, const int lanes,
                           const struct row_shape *shape, const float *from,
                           const struct sink_row *out)
{
    const struct row_shape at = *shape;
    const struct sink_row sink = *out; /* the compiler then knows that stores do not change it */
    struct sink_sums parts[2] = {*sink.sums, sink_sums_zero()};
    for (int col = 0; col < at.W; col += 2)
        for (int odd = 0; odd < 2 && col + odd < at.W; odd++) {
            ptrdiff_t pixel = col + odd, place = pixel * at.stride;
            vec q = vec_load(from + pixel * VEC_WIDTH) +
                    map_load(sink.add + pixel * sink.add_stride, lanes);
            q = store_pixel(sink.q + place, q, lanes, sink.streams);
            if (kind != SINK_PLAIN)
                sink_sums_add(act, kind == SINK_GATE, &parts[odd], &sink.k, sink.mean, q,
                              map_load(sink.z + place, lanes));
        }
    sink.sums->gated = parts[0].gated + parts[1].gated;
    sink.sums->sum = parts[0].sum + parts[1].sum;
    sink.sums->moment = parts[0].moment + parts[1].moment;
}

VEC_INLINE void store_sink_lanes(enum act act, const enum sink_kind kind,
                                 const struct row_shape *shape, const float *from,
                                 const struct sink_row *sink)
{
    if (shape->lanes == VEC_WIDTH)
        store_sink(act, kind, VEC_WIDTH, shape, from, sink);
    else
        store_sink(act, kind, shape->lanes, shape, from, sink);
}

void MAP_NAME(row_store_sink)(const struct row_shape *shape, const float *from,
                              const struct sink_row *sink)
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
