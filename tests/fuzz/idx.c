/* An IDX file, plain or packed, to its end or to the first thing that is wrong. */
#include "trainer/data/idx.h"
#include "base/mem.h"
#include "tests/fuzz/fuzz.h"

#define MOST_BYTES ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct idx idx;
    if (idx_open(fuzz_put("idx", bytes, size), &idx) != ERR_OK)
        return 0;
    FUZZ_EXPECT(idx.item_bytes > 0 && idx.item_bytes <= (size_t)3 * IDX_MAX_SIDE * IDX_MAX_SIDE);
    uint8_t *item = mem_alloc(idx.item_bytes);
    enum err err = ERR_OK;
    for (size_t done = 0; err == ERR_OK && idx.next < idx.count && done < MOST_BYTES;
         done += idx.item_bytes)
        err = idx_read(&idx, item);
    FUZZ_EXPECT(err == ERR_OK || err == ERR_DATA);
    mem_free(item);
    idx_close(&idx);
    return 0;
}
