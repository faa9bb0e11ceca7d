/* A sub-network as a converter wants it: batch norm folded into the convolutions, kernel transforms
 * applied, weights cut to the active prefix. A list of layers in order, each naming the layers it
 * reads. Not for training. Weights are fp32 in PyTorch order; folding is done in double. One thread
 * per folded network. */
#ifndef TRAINER_EXPORT_FOLDED_H
#define TRAINER_EXPORT_FOLDED_H

#include "base/act.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/pad.h"
#include <stdbool.h>

#define FOLDED_INPUT (-1) /* a layer that reads the image */
#define FOLDED_NAME  48

enum folded_kind {
    FOLDED_CONV,   /* square kernel, out side (in - 1) / S + 1, groups 1 or C, bias, activation */
    FOLDED_ADD,    /* the shortcut: input + other */
    FOLDED_SE,     /* squeeze-excite: input times its gate */
    FOLDED_POOL,   /* mean over the map: (1,1,C) */
    FOLDED_LINEAR, /* as a 1x1 convolution on a 1x1 map; the last one gives the logits */
};

struct folded_layer {
    enum folded_kind kind;
    char name[FOLDED_NAME]; /* letters, digits, underscores */
    int input, other;       /* indices of earlier layers, or FOLDED_INPUT */
    int H, W, C;            /* of the input map */
    int K, R, S, groups;    /* FOLDED_CONV, FOLDED_LINEAR: K out */
    enum pad pad;           /* of FOLDED_CONV: pad_before(), pad_behind() say how many */
    enum act act;           /* after the bias */
    float *w;               /* (K, C / groups, R, R) */
    float *b;               /* (K) */
    int hidden; /* FOLDED_SE: reduce (hidden,C), reduce bias, expand (C,hidden), expand bias */
    float *reduce_w, *reduce_b, *expand_w, *expand_b;
};

struct folded {
    int side, channels, classes; /* the input is side x side */
    int outputs;                 /* logits: those of the classes, then some that never win */
    bool is_bgr;                 /* the input's channels are blue, green, red */
    int count;
    struct folded_layer *layers; /* the last one gives the logits */
    struct arena *arena;         /* everything above lives here */
};

void folded_fini(struct folded *folded); /* accepts a zeroed one */

/* The side of a layer's output map. */
int folded_side(const struct folded_layer *layer);
/* Channels a layer puts out. */
int folded_channels(const struct folded_layer *layer);

#endif
