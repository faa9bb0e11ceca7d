/* What the tests of operations are made of: shapes, random tensors, views, gradients and sinks (all
 * freed together), and one call of a 1x1 (R = 1) or depthwise convolution on a device of its own.
 */
#ifndef TESTS_KERNELS_FIXTURE_H
#define TESTS_KERNELS_FIXTURE_H

#include "kernels/device.h"

struct fixture { /* owns everything made through it */
    void *all[512];
    int count;
    uint64_t seed; /* raised with every draw */
};

void fixture_fini(struct fixture *fixture);
void *fixture_keep(struct fixture *fixture, void *memory); /* takes */

float *fixture_random(struct fixture *fixture, size_t count, double mean, double deviation);

/* A raw map with this mean and deviation 1, normalised to mean 0; gated or not. */
struct view fixture_view(struct fixture *fixture, struct dims map, enum act act, double mean,
                         bool is_gated);

enum { GRAD_HAS_Q = 1, GRAD_HAS_P = 2, GRAD_HAS_NORM = 4, GRAD_HAS_GATE = 8 };
struct grad fixture_grad(struct fixture *fixture, struct dims map, enum act act, int parts);

/* (rows,ld) weights; the columns behind C are NaN: nobody may read them. */
float *fixture_weights(struct fixture *fixture, int rows, int C, int ld);
size_t fixture_weight_count(const struct conv *conv); /* (K,ld) of a 1x1, (R*R,ld) of a depthwise */
double *fixture_widen(struct fixture *fixture, const float *from, size_t count);

/* Calls test for every depthwise kernel, stride and map, with channels and prefix in turn. */
void fixture_each_shape(void (*test)(const struct conv *conv, int number));
/* And for a few with more images, or columns, than a block of a GPU takes at once. */
void fixture_each_long_shape(void (*test)(const struct conv *conv, int number));
enum act fixture_act(int number); /* every activation in turn */
/* What a failure says; borrowed until the next call. */
const char *fixture_title(const struct conv *conv, const char *what, int threads);

struct forward_result {
    float *z;
    double *sums;
};

/* Checks what the call counts as traffic, too. */
struct forward_result fixture_forward(struct fixture *fixture, const struct conv *conv,
                                      struct view x, const float *w, int threads);

enum adding { ADD_NOTHING, ADD_MAP, ADD_IN_PLACE, ADDINGS };
enum summing { SUM_NOTHING, SUM_CHANNELS, SUM_GATES, SUMMINGS };

struct backward { /* one call and what it should give */
    const struct conv *conv;
    struct grad dz;
    struct view x;
    const float *w, *dw_before;
    struct grad_sink sink; /* q, sums and gate_sums are filled per run */
    enum adding adding;
    enum summing summing;
    double *q, *dw;
};

struct backward_result {
    float *q, *dw;
    double *sums, *gate_sums;
    double *want_sums, *want_gate_sums; /* of this q */
};

/* Of a depthwise: fills everything but conv, x, adding and summing; `parts` as fixture_grad. */
void fixture_backward_init(struct fixture *fixture, struct backward *back, int parts);
/* Checks what the call counts as traffic, too. */
struct backward_result fixture_backward(struct fixture *fixture, const struct backward *back,
                                        int threads);

/* L = sum (q s + p) act(scale z + shift) over z = forward(y, w), in double; with a = scale and
 * b = c = 0 the gradient of z is that of L. */
struct objective {
    const struct conv *conv;
    const struct grad *grad;
    double *y, *w;
    double *(*forward)(const struct conv *conv, const double *y, const double *w); /* owned */
};

/* Fails unless `got` is dL/d*at by central differences, within 2e-4 of the largest such gradient,
 * 1e-2 where it was rounded to bf16. */
void fixture_check_slope(const struct objective *objective, const char *what, double *at,
                         double got, double largest);
double fixture_largest(const float *values, size_t count); /* of their magnitudes */

#endif
