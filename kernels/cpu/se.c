#include "kernels/cpu/divide.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/ops.h"
#include "kernels/cpu/vec.h"
#include <string.h>

/* Squeeze-excite is four small products of N rows; jobs are blocks of their columns. */
enum { BLOCK = 48 };

struct se {
    const struct squeeze_excite *se;
    int N, HW;
    const float *pooled, *hidden, *gate;
    float *active;                       /* (N,Cr) relu(hidden) */
    float *out_hidden;                   /* forward */
    float *out_gate;                     /* forward */
    const double *gate_sums, *pool_sums; /* backward, as the rest */
    float *dexpand;                      /* (N,C) gradient before the hard sigmoid */
    float *dhidden;                      /* (N,Cr) gradient before ReLU */
    float *p;
    double *sums;
    struct squeeze_excite_grad grad;
    int Cr_jobs;
};

/* y[:, c0..c1) = x w^T + bias: x (N,C), w (K,ld), y (N,K). */
static void multiply(int N, const float *x, int C, const float *w, int ld, float *y, int K, int k0,
                     int k1)
{
    struct gemm gemm = {.m = N, .n = k1 - k0, .k = C, .a = x, .lda = C, .ldb = ld, .ldc = K};
    gemm.b = w + (size_t)k0 * (size_t)ld;
    gemm.c = y + k0;
    gemm_nt(&gemm);
}

static void reduce_job(void *context, int i, int thread)
{
    const struct se *op = context;
    const struct squeeze_excite *se = op->se;
    int c0 = i * BLOCK, c1 = block_end(i, BLOCK, se->Cr);
    (void)thread;
    multiply(op->N, op->pooled, se->C, se->reduce_w, se->ld_reduce, op->out_hidden, se->Cr, c0, c1);
    for (int n = 0; n < op->N; n++) {
        float *hidden = op->out_hidden + (size_t)n * (size_t)se->Cr;
        float *active = op->active + (size_t)n * (size_t)se->Cr;
        for (int c = c0; c < c1; c++) {
            hidden[c] += se->reduce_b[c];
            active[c] = hidden[c] > 0 ? hidden[c] : hidden[c] * 0; /* NaN stays NaN */
        }
    }
}

static float hard_sigmoid(float x)
{
    float moved = x + 3;
    if (moved <= 0)
        return 0;
    return moved >= 6 ? 1 : moved * (1.0f / 6);
}

static void expand_job(void *context, int i, int thread)
{
    const struct se *op = context;
    const struct squeeze_excite *se = op->se;
    int c0 = i * BLOCK, c1 = block_end(i, BLOCK, se->C);
    (void)thread;
    multiply(op->N, op->active, se->Cr, se->expand_w, se->ld_expand, op->out_gate, se->C, c0, c1);
    for (int n = 0; n < op->N; n++) {
        float *gate = op->out_gate + (size_t)n * (size_t)se->C;
        for (int c = c0; c < c1; c++)
            gate[c] = hard_sigmoid(gate[c] + se->expand_b[c]);
    }
}

static struct work work_of(enum work_kind kind, struct dims dims, const struct squeeze_excite *se)
{
    return (struct work){.kind = kind, .conv = {.in = dims}, .Cr = se->Cr};
}

/* Bytes of (N,Cr) floats. */
static size_t hidden_bytes(const struct work *work)
{
    return (size_t)work->conv.in.N * (size_t)work->Cr * sizeof(float);
}

static size_t wide_bytes(const struct work *work)
{
    return (size_t)work->conv.in.N * (size_t)work->conv.in.C * sizeof(float);
}

struct cpu_need ISA_NAME(gate_forward_need)(const struct work *work)
{
    return (struct cpu_need){.shared_bytes = hidden_bytes(work)};
}

