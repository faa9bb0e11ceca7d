/* The three files a folded network is written as. Each writer refuses what its readers would not
 * take, with the reason: ERR_CONFIG. The bytes are fit for file_write; returns owned (mem_free).
 * Pure. */
#ifndef TRAINER_EXPORT_WRITERS_H
#define TRAINER_EXPORT_WRITERS_H

#include "base/text.h"
#include "trainer/export/folded.h"
#include <stdint.h>

struct bytes {
    uint8_t *data;
    size_t size;
};

/* GraphDef for NCSDK's parser: nodes in file order, input "input" (1,H,W,C), Conv2D,
 * DepthwiseConv2dNative, BiasAdd, Relu and Relu6 right behind their producer, Add, AvgPool,
 * "logits", "probabilities". Squeeze-excite and h-swish are refused: that parser folds x + 3 into
 * the convolution before it, silently. */
MUST_CHECK enum err tensorflow_write(const struct folded *folded, struct bytes *out);

/* The same of any network, squeeze-excite and h-swish too, as TensorFlow itself would read them: to
 * see what the converter makes of it (probe.h). */
void tensorflow_write_misread(const struct folded *folded, struct bytes *out);

/* deploy prototxt and caffemodel: input "data" (1,C,H,W), blobs named after the layers, "logits",
 * "probabilities". ReLU networks only: Caffe has no ReLU6, no h-swish. */
MUST_CHECK enum err caffe_write(const struct folded *folded, const char *name,
                                struct text *prototxt, struct bytes *model);

/* ONNX opset 10: input "input" (1,C,H,W), outputs "logits" and "probabilities". Takes every space.
 */
MUST_CHECK enum err onnx_write(const struct folded *folded, const char *name, struct bytes *out);
#endif
