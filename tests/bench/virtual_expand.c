#include "tests/bench/virtual_expand.h"
#include "trainer/spec/layer_walk.h"

#define HALO 0.3 /* of a map that is computed anew in strips */

struct change {
    struct count *count;
    double N, map_bytes;
    struct layer_shape expand; /* of the block in hand */
};

static double pixels(const struct change *change, const struct layer_shape *layer)
{
    return change->N * layer->side * layer->side;
}

/* Written by the expansion, read by the depthwise forward; in the backward read by the depthwise
 * convolution, its gradient written; both read by the expansion's. */
static void drop_wide(struct change *change, double elements)
{
    change->count->read_bytes -= 4 * elements * change->map_bytes;
    change->count->written_bytes -= 2 * elements * change->map_bytes;
}

/* The narrow input is read by both depthwise passes, too, and a product as wide as it is written
 * and read in place of the wide gradient. */
static void add_narrow(struct change *change, double elements)
{
    change->count->read_bytes += 3 * elements * change->map_bytes;
    change->count->written_bytes += elements * change->map_bytes;
}

static void change_expand(struct change *change, const struct layer_shape *layer)
{
    double M = pixels(change, layer), gram = M * layer->C * layer->C;
    double expand = M * layer->C * layer->K;
    drop_wide(change, M * layer->K);
    add_narrow(change, M * layer->C);
    change->count->products += 2 * gram + (1 + 2 * HALO) * expand;
}

/* The gradient of the depthwise output is neither written nor read; the narrow one behind the
 * projection, and its raw map, are read again. */
static void change_project(struct change *change, const struct layer_shape *layer)
{
    double M = pixels(change, layer);
    change->count->read_bytes -= M * layer->C * change->map_bytes;
    change->count->written_bytes -= M * layer->C * change->map_bytes;
    change->count->read_bytes += 2 * M * layer->K * change->map_bytes;
    change->count->products += M * layer->C * layer->K;
}

static void visit(void *own, const struct layer_shape *layer)
{
    struct change *change = own;
    if (layer->part == PART_EXPAND) {
        change->expand = *layer;
        change_expand(change, layer);
    }
    if (layer->part == PART_PROJECT && layer->block == change->expand.block)
        change_project(change, layer);
}

void virtual_expand_count(const struct space *space, const struct subnet *subnet, int N,
                          size_t map_bytes, struct count *count)
{
    struct change change = {
        .count = count, .N = N, .map_bytes = (double)map_bytes, .expand = {.block = -1}};
    layer_walk(space, subnet, visit, &change);
}
