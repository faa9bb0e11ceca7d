#include "trainer/data/image.h"
#include "base/mem.h"

void image_reserve(struct image *image, size_t size_bytes)
{
    if (image->room >= size_bytes)
        return;
    mem_free(image->pixels);
    image->room = size_bytes;
    image->pixels = mem_alloc(size_bytes);
}
