#include "trainer/data/image_png.h"
#include "base/mem.h"
#include <string.h>
#include <vips/vips.h>

enum err image_png(const struct image *image, uint8_t **png, size_t *size_bytes)
{
    enum err err = ERR_OK;
    void *bytes = NULL;
    size_t size = 0;
    size_t pixels = (size_t)image->H * (size_t)image->W * (size_t)image->C;
    VipsImage *plain = vips_image_new_from_memory(image->pixels, pixels, image->W, image->H,
                                                  image->C, VIPS_FORMAT_UCHAR);
    VipsImage *named = NULL; /* says what the bands mean */
    if (!plain ||
        vips_copy(plain, &named, "interpretation",
                  image->C == 1 ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB, NULL) ||
        vips_pngsave_buffer(named, &bytes, &size, NULL)) {
        err = err_set(ERR_FAILED, "an image of %d x %d cannot be written as PNG: %s", image->W,
                      image->H, vips_error_buffer());
        vips_error_clear();
        goto out;
    }
    *png = mem_alloc(size);
    memcpy(*png, bytes, size);
    *size_bytes = size;
out:
    g_free(bytes);
    if (named)
        g_object_unref(named);
    if (plain)
        g_object_unref(plain);
    return err;
}
