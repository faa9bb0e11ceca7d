/* An image file of the outside world, as an import reads it: JPEG, PNG, TIFF, PNM or BMP; then as a
 * mosaic, and as pixels without a header. */
#include "base/mem.h"
#include "tests/fuzz/fuzz.h"
#include "trainer/data/image_file.h"

static void read_as(const char *path, const struct sample_format *samples)
{
    const struct image_limits limits = {.pixels = 1 << 16, .side = 24, .samples = *samples};
    struct image image = {.room = 0};
    enum image_fault fault = IMAGE_FAULT_NONE;
    enum err err = image_file_read(path, &limits, &image, &fault);
    if (err == ERR_OK)
        FUZZ_EXPECT(image.H > 0 && image.W > 0 && (image.C == 1 || image.C == 3) &&
                    (image.H <= limits.side || image.W <= limits.side));
    else
        FUZZ_EXPECT(err == ERR_DATA && fault != IMAGE_FAULT_NONE && err_text()[0]);
    mem_free(image.pixels);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    FUZZ_EXPECT(image_file_start() == ERR_OK);
    const char *path = fuzz_put("image", bytes, size);
    uint8_t last = size > 0 ? bytes[size - 1] : 0;
    enum bayer bayer = (enum bayer)(BAYER_RG + last % 4);
    read_as(path, &(struct sample_format){0});
    read_as(path, &(struct sample_format){.bits = 8 + last / 4 % 9, .bayer = bayer});
    read_as(path, &(struct sample_format){.bayer = bayer, .raw_width = 4, .raw_height = 3});
    return 0;
}
