/* What a training step is made of, on random images: passes of sub-networks of one supernet, the
 * teacher's forward, the update. Benchmarks time them on the CPU device; counted_device.h counts
 * them. One thread. */
#ifndef TESTS_BENCH_PASSES_H
#define TESTS_BENCH_PASSES_H

#include "tests/bench/options.h"
#include "trainer/supernet/supernet.h"

#define BENCH_CLASSES  1000
#define BENCH_CHANNELS 3

struct passes {
    struct space space;
    int N, resolution;
    struct device *device; /* borrowed */
    struct supernet *net;
    struct activation_arena *arena;
    void *images, *labels, *dlogits, *gradient, *momentum, *sums; /* device */
};

/* Of the space in this file, for N images of `resolution`. passes_close() whatever it returns.
 * Borrows device. ERR_CONFIG, ERR_MEMORY. */
MUST_CHECK enum err passes_open(const char *space_file, int N, int resolution,
                                struct device *device, struct passes *passes);
void passes_close(struct passes *passes);
/* The same for a sub-network with its resolution, as text, on a device of its own; the caller
 * closes both, whatever it returns. ERR_USAGE and device_open()'s errors, too. */
MUST_CHECK enum err passes_open_subnet(const struct bench_options *options, const char *space_file,
                                       const char *text, struct device **device,
                                       struct subnet *subnet, struct passes *passes);

/* Forward, loss and backward; the gradient is added. ERR_CONFIG: no sub-network of the space. */
MUST_CHECK enum err passes_train(struct passes *passes, const struct subnet *subnet);
/* The forward of a frozen full network, which keeps nothing. */
MUST_CHECK enum err passes_teach(struct passes *passes);
/* SGD over every weight. Waits for the device, whose errors it returns. */
MUST_CHECK enum err passes_update(struct passes *passes);

#endif
