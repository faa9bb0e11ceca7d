/* What a convolution adds up for the next pass while it stores: batch norm's sums of a raw output,
 * and what a sink asks of a gradient. One arithmetic, whether a walk goes along packed rows
 * (rows.c) or down the columns of a strip (epilogue.c). One vector of channels at a time, fp32
 * inside a tile; the end of a tile adds to fp64. */
#ifndef KERNELS_CPU_SUMS_H
#define KERNELS_CPU_SUMS_H

#include "kernels/cpu/view.h"

/* Of a raw output z, about `shift`, a value from the tile, so that large means cost no digits. */
struct raw_sums {
    vec shift, sum, square; /* z - shift, (z - shift)^2 */
};

VEC_INLINE struct raw_sums raw_sums_about(vec shift)
{
    return (struct raw_sums){shift, vec_zero(), vec_zero()};
}

VEC_INLINE void raw_sums_add(struct raw_sums *sums, vec z)
{
    vec about = z - sums->shift;
    sums->sum += about;
    sums->square += about * about;
}

/* The end of a tile of `count` pixels: sum z and sum z^2, one per lane, += what it held. */
static inline void raw_sums_end(const struct raw_sums *sums, double count, int lanes, double *sum,
                                double *square)
{
    float shift[VEC_WIDTH], about[VEC_WIDTH], squares[VEC_WIDTH];
    vec_store(shift, sums->shift);
    vec_store(about, sums->sum);
    vec_store(squares, sums->square);
    for (int i = 0; i < lanes; i++) {
        double k = (double)shift[i];
        sum[i] += (double)about[i] + count * k;
        square[i] += (double)squares[i] + 2 * k * (double)about[i] + count * k * k;
    }
}

/* Of a gradient q that arrives at y = act(x), x = scale z + shift: g = q act'(x). */
struct sink_sums {
    vec gated, sum, moment; /* q y (behind a gate only), g, g (z - mean) */
};

VEC_INLINE struct sink_sums sink_sums_zero(void)
{
    return (struct sink_sums){vec_zero(), vec_zero(), vec_zero()};
}

VEC_INLINE void sink_sums_add(enum act act, const bool has_gate, struct sink_sums *sums,
                              const struct view_vec *k, vec mean, vec q, vec z)
{
    vec x = z * k->scale + k->shift;
    vec g = act_backward(act, q, x);
    if (has_gate)
        sums->gated += q * act_value(act, x);
    sums->sum += g;
    sums->moment += g * (z - mean);
}

/* total[i] += value's lanes, as fp64: the end of a tile. */
static inline void sums_add_lanes(double *total, vec value, int lanes)
{
    float values[VEC_WIDTH];
    vec_store(values, value);
    for (int i = 0; i < lanes; i++)
        total[i] += (double)values[i];
}

/* The end of a tile: to sink->sums (2,C), or behind a gate to one image's gate_sums (3,C), both at
 * these channels. */
static inline void sink_sums_end(const struct sink_sums *sums, bool has_gate, int lanes, double *to,
                                 ptrdiff_t C)
{
    if (has_gate) {
        sums_add_lanes(to, sums->gated, lanes);
        to += C;
    }
    sums_add_lanes(to, sums->sum, lanes);
    sums_add_lanes(to + C, sums->moment, lanes);
}

#endif
