/* A small folded network with every layer that all three formats have: stem 3x3 of stride 2,
 * depthwise 3x3, projection, shortcut, 1x1, pool, classifier; random weights. */
#ifndef TESTS_EMULATOR_TINY_FOLDED_H
#define TESTS_EMULATOR_TINY_FOLDED_H

#include "trainer/export/writers.h"
#include <stdbool.h>

enum { TINY_SIDE = 8, TINY_CHANNELS = 3, TINY_CLASSES = 3, TINY_WIDTH = 8 };
enum {
    TINY_STEM,
    TINY_DEPTHWISE,
    TINY_PROJECT,
    TINY_SUM,
    TINY_HEAD,
    TINY_POOL,
    TINY_LOGITS,
    TINY_LAYERS
};

/* folded_fini() frees it. */
void tiny_folded(enum pad pad, enum act act, struct folded *folded);
/* The same with a squeeze-excite behind the depthwise convolution, for ONNX. */
void tiny_gated(struct folded *folded);

struct tiny_files { /* as they are written; owned */
    struct bytes graphdef, onnx, caffemodel;
    struct text prototxt;
};
/* Caffe's only where it takes the network. */
void tiny_write(const struct folded *folded, struct tiny_files *files);
void tiny_files_fini(struct tiny_files *files);

#endif
