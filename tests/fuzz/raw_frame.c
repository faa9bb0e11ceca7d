/* A raw frame of a bundle of somebody else: behind three bytes that say height, width and colour.
 */
#include "trainer/export/raw_frame.h"
#include "base/mem.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct image image = {0};
    if (size < 3)
        return 0;
    image.H = bytes[0] % 32, image.W = bytes[1] % 32, image.C = bytes[2] % 2 ? 3 : 1;
    if (raw_frame_read(bytes + 3, size - 3, &image) == ERR_OK)
        FUZZ_EXPECT(size - 3 == raw_frame_bytes(image.H, image.W));
    mem_free(image.pixels);
    return 0;
}
