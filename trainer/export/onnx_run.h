/* Reads an ONNX file and runs one image through it: the operators onnx_write uses, nothing else.
 * What `glowworm predict` answers with, and what compile holds the written file to. Accumulates in
 * double: right, not fast. The file may be anybody's: every name, type and size in it is checked
 * before it is used, and what it may take of memory is bounded. One thread per opened network. */
#ifndef TRAINER_EXPORT_ONNX_RUN_H
#define TRAINER_EXPORT_ONNX_RUN_H

#include "base/err.h"
#include "trainer/export/onnx_shape.h"
#include <stddef.h>

struct onnx_net;

/* Of all maps that are still read at one moment. The weights take what the file takes. */
#define ONNX_MAX_MAP_BYTES (1 << 30)

/* ERR_DATA for a file that is no ONNX, is cut short, uses what this reader does not know, or whose
 * graph is not sound (it names the node: onnx_check.h). The bytes may be freed afterwards. Returns
 * owned. */
MUST_CHECK enum err onnx_open(const void *bytes, size_t size_bytes, struct onnx_net **net);
void onnx_close(struct onnx_net **net); /* accepts NULL */
struct onnx_shape onnx_net_shape(const struct onnx_net *net);

/* image (H,W,C) normalised; logits and probabilities (classes). ERR_DATA when a node's shapes do
 * not fit, its maps would take more than ONNX_MAX_MAP_BYTES, or an answer is not finite;
 * ERR_MEMORY.
 */
MUST_CHECK enum err onnx_run(struct onnx_net *net, const float *image, float *logits,
                             float *probabilities);

#endif
