/* From a space to named parameters, norms and the offsets each layer reads. Names are those of the
 * reference implementation (reference: OFA's networks/ofa_mbv3.py and ofa_proxyless.py), so that
 * its weights can be read and compared one by one. */
#include "trainer/supernet/param_table.h"
#include "base/mem.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    BLOCK_PARAMS = 15, /* expand 3, kernel matrices 2, depthwise 3, squeeze-excite 4, project 3 */
    MAX_PARAMS = BLOCK_PARAMS * (SPACE_MAX_BLOCKS + 1) + 16,
    MAX_NORMS = 3 * (SPACE_MAX_BLOCKS + 1) + 2,
    ALIGNMENT = 16 /* floats: every tensor starts on a cache line */
};

struct builder {
    struct supernet *net;
    size_t *where[MAX_PARAMS]; /* who wants the offset of params[i] */
};

/* As the reference: names with "bn" or "bias" do not decay. It has no kernel matrices while the
 * full network trains, and decays them like weights from then on: here they are apart. */
static enum segment_kind segment_of(enum param_kind kind)
{
    if (kind == PARAM_MATRIX)
        return SEGMENT_MATRICES;
    bool is_free = kind == PARAM_BIAS || kind == PARAM_GAMMA || kind == PARAM_BETA;
    return is_free ? SEGMENT_NO_DECAY : SEGMENT_WEIGHTS;
}

PRINTF_LIKE(5, 6)
static void add_param(struct builder *builder, enum param_kind kind, size_t *where,
                      const int shape[4], const char *format, ...)
{
    struct param *param = &builder->net->params[builder->net->param_count];
    va_list arguments;
    if (builder->net->param_count == MAX_PARAMS)
        BUG("more than %d parameters", MAX_PARAMS);
    va_start(arguments, format);
    vsnprintf(param->name, sizeof param->name, format, arguments);
    va_end(arguments);
    param->kind = kind;
    param->count = 1;
    for (param->rank = 0; param->rank < 4 && shape[param->rank]; param->rank++) {
        param->shape[param->rank] = shape[param->rank];
        param->count *= (size_t)shape[param->rank];
    }
    param->segment = segment_of(kind);
    builder->where[builder->net->param_count++] = where;
}

