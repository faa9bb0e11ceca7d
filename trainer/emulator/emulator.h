/* A network of an exported file run in the camera's arithmetic, image by image, every layer's map
 * kept. What is known of that arithmetic and what is inferred: docs/firefly.md. Fp16 means:
 * weights, biases, the normalised image and every layer's output are rounded to binary16 (half.h),
 * bias and clip come before the rounding. Sums run over the kernel's rows, its columns, then the
 * channels; the bias is added last. An emulator may be used by many threads at once, an emulation
 * by one. */
#ifndef TRAINER_EMULATOR_EMULATOR_H
#define TRAINER_EMULATOR_EMULATOR_H

#include "trainer/emulator/exported.h"
#include <stdint.h>

enum arithmetic {
    ARITHMETIC_FP32,       /* nothing is rounded further: what the others are compared with */
    ARITHMETIC_FP16_SUM32, /* fp16, sums in fp32 */
    ARITHMETIC_FP16        /* fp16, each product and each partial sum rounded, too */
};
#define ARITHMETICS 3
/* "fp32", "fp16/fp32", "fp16/fp16": of values and of sums. */
extern const char *const arithmetic_names[ARITHMETICS];

struct emulated_layer {  /* what happened in a layer; of one image, or of many added up */
    uint64_t values;     /* put out */
    uint64_t overflows;  /* results, or sums on the way to them, that no finite number holds */
    uint64_t subnormals; /* results that are not zero and below 2^-14: they lose bits */
    uint64_t saturated;  /* results that the clip held at its upper end */
    float largest;       /* magnitude that was put out */
};

struct emulator;
/* Borrows the network; weights are rounded here. Returns owned. */
struct emulator *emulator_create(const struct exported *net, enum arithmetic arithmetic);
void emulator_destroy(struct emulator **emulator); /* accepts NULL */
/* What rounding a layer's weights and biases did: overflows and subnormals among them. */
struct emulated_layer emulator_weights(const struct emulator *emulator, int layer);

struct emulation { /* one image's way through a network */
    float *input;  /* (H,W,C) as the first layer reads it */
    float **maps;  /* (layers) each (H,W,C) */
    struct emulated_layer of_input;
    struct emulated_layer *layers; /* (layers) of this image */
    float *sums;
};
/* Maps for this network. ERR_MEMORY. Returns owned; starts zeroed, and is finished in any case. */
MUST_CHECK enum err emulation_init(const struct exported *net, struct emulation *emulation);
void emulation_fini(struct emulation *emulation); /* accepts a zeroed one */

/* image (H,W,C), normalised. */
void emulator_run(const struct emulator *emulator, const float *image, struct emulation *emulation);

#endif
