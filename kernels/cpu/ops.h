/* The prototypes of the operations for the instruction set this file is compiled for, in the order
 * of struct device_ops (kernels/device.h has their meaning). */
#ifndef KERNELS_CPU_OPS_H
#define KERNELS_CPU_OPS_H

#include "kernels/cpu/cpu.h"

extern const struct device_ops ISA_NAME(ops);

void ISA_NAME(stem_forward)(struct device *, const struct conv *, struct view x, const float *w,
                            float *z, double *sums);
void ISA_NAME(stem_backward)(struct device *, const struct conv *, const struct grad *dz,
                             struct view x, float *dw);
void ISA_NAME(pw_forward)(struct device *, const struct conv *, struct view x, const float *w,
                          float *z, double *sums);
void ISA_NAME(pw_backward)(struct device *, const struct conv *, const struct grad *dz,
                           struct view x, const float *w, const struct grad_sink *sink, float *dw);
void ISA_NAME(dw_forward)(struct device *, const struct conv *, struct view x, const float *w,
                          float *z, double *sums);
void ISA_NAME(dw_backward)(struct device *, const struct conv *, const struct grad *dz,
                           struct view x, const float *w, const struct grad_sink *sink, float *dw);
void ISA_NAME(residual_forward)(struct device *, struct dims, struct view x, struct view y,
                                float *sum);
void ISA_NAME(pool_forward)(struct device *, struct dims, struct view x, const float *mean,
                            float *pooled, double *pool_sums);
void ISA_NAME(pool_backward)(struct device *, struct dims, const float *dpooled,
                             const double *pool_sums, float *p, double *sums);
void ISA_NAME(se_forward)(struct device *, int N, const struct squeeze_excite *,
                          const float *pooled, float *hidden, float *gate);
void ISA_NAME(se_backward)(struct device *, struct dims, const struct squeeze_excite *,
                           const float *pooled, const float *hidden, const float *gate,
                           const double *gate_sums, const double *pool_sums, float *p, double *sums,
                           const struct squeeze_excite_grad *);
void ISA_NAME(linear_forward)(struct device *, const struct conv *, struct view x, const float *w,
                              const float *bias, float *y);
void ISA_NAME(linear_backward)(struct device *, const struct conv *, const float *dy, struct view x,
                               const float *w, float *dx, float *dw, float *dbias);
void ISA_NAME(norm_forward)(struct device *, int C, double count, const double *sums,
                            const float *gamma, const float *beta, float eps, struct norm);
void ISA_NAME(norm_fixed)(struct device *, int C, const float *mean, const float *variance,
                          const float *gamma, const float *beta, float eps, struct norm);
void ISA_NAME(norm_backward)(struct device *, int C, double count, const double *sums,
                             const float *gamma, struct norm, float *dgamma, float *dbeta, float *a,
                             float *b, float *c);
void ISA_NAME(kernel_forward)(struct device *, const struct kernel_matrices *, int R, float *w);
void ISA_NAME(kernel_backward)(struct device *, const struct kernel_matrices *, int R,
                               const float *dw, float *dw7, float *dm75, float *dm53);
void ISA_NAME(dropout_mask)(struct device *, int N, int C, float rate, uint64_t seed, uint64_t step,
                            uint64_t first, float *mask);
void ISA_NAME(loss_forward)(struct device *, const struct loss *, float *dlogits, double *loss_sum,
                            int64_t *correct);
void ISA_NAME(sgd_step)(struct device *, const struct sgd *);
void ISA_NAME(add)(struct device *, size_t count, const float *x, float *sum);
size_t ISA_NAME(find_nonfinite)(struct device *, size_t count, const float *x);

#endif