PRINTF_LIKE(4, 5)
static void add_norm(struct builder *builder, struct conv_slot *conv, int C, const char *format,
                     ...)
{
    struct supernet *net = builder->net;
    if (net->norm_count == MAX_NORMS)
        BUG("more than %d norms", MAX_NORMS);
    conv->norm = net->norm_count++;
    struct norm_slot *norm = &net->norms[conv->norm];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(norm->name, sizeof norm->name, format, arguments);
    va_end(arguments);
    norm->C = C;
    norm->statistic = net->statistic_count;
    net->statistic_count += (size_t)(C + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    add_param(builder, PARAM_GAMMA, &norm->gamma, (int[4]){C}, "%.80s.weight", norm->name);
    add_param(builder, PARAM_BETA, &norm->beta, (int[4]){C}, "%.80s.bias", norm->name);
}

static void add_first_block(struct builder *builder, struct block_slot *block)
{
    const struct space *space = builder->net->space;
    *block = (struct block_slot){.stage = -1,
                                 .C = space->stem_width,
                                 .K = space->first_width,
                                 .middle = space->stem_width,
                                 .stride = space->first_stride,
                                 .act = space->first_act,
                                 .has_shortcut = space->first_has_shortcut,
                                 .side = 3};
    block->depthwise.ld = block->C;
    block->project.ld = block->C;
    add_param(builder, PARAM_DEPTHWISE, &block->depthwise.weight, (int[4]){block->C, 1, 3, 3},
              "blocks.0.conv.depth_conv.conv.weight");
    add_norm(builder, &block->depthwise, block->C, "blocks.0.conv.depth_conv.bn");
    add_param(builder, PARAM_CONV, &block->project.weight, (int[4]){block->K, block->C, 1, 1},
              "blocks.0.conv.point_linear.conv.weight");
    add_norm(builder, &block->project, block->K, "blocks.0.conv.point_linear.bn");
}

static void add_squeeze_excite(struct builder *builder, struct block_slot *block, int index)
{
    block->hidden = space_hidden(builder->net->space, block->middle);
    add_param(builder, PARAM_SE_WEIGHT, &block->reduce_w,
              (int[4]){block->hidden, block->middle, 1, 1},
              "blocks.%d.conv.depth_conv.se.fc.reduce.weight", index);
    add_param(builder, PARAM_BIAS, &block->reduce_b, (int[4]){block->hidden},
              "blocks.%d.conv.depth_conv.se.fc.reduce.bias", index);
    add_param(builder, PARAM_SE_WEIGHT, &block->expand_w,
              (int[4]){block->middle, block->hidden, 1, 1},
              "blocks.%d.conv.depth_conv.se.fc.expand.weight", index);
    add_param(builder, PARAM_BIAS, &block->expand_b, (int[4]){block->middle},
              "blocks.%d.conv.depth_conv.se.fc.expand.bias", index);
}

static void add_depthwise(struct builder *builder, struct block_slot *block, int index)
{
    block->depthwise.ld = block->middle;
    if (block->has_matrices) {
        add_param(builder, PARAM_MATRIX, &block->m53, (int[4]){9, 9},
                  "blocks.%d.conv.depth_conv.conv.5to3_matrix", index);
        add_param(builder, PARAM_MATRIX, &block->m75, (int[4]){25, 25},
                  "blocks.%d.conv.depth_conv.conv.7to5_matrix", index);
    }
    add_param(builder, PARAM_DEPTHWISE, &block->depthwise.weight,
              (int[4]){block->middle, 1, block->side, block->side},
              "blocks.%d.conv.depth_conv.conv.conv.weight", index);
    add_norm(builder, &block->depthwise, block->middle, "blocks.%d.conv.depth_conv.bn.bn", index);
    if (block->has_se)
        add_squeeze_excite(builder, block, index);
}

static void add_block(struct builder *builder, struct block_slot *block,
                      const struct block_spec *spec, int index)
{
    const struct space *space = builder->net->space;
    *block = (struct block_slot){.has_expand = true,
                                 .has_se = spec->has_se,
                                 .has_shortcut = spec->has_shortcut,
                                 .act = spec->act,
                                 .stage = spec->stage,
                                 .C = spec->C,
                                 .K = spec->K,
                                 .stride = spec->stride};
    block->middle = space_middle(spec, choices_max(&space->expansions));
    /* one choice only: kept at its own size. Otherwise every kernel is the centre of a 7x7. */
    block->side = space->kernels.count == 1 ? space->kernels.value[0] : 7;
    block->has_matrices = space->kernels.count > 1 && space->has_kernel_transform;
    block->expand.ld = block->C;
    block->project.ld = block->middle;
    add_param(builder, PARAM_CONV, &block->expand.weight, (int[4]){block->middle, block->C, 1, 1},
              "blocks.%d.conv.inverted_bottleneck.conv.conv.weight", index);
    add_norm(builder, &block->expand, block->middle, "blocks.%d.conv.inverted_bottleneck.bn.bn",
             index);
    add_depthwise(builder, block, index);
    add_param(builder, PARAM_CONV, &block->project.weight, (int[4]){block->K, block->middle, 1, 1},
              "blocks.%d.conv.point_linear.conv.conv.weight", index);
    add_norm(builder, &block->project, block->K, "blocks.%d.conv.point_linear.bn.bn", index);
}

static void add_head(struct builder *builder, int last_width)
{
    const struct space *space = builder->net->space;
    struct param_table *param_table = builder->net->param_table;
    param_table->pooled = last_width;
    if (space->expand_width) {
        param_table->expand.ld = last_width;
        param_table->pooled = space->expand_width;
        add_param(builder, PARAM_CONV, &param_table->expand.weight,
                  (int[4]){space->expand_width, last_width, 1, 1}, "%s.conv.weight",
                  space->expand_name);
        add_norm(builder, &param_table->expand, space->expand_width, "%s.bn", space->expand_name);
    }
    param_table->features = param_table->pooled;
    if (space->mix_width) {
        param_table->features = space->mix_width;
        add_param(builder, PARAM_CONV, &param_table->mix,
                  (int[4]){space->mix_width, param_table->pooled, 1, 1},
                  "feature_mix_layer.conv.weight");
    }
    add_param(builder, PARAM_LINEAR, &param_table->classifier_w,
              (int[4]){space->classes, param_table->features}, "classifier.linear.weight");
    add_param(builder, PARAM_BIAS, &param_table->classifier_b, (int[4]){space->classes},
              "classifier.linear.bias");
}

/* Deals out offsets, segment by segment. */
static void place_params(struct builder *builder)
{
    struct supernet *net = builder->net;
    for (int segment = 0; segment < SEGMENTS; segment++) {
        net->segments[segment].offset = net->weight_count;
        for (int i = 0; i < net->param_count; i++) {
            struct param *param = &net->params[i];
            if ((int)param->segment != segment)
                continue;
            param->offset = net->weight_count;
            *builder->where[i] = net->weight_count;
            net->weight_count += (param->count + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        }
        net->segments[segment].count = net->weight_count - net->segments[segment].offset;
    }
}

/* The table's order, which is not memory's: a parameter's place in it numbers its first values, so
 * that it stays what it was before matrices had a segment of their own. */
static void order_params(struct supernet *net)
{
    struct param *ordered = mem_array((size_t)net->param_count, sizeof *ordered);
    int next = 0;
    for (int is_free = 0; is_free <= 1; is_free++)
        for (int i = 0; i < net->param_count; i++)
            if ((net->params[i].segment == SEGMENT_NO_DECAY) == (is_free == 1))
                ordered[next++] = net->params[i];
    mem_free(net->params);
    net->params = ordered;
}

void param_table_build(struct supernet *net)
{
    const struct space *space = net->space;
    struct builder *builder = mem_alloc(sizeof *builder);
    builder->net = net;
    net->params = mem_array(MAX_PARAMS, sizeof *net->params);
    net->norms = mem_array(MAX_NORMS, sizeof *net->norms);
    net->param_table = mem_alloc(sizeof *net->param_table);
    struct param_table *param_table = net->param_table;

    param_table->stem.ld = space->stem_width;
    add_param(builder, PARAM_STEM, &param_table->stem.weight,
              (int[4]){space->stem_width, space->channels, 3, 3}, "first_conv.conv.weight");
    add_norm(builder, &param_table->stem, space->stem_width, "first_conv.bn");
    add_first_block(builder, &param_table->blocks[0]);
    param_table->block_count = space->block_count + 1;
    for (int b = 0; b < space->block_count; b++)
        add_block(builder, &param_table->blocks[b + 1], &space->blocks[b], b + 1);
    add_head(builder, param_table->blocks[param_table->block_count - 1].K);
    place_params(builder);
    order_params(net);
    mem_free(builder);
}
