#include "trainer/block.h"

/* Weight of the depthwise convolution: the stored kernel itself, or its transformed centre. */
static const float *depthwise_weight(const struct run *run, const struct block *block)
{
    if (block->R != block->slot->side)
        return block->kernel;
    return run->forward->weights + block->slot->depthwise.weight;
}

static struct kernel_matrices matrices(const struct run *run, const struct block *block)
{
    const struct block_slot *slot = block->slot;
    const float *weights = run->forward->weights;
    return (struct kernel_matrices){.w7 = weights + slot->depthwise.weight,
                                    .m75 = slot->has_matrices ? weights + slot->m75 : NULL,
                                    .m53 = slot->has_matrices ? weights + slot->m53 : NULL,
                                    .C = block->depthwise.conv.K,
                                    .ld = slot->depthwise.ld};
}

static void set_shapes(struct block *block, struct dims in, struct block_shape shape)
{
    const struct block_slot *slot = block->slot;
    block->R = shape.R;
    block->expand.conv =
        (struct conv){.in = in, .K = shape.middle, .R = 1, .S = 1, .ld = slot->expand.ld};
    in.C = shape.middle;
    block->depthwise.conv =
        (struct conv){.in = in,
                      .K = shape.middle,
                      .R = shape.R,
                      .S = slot->stride,
                      .ld = shape.R == slot->side ? slot->depthwise.ld : shape.middle};
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
                                        .Cr = space_hidden(C),
                                        .ld_reduce = slot->middle,
                                        .ld_expand = slot->hidden,
                                        .reduce_w = weights + slot->reduce_w,
                                        .reduce_b = weights + slot->reduce_b,
                                        .expand_w = weights + slot->expand_w,
                                        .expand_b = weights + slot->expand_b};
    double *pool_sums = run->forward->mode == PASS_TRAIN ? block->pool_sums : NULL;
    run->ops->pool_forward(run->device, block->project.conv.in, layer_view(layer), layer->norm.mean,
                           block->pooled, pool_sums);
    run->ops->se_forward(run->device, run->forward->N, &block->se, block->pooled, block->hidden,
                         block->gate);
    layer->gate = block->gate;
}

void block_forward(struct run *run, struct block *block, const struct map *input,
                   struct block_shape shape)
{
    const struct block_slot *slot = block->slot;
    const float *weights = run->forward->weights;
    struct view x = input->view;
    block->input = *input;
    set_shapes(block, input->dims, shape);

    if (slot->has_expand) {
        layer_forward(run, &block->expand, x, weights + slot->expand.weight);
        x = layer_view(&block->expand);
    }
    if (block->R != slot->side) {
        struct kernel_matrices kernel = matrices(run, block);
        run->ops->kernel_forward(run->device, &kernel, block->R, block->kernel);
    }
    layer_forward(run, &block->depthwise, x, depthwise_weight(run, block));
    if (slot->has_se)
        excite(run, block);
    layer_forward(run, &block->project, layer_view(&block->depthwise),
                  weights + slot->project.weight);

    block->output = (struct map){.dims = conv_out(&block->project.conv),
                                 .view = layer_view(&block->project),
                                 .branch = &block->project};
    if (slot->has_shortcut) {
        run->ops->residual_forward(run->device, block->output.dims, input->view, block->output.view,
                                   block->sum);
        block->output.view = (struct view){.z = block->sum, .act = ACT_NONE};
    }
}

static void project_backward(struct run *run, struct block *block, const float *q)
{
    const struct block_slot *slot = block->slot;
    struct layer *layer = &block->depthwise;
    struct grad_sink sink = {.q = block->q_depthwise,
                             .of = layer_view(layer),
                             .mean = layer->norm.mean,
                             .sums = slot->has_se ? NULL : layer->grad_sums,
                             .gate_sums = slot->has_se ? run->gate_sums : NULL};
    layer_backward(run, &block->project, q, layer_view(layer),
                   run->forward->weights + slot->project.weight,
                   run->gradient + slot->project.weight, &sink);
}

/* The gate's own gradient, and through the pool the part of the depthwise output's gradient that is
 * the same for a whole map. */
static void excite_backward(struct run *run, struct block *block)
{
    const struct block_slot *slot = block->slot;
    float *gradient = run->gradient;
    struct squeeze_excite_grad grad = {.reduce_w = gradient + slot->reduce_w,
                                       .reduce_b = gradient + slot->reduce_b,
                                       .expand_w = gradient + slot->expand_w,
                                       .expand_b = gradient + slot->expand_b};
    run->ops->se_backward(run->device, block->project.conv.in, &block->se, block->pooled,
                          block->hidden, block->gate, run->gate_sums, block->pool_sums, block->p,
                          block->depthwise.grad_sums, &grad);
    block->depthwise.p = block->p;
}

static void depthwise_backward(struct run *run, struct block *block, struct view x,
                               const struct grad_sink *sink)
{
    const struct block_slot *slot = block->slot;
    int R = block->R, C = block->depthwise.conv.K;
    bool is_transformed = R != slot->side;
    float *dw = run->gradient + slot->depthwise.weight;
    float *q = block->q_depthwise;
    if (!is_transformed) {
        layer_backward(run, &block->depthwise, q, x, depthwise_weight(run, block), dw, sink);
        return;
    }
    run->ops->zero(run->device, (size_t)(R * R) * (size_t)C * sizeof(float), run->kernel_grad);
    layer_backward(run, &block->depthwise, q, x, depthwise_weight(run, block), run->kernel_grad,
                   sink);
    struct kernel_matrices kernel = matrices(run, block);
    run->ops->kernel_backward(run->device, &kernel, R, run->kernel_grad, dw,
                              slot->has_matrices ? run->gradient + slot->m75 : NULL,
                              slot->has_matrices ? run->gradient + slot->m53 : NULL);
}

void block_backward(struct run *run, struct block *block, const float *q, float *q_in)
{
    const struct block_slot *slot = block->slot;
    project_backward(run, block, q);
    if (slot->has_se)
        excite_backward(run, block);
    /* whoever writes the input's gradient adds what came through the shortcut */
    struct grad_sink input = map_sink(&block->input, q_in, slot->has_shortcut ? q : NULL);
    if (!slot->has_expand) {
        depthwise_backward(run, block, block->input.view, &input);
        return;
    }
    struct map expanded = {.branch = &block->expand};
    struct grad_sink wide = map_sink(&expanded, block->q_expand, NULL);
    depthwise_backward(run, block, layer_view(&block->expand), &wide);
    layer_backward(run, &block->expand, block->q_expand, block->input.view,
                   run->forward->weights + slot->expand.weight, run->gradient + slot->expand.weight,
                   &input);
}
