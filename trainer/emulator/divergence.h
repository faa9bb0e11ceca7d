/* A network on many images in fp32 and in both of the camera's arithmetics, side by side: where
 * they differ, layer by layer and in the answers. The result does not depend on the number of
 * threads. */
#ifndef TRAINER_EMULATOR_DIVERGENCE_H
#define TRAINER_EMULATOR_DIVERGENCE_H

#include "trainer/emulator/emulator.h"
#include "trainer/emulator/error_figures.h"
#include <stdbool.h>

struct compared_layer {
    double worst_error; /* largest difference to fp32, of the layer's largest fp32 magnitude in that
                           image */
    int worst_image;
    struct emulated_layer counts;  /* of all images */
    struct emulated_layer weights; /* rounded once */
};

/* Where an image's answer is clear: the best class is that much likelier than the second. */
#define DIVERGENCE_MARGIN 0.05

struct compared {                   /* an arithmetic with fp32 */
    struct compared_layer *layers;  /* (layers) */
    struct emulated_layer of_input; /* the normalised images */
    struct error_figures figures;   /* of the probabilities: the worst image's, each */
    int agree, agree_clear;         /* images whose class is that of fp32; of the clear ones */
    int correct;                    /* whose class is the label */
    int strays;                     /* whose best output is of no class */
    double largest_confidence_difference;
};

struct divergence {
    const struct exported *net; /* borrowed */
    int images;
    int clear;                       /* in fp32 */
    int labelled, correct;           /* in fp32 */
    struct compared of[ARITHMETICS]; /* ARITHMETIC_FP32: its counts alone */
};

struct divergence_cfg { /* all borrowed */
    const struct exported *net;
    int images, threads;
    int classes; /* the first outputs; those behind them are of no class: an image of which one is
                    best is wrong, and agrees with nothing. 0: all */
    /* Image `index`, normalised (H,W,C), and its class; -1: unknown. Any thread, any order. */
    enum err (*image)(int index, float *values, int *label, void *own);
    void (*progress)(int done, void *own); /* NULL: nobody; one call at a time */
    void *own;
};

/* Errors are the images', or ERR_MEMORY. The caller calls divergence_fini() whatever happens. */
MUST_CHECK enum err divergence_run(const struct divergence_cfg *cfg, struct divergence *divergence);
void divergence_fini(struct divergence *divergence); /* accepts a zeroed one */

/* The layer that adds most to the error: its own worst less the worst of what it reads. */
int divergence_culprit(const struct divergence *divergence, enum arithmetic arithmetic);
/* The first layer with an overflow among its results or weights; -1: none. */
int divergence_overflow(const struct divergence *divergence, enum arithmetic arithmetic);

#endif
