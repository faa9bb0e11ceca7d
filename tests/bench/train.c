/* bench_train SPACE RESOLUTION [--phase kernel] [--fixed] [--global 256] [--micro 32] [--device
 * cpu]
 * [--threads 2] [--seconds 5] [--isa auto] [--precision fp32]: images/s of whole steps of a phase
 * of the schedule "ofa" as train_stage takes them, as JSON: of every leaf the teacher's forward,
 * and the phase's sub-networks forward and backward; the tree of gradients; the update. A gang of
 * one; random images that are on the device already. At least 3 steps and the given seconds are
 * timed after one to warm up. Each step draws its sub-networks with seed 1; with --fixed all of
 * them take those of step 0, which are named, so that others can do the same work. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "kernels/memory.h"
#include "tests/bench/options.h"
#include "tests/bench/passes.h"
#include "trainer/train/step.h"
#include <stdio.h>
#include <string.h>

struct bench {
    struct bench_options options;
    struct space space;
    struct campaign campaign;
    struct schedule schedule;
    const struct phase *phase;
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
    size_t N = (size_t)bench->campaign.batch.micro, side = (size_t)bench->resolution;
    size_t count = N * side * side * BENCH_CHANNELS;
    float *host = mem_array(count, sizeof *host);
    int32_t *labels = mem_array(N, sizeof *labels);
    for (size_t i = 0; i < count; i++)
        host[i] = (float)(2 * rng_unit(rng(1, RNG_TEST, 0, 0, i)) - 1);
    for (size_t n = 0; n < N; n++)
        labels[n] = (int32_t)(n % BENCH_CLASSES);
    TRY(memory_map(bench->device, host, count, &bench->images));
    TRY(memory_array(bench->device, N, sizeof *labels, &bench->labels));
    bench->device->ops->upload(bench->device, bench->labels, labels, N * sizeof *labels);
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

/* The space at one resolution, and the row of the schedule. */
static enum err open_phase(struct bench *bench, const char *space)
{
    enum err err = ERR_OK;
    struct schedule *schedule = &bench->schedule;
    TRY(space_load(space, 1.0, BENCH_CLASSES, BENCH_CHANNELS, &bench->space));
    bench->space.resolutions[0] = bench->resolution;
    bench->space.resolution_count = 1;
    schedule_append("ofa", &bench->space, 1, 1, bench->options.global, schedule);
    for (int i = 0; i < schedule->phase_count; i++)
        if (strcmp(schedule->phases[i].name, bench->options.phase) == 0)
            bench->phase = &schedule->phases[i];
    if (!bench->phase)
        TRY(err_set(ERR_USAGE, "--phase %s: no row of the schedule for %s", bench->options.phase,
                    bench->space.name));
out:
    return err;
}

static enum err open_bench(struct bench *bench, const char *space)
{
    enum err err = ERR_OK;
    struct device_cfg cfg;
    TRY(open_phase(bench, space));
    TRY(bench_options_device(&bench->options, &cfg));
    TRY(device_open(&cfg, &bench->device));
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
                            .phase = bench->phase,
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
        memory_free(bench->device, bench->images);
        memory_free(bench->device, bench->labels);
    }
    supernet_destroy(&bench->net);
    device_comm_close(&bench->device_comm);
    device_close(&bench->device);
}

static enum err take_step(struct bench *bench, uint64_t index)
{
    enum err err = ERR_OK;
    struct step_result result;
    struct prefetched leaf = {.images = bench->images,
                              .labels = bench->labels,
                              .host = {.N = bench->campaign.batch.micro,
                                       .resolution = bench->resolution,
                                       .C = BENCH_CHANNELS}};
    for (int i = 0; i < bench->leaves; i++)
        TRY(step_leaf(bench->step, bench->options.is_fixed ? 0 : index, &leaf));
    TRY(step_update(bench->step, 1e-4, &result));
out:
    return err;
}

static void print_subnets(const struct bench *bench)
{
    for (int i = 0; i < bench->phase->subnets_per_step; i++) {
        struct subnet subnet;
        struct text text;
        text_init(&text);
        subnet_sample(&bench->space, &bench->phase->open, bench->campaign.seed, 0, i, &subnet);
        subnet_format(&bench->space, &subnet, &text);
        printf("%s\"%s\"", i ? ", " : "", text_get(&text));
        text_fini(&text);
    }
}

static void print_rate(const struct bench *bench, int steps, double seconds)
{
    printf("{\"space\": \"%s\", \"resolution\": %d, \"phase\": \"%s\", \"global\": %d, "
           "\"micro\": %d, \"threads\": %d, \"precision\": \"%s\", \"device\": \"%s\", "
           "\"steps\": %d, \"images_per_second\": %.1f, \"subnets\": [",
           bench->space.name, bench->resolution, bench->phase->name, bench->campaign.batch.global,
           bench->campaign.batch.micro, bench->options.threads, bench->options.precision,
           bench->device->lineage, steps, steps * bench->campaign.batch.global / seconds);
    if (bench->options.is_fixed)
        print_subnets(bench);
    puts("]}");
}

static enum err measure(struct bench *bench)
{
    enum err err = ERR_OK;
    int steps = 0;
    TRY(take_step(bench, 0));
    double start = clock_seconds(), spent = 0;
    while (steps < 3 || spent < bench->options.seconds) {
        steps++;
        TRY(take_step(bench, (uint64_t)steps));
        spent = clock_seconds() - start;
    }
    print_rate(bench, steps, spent);
out:
    return err;
}

static enum err read_command(struct bench *bench, int argc, char **argv)
{
    enum err err = ERR_OK;
    struct bench_options *options = &bench->options;
    long resolution = 0;
    TRY(bench_options_read(
        argc, argv, " phase fixed global micro device threads seconds isa precision ", options));
    if (options->word_count != 2 || options->global % options->micro != 0)
        TRY(err_set(ERR_USAGE,
                    "usage: bench_train SPACE RESOLUTION [--phase kernel] [--fixed] [--global 256] "
                    "[--micro 32, which divides it] [--device cpu] [--threads 2] [--seconds 5] "
                    "[--isa auto] [--precision fp32]"));
    TRY(text_to_int(options->words[1], 1, 4096, &resolution));
    bench->resolution = (int)resolution;
    bench->campaign.seed = 1;
    bench->campaign.distil.ratio = 1;
    bench->campaign.optimiser.momentum = 0.9;
    bench->campaign.batch.global = options->global;
    bench->campaign.batch.micro = options->micro;
    bench->leaves = options->global / options->micro;
out:
    return err;
}

int main(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct bench bench = {.options = {.global = 256,
                                      .micro = 32,
                                      .threads = 2,
                                      .seconds = 5,
                                      .isa = "auto",
                                      .precision = "fp32",
                                      .phase = "kernel"}};
    TRY(read_command(&bench, argc, argv));
    TRY(open_bench(&bench, bench.options.words[0]));
    TRY(measure(&bench));
out:
    if (err != ERR_OK)
        fprintf(stderr, "bench_train: %s\n", err_text());
    close_bench(&bench);
    return err_exit_code(err);
}
