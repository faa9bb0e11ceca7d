/* A .npy file of somebody else. */
#include "cluster/npy.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct npy npy;
    if (npy_parse("images.npy", (const char *)bytes, size, &npy) == ERR_OK) {
        FUZZ_EXPECT(npy.rank >= 0 && npy.rank <= NPY_MAX_RANK);
        FUZZ_EXPECT(npy.count * sizeof *npy.values <= size);
        npy_fini(&npy);
    }
    return 0;
}
