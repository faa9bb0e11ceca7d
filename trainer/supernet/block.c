#include "trainer/supernet/block.h"

bool block_is_transformed(const struct block *block)
{
    return block->shape.R != block->slot->side;
}

size_t block_kernel_floats(const struct block *block)
{
    const size_t line = 16;
    size_t R = (size_t)block->shape.R, C = (size_t)block->shape.middle;
    return (R * R * C + line - 1) / line * line;
}

/* Weight of the depthwise convolution: the stored kernel itself, or its transformed centre. */
static const void *depthwise_weight(const struct run *run, const struct block *block)
{
    if (block_is_transformed(block))
        return block->kernel;
    return run_conv_weight(run, block->slot->depthwise.weight);
}

static struct kernel_transform transform_of(const struct run *run, const struct block *block)
{
    const struct block_slot *slot = block->slot;
    const float *weights = run->forward->weights;
    return (struct kernel_transform){.w7 = weights + slot->depthwise.weight,
                                     .m75 = slot->has_matrices ? weights + slot->m75 : NULL,
                                     .m53 = slot->has_matrices ? weights + slot->m53 : NULL,
                                     .C = block->shape.middle,
                                     .ld = slot->depthwise.ld,
                                     .R = block->shape.R,
                                     .w = block->kernel};
}

bool block_kernel(const struct run *run, struct block *block, struct block_shape shape,
                  struct kernel_transform *transform)
{
    block->shape = shape;
    if (block_is_transformed(block))
        *transform = transform_of(run, block);
    return block_is_transformed(block);
}

struct kernel_gradient block_kernel_gradient(const struct run *run, const struct block *block)
{
    const struct block_slot *slot = block->slot;
    float *gradient = run->gradient;
    return (struct kernel_gradient){.of = transform_of(run, block),
                                    .dw = block->kernel_grad,
                                    .dw7 = gradient + slot->depthwise.weight,
                                    .dm75 = slot->has_matrices ? gradient + slot->m75 : NULL,
                                    .dm53 = slot->has_matrices ? gradient + slot->m53 : NULL};
}

static void set_shapes(struct block *block, struct dims in, enum pad pad)
{
    const struct block_slot *slot = block->slot;
    int middle = block->shape.middle;
    block->expand.conv =
        (struct conv){.in = in, .K = middle, .R = 1, .S = 1, .ld = slot->expand.ld};
    in.C = middle;
    block->depthwise.conv =
        (struct conv){.in = in,
                      .K = middle,
                      .R = block->shape.R,
                      .S = slot->stride,
                      .ld = block_is_transformed(block) ? middle : slot->depthwise.ld,
                      .pad = pad};
    block->project.conv = (struct conv){.in = conv_out(&block->depthwise.conv),
                                        .K = slot->K,
                                        .R = 1,
                                        .S = 1,
                                        .ld = slot->project.ld};
}

/* Pools the depthwise output, computes the gate, and hangs it on the view. */
static void excite(struct run *run, struct block *block)
{
    const struct block_slot *slot = block->slot;
    const float *weights = run->forward->weights;
    struct layer *layer = &block->depthwise;
    int C = layer->conv.K;
    block->se = (struct squeeze_excite){.C = C,
                                        .Cr = space_hidden(run->net->space, C),
                                        .ld_reduce = slot->middle,
                                        .ld_expand = slot->hidden,
                                        .reduce_w = weights + slot->reduce_w,
                                        .reduce_b = weights + slot->reduce_b,
                                        .expand_w = weights + slot->expand_w,
                                        .expand_b = weights + slot->expand_b};
    struct excitation out = block->excitation;
    if (run->forward->mode != PASS_TRAIN)
        out.pool_sums = NULL;
    run->ops->excite_forward(run->device, block->project.conv.in, &block->se, layer_view(layer),
                             layer->norm.mean, &out);
    layer->gate = out.gate;
}

