/* The backward pass of a 1x1 convolution: dz is formed, x seen through its view, and both
 * multiplied: dx = dz w into the sink, dw += dz^T x. There are two ways. Where rows are many, each
 * job does all of it for its tiles and has a dw of its own (pw_backward.c). Where they are few,
 * such parts of dw would be more work than their products: all of dz and x is loaded first, then
 * pieces of dx and dw, as many as many threads like, each read what they need (pw_backward_few.c).
 */
#ifndef KERNELS_CPU_PW_BACKWARD_H
#define KERNELS_CPU_PW_BACKWARD_H

#include "kernels/cpu/ops.h"
#include "kernels/cpu/tile.h"

struct pw_backward { /* the whole operation, read only */
    struct device *device;
    const struct conv *conv;
    struct tile_plan plan; /* its columns are those of C */
    const struct grad *dz;
    struct view x;
    struct channels dz_channels, x_channels, sink_channels;
    const map_value *w;
    struct panels packed;         /* w: (K,C) by rows */
    const struct grad_sink *sink; /* NULL: weights only */
    bool streams;
    float *dw;
    float *partial_dw;    /* (groups,K,C); NULL: straight to dw */
    double *partial_sums; /* sink->sums: (groups,2,C); sink->gate_sums: that array itself */
};

struct pw_dgrad { /* what a piece of dx is made with */
    const struct tile *tile;
    int group;                       /* whose part of the sums it adds to */
    const panel_value *dz;           /* by columns, at the tile's first row */
    size_t dz_stride;                /* from panel to panel */
    float *strip;                    /* the thread's */
    struct prefetch_lines *prefetch; /* or NULL */
};

/* Columns [c0,c1), at most a strip, of dx = dz w, then the sink. */
void MAP_NAME(pw_send_dgrad)(const struct pw_backward *op, const struct pw_dgrad *dgrad, int c0,
                             int c1);
/* Zeroes columns [c0,c1) of what a group's sums are added to: its part, or those of its images. */
void MAP_NAME(pw_clear_sums)(const struct pw_backward *op, int group, int c0, int c1);
/* Panel i of w. A job; context: struct pw_backward. */
void MAP_NAME(pw_pack)(void *context, int i, int thread);

static inline size_t pw_strip_bytes(const struct tile_plan *plan)
{
    return (size_t)tile_plan_rows(plan) * STRIP * sizeof(float);
}

/* Shared by the operation: numbers per channel, w's panels, and the groups' parts of the sums. */
size_t MAP_NAME(pw_shared_bytes)(const struct tile_plan *plan, const struct conv *conv);
/* Carves that and fills what of it is known. */
void MAP_NAME(pw_carve_shared)(struct pw_backward *op, char **shared);

/* Is this a convolution of few rows? A function of the shape alone. */
bool MAP_NAME(pw_is_few)(const struct conv *conv);
struct cpu_need MAP_NAME(pw_few_need)(const struct conv *conv);
/* All of it but the end of the sums, for an `op` of which the caller has filled in what it was
 * given. False: too little was prepared, an error is left. */
bool MAP_NAME(pw_few_backward)(struct pw_backward *op);

#endif
