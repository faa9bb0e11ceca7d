#include "kernels/cpu/gemm.h"
#include "kernels/cpu/map_array.h"
#include "kernels/cpu/ops.h"
#include <string.h>

/* The centre of a kernel of side `from`: to (side*side,C) dense = rows of `wide`. OFA sec. 3.2. */
static void crop(int from, int side, int C, const float *wide, int ld, float *to)
{
    int border = (from - side) / 2;
    for (int row = 0; row < side; row++)
        for (int col = 0; col < side; col++) {
            int tap = (row + border) * from + col + border;
            memcpy(to + (size_t)(row * side + col) * (size_t)C, wide + (size_t)tap * (size_t)ld,
                   (size_t)C * sizeof *to);
        }
}

/* The reverse: rows of `wide` += the small kernel's. */
static void add_to_centre(int from, int side, int C, const float *small, float *wide, int ld)
{
    int border = (from - side) / 2;
    for (int row = 0; row < side; row++)
        for (int col = 0; col < side; col++) {
            const float *add = small + (size_t)(row * side + col) * (size_t)C;
            float *to = wide + (size_t)((row + border) * from + col + border) * (size_t)ld;
            for (int c = 0; c < C; c++)
                to[c] += add[c];
        }
}

/* to (taps,C) = matrix (taps,taps) from, or from itself without a matrix. */
static void transform(int taps, int C, const float *matrix, const float *from, float *to)
{
    struct gemm gemm = {.m = taps, .n = C, .k = taps, .a = matrix, .lda = taps, .b = from};
    gemm.ldb = gemm.ldc = C;
    gemm.c = to;
    if (matrix)
        gemm_nn(&gemm);
    else
        memcpy(to, from, (size_t)taps * (size_t)C * sizeof *to);
}

/* dfrom = matrix^T dto; dmatrix += dto from^T. */
static void transform_back(int taps, int C, const float *matrix, const float *from,
                           const float *dto, float *dfrom, float *dmatrix)
{
    struct gemm data = {.m = taps, .n = C, .k = taps, .a = matrix, .lda = taps, .b = dto};
    struct gemm weight = {.m = taps, .n = taps, .k = C, .a = dto, .lda = C, .b = from, .ldb = C};
    data.ldb = data.ldc = C;
    data.c = dfrom;
    weight.c = dmatrix;
    weight.ldc = taps;
    weight.accumulates = true;
    if (matrix)
        gemm_tn(&data);
    else
        memcpy(dfrom, dto, (size_t)taps * (size_t)C * sizeof *dfrom);
    if (matrix && dmatrix)
        gemm_nt(&weight);
}

struct stages { /* dense (taps,C): the kernel before and after each matrix, and gradients */
    float *crop5, *five, *crop3, *three, *dfive, *dcrop5, *dcrop3;
};

static size_t taps_bytes(int taps, int C)
{
    return cpu_aligned((size_t)taps * (size_t)C * sizeof(float));
}

static struct stages stages_carve(const struct device *device, int thread, int C)
{
    char *memory = cpu_scratch(device, thread);
    struct stages stages;
    stages.crop5 = cpu_carve(&memory, taps_bytes(25, C));
    stages.five = cpu_carve(&memory, taps_bytes(25, C));
    stages.dfive = cpu_carve(&memory, taps_bytes(25, C));
    stages.dcrop5 = cpu_carve(&memory, taps_bytes(25, C));
    stages.crop3 = cpu_carve(&memory, taps_bytes(9, C));
    stages.three = cpu_carve(&memory, taps_bytes(9, C));
    stages.dcrop3 = cpu_carve(&memory, taps_bytes(9, C));
    return stages;
}

struct cpu_need MAP_NAME(kernel_need)(const struct work *work)
{
    int C = work->conv.in.C;
    return (struct cpu_need){.scratch_bytes = 4 * taps_bytes(25, C) + 3 * taps_bytes(9, C)};
}

static void transform_forward(const struct kernel_transform *k, struct stages stages)
{
    crop(7, 5, k->C, k->w7, k->ld, stages.crop5);
    transform(25, k->C, k->m75, stages.crop5, stages.five);
    if (k->R == 5) {
        map_store_array(stages.five, 25 * (size_t)k->C, k->w);
        return;
    }
    crop(5, 3, k->C, stages.five, k->C, stages.crop3);
    transform(9, k->C, k->m53, stages.crop3, stages.three);
    map_store_array(stages.three, 9 * (size_t)k->C, k->w);
}

static void transform_backward(const struct kernel_gradient *gradient, struct stages stages)
{
    const struct kernel_transform *k = &gradient->of;
    const float *dfive = gradient->dw;
    crop(7, 5, k->C, k->w7, k->ld, stages.crop5);
    if (k->R == 3) {
        transform(25, k->C, k->m75, stages.crop5, stages.five);
        crop(5, 3, k->C, stages.five, k->C, stages.crop3);
        transform_back(9, k->C, k->m53, stages.crop3, gradient->dw, stages.dcrop3, gradient->dm53);
        memset(stages.dfive, 0, 25 * (size_t)k->C * sizeof *stages.dfive);
        add_to_centre(5, 3, k->C, stages.dcrop3, stages.dfive, k->C);
        dfive = stages.dfive;
    }
    transform_back(25, k->C, k->m75, stages.crop5, dfive, stages.dcrop5, gradient->dm75);
    add_to_centre(7, 5, k->C, stages.dcrop5, gradient->dw7, k->ld);
}

/* One job a layer. */
struct layers {
    const struct device *device;
    const struct kernel_transform *transforms;
    const struct kernel_gradient *gradients;
};

static void forward_job(void *context, int i, int thread)
{
    const struct layers *op = context;
    const struct kernel_transform *k = &op->transforms[i];
    transform_forward(k, stages_carve(op->device, thread, k->C));
}

static void backward_job(void *context, int i, int thread)
{
    const struct layers *op = context;
    const struct kernel_gradient *gradient = &op->gradients[i];
    transform_backward(gradient, stages_carve(op->device, thread, gradient->of.C));
}

/* Scratch for the widest of them. */
static bool reserve(struct device *device, enum work_kind kind, int widest, int count)
{
    struct work work = {.kind = kind, .conv = {.in = {.C = widest}}, .count = (size_t)count};
    struct cpu_need need = MAP_NAME(kernel_need)(&work);
    return cpu_reserve(device, &work, &need);
}

void MAP_NAME(kernel_forward)(struct device *device, int count,
                              const struct kernel_transform *transforms)
{
    struct layers op = {.device = device, .transforms = transforms};
    int widest = 0;
    for (int i = 0; i < count; i++)
        widest = transforms[i].C > widest ? transforms[i].C : widest;
    if (reserve(device, WORK_KERNEL_FORWARD, widest, count))
        cpu_run(device, count, forward_job, &op);
}

void MAP_NAME(kernel_backward)(struct device *device, int count,
                               const struct kernel_gradient *gradients)
{
    struct layers op = {.device = device, .gradients = gradients};
    int widest = 0;
    for (int i = 0; i < count; i++)
        widest = gradients[i].of.C > widest ? gradients[i].of.C : widest;
    if (reserve(device, WORK_KERNEL_BACKWARD, widest, count))
        cpu_run(device, count, backward_job, &op);
}
