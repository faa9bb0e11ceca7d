/* Random tensors, views, gradients and sinks for the convolution tests, all freed together. */
#ifndef TESTS_KERNELS_FIXTURE_DW_H
#define TESTS_KERNELS_FIXTURE_DW_H

#include "kernels/device.h"

struct fixture { /* owns everything made through it */
    void *all[256];
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
double *fixture_widen(struct fixture *fixture, const float *from, size_t count);

#endif
