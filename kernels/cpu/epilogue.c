/* The epilogue of a 1x1 convolution's product: what the next pass needs of a strip is summed, and a
 * gradient sent on, before the strip leaves the cache. */
#include "kernels/cpu/run.h"

/* fp32 sums of one strip or of one image's part of it: up to three arrays of its columns. */
struct totals {
    float of[3][STRIP];
};

static void totals_add(double *sums, const float *totals, int columns)
{
    for (int c = 0; c < columns; c++)
        sums[c] += (double)totals[c];
}

/* totals: [0] sum of z - shift, [1] of its square; the shift is the strip's first row. */
VEC_INLINE void sums_body(enum act act, const struct run *run, int c, const int vecs,
                          const int lanes)
{
    (void)act;
    (void)lanes; /* a strip may be read in whole vectors */
    struct totals *totals = run->totals;
    vec shift[RUN_VECS], sum[RUN_VECS], square[RUN_VECS];
    for (int v = 0; v < vecs; v++) {
        shift[v] = vec_load(run->from + c + v * VEC_WIDTH);
        sum[v] = square[v] = vec_zero();
    }
    for (int r = 0; r < run->rows; r++)
        for (int v = 0; v < vecs; v++) {
            vec about = vec_load(run->from + r * STRIP + c + v * VEC_WIDTH) - shift[v];
            sum[v] += about;
            square[v] += about * about;
        }
    for (int v = 0; v < vecs; v++) {
        vec_store(totals->of[0] + c + v * VEC_WIDTH, sum[v]);
        vec_store(totals->of[1] + c + v * VEC_WIDTH, square[v]);
    }
}

void ISA_NAME(epilogue_sums)(const struct tile_columns *at, const float *strip, double *sums)
{
    struct totals totals;
    struct run run = run_make(at, 0, NULL);
    run.rows = tile_rows(at->tile); /* whole images follow each other: one run */
    run.from = strip;
    run.totals = &totals;
    run_sum(ACT_NONE, sums_body, &run);
    for (int c = 0; c < run.columns; c++)
        sums_shift_back(&sums[at->c0 + c], &sums[at->C + at->c0 + c], run.rows, strip[c],
                        totals.of[0][c], totals.of[1][c]);
}

/* What a sink's sums need of one vector of channels. */
struct sink_vec {
    struct view_vec k;
    vec mean;
    vec product, sum, moment; /* q y, g, g (z - mean) */
};

VEC_INLINE struct sink_vec sink_vec_init(const struct run *run, int c, const int lanes)
{
    return (struct sink_vec){.k = view_vec_load(run->channels, run->c0 + c),
                             .mean = vec_load_part(run->mean + c, lanes)};
}

VEC_INLINE void sink_vec_add(enum act act, const bool has_gate, struct sink_vec *s, vec q, vec z)
{
    vec x = z * s->k.scale + s->k.shift;
    vec g = act_backward(act, q, x);
    if (has_gate)
        s->product += q * act_value(act, x);
    s->sum += g;
    s->moment += g * (z - s->mean);
}

/* totals: sum g, sum g (z - mean), and with a gate sum q y. */
VEC_INLINE void sink_sums(enum act act, const bool has_gate, const struct run *run, int c,
                          const int vecs, const int lanes)
{
    struct totals *totals = run->totals;
    struct sink_vec s[RUN_VECS];
    for (int v = 0; v < vecs; v++)
        s[v] = sink_vec_init(run, c + v * VEC_WIDTH, lanes);
    for (int r = 0; r < run->rows; r++)
        for (int v = 0; v < vecs; v++) {
            int column = c + v * VEC_WIDTH;
            vec z = vec_load_part(run->z + (size_t)r * run->C + column, lanes);
            sink_vec_add(act, has_gate, &s[v], vec_load(run->from + r * STRIP + column), z);
        }
    for (int v = 0; v < vecs; v++) {
        vec_store(totals->of[0] + c + v * VEC_WIDTH, s[v].sum);
        vec_store(totals->of[1] + c + v * VEC_WIDTH, s[v].moment);
        if (has_gate)
            vec_store(totals->of[2] + c + v * VEC_WIDTH, s[v].product);
    }
}

VEC_INLINE void channel_body(enum act act, const struct run *run, int c, const int vecs,
                             const int lanes)
{
    sink_sums(act, false, run, c, vecs, lanes);
}

VEC_INLINE void gate_body(enum act act, const struct run *run, int c, const int vecs,
                          const int lanes)
{
    sink_sums(act, true, run, c, vecs, lanes);
}

void ISA_NAME(epilogue_sink_sums)(const struct tile_columns *at, const float *strip,
                                  const struct grad_sink *sink, const struct channels *of,
                                  double *sums)
{
    size_t C = (size_t)at->C;
    struct totals totals;
    for (int i = 0; i < at->tile->images; i++) {
        struct run run = run_make(at, i, sink->of.z);
        run.from = strip + i * at->tile->rows * STRIP;
        run.channels = of;
        run.mean = (sink->mean ? sink->mean : of->zeros) + at->c0;
        run.totals = &totals;
        if (sink->sums) {
            ACT_SWITCH(sink->of.act, run_sum, channel_body, &run);
            totals_add(sums + at->c0, totals.of[0], run.columns);
            totals_add(sums + C + at->c0, totals.of[1], run.columns);
        } else {
            double *image = sums + (size_t)(at->tile->image + i) * 3 * C + at->c0;
            ACT_SWITCH(sink->of.act, run_sum, gate_body, &run);
            totals_add(image, totals.of[2], run.columns);
            totals_add(image + C, totals.of[0], run.columns);
            totals_add(image + 2 * C, totals.of[1], run.columns);
        }
    }
}
