/* A .safetensors file of somebody else. */
#include "trainer/checkpoint/safetensors.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct tensor *tensors = NULL;
    int count = 0;
    if (safetensors_read(fuzz_file(bytes, size), &tensors, &count) == ERR_OK)
        safetensors_free(tensors, count);
    return 0;
}
