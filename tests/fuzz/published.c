/* What another machine left in a run's folder: who claims it, and what a published state holds. */
#include "base/mem.h"
#include "cluster/json_file.h"
#include "cluster/scratch/state.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

/* What is believed of a manifest decides what is copied where. */
static void look_at(const struct state_manifest *manifest)
{
    struct hash hash;
    FUZZ_EXPECT(strlen(manifest->stores) < CLAIM_ID && manifest->files[0].is_there);
    for (int i = 0; i < STATE_FILES; i++)
        FUZZ_EXPECT(!manifest->files[i].is_there || hash_parse(manifest->files[i].hash, &hash));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct claim_info info = {.pid = 0};
    struct state_manifest manifest;
    json_t *json = NULL;
    char *text = mem_alloc(size + 1);
    memcpy(text, bytes, size);
    if (claim_parse("claim", text, &info) == ERR_OK)
        FUZZ_EXPECT(info.pid >= 0 && info.started_ticks >= 0 && info.restart >= 0);
    if (json_file_parse("manifest", text, size, &json) == ERR_OK &&
        state_take_manifest("manifest", json, &manifest) == ERR_OK)
        look_at(&manifest);
    json_decref(json);
    mem_free(text);
    return 0;
}
