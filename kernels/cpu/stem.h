/* The 3x3 convolution on the image. Vectors run over the channels out; a pixel's 3x3 neighbourhood
 * is 9 or 27 scalars of three padded image rows, seen through the view. */
#ifndef KERNELS_CPU_STEM_H
#define KERNELS_CPU_STEM_H

#include "kernels/cpu/rows.h"

enum { STEM_R = 3, STEM_TAPS_MAX = 9 * 3 };

struct stem_plan { /* a function of the shape alone. A job is a run of whole images */
    struct dims in, out;
    int S, ld;
    int top, left; /* rows and columns of zeros in front */
    int vectors;   /* over K */
    int taps;      /* 9 C */
    int groups;
    size_t image_row_floats; /* a padded image row */
};

struct stem_plan MAP_NAME(stem_plan)(const struct conv *conv);

static inline int stem_first_image(const struct stem_plan *plan, int group)
{
    return (int)((int64_t)group * plan->in.N / plan->groups);
}

static inline int stem_lanes(const struct stem_plan *plan, int v)
{
    int rest = plan->out.C - v * VEC_WIDTH;
    return rest < VEC_WIDTH ? rest : VEC_WIDTH;
}

/* Scratch of a job: the image rows around an output row, and weights or their gradients. */
static inline size_t stem_image_bytes(const struct stem_plan *plan)
{
    return STEM_R * plan->image_row_floats * sizeof(float);
}

static inline size_t stem_weight_bytes(const struct stem_plan *plan)
{
    return (size_t)plan->vectors * (size_t)plan->taps * VEC_WIDTH * sizeof(float);
}

/* Image row ih of image n through its view into `to`, padding columns 0; all 0 outside the image.
 */
void MAP_NAME(stem_load_row)(const struct stem_plan *plan, const struct view *x, int n, int ih,
                             float *to);

#endif
