/* Which library should kernels/cpu/gemm.c call? Times one thread of oneDNN and of OpenBLAS on the
 * tile products of mbv3's biggest sub-network (64 images of 32 and of 128 pixels): forward
 * (z = x w^T), data gradient (dx = dz w) and weight gradient (dw += dz^T x). Both libraries are
 * loaded by name, so that neither needs to be installed for the build. Run with OMP_NUM_THREADS=1.
 * usage: gemm_choice [rows of a tile, default 128] */
#include "base/clock.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

typedef int dnnl_sgemm_call(char transa, char transb, long M, long N, long K, float alpha,
                            const float *A, long lda, const float *B, long ldb, float beta,
                            float *C, long ldc);
typedef void cblas_sgemm_call(int order, int transa, int transb, int M, int N, int K, float alpha,
                              const float *A, int lda, const float *B, int ldb, float beta,
                              float *C, int ldc);

static dnnl_sgemm_call *dnnl_sgemm;
static cblas_sgemm_call *cblas_sgemm;

enum kind { FORWARD, DATA, WEIGHT };

struct product { /* row-major m x n += over k */
    enum kind kind;
    int rows, C, K;
    const float *x, *w;
    float *z, *dw;
};

static void by_dnnl(const struct product *p, int m)
{
    if (p->kind == FORWARD)
        dnnl_sgemm('N', 'T', m, p->K, p->C, 1, p->x, p->C, p->w, p->C, 0, p->z, p->K);
    else if (p->kind == DATA)
        dnnl_sgemm('N', 'N', m, p->C, p->K, 1, p->z, p->K, p->w, p->C, 0, (float *)p->x, p->C);
    else
        dnnl_sgemm('T', 'N', p->K, p->C, m, 1, p->z, p->K, p->x, p->C, 1, p->dw, p->C);
}

static void by_openblas(const struct product *p, int m)
{
    enum { ROW = 101, NO = 111, YES = 112 };
    if (p->kind == FORWARD)
        cblas_sgemm(ROW, NO, YES, m, p->K, p->C, 1, p->x, p->C, p->w, p->C, 0, p->z, p->K);
    else if (p->kind == DATA)
        cblas_sgemm(ROW, NO, NO, m, p->C, p->K, 1, p->z, p->K, p->w, p->C, 0, (float *)p->x, p->C);
    else
        cblas_sgemm(ROW, YES, NO, p->K, p->C, m, 1, p->z, p->K, p->x, p->C, 1, p->dw, p->C);
}

/* Median of 7 passes over all tiles, GFLOP/s. */
static double rate(const struct product *p, long M, void (*call)(const struct product *, int))
{
    double seconds[7];
    for (int pass = -1; pass < 7; pass++) {
        double start = clock_seconds();
        for (long row = 0; row < M; row += p->rows)
            call(p, (int)(M - row < p->rows ? M - row : p->rows));
        if (pass >= 0)
            seconds[pass] = clock_seconds() - start;
    }
    for (int i = 1; i < 7; i++) { /* insertion sort */
        for (int j = i; j > 0 && seconds[j] < seconds[j - 1]; j--) {
            double swap = seconds[j];
            seconds[j] = seconds[j - 1];
            seconds[j - 1] = swap;
        }
    }
    return 2e-9 * (double)M * p->C * p->K / seconds[3];
}

static float *filled(size_t count)
{
    float *values = malloc(count * sizeof *values);
    if (!values)
        abort();
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(i % 17) * 0.01f;
    return values;
}

static void print_layer(int side, int C, int K, int rows, double total[2])
{
    static const char *const names[] = {"forward", "data", "weight"};
    long M = 64L * side * side;
    struct product p = {.rows = rows, .C = C, .K = K};
    p.x = filled((size_t)rows * (size_t)C);
    p.z = filled((size_t)rows * (size_t)K);
    p.w = filled((size_t)K * (size_t)C);
    p.dw = filled((size_t)K * (size_t)C);
    printf("%4d -> %4d at %2d x %2d", C, K, side, side);
    for (int kind = FORWARD; kind <= WEIGHT; kind++) {
        p.kind = (enum kind)kind;
        double dnnl = rate(&p, M, by_dnnl), openblas = rate(&p, M, by_openblas);
        printf("  %s %6.1f %6.1f", names[kind], dnnl, openblas);
        total[0] += 2e-6 * (double)M * C * K / dnnl;
        total[1] += 2e-6 * (double)M * C * K / openblas;
    }
    printf("\n");
    free((void *)p.x);
    free((void *)p.w);
    free(p.z);
    free(p.dw);
}

static void *entry(const char *library, const char *name)
{
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    void *symbol = handle ? dlsym(handle, name) : NULL;
    if (!symbol) {
        fprintf(stderr, "%s: %s\n", library, dlerror());
        exit(1);
    }
    return symbol;
}

int main(int argc, char **argv)
{
    /* side at 128 px, C, K, how often: every 1x1 convolution of the biggest sub-network */
    static const int layers[][4] = {
        {64, 16, 16, 1},  {64, 16, 96, 1},  {32, 96, 24, 1},  {32, 24, 144, 4}, {32, 144, 24, 3},
        {16, 144, 40, 1}, {16, 40, 240, 4}, {16, 240, 40, 3}, {8, 240, 80, 1},  {8, 80, 480, 4},
        {8, 480, 80, 3},  {8, 480, 112, 1}, {8, 112, 672, 4}, {8, 672, 112, 3}, {4, 672, 160, 1},
        {4, 160, 960, 4}, {4, 960, 160, 3}};
    int rows = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 128;
    *(void **)&dnnl_sgemm = entry("libdnnl.so.2", "dnnl_sgemm");
    *(void **)&cblas_sgemm = entry("libopenblas.so.0", "cblas_sgemm");
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int divide = 1; divide <= 4; divide += 3) {
        double total[2] = {0, 0};
        printf("%d px, tiles of %d rows, GFLOP/s of one thread: oneDNN, OpenBLAS\n", 128 / divide,
               rows);
        for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
            double one[2] = {0, 0};
            print_layer(layers[i][0] / divide, layers[i][1], layers[i][2], rows, one);
            total[0] += one[0] * layers[i][3];
            total[1] += one[1] * layers[i][3];
        }
        printf("all layers, one step: oneDNN %.1f ms, OpenBLAS %.1f ms\n", total[0], total[1]);
    }
    return 0;
}
