/* One row of a map, one vector of channels at a time: between memory (NHWC, pixels a stride apart)
 * and a packed row (pixel after pixel, VEC_WIDTH floats each, the lanes behind the last channel 0).
 * Loading applies a view or forms a gradient; storing adds up what the next pass needs. Depthwise
 * and stem convolutions are built from these. Pure. */
#ifndef KERNELS_CPU_ROWS_H
#define KERNELS_CPU_ROWS_H

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/map.h"
#include "kernels/cpu/sums.h"

struct row_shape {
    int W;              /* pixels */
    int stride;         /* values from pixel to pixel in memory */
    int lanes;          /* channels of this vector, 1..VEC_WIDTH */
    ptrdiff_t prefetch; /* a load asks for the line this many values ahead: the next row */
};

struct view_row {
    const map_value *z;
    struct view_vec k;
    vec gate;
    enum act act;
};

struct grad_row {
    const map_value *z;
    const map_value *q; /* zeros with q_stride 0 where there is none */
    int q_stride;
    struct grad_vec k;
    vec s, p;
    enum act act;
};

enum sink_kind { SINK_PLAIN, SINK_SUMS, SINK_GATE };

struct sink_row {
    map_value *q;
    const map_value *add; /* zeros with add_stride 0 where there is none */
    int add_stride;
    const map_value *z; /* of sink->of; unused by SINK_PLAIN */
    struct view_vec k;
    vec mean;
    struct sink_sums *sums;
    enum act act;
    enum sink_kind kind;
    bool streams; /* past the caches */
};

void MAP_NAME(row_load_view)(const struct row_shape *shape, const struct view_row *row, float *to);
void MAP_NAME(row_load_grad)(const struct row_shape *shape, const struct grad_row *row, float *to);

/* Stores a packed row to z and adds it to the sums. */
void MAP_NAME(row_store)(const struct row_shape *shape, const float *from, map_value *z,
                         bool streams, struct raw_sums *sums);

/* q = from + add; adds up what sink->kind asks for. */
void MAP_NAME(row_store_sink)(const struct row_shape *shape, const float *from,
                              const struct sink_row *sink);

/* May this (N,H,W,C) map be written past the caches? It must be too big to be read back from them,
 * and whole vectors must stay aligned. */
static inline bool row_can_stream(const map_value *z, struct dims map)
{
    const size_t cache_bytes = (size_t)16 << 20;
    size_t bytes = sizeof *z * (size_t)map.N * (size_t)map.H * (size_t)map.W * (size_t)map.C;
    return MAP_CAN_STREAM && bytes > cache_bytes && map.C % VEC_WIDTH == 0 &&
           (uintptr_t)z % sizeof(vec) == 0;
}

#endif
