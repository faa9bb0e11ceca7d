/* A network's file for the simulated camera that says it is a pair of Caffe's. */
#include "camera/network_file.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct caffe_files files;
    if (network_file_split(bytes, size, &files) == ERR_OK) {
        FUZZ_EXPECT(files.prototxt == bytes + NETWORK_FILE_HEAD);
        FUZZ_EXPECT(files.model == files.prototxt + files.prototxt_bytes);
        FUZZ_EXPECT(files.model + files.model_bytes == bytes + size);
    }
    return 0;
}
