#include "tests/bench/passes.h"
#include "base/mem.h"
#include "base/rng.h"
#include "kernels/memory.h"

static enum err fill_images(struct passes *passes)
{
    enum err err = ERR_OK;
    size_t side = (size_t)passes->resolution;
    size_t count = (size_t)passes->N * side * side * BENCH_CHANNELS;
    float *host = mem_array(count, sizeof *host);
    for (size_t i = 0; i < count; i++)
        host[i] = (float)(2 * rng_unit(rng(1, RNG_TEST, 0, 0, i)) - 1);
    TRY(memory_map(passes->device, host, count, &passes->images));
out:
    mem_free(host);
    return err;
}

static enum err open_arrays(struct passes *passes)
{
    enum err err = ERR_OK;
    struct device *device = passes->device;
    size_t weights = passes->net->weight_count, N = (size_t)passes->N;
    TRY(memory_array(device, weights, sizeof(float), &passes->gradient));
    TRY(memory_array(device, weights, sizeof(float), &passes->momentum));
    TRY(memory_array(device, N * BENCH_CLASSES, sizeof(float), &passes->dlogits));
    TRY(memory_array(device, N, sizeof(int32_t), &passes->labels));
    TRY(memory_array(device, LOSS_SUMS, sizeof(double), &passes->sums));
    TRY(fill_images(passes));
out:
    return err;
}

enum err passes_open(const char *space_file, int N, int resolution, struct device *device,
                     struct passes *passes)
{
    enum err err = ERR_OK;
    *passes = (struct passes){.N = N, .resolution = resolution, .device = device};
    TRY(space_load(space_file, 1.0, BENCH_CLASSES, BENCH_CHANNELS, &passes->space));
    TRY(supernet_create(&passes->space, device, &passes->net));
    supernet_init_weights(passes->net, 1);
    TRY(activation_arena_create(passes->net, N, resolution, PASS_TRAIN, &passes->arena));
    TRY(open_arrays(passes));
out:
    return err;
}

enum err passes_open_subnet(const struct bench_options *options, const char *space_file,
                            const char *text, struct device **device, struct subnet *subnet,
                            struct passes *passes)
{
    enum err err = ERR_OK;
    struct device_cfg cfg;
    struct space space;
    TRY(bench_options_device(options, &cfg));
    TRY(space_load(space_file, 1.0, BENCH_CLASSES, BENCH_CHANNELS, &space));
    TRY(subnet_parse(&space, text, subnet));
    if (subnet->resolution == 0)
        TRY(err_set(ERR_USAGE, "say the resolution: \"r=128 %s\"", text));
    TRY(device_open(&cfg, device));
    TRY(passes_open(space_file, options->batch, subnet->resolution, *device, passes));
out:
    return err;
}

void passes_close(struct passes *passes)
{
    void *memory[] = {passes->images,   passes->labels,   passes->dlogits,
                      passes->gradient, passes->momentum, passes->sums};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        memory_free(passes->device, memory[i]);
    activation_arena_destroy(&passes->arena);
    supernet_destroy(&passes->net);
}

static struct forward forward_of(const struct passes *passes, const struct subnet *subnet,
                                 enum pass_mode mode)
{
    return (struct forward){.subnet = subnet,
                            .weights = passes->net->weights,
                            .shadow = passes->net->shadow,
                            .images = passes->images,
                            .N = passes->N,
                            .mode = mode};
}

enum err passes_train(struct passes *passes, const struct subnet *subnet)
{
    enum err err = ERR_OK;
    const float *logits = NULL;
    struct forward forward = forward_of(passes, subnet, PASS_TRAIN);
    TRY(supernet_forward(passes->net, passes->arena, &forward, &logits));
    struct loss loss = {.N = passes->N,
                        .K = BENCH_CLASSES,
                        .logits = logits,
                        .labels = passes->labels,
                        .smoothing = 0.1f,
                        .label_weight = 1,
                        .divisor = (float)passes->N,
                        .sums = passes->sums};
    passes->device->ops->loss_forward(passes->device, &loss, passes->dlogits);
    supernet_backward(passes->net, passes->arena, &forward, passes->dlogits, passes->gradient);
out:
    return err;
}

enum err passes_teach(struct passes *passes)
{
    struct subnet biggest;
    const float *logits = NULL;
    subnet_biggest(&passes->space, passes->resolution, &biggest);
    struct forward forward = forward_of(passes, &biggest, PASS_BATCH_NORM);
    return supernet_forward(passes->net, passes->arena, &forward, &logits);
}

enum err passes_update(struct passes *passes)
{
    struct supernet *net = passes->net;
    struct sgd sgd = {.w = net->weights,
                      .v = passes->momentum,
                      .g = passes->gradient,
                      .shadow = net->shadow,
                      .rate = 1e-4f,
                      .momentum = 0.9f,
                      .is_nesterov = true};
    for (int i = 0; i < SEGMENTS; i++)
        sgd.segments[sgd.segment_count++] = (struct sgd_segment){
            net->segments[i].offset, net->segments[i].count, i == SEGMENT_WEIGHTS ? 3e-5f : 0};
    passes->device->ops->sgd_step(passes->device, &sgd);
    return passes->device->ops->sync(passes->device);
}
