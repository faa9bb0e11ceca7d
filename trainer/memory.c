#include "trainer/memory.h"
#include <string.h>

bool memory_is_shared(const struct device *device)
{
    return strcmp(device->ops->name, "cpu") == 0;
}

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
