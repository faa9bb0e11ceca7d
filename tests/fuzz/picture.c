/* An image file of the outside world, as an import reads it: JPEG or PNG. */
#include "base/mem.h"
#include "tests/fuzz/fuzz.h"
#include "trainer/data/image_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const struct image_limits limits = {.pixels = 1 << 16, .side = 24};
    struct image image = {.room = 0};
    enum image_fault fault = IMAGE_FAULT_NONE;
    FUZZ_EXPECT(image_file_start() == ERR_OK);
    enum err err = image_file_read(fuzz_put("image", bytes, size), &limits, &image, &fault);
    if (err == ERR_OK)
        FUZZ_EXPECT(image.H > 0 && image.W > 0 && (image.C == 1 || image.C == 3) &&
                    (image.H <= limits.side || image.W <= limits.side));
    else
        FUZZ_EXPECT(err == ERR_DATA && fault != IMAGE_FAULT_NONE && err_text()[0]);
    mem_free(image.pixels);
    return 0;
}
