/* A prototxt, and behind a line of its own, "---", the caffemodel. */
#include "tests/fuzz/emulate.h"
#include "tests/fuzz/fuzz.h"
#include "trainer/emulator/readers.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const char between[] = "\n---\n";
    struct exported net;
    const uint8_t *found = size > 0 ? memmem(bytes, size, between, sizeof between - 1) : NULL;
    size_t first = found ? (size_t)(found - bytes) : size;
    size_t behind = found ? first + sizeof between - 1 : size;
    enum err err = caffe_read(bytes, first, bytes + behind, size - behind, &net);
    FUZZ_EXPECT(err == ERR_OK || err_text()[0]);
    if (err == ERR_OK)
        fuzz_emulate(&net);
    exported_fini(&net);
    return 0;
}
