/* An ONNX file opened and checked, and what two readers of it ask: shapes, tensors, attributes,
 * convolutions. The file may be anybody's: every name, type and size is checked before it is used.
 * What runs it is onnx_run.h. One thread. */
#ifndef TRAINER_EXPORT_ONNX_FILE_H
#define TRAINER_EXPORT_ONNX_FILE_H

#include "trainer/export/onnx_check.h"
#include "trainer/export/onnx_shape.h"
#include "trainer/export/unpack.h"
#include <stdint.h>

enum { ONNX_MAX_CHANNELS = 131072 }; /* classes too */

struct onnx_file { /* starts zeroed; stays where it is while open */
    struct unpacked unpacked;
    const Onnx__GraphProto *graph; /* onnx_check_graph() has seen it */
    struct onnx_shape shape;
};

/* ERR_DATA for a file that is no ONNX, is cut short, uses what these readers do not know, or whose
 * graph is not sound (it names the node: onnx_check.h). The bytes may be freed afterwards. */
MUST_CHECK enum err onnx_file_open(const void *bytes, size_t size_bytes, struct onnx_file *file);
void onnx_file_close(struct onnx_file *file); /* accepts a zeroed one */

struct onnx_window { /* a convolution's geometry and weights, borrowed from the file */
    int K, inner, R, S, groups;
    int pads[4];        /* zeros above, on the left, below, on the right */
    const float *w, *b; /* (K, inner, R, R), (K) */
};

/* Of a node Conv that reads a map (C,H,W). ERR_DATA when its tensors, attributes and that map do
 * not fit. */
MUST_CHECK enum err onnx_get_window(const struct onnx_file *file, const Onnx__NodeProto *node,
                                    const int map[3], struct onnx_window *window);

/* Every entry of a list of integers, when they are all the same, -1 when not; `missing` when there
 * is no such attribute. */
int64_t onnx_get_int(const Onnx__NodeProto *node, const char *name, int64_t missing);
double onnx_get_float(const Onnx__NodeProto *node, const char *name, double missing);

/* What Relu, Clip and HardSigmoid do: y = clip(slope x + offset, low, high). */
struct onnx_clip {
    double slope, offset, low, high;
};
struct onnx_clip onnx_get_clip(const Onnx__NodeProto *node);

#endif