void block_forward(struct run *run, struct block *block, const struct map *input)
{
    const struct block_slot *slot = block->slot;
    struct view x = input->view;
    block->input = *input;
    set_shapes(block, input->dims, run->net->space->padding);

    if (slot->has_expand) {
        layer_forward(run, &block->expand, x, run_conv_weight(run, slot->expand.weight));
        x = layer_view(&block->expand);
    }
    layer_forward(run, &block->depthwise, x, depthwise_weight(run, block));
    if (slot->has_se)
        excite(run, block);
    layer_forward(run, &block->project, layer_view(&block->depthwise),
                  run_conv_weight(run, slot->project.weight));

    block->output = (struct map){.dims = conv_out(&block->project.conv),
                                 .view = layer_view(&block->project),
                                 .branch = &block->project};
    if (slot->has_shortcut) {
        run->ops->residual_forward(run->device, block->output.dims, input->view, block->output.view,
                                   block->sum);
        block->output.view = (struct view){.z = block->sum, .act = ACT_NONE};
    }
}

/* Behind a gate the depthwise norm's sums are complete only with the gate's own gradient. */
static void project_backward(struct run *run, struct block *block, const void *q)
{
    const struct block_slot *slot = block->slot;
    struct layer *layer = &block->depthwise;
    struct map wide = {.branch = layer};
    struct grad_sink sink = map_sink(run, &wide, block->q_depthwise, NULL);
    if (slot->has_se) {
        sink.sums = NULL;
        sink.norm = NULL;
        sink.gate_sums = run->gate_sums;
    }
    layer_backward(run, &block->project, q, layer_view(layer),
                   run_conv_weight(run, slot->project.weight), run->gradient + slot->project.weight,
                   &sink);
}

/* The gate's own gradient, and through the pool the part of the depthwise output's gradient that is
 * the same for a whole map. */
static void excite_backward(struct run *run, struct block *block)
{
    const struct block_slot *slot = block->slot;
    float *gradient = run->gradient;
    struct layer *layer = &block->depthwise;
    struct excitation_grad grad = {.gate_sums = run->gate_sums,
                                   .weights = {.reduce_w = gradient + slot->reduce_w,
                                               .reduce_b = gradient + slot->reduce_b,
                                               .expand_w = gradient + slot->expand_w,
                                               .expand_b = gradient + slot->expand_b},
                                   .p = block->p,
                                   .sums = layer->grad_sums,
                                   .norm = layer_norm_backward(run, layer)};
    run->ops->excite_backward(run->device, block->project.conv.in, &block->se, &block->excitation,
                              &grad);
    layer->p = block->p;
}

static void depthwise_backward(struct run *run, struct block *block, struct view x,
                               const struct grad_sink *sink)
{
    float *dw = block_is_transformed(block) ? block->kernel_grad
                                            : run->gradient + block->slot->depthwise.weight;
    layer_backward(run, &block->depthwise, block->q_depthwise, x, depthwise_weight(run, block), dw,
                   sink);
}

void block_backward(struct run *run, struct block *block, const void *q, void *q_in)
{
    const struct block_slot *slot = block->slot;
    project_backward(run, block, q);
    if (slot->has_se)
        excite_backward(run, block);
    /* whoever writes the input's gradient adds what came through the shortcut */
    struct grad_sink input = map_sink(run, &block->input, q_in, slot->has_shortcut ? q : NULL);
    if (!slot->has_expand) {
        depthwise_backward(run, block, block->input.view, &input);
        return;
    }
    struct map expanded = {.branch = &block->expand};
    struct grad_sink wide = map_sink(run, &expanded, block->q_expand, NULL);
    depthwise_backward(run, block, layer_view(&block->expand), &wide);
    layer_backward(run, &block->expand, block->q_expand, block->input.view,
                   run_conv_weight(run, slot->expand.weight), run->gradient + slot->expand.weight,
                   &input);
}
