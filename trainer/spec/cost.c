/* Counting a sub-network layer by layer (reference: the MAC model of OFA's latency tables, sec. 5.2
 * of the notes: output side (h - 1) / s + 1). */
#include "trainer/spec/cost.h"

struct count { /* while walking: the current map and the sums so far */
    int64_t side;
    struct cost cost;
};

/* A convolution R x R from C (per group) to K channels, with its batch norm. */
static void add_conv(struct count *count, int64_t R, int64_t C, int64_t K, int stride)
{
    count->side = (count->side - 1) / stride + 1;
    int64_t pixels = count->side * count->side;
    count->cost.macs += R * R * C * K * pixels;
    count->cost.parameters += R * R * C * K + 2 * K;
    count->cost.map_elements += K * pixels;
}

/* A linear layer on one vector: classifier, mix layer, squeeze-excite. */
static void add_linear(struct count *count, int64_t C, int64_t K, int64_t bias)
{
    count->cost.macs += C * K;
    count->cost.parameters += C * K + bias;
}

static void add_block(struct count *count, const struct block_spec *block, int kernel,
                      int expansion)
{
    int middle = space_middle(block, expansion);
    add_conv(count, 1, block->C, middle, 1);
    add_conv(count, kernel, 1, middle, block->stride);
    if (block->has_se) {
        int hidden = space_hidden(middle);
        add_linear(count, middle, hidden, hidden);
        add_linear(count, hidden, middle, middle);
    }
    add_conv(count, 1, middle, block->K, 1);
}

struct cost cost_of(const struct space *space, const struct subnet *subnet)
{
    struct count count = {.side = subnet->resolution};
    add_conv(&count, 3, space->channels, space->stem_width, space->stem_stride);
    add_conv(&count, 3, 1, space->stem_width, space->first_stride);
    add_conv(&count, 1, space->stem_width, space->first_width, 1);
    for (int i = 0; i < space->block_count; i++)
        if (subnet_has_block(space, subnet, i))
            add_block(&count, &space->blocks[i], subnet->kernel[i], subnet->expansion[i]);
    int width = space->stages[space->stage_count - 1].width;
    if (space->expand_width > 0) {
        add_conv(&count, 1, width, space->expand_width, 1);
        width = space->expand_width;
    }
    if (space->mix_width > 0) {
        add_linear(&count, width, space->mix_width, 0);
        width = space->mix_width;
    }
    add_linear(&count, width, space->classes, space->classes);
    return count.cost;
}
