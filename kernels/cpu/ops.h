/* The prototypes of the operations for the instruction set this file is compiled for, in the order
 * of struct device_ops (kernels/device.h has their meaning). */
#ifndef KERNELS_CPU_OPS_H
#define KERNELS_CPU_OPS_H

#include "kernels/cpu/cpu.h"

extern const struct device_ops MAP_NAME(ops);

void MAP_NAME(image_forward)(struct device *, const struct image_batch *, void *images);
void MAP_NAME(stem_forward)(struct device *, const struct conv *, struct view x, const void *w,
                            void *z, const struct norm_forward *norm);
void MAP_NAME(stem_backward)(struct device *, const struct conv *, const struct grad *dz,
                             struct view x, float *dw);
void MAP_NAME(pw_forward)(struct device *, const struct conv *, struct view x, const void *w,
                          void *z, const struct norm_forward *norm);
void MAP_NAME(pw_backward)(struct device *, const struct conv *, const struct grad *dz,
                           struct view x, const void *w, const struct grad_sink *sink, float *dw);
void MAP_NAME(dw_forward)(struct device *, const struct conv *, struct view x, const void *w,
                          void *z, const struct norm_forward *norm);
void MAP_NAME(dw_backward)(struct device *, const struct conv *, const struct grad *dz,
                           struct view x, const void *w, const struct grad_sink *sink, float *dw);
void MAP_NAME(residual_forward)(struct device *, struct dims, struct view x, struct view y,
                                void *sum);
void MAP_NAME(pool_forward)(struct device *, struct dims, struct view x, const float *mean,
                            float *pooled, double *pool_sums);
void MAP_NAME(pool_backward)(struct device *, struct dims, const struct pool_grad *);
void MAP_NAME(excite_forward)(struct device *, struct dims, const struct squeeze_excite *,
                              struct view x, const float *mean, const struct excitation *);
void ISA_NAME(excite_backward)(struct device *, struct dims, const struct squeeze_excite *,
                               const struct excitation *, const struct excitation_grad *);
void ISA_NAME(linear_forward)(struct device *, const struct conv *, struct view x, const float *w,
                              const float *bias, float *y);
void ISA_NAME(linear_backward)(struct device *, const struct conv *, const float *dy, struct view x,
                               const float *w, float *dx, float *dw, float *dbias);
void MAP_NAME(kernel_forward)(struct device *, int count, const struct kernel_transform *);
void MAP_NAME(kernel_backward)(struct device *, int count, const struct kernel_gradient *);
void ISA_NAME(dropout_mask)(struct device *, int N, int C, float rate, uint64_t seed, uint64_t step,
                            uint64_t first, float *mask);
void ISA_NAME(loss_forward)(struct device *, const struct loss *, float *dlogits);
void MAP_NAME(sgd_step)(struct device *, const struct sgd *);
void MAP_NAME(cast)(struct device *, size_t count, const float *w, void *to);
void ISA_NAME(fold)(struct device *, size_t count, float *x, float *sum);
void ISA_NAME(fold_doubles)(struct device *, size_t count, double *x, double *sum);
void ISA_NAME(find_nonfinite)(struct device *, size_t count, const float *x, struct flaw flaw);

/* What each needs for a shape (kernels/workload.h); those that are not here need nothing. Pure. */
struct cpu_need MAP_NAME(image_forward_need)(const struct work *work);
struct cpu_need MAP_NAME(stem_forward_need)(const struct work *work);
struct cpu_need MAP_NAME(stem_backward_need)(const struct work *work);
struct cpu_need MAP_NAME(pw_forward_need)(const struct work *work);
struct cpu_need MAP_NAME(pw_backward_need)(const struct work *work);
struct cpu_need MAP_NAME(dw_forward_need)(const struct work *work);
struct cpu_need MAP_NAME(dw_backward_need)(const struct work *work);
struct cpu_need MAP_NAME(residual_forward_need)(const struct work *work);
struct cpu_need MAP_NAME(pool_forward_need)(const struct work *work);
struct cpu_need MAP_NAME(excite_forward_need)(const struct work *work);
struct cpu_need ISA_NAME(gate_forward_need)(const struct work *work);
struct cpu_need ISA_NAME(excite_backward_need)(const struct work *work);
struct cpu_need ISA_NAME(linear_need)(const struct work *work); /* forward and backward */
struct cpu_need MAP_NAME(kernel_need)(const struct work *work); /* forward and backward */
struct cpu_need ISA_NAME(loss_forward_need)(const struct work *work);
struct cpu_need ISA_NAME(find_nonfinite_need)(const struct work *work);

/* What the operations above end with. The groups' partial sums (groups,2,C) are added up in order,
 * and the batch norm behind them is finished. */
void ISA_NAME(norm_finish)(const struct conv *conv, int groups, const double *partial,
                           const struct norm_forward *norm);
void ISA_NAME(sink_finish)(const struct conv *conv, int groups, const double *partial,
                           const struct grad_sink *sink);
/* Behind excite_forward's pool: hidden and gate. */
void ISA_NAME(gate_forward)(struct device *device, struct dims dims,
                            const struct squeeze_excite *se, const struct excitation *out);
void ISA_NAME(norm_backward)(int C, double count, const double *sums,
                             const struct norm_backward *norm);

#endif
