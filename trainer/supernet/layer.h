/* One convolution with the batch norm behind it, in a pass: it reads a view, writes its raw output
 * z and the sums, and stands for its own normalised output as a view. Backward turns the gradient
 * of that output into the gradients of its norm, its weight and what it read. Internal to the
 * supernet's files. */
#ifndef TRAINER_SUPERNET_LAYER_H
#define TRAINER_SUPERNET_LAYER_H

#include "trainer/supernet/param_table.h"
#include "trainer/supernet/poison.h"

enum layer_kind { LAYER_STEM, LAYER_POINTWISE, LAYER_DEPTHWISE };

struct layer {
    enum layer_kind kind;
    int moment; /* of its forward; see activation_arena.c */
    const struct conv_slot *slot;
    enum act act;
    struct conv conv; /* at the active sizes */
    void *z;
    double *sums;      /* (2,C) forward: sum z, sum z^2 */
    double *grad_sums; /* (2,C) backward: sum g, sum g (z - mean); written by whoever writes q */
    struct norm norm;
    struct norm_backward backward; /* finished by whoever writes q */
    const float *gate;             /* (N,C) or NULL: behind squeeze-excite */
    const float *p; /* (N,C) or NULL: the part of the gradient that is the same for a whole map */
};

/* What all layers of one forward or backward share. */
struct run {
    struct supernet *net;
    struct device *device;
    const struct device_ops *ops;
    const struct forward *forward;
    struct poison *poison;
    int turn;                  /* the moment of the pool: the backward's are mirrored there */
    float *gradient;           /* (weight_count), backward only */
    float *kernel_grads;       /* gradients of the transformed kernels, one behind the other */
    double *gate_sums;         /* (N,3,widest) */
    const float *zeros, *ones; /* (widest) */
};

/* A map between layers, as its reader sees it. Its gradient goes through the batch norm of
 * `branch`: the layer itself, or behind a residual sum the branch added last. */
struct map {
    struct dims dims;
    struct view view;
    struct layer *branch;
};

/* A convolution's weight in the maps' type, by its offset in supernet.weights. */
const void *run_conv_weight(const struct run *run, size_t offset);

/* Asks for the small vectors of a layer `width` channels wide. */
void layer_lay_out(struct layer *layer, struct memory_plan *memory_plan, int width, int end);
struct view layer_view(const struct layer *layer);
/* layer->conv is set; w: the active weight, with conv.ld. */
void layer_forward(struct run *run, struct layer *layer, struct view x, const void *w);
/* The backward of the layer's batch norm, for whoever completes its grad_sums. */
const struct norm_backward *layer_norm_backward(const struct run *run, struct layer *layer);
/* q: gradient of the layer's output map (NULL: 0); its norm's backward is done. dw: (K,ld) +=. sink
 * NULL: nobody in front. */
void layer_backward(struct run *run, struct layer *layer, const void *q, struct view x,
                    const void *w, float *dw, const struct grad_sink *sink);
/* The sink for the gradient of a map. add: the shortcut's part or NULL. */
struct grad_sink map_sink(const struct run *run, const struct map *map, void *q, const void *add);

#endif
