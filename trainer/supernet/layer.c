#include "trainer/supernet/layer.h"

void layer_lay_out(struct layer *layer, struct memory_plan *memory_plan, int width, int end)
{
    size_t C = (size_t)width;
    layer->sums = memory_plan_ask(memory_plan, 2 * C * sizeof(double), 0, end);
    layer->grad_sums = memory_plan_ask(memory_plan, 2 * C * sizeof(double), 0, end);
    layer->norm.scale = memory_plan_ask(memory_plan, C * sizeof(float), 0, end);
    layer->norm.shift = memory_plan_ask(memory_plan, C * sizeof(float), 0, end);
    layer->norm.mean = memory_plan_ask(memory_plan, C * sizeof(float), 0, end);
    layer->norm.inverse_deviation = memory_plan_ask(memory_plan, C * sizeof(float), 0, end);
    layer->backward.a = memory_plan_ask(memory_plan, C * sizeof(float), 0, end);
    layer->backward.b = memory_plan_ask(memory_plan, C * sizeof(float), 0, end);
    layer->backward.c = memory_plan_ask(memory_plan, C * sizeof(float), 0, end);
}

const void *run_conv_weight(const struct run *run, size_t offset)
{
    const struct forward *forward = run->forward;
    const char *shadow = forward->shadow;
    if (!shadow && run->device->map_bytes != sizeof *forward->weights)
        BUG("a pass without the shadow that convolutions read");
    if (!shadow)
        shadow = (const void *)forward->weights;
    return shadow + offset * run->device->map_bytes;
}

struct view layer_view(const struct layer *layer)
{
    return (struct view){.z = layer->z,
                         .scale = layer->norm.scale,
                         .shift = layer->norm.shift,
                         .gate = layer->gate,
                         .act = layer->act};
}

/* A sub-network's statistics are the prefix, too. */
static struct norm_forward norm_of(const struct run *run, const struct layer *layer)
{
    const struct supernet *net = run->net;
    const struct forward *forward = run->forward;
    const struct norm_slot *slot = &net->norms[layer->slot->norm];
    double *totals = forward->calibration;
    return (struct norm_forward){
        .kind = forward->mode == PASS_FIXED ? NORM_FIXED : NORM_BATCH,
        .sums = layer->sums,
        .gamma = forward->weights + slot->gamma,
        .beta = forward->weights + slot->beta,
        .eps = (float)net->space->norm_eps,
        .mean = net->means + slot->statistic,
        .variance = net->variances + slot->statistic,
        .total = totals ? totals + slot->statistic : NULL,
        .total_square = totals ? totals + net->statistic_count + slot->statistic : NULL,
        .norm = layer->norm,
        .flaw = supernet_flaw(&forward->flaw, layer->slot->norm)};
}

void layer_forward(struct run *run, struct layer *layer, struct view x, const void *w)
{
    struct norm_forward norm = norm_of(run, layer);
    if (run->forward->calibration_counts && norm.kind == NORM_BATCH)
        run->forward->calibration_counts[layer->slot->norm] += dims_pixels(conv_out(&layer->conv));
    poison_until(run->poison, layer->moment);
    layer->gate = NULL;
    layer->p = NULL;
    switch (layer->kind) {
    case LAYER_STEM:
        run->ops->stem_forward(run->device, &layer->conv, x, w, layer->z, &norm);
        break;
    case LAYER_POINTWISE:
        run->ops->pw_forward(run->device, &layer->conv, x, w, layer->z, &norm);
        break;
    case LAYER_DEPTHWISE:
        run->ops->dw_forward(run->device, &layer->conv, x, w, layer->z, &norm);
        break;
    }
}

const struct norm_backward *layer_norm_backward(const struct run *run, struct layer *layer)
{
    const struct norm_slot *slot = &run->net->norms[layer->slot->norm];
    layer->backward.gamma = run->forward->weights + slot->gamma;
    layer->backward.norm = layer->norm;
    layer->backward.dgamma = run->gradient + slot->gamma;
    layer->backward.dbeta = run->gradient + slot->beta;
    return &layer->backward;
}

void layer_backward(struct run *run, struct layer *layer, const void *q, struct view x,
                    const void *w, float *dw, const struct grad_sink *sink)
{
    poison_until(run->poison, 2 * run->turn - layer->moment);
    struct grad dz = {.q = q,
                      .of = layer_view(layer),
                      .p = layer->p,
                      .a = layer->backward.a,
                      .b = layer->backward.b,
                      .c = layer->backward.c};
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

struct grad_sink map_sink(const struct run *run, const struct map *map, void *q, const void *add)
{
    return (struct grad_sink){.q = q,
                              .add = add,
                              .of = layer_view(map->branch),
                              .mean = map->branch->norm.mean,
                              .sums = map->branch->grad_sums,
                              .norm = layer_norm_backward(run, map->branch)};
}
