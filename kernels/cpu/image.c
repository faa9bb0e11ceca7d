/* One job an image. */
#include "kernels/image.h"
#include "kernels/cpu/map_array.h"
#include "kernels/cpu/ops.h"

struct forward {
    struct device *device;
    const struct image_batch *batch;
    map_value *images;
};

/* Bytes of an image in fp32, apart from the map where that has another type. */
static size_t image_bytes(const struct dims *map)
{
    bool is_apart = sizeof(map_value) != sizeof(float);
    return is_apart ? (size_t)map->H * (size_t)map->W * (size_t)map->C * sizeof(float) : 0;
}

static void forward_job(void *context, int n, int thread)
{
    const struct forward *op = context;
    const struct image_batch *batch = op->batch;
    const struct image_crop *crop = &batch->crops[n];
    struct dims map = {1, batch->R, batch->R, batch->C};
    size_t values = (size_t)batch->R * (size_t)batch->R * (size_t)batch->C;
    map_value *to = op->images + (size_t)n * values;
    char *scratch = cpu_scratch(op->device, thread);
    float *image = cpu_carve(&scratch, image_bytes(&map));
    if (sizeof *to == sizeof *image)
        image = (void *)to;
    image_make(crop, batch->pixels + crop->first, batch->R, batch->C, batch->scale, batch->shift,
               scratch, image);
    if (image != (void *)to)
        map_store_array(image, values, to);
}

struct cpu_need MAP_NAME(image_forward_need)(const struct work *work)
{
    const struct dims *map = &work->conv.in;
    return (struct cpu_need){.scratch_bytes = cpu_aligned(image_bytes(map)) +
                                              image_scratch_bytes(work->width, map->H, map->C)};
}

static struct work work_of(const struct image_batch *batch)
{
    struct work work = {.kind = WORK_IMAGE_FORWARD,
                        .conv = {.in = {batch->N, batch->R, batch->R, batch->C}}};
    for (int n = 0; n < batch->N; n++)
        work.width = batch->crops[n].W > work.width ? batch->crops[n].W : work.width;
    return work;
}

void MAP_NAME(image_forward)(struct device *device, const struct image_batch *batch, void *images)
{
    struct forward op = {device, batch, images};
    struct work work = work_of(batch);
    struct cpu_need need = MAP_NAME(image_forward_need)(&work);
    if (cpu_reserve(device, &work, &need))
        cpu_run(device, batch->N, forward_job, &op);
}