void ISA_NAME(gate_forward)(struct device *device, struct dims dims,
                            const struct squeeze_excite *se, const struct excitation *out)
{
    struct se op = {.se = se,
                    .N = dims.N,
                    .pooled = out->pooled,
                    .out_hidden = out->hidden,
                    .out_gate = out->gate};
    struct work work = work_of(WORK_EXCITE_FORWARD, dims, se);
    struct cpu_need need = ISA_NAME(gate_forward_need)(&work);
    if (!cpu_reserve(device, &work, &need))
        return;
    op.active = cpu_shared(device);
    cpu_run(device, divide_up(se->Cr, BLOCK), reduce_job, &op);
    cpu_run(device, divide_up(se->C, BLOCK), expand_job, &op);
}

/* dexpand = d loss / d (expand's output): sum q y over the map is the gate's own gradient, the hard
 * sigmoid's slope is 1/6 inside. */
static void open_job(void *context, int n, int thread)
{
    const struct se *op = context;
    size_t C = (size_t)op->se->C, Cr = (size_t)op->se->Cr;
    const double *dgate = op->gate_sums + (size_t)n * 3 * C;
    const float *gate = op->gate + (size_t)n * C, *hidden = op->hidden + (size_t)n * Cr;
    (void)thread;
    for (size_t c = 0; c < C; c++)
        op->dexpand[(size_t)n * C + c] =
            gate[c] > 0 && gate[c] < 1 ? (float)(dgate[c] * (1.0 / 6)) : 0;
    for (size_t c = 0; c < Cr; c++)
        op->active[(size_t)n * Cr + c] = hidden[c] > 0 ? hidden[c] : 0;
}

static void add_bias_gradient(int N, int columns, const float *dy, int c0, int c1, float *dbias)
{
    for (int c = c0; c < c1; c++) {
        double sum = 0;
        for (int n = 0; n < N; n++)
            sum += (double)dy[(size_t)n * (size_t)columns + c];
        dbias[c] += (float)sum;
    }
}

/* dw[k0..k1) += dy^T x: dy (N,K), x (N,C), dw (K,ld). */
static void add_wgrad(int N, const float *dy, int K, const float *x, int C, float *dw, int ld,
                      int k0, int k1)
{
    struct gemm gemm = {.m = k1 - k0, .n = C, .k = N, .lda = K, .b = x, .ldb = C, .ldc = ld};
    gemm.a = dy + k0;
    gemm.c = dw + (size_t)k0 * (size_t)ld;
    gemm.accumulates = true;
    gemm_tn(&gemm);
}

/* dx[:, c0..c1) = dy w: dy (N,K), w (K,ld), dx (N,C). */
static void multiply_back(int N, const float *dy, int K, const float *w, int ld, float *dx, int C,
                          int c0, int c1)
{
    struct gemm gemm = {.m = N, .n = c1 - c0, .k = K, .a = dy, .lda = K, .ldb = ld, .ldc = C};
    gemm.b = w + c0;
    gemm.c = dx + c0;
    gemm_nn(&gemm);
}

/* Through expand: dhidden by blocks of Cr, weights by blocks of C. */
static void expand_back_job(void *context, int i, int thread)
{
    const struct se *op = context;
    const struct squeeze_excite *se = op->se;
    (void)thread;
    if (i >= op->Cr_jobs) {
        int c0 = (i - op->Cr_jobs) * BLOCK, c1 = block_end(i - op->Cr_jobs, BLOCK, se->C);
        add_wgrad(op->N, op->dexpand, se->C, op->active, se->Cr, op->grad.expand_w, se->ld_expand,
                  c0, c1);
        add_bias_gradient(op->N, se->C, op->dexpand, c0, c1, op->grad.expand_b);
        return;
    }
    int c0 = i * BLOCK, c1 = block_end(i, BLOCK, se->Cr);
    multiply_back(op->N, op->dexpand, se->C, se->expand_w, se->ld_expand, op->dhidden, se->Cr, c0,
                  c1);
    for (int n = 0; n < op->N; n++)
        for (int c = c0; c < c1; c++) {
            size_t at = (size_t)n * (size_t)se->Cr + (size_t)c;
            op->dhidden[at] = op->hidden[at] > 0 ? op->dhidden[at] : 0;
        }
    add_bias_gradient(op->N, se->Cr, op->dhidden, c0, c1, op->grad.reduce_b);
}

