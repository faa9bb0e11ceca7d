/* What a GPU allows at most, out of a file that says where its figures come from: in place of
 * ceilings_measure() where there is no such GPU. */
#ifndef TESTS_BENCH_GPU_CEILINGS_H
#define TESTS_BENCH_GPU_CEILINGS_H

#include "tests/bench/ceilings.h"

struct gpu_ceilings {
    char name[96], source[160];
    double fp32, bf16; /* TFLOP/s */
    double copy;       /* GB/s, read and written together */
};

/* ERR_CONFIG and yaml_open()'s errors. */
MUST_CHECK enum err gpu_ceilings_read(const char *file, struct gpu_ceilings *gpu);
/* The same as rates: one for reading and writing. */
struct ceilings gpu_ceilings_rates(const struct gpu_ceilings *gpu);

#endif
