/* Reads an ONNX file and runs one image through it: the operators onnx_write uses, nothing else.
 * What `glowworm predict` answers with, and what compile holds the written file to. Accumulates in
 * double: right, not fast. Every size in the file is checked before it is used. One thread per
 * opened network. */
#ifndef TRAINER_EXPORT_ONNX_RUN_H
#define TRAINER_EXPORT_ONNX_RUN_H

#include "base/err.h"
#include <stddef.h>

struct onnx_net;

struct onnx_shape { /* of the network */
    int channels, height, width, classes;
};

/* ERR_DATA for a file that is no ONNX, is cut short, or uses what this reader does not know (it
 * names the node). The bytes may be freed afterwards. Returns owned. */
MUST_CHECK enum err onnx_open(const void *bytes, size_t size_bytes, struct onnx_net **net);
void onnx_close(struct onnx_net **net); /* accepts NULL */
struct onnx_shape onnx_net_shape(const struct onnx_net *net);

/* image (H,W,C) normalised; logits and probabilities (classes). ERR_DATA when a node's shapes do
 * not fit. */
MUST_CHECK enum err onnx_run(struct onnx_net *net, const float *image, float *logits,
                             float *probabilities);

#endif
