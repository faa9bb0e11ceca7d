#include "kernels/cpu/ops.h"
#include <math.h>

/* The shift is made with the scale as it was rounded, so that scale z + shift is exact about the
 * mean however large that is. */
static void norm_set(int c, double mean, double variance, double gamma, double beta, double eps,
                     const struct norm *norm)
{
    double inverse_deviation = 1 / sqrt(variance + eps);
    float scale = (float)(gamma * inverse_deviation);
    norm->scale[c] = scale;
    norm->shift[c] = (float)(beta - mean * (double)scale);
    norm->mean[c] = (float)mean;
    norm->inverse_deviation[c] = (float)inverse_deviation;
}

void ISA_NAME(norm_forward)(struct device *device, int C, double count, const double *sums,
                            const float *gamma, const float *beta, float eps, struct norm norm)
{
    (void)device;
    for (int c = 0; c < C; c++) {
        double mean = sums[c] / count, variance = sums[C + c] / count - mean * mean;
        if (variance < 0) /* rounding; NaN stays NaN */
            variance = 0;
        norm_set(c, mean, variance, (double)gamma[c], (double)beta[c], (double)eps, &norm);
    }
}

void ISA_NAME(norm_fixed)(struct device *device, int C, const float *mean, const float *variance,
                          const float *gamma, const float *beta, float eps, struct norm norm)
{
    (void)device;
    for (int c = 0; c < C; c++)
        norm_set(c, (double)mean[c], (double)variance[c], (double)gamma[c], (double)beta[c],
                 (double)eps, &norm);
}

/* With r the inverse deviation, S = sum g, T = sum g (z - mean) and n = count:
 * dz = gamma r (g - S / n - (z - mean) r^2 T / n). */
void ISA_NAME(norm_backward)(struct device *device, int C, double count, const double *sums,
                             const float *gamma, struct norm norm, float *dgamma, float *dbeta,
                             float *a, float *b, float *c)
{
    (void)device;
    for (int i = 0; i < C; i++) {
        double r = (double)norm.inverse_deviation[i], scale = (double)gamma[i] * r;
        double slope = -scale * r * r * sums[C + i] / count;
        dbeta[i] += (float)sums[i];
        dgamma[i] += (float)(sums[C + i] * r);
        a[i] = (float)scale;
        b[i] = (float)slope;
        c[i] = (float)(-scale * sums[i] / count - (double)b[i] * (double)norm.mean[i]);
    }
}
