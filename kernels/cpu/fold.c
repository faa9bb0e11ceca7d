/* Sums over leaves of the gradient tree, and the search for what is not finite. */
#include "kernels/cpu/chunks.h"
#include "kernels/cpu/ops.h"
#include "kernels/cpu/vec.h"
#include <string.h>

struct fold {
    size_t count;
    void *x, *sum;
};

static void fold_job(void *context, int job, int thread)
{
    const struct fold *op = context;
    size_t end = chunk_end(job, op->count);
    float *x = op->x, *sum = op->sum;
    (void)thread;
    for (size_t i = (size_t)job * CHUNK; i < end; i++) {
        sum[i] += x[i];
        x[i] = 0;
    }
}

void ISA_NAME(fold)(struct device *device, size_t count, float *x, float *sum)
{
    struct fold op = {count, x, sum};
    cpu_run(device, chunks(count), fold_job, &op);
}

static void fold_doubles_job(void *context, int job, int thread)
{
    const struct fold *op = context;
    size_t end = chunk_end(job, op->count);
    double *x = op->x, *sum = op->sum;
    (void)thread;
    for (size_t i = (size_t)job * CHUNK; i < end; i++) {
        sum[i] += x[i];
        x[i] = 0;
    }
}

void ISA_NAME(fold_doubles)(struct device *device, size_t count, double *x, double *sum)
{
    struct fold op = {count, x, sum};
    cpu_run(device, chunks(count), fold_doubles_job, &op);
}

struct search {
    size_t count;
    const float *x;
    size_t *found; /* per job: the first bad element or count */
};

static bool is_nonfinite(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (bits & 0x7f800000u) == 0x7f800000u;
}

static void search_job(void *context, int job, int thread)
{
    const struct search *op = context;
    size_t i = (size_t)job * CHUNK, end = chunk_end(job, op->count);
    (void)thread;
    vec zero = vec_zero(); /* x * 0 is NaN unless x is finite, and NaN stays */
    for (; i + VEC_WIDTH <= end; i += VEC_WIDTH)
        zero += vec_load(op->x + i) * 0.0f;
    if (vec_sum(zero) != 0.0f)
        i = (size_t)job * CHUNK;
    while (i < end && !is_nonfinite(op->x[i]))
        i++;
    op->found[job] = i < end ? i : op->count;
}

struct cpu_need ISA_NAME(find_nonfinite_need)(const struct work *work)
{
    return (struct cpu_need){.shared_bytes = (size_t)chunks(work->count) * sizeof(size_t)};
}

void ISA_NAME(find_nonfinite)(struct device *device, size_t count, const float *x, struct flaw flaw)
{
    int jobs = chunks(count);
    struct work work = {.kind = WORK_FIND_NONFINITE, .count = count};
    struct cpu_need need = ISA_NAME(find_nonfinite_need)(&work);
    if (!cpu_reserve(device, &work, &need))
        return;
    size_t *found = cpu_shared(device);
    struct search op = {count, x, found};
    cpu_run(device, jobs, search_job, &op);
    for (int job = 0; job < jobs; job++)
        if (found[job] != count) {
            cpu_note_flaw(&flaw, found[job]);
            return;
        }
}
