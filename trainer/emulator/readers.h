/* The readers of exported files, one a format. The files may be anybody's: what is not sound, or
 * not what glowworm exports, is ERR_DATA with the node, layer or line. The bytes may be freed
 * afterwards; the caller calls exported_fini() whatever happens. Pure. */
#ifndef TRAINER_EMULATOR_READERS_H
#define TRAINER_EMULATOR_READERS_H

#include "trainer/emulator/exported.h"
#include <stddef.h>

/* A frozen GraphDef (.pb). */
MUST_CHECK enum err tensorflow_read(const void *bytes, size_t size_bytes, struct exported *net);

/* A deploy prototxt and the caffemodel with its weights. */
MUST_CHECK enum err caffe_read(const void *prototxt, size_t prototxt_bytes, const void *model,
                               size_t model_bytes, struct exported *net);

MUST_CHECK enum err onnx_read(const void *bytes, size_t size_bytes, struct exported *net);

#endif
