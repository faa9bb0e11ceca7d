#include "base/rng.h"
#include "kernels/cpu/ops.h"

struct dropout {
    int C;
    float rate;
    uint64_t seed, step, first;
    float *mask;
};

static void dropout_job(void *context, int n, int thread)
{
    const struct dropout *op = context;
    uint64_t row = (uint64_t)n * (uint64_t)op->C;
    (void)thread;
    for (int c = 0; c < op->C; c++) {
        uint64_t index = row + (uint64_t)c;
        double draw = rng_unit(rng(op->seed, RNG_DROPOUT, 0, op->step, op->first + index));
        op->mask[index] = draw < (double)op->rate ? 0 : 1 / (1 - op->rate);
    }
}

void ISA_NAME(dropout_mask)(struct device *device, int N, int C, float rate, uint64_t seed,
                            uint64_t step, uint64_t first, float *mask)
{
    struct dropout op = {C, rate, seed, step, first, mask};
    cpu_run(device, N, dropout_job, &op);
}
