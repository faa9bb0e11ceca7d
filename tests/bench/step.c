/* bench_step SPACE SUBNET [--batch 64] [--device cpu] [--threads 2] [--seconds 2] [--isa auto]
 * [--precision fp32] [--layers]: images/s of training steps (forward, loss, backward, SGD) of one
 * sub-network alone, as JSON. Batches are random images; at least 3 steps and the given seconds are
 * timed after one to warm up. With --layers each operation of the device table is timed apart
 * instead, shape by shape, slowest first: where the time goes. */
#include "base/clock.h"
#include "tests/bench/layers.h"
#include "tests/bench/options.h"
#include "tests/bench/passes.h"
#include "trainer/spec/cost.h"
#include <stdio.h>

struct bench {
    struct bench_options options;
    struct subnet subnet;
    struct device *device;
    struct passes passes;
};

static void close_bench(struct bench *bench)
{
    passes_close(&bench->passes);
    device_close(&bench->device);
}

static enum err step(struct bench *bench)
{
    enum err err = ERR_OK;
    TRY(passes_train(&bench->passes, &bench->subnet));
    TRY(passes_update(&bench->passes));
out:
    return err;
}

static void print_rate(const struct bench *bench, const char *subnet, int steps, double seconds)
{
    const struct space *space = &bench->passes.space;
    struct cost cost = cost_of(space, &bench->subnet);
    double rate = steps * bench->passes.N / seconds;
    printf("{\"space\": \"%s\", \"subnet\": \"%s\", \"batch\": %d, \"threads\": %d, \"precision\": "
           "\"%s\", \"device\": \"%s\", \"steps\": %d, \"images_per_second\": %.1f, "
           "\"gflop_per_second\": %.1f}\n",
           space->name, subnet, bench->passes.N, bench->options.threads, bench->options.precision,
           bench->device->lineage, steps, rate, rate * 6e-9 * (double)cost.macs);
}

static enum err measure(struct bench *bench, const char *subnet)
{
    enum err err = ERR_OK;
    int steps = 0;
    TRY(step(bench));
    double start = clock_seconds(), spent = 0;
    while (steps < 3 || spent < bench->options.seconds) {
        TRY(step(bench));
        steps++;
        spent = clock_seconds() - start;
    }
    print_rate(bench, subnet, steps, spent);
out:
    return err;
}

/* The same steps with every operation of the table timed. */
static enum err measure_layers(struct bench *bench)
{
    enum { STEPS = 3 };
    enum err err = ERR_OK;
    TRY(step(bench));
    layers_begin(bench->device, NULL);
    for (int i = 0; i < STEPS; i++)
        TRY(step(bench));
    layers_end(bench->device, STEPS);
out:
    return err;
}

int main(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct bench bench = {
        .options = {.batch = 64, .threads = 2, .seconds = 2, .isa = "auto", .precision = "fp32"}};
    TRY(bench_options_read(argc, argv, " batch device threads seconds isa precision layers ",
                           &bench.options));
    if (bench.options.word_count != 2)
        TRY(err_set(ERR_USAGE,
                    "usage: bench_step SPACE SUBNET [--batch 64] [--device cpu] [--threads 2] "
                    "[--seconds 2] [--isa auto] [--precision fp32] [--layers]"));
    char **words = bench.options.words;
    TRY(passes_open_subnet(&bench.options, words[0], words[1], &bench.device, &bench.subnet,
                           &bench.passes));
    if (bench.options.has_layers)
        TRY(measure_layers(&bench));
    else
        TRY(measure(&bench, words[1]));
out:
    if (err != ERR_OK)
        fprintf(stderr, "bench_step: %s\n", err_text());
    close_bench(&bench);
    return err_exit_code(err);
}
