#include "base/mem.h"
#include "trainer/supernet/param_table.h"

enum err shadow_create(const struct supernet *net, float *weights, void **shadow)
{
    enum err err = ERR_OK;
    struct device *device = net->device;
    if (device->map_bytes == sizeof *weights) {
        *shadow = weights;
        return ERR_OK;
    }
    TRY(device->ops->alloc(device, net->weight_count * device->map_bytes, shadow));
    device->ops->cast(device, net->weight_count, weights, *shadow);
out:
    return err;
}

void shadow_destroy(const struct supernet *net, const float *weights, void *shadow)
{
    if (shadow != weights)
        net->device->ops->free(net->device, shadow);
}

enum err supernet_create(const struct space *space, struct device *device, struct supernet **result)
{
    enum err err = ERR_OK;
    void *memory = NULL; /* three arrays that net takes one by one */
    struct supernet *net = mem_alloc(sizeof *net);
    net->space = space;
    net->device = device;
    net->map_bytes = device->map_bytes;
    param_table_build(net);
    TRY(device->ops->alloc(device, net->weight_count * sizeof(float), &memory));
    net->weights = memory;
    TRY(shadow_create(net, net->weights, &net->shadow));
    TRY(device->ops->alloc(device, net->statistic_count * sizeof(float), &memory));
    net->means = memory;
    TRY(device->ops->alloc(device, net->statistic_count * sizeof(float), &memory));
    net->variances = memory;
    *result = net;
    net = NULL;
out:
    supernet_destroy(&net);
    return err;
}

void supernet_describe(const struct space *space, size_t map_bytes, struct supernet **result)
{
    struct supernet *net = mem_alloc(sizeof *net);
    net->space = space;
    net->map_bytes = map_bytes;
    param_table_build(net);
    *result = net;
}

static void free_tensors(struct supernet *net)
{
    const struct device_ops *ops = net->device->ops;
    shadow_destroy(net, net->weights, net->shadow);
    ops->free(net->device, net->weights);
    ops->free(net->device, net->means);
    ops->free(net->device, net->variances);
}

void supernet_destroy(struct supernet **net)
{
    if (!net || !*net)
        return;
    if ((*net)->device)
        free_tensors(*net);
    mem_free((*net)->params);
    mem_free((*net)->norms);
    mem_free((*net)->param_table);
    mem_free(*net);
    *net = NULL;
}
