/* bench_step SPACE SUBNET [BATCH [THREADS [SECONDS [ISA]]]]: images/s of training steps (forward,
 * loss, backward, SGD) of one sub-network alone, as JSON. Batches are random images; at least 3
 * steps and the given seconds (2) are timed after one to warm up. With BENCH_LAYERS in the
 * environment each operation of the device table is timed apart instead, shape by shape, slowest
 * first: where the time goes. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tests/bench/layers.h"
#include "trainer/spec/cost.h"
#include "trainer/supernet/supernet.h"
#include <stdio.h>
#include <stdlib.h>

struct bench {
    struct space space;
    struct subnet subnet;
    int N;
    struct device *device;
    struct supernet *net;
    struct activation_arena *arena;
    void *images, *labels, *dlogits, *gradient, *momentum, *sums;
};

static enum err fill_images(struct bench *bench)
{
    enum err err = ERR_OK;
    const struct device_ops *ops = bench->device->ops;
    size_t count = (size_t)bench->N * (size_t)bench->subnet.resolution *
                   (size_t)bench->subnet.resolution * (size_t)bench->space.channels;
    float *host = mem_array(count, sizeof *host);
    for (size_t i = 0; i < count; i++)
        host[i] = (float)(2 * rng_unit(rng(1, RNG_TEST, 0, 0, i)) - 1);
    TRY(ops->alloc(bench->device, count * sizeof(float), &bench->images));
    ops->upload(bench->device, bench->images, host, count * sizeof(float));
out:
    mem_free(host);
    return err;
}

static enum err open_bench(struct bench *bench, const char *space, const char *subnet,
                           const struct device_cfg *cfg)
{
    enum err err = ERR_OK;
    TRY(space_load(space, 1.0, 1000, 3, &bench->space));
    TRY(subnet_parse(&bench->space, subnet, &bench->subnet));
    TRY(device_open(cfg, &bench->device));
    const struct device_ops *ops = bench->device->ops;
    TRY(supernet_create(&bench->space, bench->device, &bench->net));
    supernet_init_weights(bench->net, 1);
    TRY(activation_arena_create(bench->net, bench->N, bench->subnet.resolution, PASS_TRAIN,
                                &bench->arena));
    size_t weights = bench->net->weight_count * sizeof(float);
    TRY(ops->alloc(bench->device, weights, &bench->gradient));
    TRY(ops->alloc(bench->device, weights, &bench->momentum));
    TRY(ops->alloc(bench->device, (size_t)bench->N * 1000 * sizeof(float), &bench->dlogits));
    TRY(ops->alloc(bench->device, (size_t)bench->N * sizeof(int32_t), &bench->labels));
    TRY(ops->alloc(bench->device, LOSS_SUMS * sizeof(double), &bench->sums));
    TRY(fill_images(bench));
out:
    return err;
}

static void close_bench(struct bench *bench)
{
    if (bench->device) {
        void *memory[] = {bench->images,   bench->labels,   bench->dlogits,
                          bench->gradient, bench->momentum, bench->sums};
        for (int i = 0; i < 6; i++)
            bench->device->ops->free(bench->device, memory[i]);
    }
    activation_arena_destroy(&bench->arena);
    supernet_destroy(&bench->net);
    device_close(&bench->device);
}

static void update(struct bench *bench)
{
    struct supernet *net = bench->net;
    struct sgd sgd = {.w = net->weights,
                      .v = bench->momentum,
                      .g = bench->gradient,
                      .shadow = net->shadow,
                      .rate = 1e-4f,
                      .momentum = 0.9f,
                      .is_nesterov = true};
    for (int i = 0; i < SEGMENTS; i++)
        sgd.segments[sgd.segment_count++] = (struct sgd_segment){
            net->segments[i].offset, net->segments[i].count, i == SEGMENT_WEIGHTS ? 3e-5f : 0};
    bench->device->ops->sgd_step(bench->device, &sgd);
}

static enum err step(struct bench *bench)
{
    enum err err = ERR_OK;
    const struct device_ops *ops = bench->device->ops;
    const float *logits = NULL;
    struct forward forward = {.subnet = &bench->subnet,
                              .weights = bench->net->weights,
                              .shadow = bench->net->shadow,
                              .images = bench->images,
                              .N = bench->N,
                              .mode = PASS_TRAIN};
    TRY(supernet_forward(bench->net, bench->arena, &forward, &logits));
    struct loss loss = {.N = bench->N,
                        .K = 1000,
                        .logits = logits,
                        .labels = bench->labels,
                        .smoothing = 0.1f,
                        .label_weight = 1,
                        .divisor = (float)bench->N,
                        .sums = bench->sums};
    ops->loss_forward(bench->device, &loss, bench->dlogits);
    supernet_backward(bench->net, bench->arena, &forward, bench->dlogits, bench->gradient);
    update(bench);
    TRY(ops->sync(bench->device));
out:
    return err;
}

static enum err measure(struct bench *bench, double seconds, int threads, const char *subnet)
{
    enum err err = ERR_OK;
    int steps = 0;
    TRY(step(bench));
    double start = clock_seconds(), spent = 0;
    while (steps < 3 || spent < seconds) {
        TRY(step(bench));
        steps++;
        spent = clock_seconds() - start;
    }
    struct cost cost = cost_of(&bench->space, &bench->subnet);
    double rate = steps * bench->N / spent;
    printf("{\"space\": \"%s\", \"subnet\": \"%s\", \"batch\": %d, \"threads\": %d, \"device\": "
           "\"%s\", \"steps\": %d, \"images_per_second\": %.1f, \"gflop_per_second\": %.1f}\n",
           bench->space.name, subnet, bench->N, threads, bench->device->lineage, steps, rate,
           rate * 6e-9 * (double)cost.macs);
out:
    return err;
}

/* The same steps with every operation of the table timed. */
static enum err measure_layers(struct bench *bench)
{
    enum err err = ERR_OK;
    TRY(step(bench));
    layers_begin(bench->device);
    for (int i = 0; i < 3; i++)
        TRY(step(bench));
    layers_end(bench->device, 3);
out:
    return err;
}

int main(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct bench bench = {.N = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 64};
    struct device_cfg cfg = {.name = "cpu",
                             .threads = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 2};
    if (argc < 3) {
        fprintf(stderr, "usage: bench_step SPACE SUBNET [BATCH [THREADS [SECONDS [ISA]]]]\n");
        return 2;
    }
    if (argc > 6)
        TRY(isa_parse(argv[6], &cfg.isa));
    TRY(open_bench(&bench, argv[1], argv[2], &cfg));
    if (getenv("BENCH_LAYERS"))
        TRY(measure_layers(&bench));
    else
        TRY(measure(&bench, argc > 5 ? strtod(argv[5], NULL) : 2, cfg.threads, argv[2]));
out:
    if (err != ERR_OK)
        fprintf(stderr, "bench_step: %s\n", err_text());
    close_bench(&bench);
    return err_exit_code(err);
}
