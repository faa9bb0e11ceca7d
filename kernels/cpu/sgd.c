#include "kernels/cpu/ops.h"
#include "kernels/cpu/vec.h"
#include <string.h>

enum { CHUNK = 1 << 16 }; /* elements of a job */

static int chunks(size_t count)
{
    return (int)((count + CHUNK - 1) / CHUNK);
}

static size_t chunk_end(int i, size_t count)
{
    size_t end = ((size_t)i + 1) * CHUNK;
    return end < count ? end : count;
}

VEC_INLINE void sgd_vector(const struct sgd *sgd, size_t i, int lanes)
{
    vec w = vec_load_part(sgd->w + i, lanes);
    vec d = vec_load_part(sgd->g + i, lanes) + sgd->decay * w;
    vec v = sgd->momentum * vec_load_part(sgd->v + i, lanes) + d;
    vec_store_part(sgd->v + i, v, lanes);
    vec_store_part(sgd->w + i, w - sgd->rate * (sgd->is_nesterov ? d + sgd->momentum * v : v),
                   lanes);
}

static void sgd_job(void *context, int job, int thread)
{
    const struct sgd *sgd = context;
    size_t i = (size_t)job * CHUNK, end = chunk_end(job, sgd->count);
    (void)thread;
    for (; i + VEC_WIDTH <= end; i += VEC_WIDTH)
        sgd_vector(sgd, i, VEC_WIDTH);
    if (i < end)
        sgd_vector(sgd, i, (int)(end - i));
}

void ISA_NAME(sgd_step)(struct device *device, const struct sgd *sgd)
{
    struct sgd op = *sgd;
    cpu_run(device, chunks(sgd->count), sgd_job, &op);
}

struct add {
    size_t count;
    const float *x;
    float *sum;
};

static void add_job(void *context, int job, int thread)
{
    const struct add *op = context;
    size_t end = chunk_end(job, op->count);
    (void)thread;
    for (size_t i = (size_t)job * CHUNK; i < end; i++)
        op->sum[i] += op->x[i];
}

void ISA_NAME(add)(struct device *device, size_t count, const float *x, float *sum)
{
    struct add op = {count, x, sum};
    cpu_run(device, chunks(count), add_job, &op);
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

size_t ISA_NAME(find_nonfinite)(struct device *device, size_t count, const float *x)
{
    int jobs = chunks(count);
    size_t *found = cpu_reserve_shared(device, ((size_t)jobs + 1) * sizeof *found);
    struct search op = {count, x, found};
    cpu_run(device, jobs, search_job, &op);
    for (int job = 0; job < jobs; job++)
        if (found[job] != count)
            return found[job];
    return count;
}
