/* Depthwise and stem convolutions, views, gradients and sinks in plain double precision, straight
 * from the formulas of kernels/device.h: what the kernels are held to. Everything returned is owned
 * by the caller (free()). */
#ifndef TESTS_KERNELS_REFERENCE_DW_H
#define TESTS_KERNELS_REFERENCE_DW_H

#include "kernels/device.h"

size_t reference_count(struct dims map); /* N H W C */

double reference_act(enum act act, double x);
double reference_slope(enum act act, double x);

/* y = gate act(scale z + shift), (N,H,W,C) */
double *reference_view(struct dims map, const struct view *view);
/* dz = a (q s + p) act'(scale z + shift) + b z + c, (N,H,W,C) */
double *reference_grad(struct dims map, const struct grad *grad);

/* y (N,H,W,C) * w (R*R,ld) -> z (N,H',W',C) */
double *reference_dw_forward(const struct conv *conv, const double *y, const double *w);
/* dz (N,H',W',C) -> the gradient of y (N,H,W,C) */
double *reference_dw_input(const struct conv *conv, const double *dz, const double *w);
/* dz, y -> dw (R*R,ld), 0 behind C */
double *reference_dw_weights(const struct conv *conv, const double *dz, const double *y);

/* The same for the stem: w (R*R*C,ld). */
double *reference_stem_forward(const struct conv *conv, const double *y, const double *w);
double *reference_stem_weights(const struct conv *conv, const double *dz, const double *y);

/* sums (2,C): sum z, sum z^2 */
double *reference_sums(struct dims map, const double *z);
/* What a sink accumulates over its q: sums (2,C). */
double *reference_sink_sums(struct dims map, const struct grad_sink *sink, const double *q);
/* gate_sums (N,3,C). */
double *reference_sink_gate_sums(struct dims map, const struct grad_sink *sink, const double *q);

double *reference_widen(const float *from, size_t count);

#endif
