/* What every kernel test shares: the whole group runs once for every instruction set this machine
 * has (each in a process of its own, because a GEMM library is pinned once per process), every
 * operation on devices of 1, 2 and 3 threads, and results are compared with both sides printed.
 * Groups about maps run for each precision too: in floats, with bf16 behind host_face.h, and
 * random numbers that bf16 holds. `test_x x86-64-v3 bf16` runs one of them in the foreground.
 *
 * Where the environment's GLOWWORM_TEST_DEVICE names another device than the CPU, a group runs on
 * that one instead, once for each precision, behind host_face.h, too. What says "1, 2 and 3
 * threads" is there, where a GPU is emulated, what may run in any order run forward, reversed and
 * shuffled. What only a CPU has is left out (check_is_host()). */
#ifndef TESTS_KERNELS_CHECK_H
#define TESTS_KERNELS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/device.h"

/* Body of main(): return check_main(argc, argv, run_group), where run_group() is
 * cmocka_run_group_tests(). */
int check_main(int argc, char **argv, int (*run_group)(void));
/* The same for a group about maps. */
int check_main_maps(int argc, char **argv, int (*run_group)(void));

enum { CHECK_THREADS = 3 }; /* devices of 1, 2, ... CHECK_THREADS threads */

/* A device of the process's instruction set. Returns owned (device_close). */
struct device *check_open(int threads);
bool check_is_host(void); /* the CPU device is what runs */
/* No operation so far held more activated scratch than 1 MB, and, on the CPU, some did where
 * has_some. */
void check_scratch(const struct device *device, bool has_some);

/* count floats of mean + deviation * normal(), a function of (seed, index), as the precision holds
 * them. Returns owned (free()). */
float *check_random(size_t count, uint64_t seed, double mean, double deviation);
/* count floats of `value`, NaN to show that an operation overwrites. Returns owned (free()). */
float *check_filled(size_t count, float value);
float *check_copy(const float *from, size_t count);
double *check_filled_double(size_t count, double value);

/* |got - want| <= tolerance * (the largest |want|, at least floor) for every element, else fails
 * with the first element of the largest difference. NaN never passes. */
/* A map's: half a step of bf16 more, where maps are bf16. */
void check_near_map(const char *what, const float *got, const double *want, size_t count,
                    double tolerance);
/* What rounds in between: `fp32`, or where maps are bf16 `bf16`. */
double check_tolerance(double fp32, double bf16);
/* Rounds values as operands of products are: to bf16 by way of fp32, where maps are bf16. */
void check_round_operands(double *values, size_t count);

void check_near(const char *what, const float *got, const double *want, size_t count,
                double tolerance);
void check_near_double(const char *what, const double *got, const double *want, size_t count,
                       double tolerance);
/* Bit for bit. */
void check_same(const char *what, const void *got, const void *want, size_t size_bytes);

#endif
