#include "tests/kernels/reference.h"
#include "tests/kernels/reference_dw.h"
#include <stdlib.h>

static double *zeros(size_t count)
{
    double *values = calloc(count ? count : 1, sizeof *values);
    if (!values)
        abort();
    return values;
}

/* Elements of a and b are found by two strides each. */
static double *multiply(const struct product *p, size_t a_row, size_t a_inner, size_t b_inner,
                        size_t b_column)
{
    double *c = zeros(p->rows * p->columns);
    for (size_t row = 0; row < p->rows; row++)
        for (size_t column = 0; column < p->columns; column++) {
            double sum = 0;
            for (size_t i = 0; i < p->inner; i++)
                sum += p->a[row * a_row + i * a_inner] * p->b[i * b_inner + column * b_column];
            c[row * p->columns + column] = sum;
        }
    return c;
}

double *reference_product(const struct product *p)
{
    return multiply(p, p->lda ? p->lda : p->inner, 1, p->ldb ? p->ldb : p->columns, 1);
}

double *reference_product_nt(const struct product *p)
{
    return multiply(p, p->lda ? p->lda : p->inner, 1, 1, p->ldb ? p->ldb : p->inner);
}

double *reference_product_tn(const struct product *p)
{
    return multiply(p, 1, p->lda ? p->lda : p->rows, p->ldb ? p->ldb : p->columns, 1);
}

static double normalised(const struct view *view, size_t i, size_t c)
{
    double scale = view->scale ? view->scale[c] : 1, shift = view->shift ? view->shift[c] : 0;
    return scale * (double)((const float *)view->z)[i] + shift;
}

double *reference_pool(struct dims map, const struct view *view)
{
    size_t C = (size_t)map.C, HW = (size_t)(map.H * map.W), count = reference_count(map);
    double *pooled = zeros((size_t)map.N * C);
    for (size_t i = 0; i < count; i++)
        pooled[i / (HW * C) * C + i % C] +=
            reference_act(view->act, normalised(view, i, i % C)) / (double)HW;
    return pooled;
}

double *reference_pool_sums(struct dims map, const struct view *view, const float *mean)
{
    size_t C = (size_t)map.C, HW = (size_t)(map.H * map.W), count = reference_count(map);
    double *sums = zeros((size_t)map.N * 2 * C);
    for (size_t i = 0; i < count; i++) {
        size_t c = i % C;
        double *row = sums + i / (HW * C) * 2 * C + c;
        double slope = reference_slope(view->act, normalised(view, i, c));
        row[0] += slope;
        row[C] += slope * ((double)((const float *)view->z)[i] - (mean ? (double)mean[c] : 0));
    }
    return sums;
}

double *reference_grad_sums(struct dims map, const struct grad *grad, const float *mean)
{
    size_t C = (size_t)map.C, count = reference_count(map);
    struct grad unnormed = *grad;
    unnormed.a = NULL; /* dz = g */
    double *g = reference_grad(map, &unnormed), *sums = zeros(2 * C);
    for (size_t i = 0; i < count; i++) {
        size_t c = i % C;
        sums[c] += g[i];
        sums[C + c] +=
            g[i] * ((double)((const float *)grad->of.z)[i] - (mean ? (double)mean[c] : 0));
    }
    free(g);
    return sums;
}

double reference_hard_sigmoid(double x)
{
    return x <= -3 ? 0 : x >= 3 ? 1 : (x + 3) / 6;
}
