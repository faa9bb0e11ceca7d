#include "tests/supernet/rig.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tests/support/test_device.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { CLASSES = 10, SEED = 1 };

void must(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
}

void stir(float *host, size_t count, double scale, uint64_t seed, uint64_t tensor)
{
    for (size_t i = 0; i < count; i++)
        host[i] += (float)(scale * (2.0 * rng_unit(rng(seed, RNG_TEST, 0, tensor, i)) - 1.0));
}

static void stir_weights(struct supernet *net)
{
    for (int t = 0; t < supernet_tensor_count(net); t++) {
        struct supernet_tensor tensor;
        supernet_tensor_at(net, t, &tensor);
        float *host = mem_array(tensor.count, sizeof *host);
        must(supernet_get_tensor(net, &tensor, host));
        if (tensor.is_variance)
            for (size_t i = 0; i < tensor.count; i++)
                host[i] = 1.0f;
        if (!tensor.param || tensor.param->segment != SEGMENT_WEIGHTS)
            stir(host, tensor.count, 0.1, SEED, (uint64_t)t);
        supernet_set_tensor(net, &tensor, host);
        mem_free(host);
    }
    net->has_statistics = true;
}

static float *device_floats(struct rig *rig, size_t count)
{
    void *memory = NULL;
    must(rig->device->ops->alloc(rig->device, count * sizeof(float), &memory));
    return memory;
}

int32_t rig_label(int n)
{
    return (7 * n + 3) % CLASSES;
}

void rig_set_images(struct rig *rig, const float *host, size_t count)
{
    const struct device_ops *ops = rig->device->ops;
    float *floats = device_floats(rig, count);
    ops->upload(rig->device, floats, host, count * sizeof *host);
    ops->cast(rig->device, count, floats, rig->images);
    ops->free(rig->device, floats);
}

static void fill_inputs(struct rig *rig)
{
    const struct device_ops *ops = rig->device->ops;
    size_t pixels = (size_t)rig->N * (size_t)rig->resolution * (size_t)rig->resolution *
                    (size_t)rig->space.channels;
    float *images = mem_array(pixels, sizeof *images);
    int32_t *labels = mem_array((size_t)rig->N, sizeof *labels);
    stir(images, pixels, 1.0, SEED, 1000000);
    for (int n = 0; n < rig->N; n++)
        labels[n] = rig_label(n);
    rig_set_images(rig, images, pixels);
    ops->upload(rig->device, rig->labels, labels, (size_t)rig->N * sizeof *labels);
    must(ops->sync(rig->device));
    mem_free(images);
    mem_free(labels);
}

struct space rig_space(const char *file, int channels)
{
    struct space space;
    must(space_load(file, 1.0, CLASSES, channels, &space));
    return space;
}

bool rig_open_isa(struct rig *rig, const struct space *space, int N, int resolution,
                  const struct device_cfg *cfg)
{
    memset(rig, 0, sizeof *rig);
    rig->N = N;
    rig->resolution = resolution;
    rig->space = *space;
    enum err err = device_open(cfg, &rig->device);
    if (err == ERR_UNAVAILABLE)
        return false;
    must(err);
    must(supernet_create(&rig->space, rig->device, &rig->net));
    supernet_init_weights(rig->net, SEED);
    stir_weights(rig->net);
    must(activation_arena_create(rig->net, N, resolution, PASS_TRAIN, &rig->arena));
    rig->images = device_floats(rig, (size_t)N * (size_t)resolution * (size_t)resolution *
                                         (size_t)space->channels);
    rig->dlogits = device_floats(rig, (size_t)N * CLASSES);
    rig->gradient = device_floats(rig, rig->net->weight_count);
    rig->labels = (int32_t *)(void *)device_floats(rig, (size_t)N);
    rig->sums = (double *)(void *)device_floats(rig, 2 * LOSS_SUMS);
    rig->flaw = (uint64_t *)(void *)device_floats(rig, 2);
    rig->device->ops->set_word(rig->device, FLAW_NONE, rig->flaw);
    fill_inputs(rig);
    return true;
}

void rig_open(struct rig *rig, const struct space *space, int N, int resolution, int threads)
{
    struct device_cfg cfg = {.name = test_device(),
                             .threads = threads,
                             .isa = test_isa(),
                             .precision = test_precision()};
    if (!rig_open_isa(rig, space, N, resolution, &cfg))
        fail_msg("%s", err_text());
}

void rig_close(struct rig *rig)
{
    const struct device_ops *ops = rig->device->ops;
    ops->free(rig->device, rig->images);
    ops->free(rig->device, rig->dlogits);
    ops->free(rig->device, rig->gradient);
    ops->free(rig->device, rig->labels);
    ops->free(rig->device, rig->sums);
    ops->free(rig->device, rig->flaw);
    activation_arena_destroy(&rig->arena);
    supernet_destroy(&rig->net);
    device_close(&rig->device);
}

struct forward rig_forward(const struct rig *rig, const struct subnet *subnet, enum pass_mode mode)
{
    return (struct forward){.subnet = subnet,
                            .weights = rig->net->weights,
                            .shadow = rig->net->shadow,
                            .images = rig->images,
                            .N = rig->N,
                            .mode = mode};
}

float *rig_logits(struct rig *rig, const struct forward *forward)
{
    const float *logits = NULL;
    size_t count = (size_t)forward->N * CLASSES;
    float *host = mem_array(count, sizeof *host);
    must(supernet_forward(rig->net, rig->arena, forward, &logits));
    must(rig->device->ops->download(rig->device, host, logits, count * sizeof *host));
    return host;
}

double rig_step(struct rig *rig, const struct forward *forward)
{
    const struct device_ops *ops = rig->device->ops;
    const float *logits = NULL;
    double sums[LOSS_SUMS];
    must(supernet_forward(rig->net, rig->arena, forward, &logits));
    struct loss loss = {.N = forward->N,
                        .K = CLASSES,
                        .logits = logits,
                        .labels = rig->labels,
                        .smoothing = 0.1f,
                        .label_weight = 1.0f,
                        .divisor = (float)forward->N,
                        .sums = rig->sums};
    ops->zero(rig->device, sizeof sums, rig->sums);
    ops->loss_forward(rig->device, &loss, rig->dlogits);
    ops->zero(rig->device, rig->net->weight_count * sizeof(float), rig->gradient);
    supernet_backward(rig->net, rig->arena, forward, rig->dlogits, rig->gradient);
    must(ops->download(rig->device, sums, rig->sums, sizeof sums));
    return sums[LOSS_TOTAL] / forward->N;
}

const char *rig_flaw(struct rig *rig)
{
    uint64_t word = 0;
    must(rig->device->ops->download(rig->device, &word, rig->flaw, sizeof word));
    rig->device->ops->set_word(rig->device, FLAW_NONE, rig->flaw);
    return word == FLAW_NONE ? NULL : supernet_flaw_name(rig->net, word);
}

float *rig_gradient(const struct rig *rig, const struct param *param)
{
    float *host = mem_array(param->count, sizeof *host);
    must(supernet_get_param(rig->net, rig->gradient, param, host));
    return host;
}

double largest(const float *x, size_t count)
{
    double most = 0;
    for (size_t i = 0; i < count; i++)
        most = fmax(most, fabs((double)x[i]));
    return most;
}

double distance(const float *x, const float *y, size_t count)
{
    double most = 0;
    for (size_t i = 0; i < count; i++)
        most = fmax(most, fabs((double)x[i] - (double)y[i]));
    return most;
}
