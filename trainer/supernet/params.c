/* Tensors by name, between the device's layout and the outside's, and their first values. */
#include "base/mem.h"
#include "base/rng.h"
#include "trainer/supernet/supernet.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

const struct param *supernet_find(const struct supernet *net, const char *name)
{
    for (int i = 0; i < net->param_count; i++)
        if (strcmp(net->params[i].name, name) == 0)
            return &net->params[i];
    return NULL;
}

static bool has_other_order(const struct param *param)
{
    return param->kind == PARAM_STEM || param->kind == PARAM_DEPTHWISE;
}

/* Where element i of the outside order is kept. */
static size_t inside_index(const struct param *param, size_t i)
{
    if (!has_other_order(param))
        return i;
    /* (K,C,R,R) outside; the stem is kept (R,R,C,K), a depthwise kernel (R,R,K) as its C is 1 */
    size_t K = (size_t)param->shape[0], C = (size_t)param->shape[1];
    size_t taps = (size_t)param->shape[2] * (size_t)param->shape[3];
    size_t tap = i % taps, c = i / taps % C, k = i / taps / C;
    return (tap * C + c) * K + k;
}

void supernet_arrange_param(const struct param *param, float *values, float *room)
{
    if (!has_other_order(param))
        return;
    memcpy(room, values, param->count * sizeof *values);
    for (size_t i = 0; i < param->count; i++)
        values[i] = room[inside_index(param, i)];
}

enum err supernet_get_param(const struct supernet *net, const float *from,
                            const struct param *param, float *host)
{
    enum err err = ERR_OK;
    float *room = mem_array(param->count, sizeof *room);
    TRY(net->device->ops->download(net->device, host, from + param->offset,
                                   param->count * sizeof *host));
    supernet_arrange_param(param, host, room);
out:
    mem_free(room);
    return err;
}

void supernet_set_param(const struct supernet *net, float *to, const struct param *param,
                        const float *host)
{
    float *inside = mem_array(param->count, sizeof *inside);
    for (size_t i = 0; i < param->count; i++)
        inside[inside_index(param, i)] = host[i];
    net->device->ops->upload(net->device, to + param->offset, inside,
                             param->count * sizeof *inside);
    if (to == net->weights)
        supernet_cast(net, param->offset, param->count);
    mem_free(inside);
}

void supernet_cast(const struct supernet *net, size_t first, size_t count)
{
    struct device *device = net->device;
    device->ops->cast(device, count, net->weights + first,
                      (char *)net->shadow + first * device->map_bytes);
}

int supernet_tensor_count(const struct supernet *net)
{
    return net->param_count + 2 * net->norm_count;
}

void supernet_tensor_at(const struct supernet *net, int index, struct supernet_tensor *tensor)
{
    memset(tensor, 0, sizeof *tensor);
    if (index < net->param_count) {
        const struct param *param = &net->params[index];
        snprintf(tensor->name, sizeof tensor->name, "%s", param->name);
        tensor->rank = param->rank;
        memcpy(tensor->shape, param->shape, sizeof tensor->shape);
        tensor->count = param->count;
        tensor->param = param;
        return;
    }
    int statistic = index - net->param_count;
    tensor->norm = &net->norms[statistic / 2];
    tensor->is_variance = statistic % 2 == 1;
    snprintf(tensor->name, sizeof tensor->name, "%s.running_%s", tensor->norm->name,
             tensor->is_variance ? "var" : "mean");
    tensor->rank = 1;
    tensor->shape[0] = tensor->norm->C;
    tensor->count = (size_t)tensor->norm->C;
}

enum err supernet_get_tensor(const struct supernet *net, const struct supernet_tensor *tensor,
                             float *host)
{
    if (tensor->param)
        return supernet_get_param(net, net->weights, tensor->param, host);
    const float *from = tensor->is_variance ? net->variances : net->means;
    return net->device->ops->download(net->device, host, from + tensor->norm->statistic,
                                      tensor->count * sizeof *host);
}

void supernet_set_tensor(struct supernet *net, const struct supernet_tensor *tensor,
                         const float *host)
{
    if (tensor->param) {
        supernet_set_param(net, net->weights, tensor->param, host);
        return;
    }
    float *to = tensor->is_variance ? net->variances : net->means;
    net->device->ops->upload(net->device, to + tensor->norm->statistic, host,
                             tensor->count * sizeof *host);
}

static float first_value(const struct param *param, uint64_t seed, uint64_t step, size_t i)
{
    uint64_t bits = rng(seed, RNG_INIT, 0, step, 2 * i);
    switch (param->kind) {
    case PARAM_MATRIX: /* plain crop to begin with */
        return i / (size_t)param->shape[1] == i % (size_t)param->shape[1] ? 1.0f : 0.0f;
    case PARAM_GAMMA:
        return 1.0f;
    case PARAM_BIAS:
    case PARAM_BETA:
        return 0.0f;
    case PARAM_LINEAR: /* U(+-1/sqrt(fan_in)) */
        return (float)((2.0 * rng_unit(bits) - 1.0) / sqrt((double)param->shape[1]));
    default: /* He, fan-out: the reference counts all K channels for a depthwise kernel too */
        return (float)(rng_normal(bits, rng(seed, RNG_INIT, 0, step, 2 * i + 1)) *
                       sqrt(2.0 / ((double)param->shape[0] * param->shape[2] * param->shape[3])));
    }
}

void supernet_init_weights(struct supernet *net, uint64_t seed)
{
    for (int p = 0; p < net->param_count; p++) {
        const struct param *param = &net->params[p];
        float *host = mem_array(param->count, sizeof *host);
        for (size_t i = 0; i < param->count; i++)
            host[i] = first_value(param, seed, (uint64_t)p, i);
        supernet_set_param(net, net->weights, param, host);
        mem_free(host);
    }
    net->has_statistics = false;
}
