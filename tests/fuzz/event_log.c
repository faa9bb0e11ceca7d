/* metrics/STAGE.jsonl as the stage that goes on finds it: what is kept of it is of steps it has
 * done. */
#include "trainer/record/event_log.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

#define STEP 7

/* A line of ours may hold a later step, too, where it has been tampered with. */
static void look_at(void *own, json_t *event)
{
    (void)own;
    FUZZ_EXPECT(event != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct event_log *events = NULL;
    const char *path = fuzz_put("stage.jsonl", bytes, size);
    const struct event_log_cfg cfg = {.path = path, .is_resume = true, .step = STEP};
    enum err err = event_log_read(path, look_at, NULL);
    FUZZ_EXPECT(err == ERR_OK || err == ERR_DATA);
    FUZZ_EXPECT(event_log_open(&cfg, &events) == ERR_OK);
    (void)event_log_has(events, "step", STEP);
    event_log_begin(events, "step", STEP + 1);
    event_log_end(events);
    FUZZ_EXPECT(event_log_check(events) == ERR_OK);
    event_log_close(&events);
    return 0;
}
