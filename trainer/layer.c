#include "trainer/layer.h"

void layer_lay_out(struct layer *layer, struct layout *layout, int width, int end)
{
    size_t C = (size_t)width;
    layer->sums = layout_ask(layout, 2 * C * sizeof(double), 0, end);
    layer->grad_sums = layout_ask(layout, 2 * C * sizeof(double), 0, end);
    layer->norm.scale = layout_ask(layout, C * sizeof(float), 0, end);
    layer->norm.shift = layout_ask(layout, C * sizeof(float), 0, end);
    layer->norm.mean = layout_ask(layout, C * sizeof(float), 0, end);
    layer->norm.inverse_deviation = layout_ask(layout, C * sizeof(float), 0, end);
}

struct view layer_view(const struct layer *layer)
{
    return (struct view){.z = layer->z,
                         .scale = layer->norm.scale,
                         .shift = layer->norm.shift,
                         .gate = layer->gate,
                         .act = layer->act};
}

static double element_count(const struct layer *layer)
{
    struct dims out = conv_out(&layer->conv);
    return (double)out.N * out.H * out.W;
}

static void fit_norm(struct run *run, struct layer *layer)
{
    const struct supernet *net = run->net;
    const struct norm_slot *slot = &net->norms[layer->slot->norm];
    const float *gamma = run->forward->weights + slot->gamma;
    const float *beta = run->forward->weights + slot->beta;
    float eps = (float)net->space->norm_eps;
    if (run->forward->mode == PASS_FIXED) /* a sub-network's statistics are the prefix, too */
        run->ops->norm_fixed(run->device, layer->conv.K, net->means + slot->statistic,
                             net->variances + slot->statistic, gamma, beta, eps, layer->norm);
    else
        run->ops->norm_forward(run->device, layer->conv.K, element_count(layer), layer->sums, gamma,
                               beta, eps, layer->norm);
}

void layer_forward(struct run *run, struct layer *layer, struct view x, const float *w)
{
    double *sums = run->forward->mode == PASS_FIXED ? NULL : layer->sums;
    poison_until(run->poison, layer->moment);
    layer->gate = NULL;
    layer->p = NULL;
    switch (layer->kind) {
    case LAYER_STEM:
        run->ops->stem_forward(run->device, &layer->conv, x, w, layer->z, sums);
        break;
    case LAYER_POINTWISE:
        run->ops->pw_forward(run->device, &layer->conv, x, w, layer->z, sums);
        break;
    case LAYER_DEPTHWISE:
        run->ops->dw_forward(run->device, &layer->conv, x, w, layer->z, sums);
        break;
    }
    fit_norm(run, layer);
}

void layer_backward(struct run *run, struct layer *layer, const float *q, struct view x,
                    const float *w, float *dw, const struct grad_sink *sink)
{
    const struct norm_slot *slot = &run->net->norms[layer->slot->norm];
    poison_until(run->poison, 2 * run->turn - layer->moment);
    run->ops->norm_backward(run->device, layer->conv.K, element_count(layer), layer->grad_sums,
                            run->forward->weights + slot->gamma, layer->norm,
                            run->gradient + slot->gamma, run->gradient + slot->beta, run->a, run->b,
                            run->c);
    struct grad dz = {
        .q = q, .of = layer_view(layer), .p = layer->p, .a = run->a, .b = run->b, .c = run->c};
    switch (layer->kind) {
    case LAYER_STEM:
        run->ops->stem_backward(run->device, &layer->conv, &dz, x, dw);
        break;
    case LAYER_POINTWISE:
        run->ops->pw_backward(run->device, &layer->conv, &dz, x, w, sink, dw);
        break;
    case LAYER_DEPTHWISE:
        run->ops->dw_backward(run->device, &layer->conv, &dz, x, w, sink, dw);
        break;
    }
}

struct grad_sink map_sink(const struct map *map, float *q, const float *add)
{
    return (struct grad_sink){.q = q,
                              .add = add,
                              .of = layer_view(map->branch),
                              .mean = map->branch->norm.mean,
                              .sums = map->branch->grad_sums};
}
