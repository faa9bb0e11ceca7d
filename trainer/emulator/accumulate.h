/* The inner loops of a convolution in the camera's arithmetic: products added to sums, one after
 * the other. On processors with F16C the rounding is theirs; the bits are the same. Pure. */
#ifndef TRAINER_EMULATOR_ACCUMULATE_H
#define TRAINER_EMULATOR_ACCUMULATE_H

#include <stdbool.h>

struct accumulate { /* sums (n), w (n) */
    /* sums[k] += w[k] x */
    void (*scaled)(float *sums, const float *w, float x, int n);
    /* sums[k] += w[k] x[k] */
    void (*pairs)(float *sums, const float *w, const float *x, int n);
    /* sums[k] = sums[k] + x[k] */
    void (*plain)(float *sums, const float *x, int n);
};

/* Products and sums in fp32. Of numbers that are binary16 the products are exact. */
extern const struct accumulate accumulate_fp32;
/* Each product and each sum rounded to binary16. */
extern const struct accumulate accumulate_fp16;
/* The same by F16C; only where accumulate_has_f16c(). */
extern const struct accumulate accumulate_fp16_f16c;
bool accumulate_has_f16c(void);

#endif
