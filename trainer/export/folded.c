/* Life cycle and shapes of a folded network; how one is made stands in fold.c, how it is
 * written out in onnx_write.c, tensorflow.c and caffe.c. */
#include "trainer/export/folded.h"
#include <string.h>

void folded_fini(struct folded *folded)
{
    arena_destroy(folded->arena);
    memset(folded, 0, sizeof *folded);
}

int folded_side(const struct folded_layer *layer)
{
    if (layer->kind == FOLDED_POOL || layer->kind == FOLDED_LINEAR)
        return 1;
    return layer->kind == FOLDED_CONV ? pad_out(layer->H, layer->S) : layer->H;
}

int folded_channels(const struct folded_layer *layer)
{
    return layer->kind == FOLDED_CONV || layer->kind == FOLDED_LINEAR ? layer->K : layer->C;
}
