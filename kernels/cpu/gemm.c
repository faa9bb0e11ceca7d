#include "kernels/cpu/gemm.h"
#include <dnnl.h>
#include <stdio.h>

/* libgomp's, which Debian's oneDNN runs on; <omp.h> would ask for the compiler's OpenMP mode. */
void omp_set_num_threads(int threads);

static void product(char trans_a, char trans_b, const struct gemm *g)
{
    omp_set_num_threads(1); /* OpenMP keeps this per thread, and any thread may be here */
    dnnl_status_t status = dnnl_sgemm(trans_a, trans_b, g->m, g->n, g->k, 1.0f, g->a, g->lda, g->b,
                                      g->ldb, g->accumulates ? 1.0f : 0.0f, g->c, g->ldc);
    if (status != dnnl_success)
        BUG("oneDNN refuses a product of %d x %d x %d with leading dimensions %d %d %d: status %d",
            g->m, g->n, g->k, g->lda, g->ldb, g->ldc, (int)status);
}

void gemm_nn(const struct gemm *gemm)
{
    product('N', 'N', gemm);
}

void gemm_nt(const struct gemm *gemm)
{
    product('N', 'T', gemm);
}

void gemm_tn(const struct gemm *gemm)
{
    product('T', 'N', gemm);
}

enum err gemm_open(enum isa isa)
{
    dnnl_cpu_isa_t wanted = isa >= ISA_V4   ? dnnl_cpu_isa_avx512_core
                            : isa == ISA_V3 ? dnnl_cpu_isa_avx2
                                            : dnnl_cpu_isa_sse41;
    /* Refused after the first product; what counts is what holds now. */
    dnnl_set_max_cpu_isa(wanted);
    if (dnnl_get_effective_cpu_isa() != wanted)
        return err_set(ERR_UNAVAILABLE,
                       "oneDNN is pinned to another instruction set in this process; a process has "
                       "CPU devices of one isa only");
    return ERR_OK;
}

void gemm_lineage(char *text, size_t size_bytes)
{
    const dnnl_version_t *version = dnnl_version();
    snprintf(text, size_bytes, "oneDNN %d.%d.%d", version->major, version->minor, version->patch);
}
