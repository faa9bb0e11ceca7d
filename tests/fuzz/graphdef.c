/* A GraphDef. */
#include "tests/fuzz/emulate.h"
#include "tests/fuzz/fuzz.h"
#include "trainer/emulator/readers.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct exported net;
    enum err err = tensorflow_read(bytes, size, &net);
    FUZZ_EXPECT(err == ERR_OK || err_text()[0]);
    if (err == ERR_OK)
        fuzz_emulate(&net);
    exported_fini(&net);
    return 0;
}
