/* One job an image. */
#include "kernels/image.h"
#include "kernels/cpu/cpu.h"

struct forward {
    struct device *device;
    const struct image_batch *batch;
    float *images;
};

static void forward_job(void *context, int n, int thread)
{
    const struct forward *op = context;
    const struct image_batch *batch = op->batch;
    const struct image_crop *crop = &batch->crops[n];
    size_t floats = (size_t)batch->R * (size_t)batch->R * (size_t)batch->C;
    image_make(crop, batch->pixels + crop->first, batch->R, batch->C, batch->scale, batch->shift,
               cpu_scratch(op->device, thread), op->images + (size_t)n * floats);
}

struct cpu_need cpu_image_forward_need(const struct work *work)
{
    const struct dims *map = &work->conv.in;
    return (struct cpu_need){.scratch_bytes = image_scratch_bytes(work->width, map->H, map->C)};
}

static struct work work_of(const struct image_batch *batch)
{
    struct work work = {.kind = WORK_IMAGE_FORWARD,
                        .conv = {.in = {batch->N, batch->R, batch->R, batch->C}}};
    for (int n = 0; n < batch->N; n++)
        work.width = batch->crops[n].W > work.width ? batch->crops[n].W : work.width;
    return work;
}

void cpu_image_forward(struct device *device, const struct image_batch *batch, void *images)
{
    struct forward op = {device, batch, images};
    struct work work = work_of(batch);
    struct cpu_need need = cpu_image_forward_need(&work);
    if (cpu_reserve(device, &work, &need))
        cpu_run(device, batch->N, forward_job, &op);
}
