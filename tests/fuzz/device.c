/* The file of a camera's device. */
#include "base/mem.h"
#include "tests/fuzz/fuzz.h"
#include "trainer/spec/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct camera_device *device = mem_alloc(sizeof *device);
    enum err err = camera_device_load(fuzz_file(bytes, size), device);
    FUZZ_EXPECT(err == ERR_OK || err_text()[0]);
    mem_free(device);
    return 0;
}
