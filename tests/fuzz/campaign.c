/* A campaign file; one that is taken is written as it was resolved, and reads back the same. */
#include "trainer/spec/campaign.h"
#include "base/mem.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

static enum err read_resolved(const struct campaign *campaign)
{
    enum err err = ERR_OK;
    struct campaign *again = mem_alloc(sizeof *again);
    struct text first, second;
    text_init(&first);
    text_init(&second);
    campaign_write(campaign, &first);
    TRY(campaign_load(fuzz_file((const uint8_t *)text_get(&first), first.size), NULL, 0, again));
    campaign_write(again, &second);
    FUZZ_EXPECT(strcmp(text_get(&first), text_get(&second)) == 0);
out:
    mem_free(again);
    text_fini(&first);
    text_fini(&second);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct campaign *campaign = mem_alloc(sizeof *campaign);
    if (campaign_load(fuzz_file(bytes, size), NULL, 0, campaign) == ERR_OK)
        FUZZ_EXPECT(read_resolved(campaign) == ERR_OK);
    mem_free(campaign);
    return 0;
}
