/* A table of sub-networks that `glowworm space cost` is given. */
#include "cluster/space_csv.h"
#include "base/text.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct space space;
    static bool is_loaded = false;
    struct text counted;
    if (!is_loaded)
        FUZZ_EXPECT(space_load("configs/spaces/firefly-tiny.yaml", 1, 10, 1, &space) == ERR_OK);
    is_loaded = true;
    text_init(&counted);
    enum err err = space_csv_count(fuzz_file(bytes, size), &space, 28, &counted);
    FUZZ_EXPECT(err == ERR_OK || err == ERR_DATA);
    text_fini(&counted);
    return 0;
}
