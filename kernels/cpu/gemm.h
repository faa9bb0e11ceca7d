/* Matrix products of row-major tiles, one thread each: the jail of the GEMM library (oneDNN;
 * tests/bench/gemm_choice.c has the comparison with OpenBLAS). The same call gives the same bits
 * whatever thread makes it and however its operands are aligned. */
#ifndef KERNELS_CPU_GEMM_H
#define KERNELS_CPU_GEMM_H

#include "kernels/device.h"

struct gemm { /* c (m,n) = sum over k, or += */
    int m, n, k;
    const float *a;
    int lda;
    const float *b;
    int ldb;
    float *c;
    int ldc;
    bool accumulates; /* c += instead of c = */
};

void gemm_nn(const struct gemm *gemm); /* a (m,k), b (k,n) */
void gemm_nt(const struct gemm *gemm); /* a (m,k), b (n,k) */
void gemm_tn(const struct gemm *gemm); /* a (k,m), b (k,n) */

/* Pins the library to the instruction set, once per process. ERR_UNAVAILABLE when it is already
 * pinned to another one. */
MUST_CHECK enum err gemm_open(enum isa isa);
/* Library and version, as lineage records it. */
void gemm_lineage(char *text, size_t size_bytes);

#endif
