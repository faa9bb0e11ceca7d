/* Depthwise backward in one pass. Two rings hold the rows around the current output rows: dz,
 * formed while loading, and the input through its view. Each output row adds to dw; each input row
 * whose gradients are all there goes to the sink. Split in two files: what a job does
 * (dw_backward.c) and what a row does (dw_backward_rows.c). */
#ifndef KERNELS_CPU_DW_BACKWARD_H
#define KERNELS_CPU_DW_BACKWARD_H

#include "kernels/cpu/dw.h"

/* Input rows, or columns, of one parity meet the same taps: for stride 1 all of them, for stride 2
 * every other one. */
struct dw_parity {
    int taps; /* how many */
    int last; /* the last of them: last, last - S, ... */
};

struct dw_backward { /* the whole operation, read only */
    struct device *device;
    struct dw_plan plan;
    struct dw_parity rows[2], columns[2];
    struct dw_correlate correlate[2]; /* by parity of the column */
    struct dw_weigh wgrad;
    struct dw_input input;
    struct grad dz;
    const struct grad_sink *sink; /* NULL: weights only */
    struct channels dz_channels, of_channels;
    const float *mean; /* (C) padded */
    const map_value *w;
    int ld;
    bool streams;
    int dz_slots, most_rows; /* of the ring of dz; input rows completed by one step at most */
    double *weight_parts;    /* (groups,R*R,C) */
    double *sum_parts;       /* (groups,2,C) */
};

struct dw_backward_job { /* one block of channels over a run of images */
    const struct dw_backward *op;
    int group, block, vectors;
    struct dw_ring x, dz;
    float *rows; /* of the input's gradient: what a step completes */
    float *w;    /* per vector: parity of the row, of the column, taps in the order of dz */
    float *dw;   /* per vector (R*R) taps: sums of the current tile */
    struct sink_sums *sums; /* per vector, of the current tile */
};

void MAP_NAME(dw_backward_pack)(struct dw_backward_job *job);
/* Output rows [oh, end) of image n: dz into the ring, dw of the tile += what they add. */
void MAP_NAME(dw_backward_outputs)(const struct dw_backward_job *job, int v, int n, int oh,
                                   int end);
/* The gradients of input rows [ih, end) of image n, into the sink. */
void MAP_NAME(dw_backward_inputs)(const struct dw_backward_job *job, int v, int n, int ih, int end);
/* The last output row that input row ih needs, inside the map or not. */
int MAP_NAME(dw_backward_last_row)(const struct dw_backward *op, int ih);

#endif
