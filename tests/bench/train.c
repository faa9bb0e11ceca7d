/* bench_train SPACE RESOLUTION [GLOBAL [MICRO [THREADS [SECONDS [ISA]]]]]: images/s of whole steps
 * of a kernel phase as train_stage takes them, as JSON: every leaf the teacher and a sampled
 * sub-network forward and backward, the tree of gradients, the update. A gang of one; random images
 * that are on the device already. At least 3 steps and the given seconds (5) are timed after one to
 * warm up. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "trainer/train/step.h"
#include <stdio.h>
#include <stdlib.h>

enum { CLASSES = 1000, CHANNELS = 3 };

struct bench {
    struct space space;
    struct campaign campaign;
    struct phase phase;
    struct comm comm;
    struct device *device;
    struct device_comm *device_comm;
    struct supernet *net;
    struct teacher *teacher;
    struct step *step;
    void *images, *labels;
    int resolution, leaves;
};

/* Random maps; the same for every leaf. */
static enum err fill_images(struct bench *bench)
{
    enum err err = ERR_OK;
    const struct device_ops *ops = bench->device->ops;
    size_t N = (size_t)bench->campaign.batch.micro, side = (size_t)bench->resolution;
    size_t count = N * side * side * CHANNELS;
    float *host = mem_array(count, sizeof *host);
    int32_t *labels = mem_array(N, sizeof *labels);
    for (size_t i = 0; i < count; i++)
        host[i] = (float)(2 * rng_unit(rng(1, RNG_TEST, 0, 0, i)) - 1);
    for (size_t n = 0; n < N; n++)
        labels[n] = (int32_t)(n % CLASSES);
    TRY(ops->alloc(bench->device, count * bench->device->map_bytes, &bench->images));
    ops->upload(bench->device, bench->images, host, count * sizeof(float));
    TRY(ops->alloc(bench->device, N * sizeof *labels, &bench->labels));
    ops->upload(bench->device, bench->labels, labels, N * sizeof *labels);
out:
    mem_free(host);
    mem_free(labels);
    return err;
}

static enum err open_teacher(struct bench *bench)
{
    enum err err = ERR_OK;
    void *weights = NULL;
    size_t bytes = bench->net->weight_count * sizeof(float);
    TRY(bench->device->ops->alloc(bench->device, bytes, &weights));
    bench->device->ops->copy(bench->device, bytes, bench->net->weights, weights);
    float *taken = weights;
    TRY(teacher_create(bench->net, &taken, bench->campaign.batch.micro, bench->resolution,
                       &bench->teacher));
out:
    return err;
}

static enum err open_bench(struct bench *bench, const char *space, const struct device_cfg *cfg)
{
    enum err err = ERR_OK;
    TRY(space_load(space, 1.0, CLASSES, CHANNELS, &bench->space));
    bench->space.resolutions[0] = bench->resolution;
    bench->space.resolution_count = 1;
    schedule_open_biggest(&bench->space, &bench->phase.open);
    bench->phase.open.kernels = bench->space.kernels;
    TRY(device_open(cfg, &bench->device));
    comm_alone(&bench->comm);
    bench->device_comm = comm_staged(&bench->comm, bench->device);
    TRY(supernet_create(&bench->space, bench->device, &bench->net));
    supernet_init_weights(bench->net, 1);
    TRY(open_teacher(bench));
    TRY(fill_images(bench));
    struct step_cfg step = {.comm = &bench->comm,
                            .device_comm = bench->device_comm,
                            .net = bench->net,
                            .campaign = &bench->campaign,
                            .phase = &bench->phase,
                            .teacher = bench->teacher,
                            .trains_matrices = true};
    TRY(step_create(&step, &bench->step));
out:
    return err;
}

static void close_bench(struct bench *bench)
{
    step_destroy(&bench->step);
    teacher_destroy(&bench->teacher);
    if (bench->device) {
        bench->device->ops->free(bench->device, bench->images);
        bench->device->ops->free(bench->device, bench->labels);
    }
    supernet_destroy(&bench->net);
    device_comm_close(&bench->device_comm);
    device_close(&bench->device);
}

static enum err take_step(struct bench *bench, uint64_t index)
{
    enum err err = ERR_OK;
    struct step_result result;
    struct prefetched leaf = {
        .images = bench->images,
        .labels = bench->labels,
        .host = {.N = bench->campaign.batch.micro, .resolution = bench->resolution, .C = CHANNELS}};
    for (int i = 0; i < bench->leaves; i++)
        TRY(step_leaf(bench->step, index, &leaf));
    TRY(step_update(bench->step, 1e-4, &result));
out:
    return err;
}

static enum err measure(struct bench *bench, double seconds, int threads)
{
    enum err err = ERR_OK;
    uint64_t steps = 0;
    TRY(take_step(bench, 0));
    double start = clock_seconds(), spent = 0;
    while (steps < 3 || spent < seconds) {
        TRY(take_step(bench, ++steps));
        spent = clock_seconds() - start;
    }
    printf(
        "{\"space\": \"%s\", \"resolution\": %d, \"global\": %d, \"micro\": %d, \"threads\": %d, "
        "\"device\": \"%s\", \"steps\": %llu, \"images_per_second\": %.1f}\n",
        bench->space.name, bench->resolution, bench->campaign.batch.global,
        bench->campaign.batch.micro, threads, bench->device->lineage, (unsigned long long)steps,
        (double)steps * bench->campaign.batch.global / spent);
out:
    return err;
}

static int number(int argc, char **argv, int index, int fallback)
{
    return argc > index ? (int)strtol(argv[index], NULL, 10) : fallback;
}

int main(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct bench bench = {.phase = {.subnets_per_step = 1, .has_distillation = true}};
    struct device_cfg cfg = {.name = "cpu", .threads = number(argc, argv, 5, 2)};
    if (argc < 3) {
        fprintf(stderr, "usage: bench_train SPACE RESOLUTION [GLOBAL [MICRO [THREADS [SECONDS "
                        "[ISA]]]]]\n");
        return 2;
    }
    bench.resolution = number(argc, argv, 2, 32);
    bench.campaign.seed = 1;
    bench.campaign.distil.ratio = 1;
    bench.campaign.optimiser.momentum = 0.9;
    bench.campaign.batch.global = number(argc, argv, 3, 256);
    bench.campaign.batch.micro = number(argc, argv, 4, 32);
    bench.leaves = bench.campaign.batch.global / bench.campaign.batch.micro;
    if (argc > 7)
        TRY(isa_parse(argv[7], &cfg.isa));
    TRY(open_bench(&bench, argv[1], &cfg));
    TRY(measure(&bench, argc > 6 ? strtod(argv[6], NULL) : 5, cfg.threads));
out:
    if (err != ERR_OK)
        fprintf(stderr, "bench_train: %s\n", err_text());
    close_bench(&bench);
    return err_exit_code(err);
}
