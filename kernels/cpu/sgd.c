#include "kernels/cpu/chunks.h"
#include "kernels/cpu/map_array.h"
#include "kernels/cpu/ops.h"

struct segment {
    const struct sgd *sgd;
    struct sgd_segment of;
    map_value *shadow; /* of all weights; NULL where it is the weights themselves */
};

VEC_INLINE void sgd_vector(const struct segment *segment, size_t i, int lanes)
{
    const struct sgd *sgd = segment->sgd;
    vec w = vec_load_part(sgd->w + i, lanes);
    vec d = vec_load_part(sgd->g + i, lanes) + segment->of.decay * w;
    vec v = sgd->momentum * vec_load_part(sgd->v + i, lanes) + d;
    vec_store_part(sgd->v + i, v, lanes);
    vec_store_part(sgd->g + i, vec_zero(), lanes);
    w = w - sgd->rate * (sgd->is_nesterov ? d + sgd->momentum * v : v);
    vec_store_part(sgd->w + i, w, lanes);
    if (segment->shadow)
        map_store(segment->shadow + i, w, lanes);
}

static void sgd_job(void *context, int job, int thread)
{
    const struct segment *segment = context;
    size_t first = segment->of.first;
    size_t i = first + (size_t)job * CHUNK, end = first + chunk_end(job, segment->of.count);
    (void)thread;
    for (; i + VEC_WIDTH <= end; i += VEC_WIDTH)
        sgd_vector(segment, i, VEC_WIDTH);
    if (i < end)
        sgd_vector(segment, i, (int)(end - i));
}

void MAP_NAME(sgd_step)(struct device *device, const struct sgd *sgd)
{
    if (sgd->flaw && *sgd->flaw != FLAW_NONE)
        return;
    for (int i = 0; i < sgd->segment_count; i++) {
        struct segment segment = {sgd, sgd->segments[i], NULL};
        if (sgd->shadow != sgd->w)
            segment.shadow = sgd->shadow;
        cpu_run(device, chunks(segment.of.count), sgd_job, &segment);
    }
}

struct cast {
    size_t count;
    const float *w;
    map_value *to;
};

static void cast_job(void *context, int job, int thread)
{
    const struct cast *op = context;
    size_t i = (size_t)job * CHUNK, end = chunk_end(job, op->count);
    (void)thread;
    map_store_array(op->w + i, end - i, op->to + i);
}

void MAP_NAME(cast)(struct device *device, size_t count, const float *w, void *to)
{
    struct cast op = {count, w, to};
    if (to != w)
        cpu_run(device, chunks(count), cast_job, &op);
}
