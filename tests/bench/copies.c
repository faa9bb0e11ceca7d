/* bench_copies [--device cpu] [--threads 2] [--seconds 1]: what a device's memory gives at best, as
 * JSON: GB/s read and written together by `copy` of 256 MB, and the microseconds that a call costs
 * when nothing is to be done, of many in a row. What operations reach is held against both. */
#include "base/clock.h"
#include "tests/bench/options.h"
#include <stdio.h>

enum { COPY_BYTES = 256 << 20, CALLS = 1000 };

/* Seconds of a round, the best of those that fit. */
static enum err measure(struct device *device, const void *from, void *to, size_t bytes, int calls,
                        double most_seconds, double *best_s)
{
    enum err err = ERR_OK;
    double end = clock_seconds() + most_seconds;
    *best_s = 1e30;
    for (int round = 0; round < 3 || clock_seconds() < end; round++) {
        TRY(device->ops->sync(device));
        double start = clock_seconds();
        for (int i = 0; i < calls; i++)
            device->ops->copy(device, bytes, from, to);
        TRY(device->ops->sync(device));
        double seconds = clock_seconds() - start;
        *best_s = seconds < *best_s ? seconds : *best_s;
    }
out:
    return err;
}

static enum err run(const struct bench_options *options, struct device *device)
{
    enum err err = ERR_OK;
    void *from = NULL, *to = NULL;
    double large_s = 0, small_s = 0;
    TRY(device->ops->alloc(device, COPY_BYTES, &from));
    TRY(device->ops->alloc(device, COPY_BYTES, &to));
    TRY(measure(device, from, to, COPY_BYTES, 4, options->seconds, &large_s));
    TRY(measure(device, from, to, 64, CALLS, options->seconds, &small_s));
    printf("{\"device\": \"%s\", \"copy_gb_per_second\": %.1f, \"call_us\": %.2f}\n",
           device->lineage, 4 * 2.0 * COPY_BYTES / large_s / 1e9, small_s / CALLS * 1e6);
out:
    device->ops->free(device, from);
    device->ops->free(device, to);
    return err;
}

int main(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct device *device = NULL;
    struct device_cfg cfg;
    struct bench_options options = {.threads = 2, .seconds = 1, .isa = "auto", .precision = "fp32"};
    TRY(bench_options_read(argc, argv, " device threads seconds ", &options));
    if (options.word_count != 0)
        TRY(err_set(ERR_USAGE, "usage: bench_copies [--device cpu] [--threads 2] [--seconds 1]"));
    TRY(bench_options_device(&options, &cfg));
    TRY(device_open(&cfg, &device));
    TRY(run(&options, device));
out:
    if (err != ERR_OK)
        fprintf(stderr, "bench_copies: %s\n", err_text());
    device_close(&device);
    return err_exit_code(err);
}