/* With p there: sum g = gate sum q act' + p sum act', and the same times (z - mean). */
static void finish_channels(const struct se *op, int c0, int c1)
{
    size_t C = (size_t)op->se->C;
    float share = 1.0f / (float)op->HW;
    memset(op->sums + c0, 0, (size_t)(c1 - c0) * sizeof *op->sums);
    memset(op->sums + C + c0, 0, (size_t)(c1 - c0) * sizeof *op->sums);
    for (size_t n = 0; n < (size_t)op->N; n++) {
        const double *gated = op->gate_sums + n * 3 * C, *pool = op->pool_sums + n * 2 * C;
        for (size_t c = (size_t)c0; c < (size_t)c1; c++) {
            double gate = (double)op->gate[n * C + c];
            op->p[n * C + c] *= share;
            double p = (double)op->p[n * C + c];
            op->sums[c] += gate * gated[C + c] + p * pool[c];
            op->sums[C + c] += gate * gated[2 * C + c] + p * pool[C + c];
        }
    }
}

/* Through reduce: weights by blocks of Cr, p and sums by blocks of C. */
static void reduce_back_job(void *context, int i, int thread)
{
    const struct se *op = context;
    const struct squeeze_excite *se = op->se;
    (void)thread;
    if (i < op->Cr_jobs) {
        add_wgrad(op->N, op->dhidden, se->Cr, op->pooled, se->C, op->grad.reduce_w, se->ld_reduce,
                  i * BLOCK, block_end(i, BLOCK, se->Cr));
        return;
    }
    int c0 = (i - op->Cr_jobs) * BLOCK, c1 = block_end(i - op->Cr_jobs, BLOCK, se->C);
    multiply_back(op->N, op->dhidden, se->Cr, se->reduce_w, se->ld_reduce, op->p, se->C, c0, c1);
    finish_channels(op, c0, c1);
}

struct cpu_need ISA_NAME(excite_backward_need)(const struct work *work)
{
    return (struct cpu_need){.shared_bytes = cpu_aligned(wide_bytes(work)) +
                                             2 * cpu_aligned(hidden_bytes(work))};
}

void ISA_NAME(excite_backward)(struct device *device, struct dims dims,
                               const struct squeeze_excite *se, const struct excitation *kept,
                               const struct excitation_grad *grad)
{
    struct se op = {.se = se,
                    .N = dims.N,
                    .HW = dims.H * dims.W,
                    .pooled = kept->pooled,
                    .hidden = kept->hidden,
                    .gate = kept->gate,
                    .gate_sums = grad->gate_sums,
                    .pool_sums = kept->pool_sums,
                    .p = grad->p,
                    .sums = grad->sums,
                    .grad = grad->weights,
                    .Cr_jobs = divide_up(se->Cr, BLOCK)};
    struct work work = work_of(WORK_EXCITE_BACKWARD, dims, se);
    struct cpu_need need = ISA_NAME(excite_backward_need)(&work);
    if (!cpu_reserve(device, &work, &need))
        return;
    char *shared = cpu_shared(device);
    op.dexpand = cpu_carve(&shared, wide_bytes(&work));
    op.active = cpu_carve(&shared, hidden_bytes(&work));
    op.dhidden = cpu_carve(&shared, hidden_bytes(&work));
    int jobs = op.Cr_jobs + divide_up(se->C, BLOCK);
    cpu_run(device, dims.N, open_job, &op);
    cpu_run(device, jobs, expand_back_job, &op);
    cpu_run(device, jobs, reduce_back_job, &op);
    if (grad->norm)
        ISA_NAME(norm_backward)(se->C, dims_pixels(dims), grad->sums, grad->norm);
}
