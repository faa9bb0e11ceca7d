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

void cpu_image_forward(struct device *device, const struct image_batch *batch, void *images)
{
    struct forward op = {device, batch, images};
    int width = 0;
    for (int n = 0; n < batch->N; n++)
        width = batch->crops[n].W > width ? batch->crops[n].W : width;
    cpu_reserve_scratch(device, image_scratch_bytes(width, batch->R, batch->C), 0);
    cpu_run(device, batch->N, forward_job, &op);
}
