#include "kernels/memory.h"

enum err memory_array(struct device *device, size_t count, size_t item_bytes, void **memory)
{
    size_t size_bytes = 0;
    if (__builtin_mul_overflow(count > 0 ? count : 1, item_bytes, &size_bytes))
        return err_set(ERR_MEMORY, "an array of %zu items does not fit any memory", count);
    return device->ops->alloc(device, size_bytes, memory);
}

void memory_free(struct device *device, void *memory)
{
    if (memory)
        device->ops->free(device, memory);
}

enum err memory_map(struct device *device, const float *host, size_t count, void **map)
{
    enum err err = ERR_OK;
    float *floats = NULL;
    TRY(memory_array(device, count, sizeof *floats, (void **)&floats));
    device->ops->upload(device, floats, host, count * sizeof *floats);
    TRY(memory_array(device, count, device->map_bytes, map));
    device->ops->cast(device, count, floats, *map);
out:
    memory_free(device, floats);
    return err;
}
