/* The epilogue of a 1x1 convolution's product: what the next pass needs of a strip is summed, and a
 * gradient sent on, before the strip leaves the cache. */
#include "kernels/cpu/run.h"
#include "kernels/cpu/sums.h"

/* Adds a strip of z to the totals (2,C); the shift is the strip's first row. */
VEC_INLINE void raw_body(enum act act, const struct run *run, int c, const int vecs,
                         const int lanes)
{
    (void)act;
    struct raw_sums sums[RUN_VECS]; /* a strip may be read in whole vectors */
    for (int v = 0; v < vecs; v++)
        sums[v] = raw_sums_about(vec_load(run->from + c + v * VEC_WIDTH));
    for (int r = 0; r < run->rows; r++)
        for (int v = 0; v < vecs; v++)
            raw_sums_add(&sums[v], vec_load(run->from + r * STRIP + c + v * VEC_WIDTH));
    for (int v = 0; v < vecs; v++) {
        double *to = (double *)run->totals + run->c0 + c + v * VEC_WIDTH;
        raw_sums_end(&sums[v], run->rows, lanes, to, to + run->C);
    }
}

void MAP_NAME(epilogue_sums)(const struct tile_columns *at, const float *strip, double *sums)
{
    struct run run = run_make(at, 0, NULL);
    run.rows = tile_rows(at->tile); /* whole images follow each other: one run */
    run.from = strip;
    run.totals = sums;
    run_sum(ACT_NONE, raw_body, &run);
}

/* One image's part of a strip. */
VEC_INLINE void sink_body(enum act act, const bool has_gate, const struct run *run, int c,
                          const int vecs, const int lanes)
{
    struct sink_sums sums[RUN_VECS];
    struct view_vec k[RUN_VECS];
    vec mean[RUN_VECS];
    for (int v = 0; v < vecs; v++) {
        k[v] = view_vec_load(run->channels, run->c0 + c + v * VEC_WIDTH);
        mean[v] = vec_load_part(run->mean + c + v * VEC_WIDTH, lanes);
        sums[v] = sink_sums_zero();
    }
    for (int r = 0; r < run->rows; r++)
        for (int v = 0; v < vecs; v++) {
            int column = c + v * VEC_WIDTH;
            vec z = map_load(run->z + (size_t)r * run->C + column, lanes);
            sink_sums_add(act, has_gate, &sums[v], &k[v], mean[v],
                          vec_load(run->from + r * STRIP + column), z);
        }
    for (int v = 0; v < vecs; v++)
        sink_sums_end(&sums[v], has_gate, lanes,
                      (double *)run->totals + run->c0 + c + v * VEC_WIDTH, (ptrdiff_t)run->C);
}

VEC_INLINE void channel_body(enum act act, const struct run *run, int c, const int vecs,
                             const int lanes)
{
    sink_body(act, false, run, c, vecs, lanes);
}

VEC_INLINE void gate_body(enum act act, const struct run *run, int c, const int vecs,
                          const int lanes)
{
    sink_body(act, true, run, c, vecs, lanes);
}

void MAP_NAME(epilogue_sink_sums)(const struct tile_columns *at, const float *strip,
                                  const struct grad_sink *sink, const struct channels *of,
                                  double *sums)
{
    for (int i = 0; i < at->tile->images; i++) {
        struct run run = run_make(at, i, sink->of.z);
        run.from = strip + i * at->tile->rows * STRIP;
        run.channels = of;
        run.mean = (sink->mean ? sink->mean : of->zeros) + at->c0;
        run.totals = sink->sums ? sums : sums + (size_t)(at->tile->image + i) * 3 * run.C;
        if (sink->sums)
            ACT_SWITCH(sink->of.act, run_sum, channel_body, &run);
        else
            ACT_SWITCH(sink->of.act, run_sum, gate_body, &run);
    }
}
