/* A device's table of operations with a stopwatch around each: exchanged for the device's own
 * between layers_begin and layers_end. One device at a time. */
#ifndef TESTS_BENCH_LAYERS_H
#define TESTS_BENCH_LAYERS_H

#include "kernels/device.h"

/* ended: told of each operation behind it; or NULL. */
void layers_begin(struct device *device, void (*ended)(const char *name, double seconds));
/* Prints what was timed since, divided by `steps`, slowest first, and puts the table back. */
void layers_end(struct device *device, int steps);

#endif
