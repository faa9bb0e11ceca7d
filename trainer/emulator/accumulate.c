#include "trainer/emulator/accumulate.h"
#include "trainer/emulator/half.h"

static void fp32_scaled(float *restrict sums, const float *restrict w, float x, int n)
{
    for (int k = 0; k < n; k++)
        sums[k] += w[k] * x;
}

static void fp32_pairs(float *restrict sums, const float *restrict w, const float *restrict x,
                       int n)
{
    for (int k = 0; k < n; k++)
        sums[k] += w[k] * x[k];
}

static void fp32_plain(float *restrict sums, const float *restrict x, int n)
{
    for (int k = 0; k < n; k++)
        sums[k] += x[k];
}

static void fp16_scaled(float *restrict sums, const float *restrict w, float x, int n)
{
    for (int k = 0; k < n; k++)
        sums[k] = half_round(sums[k] + half_round(w[k] * x));
}

static void fp16_pairs(float *restrict sums, const float *restrict w, const float *restrict x,
                       int n)
{
    for (int k = 0; k < n; k++)
        sums[k] = half_round(sums[k] + half_round(w[k] * x[k]));
}

static void fp16_plain(float *restrict sums, const float *restrict x, int n)
{
    for (int k = 0; k < n; k++)
        sums[k] = half_round(sums[k] + x[k]);
}

const struct accumulate accumulate_fp32 = {fp32_scaled, fp32_pairs, fp32_plain};
const struct accumulate accumulate_fp16 = {fp16_scaled, fp16_pairs, fp16_plain};
