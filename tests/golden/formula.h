/* The formula behind the golden files: the value of an element from its tensor's name (README
 * beside the data). */
#ifndef TESTS_GOLDEN_FORMULA_H
#define TESTS_GOLDEN_FORMULA_H

#include "trainer/supernet/supernet.h"

/* u in [-1, 1] of element i. */
double formula_unit(const char *name, uint64_t seed, size_t i);
/* All tensors of the net, running statistics too; sets has_statistics. */
void formula_fill(struct supernet *net, uint64_t seed);
/* (N,R,R,3) from the formula's (N,3,R,R). */
void formula_images(uint64_t seed, int N, int resolution, float *images);

#endif
