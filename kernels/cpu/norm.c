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

/* Mean and variance of channel c from the batch's sums. */
static void norm_measure(int c, int C, double count, const struct norm_forward *op)
{
    double mean = op->sums[c] / count, variance = op->sums[C + c] / count - mean * mean;
    if (!isfinite(op->sums[c]) || !isfinite(op->sums[C + c]))
        cpu_note_flaw(&op->flaw, (uint64_t)c);
    if (op->total) {
        op->total[c] += op->sums[c];
        op->total_square[c] += op->sums[C + c];
    }
    if (variance < 0) /* rounding; NaN stays NaN */
        variance = 0;
    if (op->gamma)
        norm_set(c, mean, variance, (double)op->gamma[c], (double)op->beta[c], (double)op->eps,
                 &op->norm);
}

void ISA_NAME(norm_finish)(const struct conv *conv, int groups, const double *partial,
                           const struct norm_forward *norm)
{
    int C = conv->K;
    if (!norm)
        return;
    if (norm->kind == NORM_BATCH) {
        cpu_add_partial_sums(groups, 2 * (size_t)C, partial, norm->sums);
        for (int c = 0; c < C; c++)
            norm_measure(c, C, dims_pixels(conv_out(conv)), norm);
        return;
    }
    for (int c = 0; c < C; c++)
        norm_set(c, (double)norm->mean[c], (double)norm->variance[c], (double)norm->gamma[c],
                 (double)norm->beta[c], (double)norm->eps, &norm->norm);
}

/* With r the inverse deviation, S = sum g, T = sum g (z - mean) and n = count:
 * dz = gamma r (g - S / n - (z - mean) r^2 T / n). */
void ISA_NAME(norm_backward)(int C, double count, const double *sums,
                             const struct norm_backward *op)
{
    for (int c = 0; c < C; c++) {
        double r = (double)op->norm.inverse_deviation[c], scale = (double)op->gamma[c] * r;
        double slope = -scale * r * r * sums[C + c] / count;
        op->dbeta[c] += (float)sums[c];
        op->dgamma[c] += (float)(sums[C + c] * r);
        op->a[c] = (float)scale;
        op->b[c] = (float)slope;
        op->c[c] = (float)(-scale * sums[c] / count - (double)op->b[c] * (double)op->norm.mean[c]);
    }
}

void ISA_NAME(sink_finish)(const struct conv *conv, int groups, const double *partial,
                           const struct grad_sink *sink)
{
    int C = conv->in.C;
    if (!sink || !sink->sums)
        return;
    cpu_add_partial_sums(groups, 2 * (size_t)C, partial, sink->sums);
    if (sink->norm)
        ISA_NAME(norm_backward)(C, dims_pixels(conv->in), sink->sums, sink->norm);
}
