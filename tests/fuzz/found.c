/* What a validation wrote of a camera, which another process reads: found.json. */
#include "base/mem.h"
#include "camera/found_json.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

/* What was read is written, and reads back as the same. */
static void write_again(const struct found_state *state)
{
    struct found_state *again = mem_alloc(sizeof *again);
    char *text = found_json_write(state);
    FUZZ_EXPECT(found_json_read(text, strlen(text), again) == ERR_OK);
    FUZZ_EXPECT(again->count == state->count && again->has_kept == state->has_kept);
    FUZZ_EXPECT(again->network_stays == state->network_stays &&
                again->has_used_files == state->has_used_files);
    mem_free(text);
    mem_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct found_state *state = mem_alloc(sizeof *state);
    enum err err = found_json_read((const char *)bytes, size, state);
    FUZZ_EXPECT(err == ERR_OK || err == ERR_DATA);
    if (err == ERR_OK)
        write_again(state);
    mem_free(state);
    return 0;
}
