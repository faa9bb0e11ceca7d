#include "kernels/cpu/cpu.h"
#include "kernels/cpu/ops.h"
#include "kernels/cpu/vec_exp.h"
#include <math.h>
#include <string.h>

struct loss_job {
    const struct loss *loss;
    struct device *device;
    float *dlogits;   /* (N,K) or NULL */
    double *losses;   /* (N) */
    double *distils;  /* (N) */
    bool *is_correct; /* (N) */
};

struct softmax {  /* one row, padded to whole vectors */
    float *power; /* exp(logit - largest), 0 behind K */
    double sum;   /* of power */
    double largest;
    int at; /* of the largest; the lowest index of equals */
};

static struct softmax softmax_init(const float *logits, int K, float *power)
{
    struct softmax softmax = {.power = power};
    for (int k = 1; k < K; k++)
        if (logits[k] > logits[softmax.at])
            softmax.at = k;
    float largest = logits[softmax.at];
    softmax.largest = (double)largest;
    for (int k = 0; k < K; k += VEC_WIDTH) {
        int lanes = K - k < VEC_WIDTH ? K - k : VEC_WIDTH;
        vec_store(power + k, vec_exp(vec_load_part(logits + k, lanes) - largest));
    }
    memset(power + K, 0, (size_t)(vec_round(K) - K) * sizeof *power);
    for (int k = 0; k < K; k++)
        softmax.sum += (double)power[k];
    return softmax;
}

/* sum over k of logit - log sum exp, weighted by `weights` / total or, when NULL, by 1: every
 * target's cross entropy is such a sum. */
static double log_likelihood(const struct softmax *softmax, const float *logits, int K,
                             const float *weights, double total)
{
    double sum = 0, weight_sum = 0;
    for (int k = 0; k < K; k++) {
        double weight = weights ? (double)weights[k] / total : 1;
        sum += weight * ((double)logits[k] - softmax->largest);
        weight_sum += weight;
    }
    return sum - weight_sum * log(softmax->sum);
}

/* Cross entropy with smoothed labels: target (1 - smoothing) at the label + smoothing / K. */
static double label_loss(const struct loss *loss, const struct softmax *softmax,
                         const float *logits, int label)
{
    double smoothing = (double)loss->smoothing;
    double own = (double)logits[label] - softmax->largest - log(softmax->sum);
    double all = smoothing == 0 ? 0 : log_likelihood(softmax, logits, loss->K, NULL, 1);
    return -(1 - smoothing) * own - smoothing / loss->K * all;
}

static void write_gradient(const struct loss *loss, const struct softmax *student,
                           const struct softmax *teacher, int label, float *dlogits)
{
    float labels = loss->label_weight, distil = teacher ? loss->distil_weight : 0;
    float inverse = 1 / loss->divisor;
    float student_scale = (float)((double)(labels + distil) / student->sum);
    float teacher_scale = teacher ? (float)((double)distil / teacher->sum) : 0;
    float everywhere = labels * loss->smoothing / (float)loss->K;
    for (int k = 0; k < loss->K; k++) {
        float target = everywhere;
        if (k == label)
            target += labels * (1 - loss->smoothing);
        if (teacher)
            target += teacher->power[k] * teacher_scale;
        dlogits[k] = (student->power[k] * student_scale - target) * inverse;
    }
}

static void row_job(void *context, int n, int thread)
{
    const struct loss_job *op = context;
    const struct loss *loss = op->loss;
    size_t K = (size_t)loss->K, row = (size_t)n * K;
    char *memory = cpu_scratch(op->device, thread);
    size_t power_bytes = (size_t)vec_round(loss->K) * sizeof(float);
    const float *logits = loss->logits + row;
    struct softmax student = softmax_init(logits, loss->K, cpu_carve(&memory, power_bytes));
    struct softmax teacher = {.power = NULL};
    double sum = 0;
    if (loss->label_weight != 0)
        sum += (double)loss->label_weight * label_loss(loss, &student, logits, loss->labels[n]);
    if (loss->teacher_logits) {
        teacher =
            softmax_init(loss->teacher_logits + row, loss->K, cpu_carve(&memory, power_bytes));
        double likelihood = log_likelihood(&student, logits, loss->K, teacher.power, teacher.sum);
        sum -= (double)loss->distil_weight * likelihood;
        op->distils[n] = -likelihood;
    }
    op->losses[n] = sum;
    op->is_correct[n] = student.at == loss->labels[n];
    if (op->dlogits)
        write_gradient(loss, &student, loss->teacher_logits ? &teacher : NULL, loss->labels[n],
                       op->dlogits + row);
}

/* Each sum of this batch by itself, then added to what is there. */
static void add_sums(const struct loss_job *op)
{
    const struct loss *loss = op->loss;
    double sums[LOSS_SUMS] = {[LOSS_IMAGES] = loss->N};
    for (int n = 0; n < loss->N; n++) {
        sums[LOSS_TOTAL] += op->losses[n];
        sums[LOSS_CORRECT] += op->is_correct[n];
        if (loss->teacher_logits)
            sums[LOSS_DISTIL] += op->distils[n];
    }
    for (int i = 0; i < LOSS_SUMS; i++)
        loss->sums[i] += sums[i];
    if (!isfinite(sums[LOSS_TOTAL]))
        cpu_note_flaw(&loss->flaw, 0);
}

struct cpu_need ISA_NAME(loss_forward_need)(const struct work *work)
{
    size_t N = (size_t)work->conv.in.N,
           power_bytes = (size_t)vec_round(work->conv.K) * sizeof(float);
    return (struct cpu_need){.scratch_bytes = 2 * cpu_aligned(power_bytes),
                             .shared_bytes = 2 * cpu_aligned(N * sizeof(double)) +
                                             cpu_aligned(N * sizeof(bool))};
}

void ISA_NAME(loss_forward)(struct device *device, const struct loss *loss, float *dlogits)
{
    struct loss_job op = {.loss = loss, .device = device, .dlogits = dlogits};
    struct work work = {.kind = WORK_LOSS_FORWARD, .conv = {.in = {.N = loss->N}, .K = loss->K}};
    struct cpu_need need = ISA_NAME(loss_forward_need)(&work);
    size_t N = (size_t)loss->N;
    if (!cpu_reserve(device, &work, &need))
        return;
    char *shared = cpu_shared(device);
    op.losses = cpu_carve(&shared, N * sizeof *op.losses);
    op.distils = cpu_carve(&shared, N * sizeof *op.distils);
    op.is_correct = cpu_carve(&shared, N * sizeof *op.is_correct);
    cpu_run(device, loss->N, row_job, &op);
    add_sums(&op);
}
