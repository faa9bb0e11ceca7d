#include "kernels/cpu/run.h"

/* fp32 sums of one tile or run: `count` arrays of the columns. */
static void totals_clear(float *totals, int count, int columns)
{
    memset(totals, 0, sizeof *totals * (size_t)count * (size_t)vec_round(columns));
}

static void totals_add(double *sums, const float *totals, int columns)
{
    for (int c = 0; c < columns; c++)
        sums[c] += (double)totals[c];
}

/* totals: [0] the shift, a value of the tile; [1] sum of z - shift, [2] of its square. */
VEC_INLINE void store_body(enum act act, const struct run *run, int row, const int rows, int c,
                           const int lanes)
{
    (void)act;
    float *totals = run->totals + c;
    const int step = vec_round(run->columns);
    vec shift = vec_load(totals), sum = vec_load(totals + step),
        square = vec_load(totals + 2 * step);
    const float *from = run->scratch + (size_t)row * run->ld + c;
    float *z = run->out + (size_t)row * run->C + c;
    for (int r = 0; r < rows; r++, from += run->ld, z += run->C) {
        vec value = vec_load_part(from, lanes);
        if (run->scratch != run->out)
            vec_store_part(z, value, lanes);
        vec about = value - shift;
        sum += about;
        square += about * about;
    }
    vec_store(totals + step, sum);
    vec_store(totals + 2 * step, square);
}

void ISA_NAME(tile_store)(const struct tile_columns *at, const float *from, int ld, float *z,
                          double *sums, float *room)
{
    struct run run = run_make(at, 0, z, from, ld);
    const int step = vec_round(run.columns);
    run.rows = tile_rows(at->tile); /* whole images follow each other: one run */
    run.out = z + run_offset(at, 0);
    if (!from) {
        run.scratch = run.out;
        run.ld = run.C;
    }
    run.totals = room;
    totals_clear(room, 3, run.columns);
    memcpy(room, run.scratch, sizeof *room * (size_t)run.columns);
    run_walk(ACT_NONE, store_body, &run);
    for (int c = 0; c < run.columns; c++)
        sums_shift_back(&sums[at->c0 + c], &sums[at->C + at->c0 + c], run.rows, room[c],
                        room[step + c], room[2 * step + c]);
}

/* Stores and returns one vector of q. */
VEC_INLINE vec sink_q(const struct run *run, int row, int c, const int lanes)
{
    vec value = vec_load_part(run->scratch + (size_t)row * run->ld + c, lanes) +
                vec_load_part(run->other + (size_t)row * run->other_C + c, lanes);
    vec_store_part(run->out + (size_t)row * run->C + c, value, lanes);
    return value;
}

VEC_INLINE void plain_body(enum act act, const struct run *run, int row, const int rows, int c,
                           const int lanes)
{
    (void)act;
    for (int r = row; r < row + rows; r++)
        sink_q(run, r, c, lanes);
}

/* totals: sum g, sum g (z - mean). */
VEC_INLINE void sums_body(enum act act, const struct run *run, int row, const int rows, int c,
                          const int lanes)
{
    struct view_vec k = view_vec_load(run->channels, run->c0 + c);
    vec mean = vec_load_part(run->mean + c, lanes);
    float *totals = run->totals + c;
    const int step = vec_round(run->columns);
    vec sum = vec_load(totals), moment = vec_load(totals + step);
    for (int r = row; r < row + rows; r++) {
        vec q = sink_q(run, r, c, lanes);
        vec z = vec_load_part(run->z + (size_t)r * run->C + c, lanes);
        vec g = act_backward(act, q, z * k.scale + k.shift);
        sum += g;
        moment += g * (z - mean);
    }
    vec_store(totals, sum);
    vec_store(totals + step, moment);
}

/* totals: sum q y, sum q act', sum q act' (z - mean). */
VEC_INLINE void gate_body(enum act act, const struct run *run, int row, const int rows, int c,
                          const int lanes)
{
    struct view_vec k = view_vec_load(run->channels, run->c0 + c);
    vec mean = vec_load_part(run->mean + c, lanes);
    float *totals = run->totals + c;
    const int step = vec_round(run->columns);
    vec product = vec_load(totals), sum = vec_load(totals + step),
        moment = vec_load(totals + 2 * step);
    for (int r = row; r < row + rows; r++) {
        vec q = sink_q(run, r, c, lanes);
        vec z = vec_load_part(run->z + (size_t)r * run->C + c, lanes);
        vec x = z * k.scale + k.shift;
        vec g = act_backward(act, q, x);
        product += q * act_value(act, x);
        sum += g;
        moment += g * (z - mean);
    }
    vec_store(totals, product);
    vec_store(totals + step, sum);
    vec_store(totals + 2 * step, moment);
}

static struct run sink_run(const struct tile_columns *at, int i, const struct grad_sink *sink,
                           const struct channels *of, const float *from, int ld)
{
    struct run run = run_make(at, i, sink->of.z, from, ld);
    run.channels = of;
    run.out = sink->q + run_offset(at, i);
    run.other = sink->add ? sink->add + run_offset(at, i) : of->zeros;
    run.other_C = sink->add ? run.C : 0;
    run.mean = (sink->mean ? sink->mean : of->zeros) + at->c0;
    return run;
}

/* Adds `count` arrays of totals to rows of C sums. */
static void totals_to_sums(const struct tile_columns *at, const float *totals, int count,
                           double *sums)
{
    int columns = at->c1 - at->c0, step = vec_round(columns);
    for (int j = 0; j < count; j++)
        totals_add(sums + (size_t)j * (size_t)at->C + at->c0, totals + (size_t)j * (size_t)step,
                   columns);
}

void ISA_NAME(tile_store_sink)(const struct tile_columns *at, const float *from, int ld,
                               const struct grad_sink *sink, const struct channels *of,
                               double *sums, float *room)
{
    int columns = at->c1 - at->c0;
    totals_clear(room, 3, columns);
    for (int i = 0; i < at->tile->images; i++) {
        struct run run = sink_run(at, i, sink, of, from, ld);
        run.totals = room;
        if (sink->sums) {
            ACT_SWITCH(sink->of.act, run_walk, sums_body, &run);
        } else if (sink->gate_sums) {
            size_t image = (size_t)(at->tile->image + i);
            ACT_SWITCH(sink->of.act, run_walk, gate_body, &run);
            totals_to_sums(at, room, 3, sums + image * 3 * (size_t)at->C);
            totals_clear(room, 3, columns);
        } else {
            run_walk(ACT_NONE, plain_body, &run);
        }
    }
    if (sink->sums)
        totals_to_sums(at, room, 2, sums);
}
