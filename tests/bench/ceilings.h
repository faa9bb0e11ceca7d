/* What this machine allows at most, measured on the spot with so many threads: each figure is the
 * best of several short runs, as anything that comes between makes a run slower and never faster.
 * One thread may call. */
#ifndef TESTS_BENCH_CEILINGS_H
#define TESTS_BENCH_CEILINGS_H

#include "kernels/device.h"

struct ceilings {
    enum isa isa;
    double fma;  /* lanes of fp32 multiply-adds a second: on x86-64-v2 of a product and a sum */
    double bf16; /* multiply-adds a second of VDPBF16PS; 0 where the machine has it not */
    bool has_bf16;
    double read, write;  /* bytes a second: sequential reads, streaming stores */
    size_t memory_bytes; /* that these ran over: twice the last cache, 256 MiB at least */
};

/* With the best instruction set of this machine, or a lower one. ERR_UNAVAILABLE: it is not there;
 * ERR_MEMORY. */
MUST_CHECK enum err ceilings_measure(int threads, enum isa isa, struct ceilings *ceilings);

#endif
