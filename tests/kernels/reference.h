/* Matrix products, squeeze-excite, pools and norms in plain double precision, from the formulas of
 * kernels/device.h. Everything returned is owned by the caller (free()). */
#ifndef TESTS_KERNELS_REFERENCE_H
#define TESTS_KERNELS_REFERENCE_H

#include "kernels/device.h"

struct product { /* of row-major matrices; ld 0: dense */
    size_t rows, columns, inner;
    const double *a;
    const double *b;
    size_t lda, ldb;
};

/* a (rows,inner) b (inner,columns); a b^T with b (columns,inner); a^T b with a (inner,rows). */
double *reference_product(const struct product *product);
double *reference_product_nt(const struct product *product);
double *reference_product_tn(const struct product *product);

/* Mean over H, W of act(scale z + shift), (N,C), without the gate. */
double *reference_pool(struct dims map, const struct view *view);
/* (N,2,C): sum act', sum act' (z - mean). */
double *reference_pool_sums(struct dims map, const struct view *view, const float *mean);

/* sums (2,C) of a gradient g = (q s + p) act': sum g, sum g (z - mean). */
double *reference_grad_sums(struct dims map, const struct grad *grad, const float *mean);

double reference_hard_sigmoid(double x);

#endif
