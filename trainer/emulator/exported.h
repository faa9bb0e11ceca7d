/* The network of an exported file, whichever format it came from, taken apart as the camera's
 * converter does it: a list of stages in order, padding, bias and clip part of the stage they
 * belong to. What folded.h is before the file is written, this is after it was read; the two share
 * nothing, so that a writer's mistake shows. Weights are fp32. A network is built by one thread and
 * read by any. */
#ifndef TRAINER_EMULATOR_EXPORTED_H
#define TRAINER_EMULATOR_EXPORTED_H

#include "base/err.h"
#include "base/mem.h"
#include <stdint.h>

#define EXPORTED_INPUT (-1) /* a layer that reads the image */

enum {
    EXPORTED_NAME = 100, /* bytes with the NUL: the converter cuts names there */
    EXPORTED_MAX_LAYERS = 8192,
    EXPORTED_MAX_SIDE = 4096,
    EXPORTED_MAX_CHANNELS = 131072, /* classes too */
    EXPORTED_MAX_KERNEL = 31,
    EXPORTED_MAX_STRIDE = 8
};
/* Of all maps of a network together, each of which is kept while it runs. */
#define EXPORTED_MAX_MAP_BYTES ((size_t)1 << 30)

enum exported_kind {
    EXPORTED_CONV, /* square kernel; a fully connected layer is one on a 1x1 map */
    EXPORTED_POOL, /* mean over the map */
    EXPORTED_ADD,  /* of two maps of one shape */
    EXPORTED_MUL,  /* by a map of one shape, or by one number a channel */
    EXPORTED_ACT,  /* slope x + offset: a clip that is no other layer's */
    EXPORTED_SOFTMAX
};

struct exported_map { /* a layer's input or output; its values lie as (H,W,C) */
    int H, W, C;
};

struct exported_layer {
    enum exported_kind kind;
    char name[EXPORTED_NAME]; /* as in the file; printable */
    int input, other;         /* earlier layers, or EXPORTED_INPUT; other: ADD, MUL */
    struct exported_map in, out;
    int K, R, S, groups;        /* CONV */
    int pads[4];                /* zeros above, on the left, below, on the right */
    float *w;                   /* (R,R,C / groups,K) */
    float *b;                   /* (K) */
    double slope, offset;       /* ACT */
    double clip_low, clip_high; /* of the result; -INFINITY, INFINITY: none */
};

struct exported {
    struct exported_map input;
    int count;
    struct exported_layer *layers; /* the last one gives the probabilities */
    int logits;                    /* the layer it reads */
    size_t map_values;             /* of all layers' outputs */
    size_t weights_left;           /* that the file still has room for */
    struct arena *arena;           /* weights live here, and what a reader needs beside */
    int room;
};

/* file_bytes: of the file that holds the weights. The caller calls exported_fini() whatever
 * happens. ERR_DATA for a side or number of channels beyond the limits. */
MUST_CHECK enum err exported_begin(struct exported *net, struct exported_map input,
                                   size_t file_bytes);
void exported_fini(struct exported *net); /* accepts a zeroed one */

/* A layer without name, clip and weights, of one input. */
struct exported_layer exported_layer(enum exported_kind kind, int input);
/* Of a name in a file: 1 to 99 printable characters, no blank. ERR_DATA says that `what` has none
 * such. */
MUST_CHECK enum err exported_name(const char *what, const char *name);

/* Appends a copy of the layer, works out `in` and `out`. ERR_DATA, with the layer's name, when its
 * shapes do not fit, or the maps take too much; w and b must be of the shapes above. */
MUST_CHECK enum err exported_add(struct exported *net, const struct exported_layer *layer);
/* Room for w and b, zeroed, of a convolution that has its name, K and R; inner: C / groups.
 * ERR_DATA when the filters of all layers are more than the file holds: layers that share one have
 * a copy each, and a small file must not grow without bound. */
MUST_CHECK enum err exported_reserve(struct exported *net, struct exported_layer *layer, int inner);
/* Fills that room from w (K, C / groups, R, R), as most formats have it. */
void exported_fill(struct exported_layer *layer, const float *w, int inner);
/* The map a layer puts out, or the input. */
const struct exported_map *exported_output(const struct exported *net, int layer);
/* Joins clips with the layers they follow, and checks the end: every layer is read, the last one is
 * the only softmax. ERR_DATA. */
MUST_CHECK enum err exported_finish(struct exported *net);

int64_t exported_macs(const struct exported_layer *layer);
size_t exported_values(const struct exported_map *map);
size_t exported_weight_count(const struct exported_layer *layer); /* of w */

#endif
