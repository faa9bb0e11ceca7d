/* The command line of bench_step, bench_train and bench_floor: words in front, named options. */
#ifndef TESTS_BENCH_OPTIONS_H
#define TESTS_BENCH_OPTIONS_H

#include "kernels/device.h"

struct bench_options { /* what was not said is as the caller had it */
    int batch;         /* images of a pass */
    int global, micro; /* images of a step, and of one of its leaves */
    int threads;
    double seconds;        /* to measure for */
    const char *isa;       /* as isa_parse() reads it */
    const char *precision; /* as precision_parse() reads it */
    const char *phase;     /* a row of the schedule "ofa" */
    const char *device;    /* as device_open() takes it; of bench_floor a file (gpu_ceilings.h).
                              NULL: the CPU, this machine */
    bool has_layers, has_teacher, has_json;
    bool is_fixed; /* the same sub-networks in every step */
    char **words;
    int word_count;
};

/* known: the names of the options that this program has, each between blanks. ERR_USAGE. */
MUST_CHECK enum err bench_options_read(int argc, char **argv, const char *known,
                                       struct bench_options *options);
/* The device that they ask for. ERR_USAGE. */
MUST_CHECK enum err bench_options_device(const struct bench_options *options,
                                         struct device_cfg *cfg);

#endif
