/* The journal's records; the first byte says of which table. What is read is written and reads back
 * the same. */
#include "base/mem.h"
#include "scheduler/journal_internal.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

static enum err look_away(const struct measurement_bytes *measurement, void *own)
{
    (void)own;
    FUZZ_EXPECT(measurement->detail >= 0);
    return ERR_OK;
}

static void read_record(int table, struct store_bytes value)
{
    uint8_t room[8];
    struct hash hash = {{0}};
    struct store_bytes number = store_number(7, room);
    struct stage_record *stage = mem_alloc(sizeof *stage);
    struct attempt_record *attempt = mem_alloc(sizeof *attempt);
    struct event_record *event = mem_alloc(sizeof *event);
    char *inputs = NULL;
    enum err err = ERR_OK;
    if (table == TABLE_STAGES && (err = codec_read_stage(value, stage)) == ERR_OK)
        stage_record_fini(stage);
    else if (table == TABLE_ATTEMPTS)
        err = codec_read_attempt(number, value, attempt);
    else if (table == TABLE_EVENTS)
        err = codec_read_event(number, value, event);
    else if (table == TABLE_CURRENT)
        err = codec_read_current(value, &hash, &inputs);
    else if (table == TABLE_MEASUREMENTS)
        err = codec_read_measurement(journal_key(&hash), value, look_away, NULL);
    FUZZ_EXPECT(err == ERR_OK || err == ERR_DATA);
    mem_free(inputs);
    mem_free(stage);
    mem_free(attempt);
    mem_free(event);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size > 0)
        read_record(bytes[0] % (TABLE_MEASUREMENTS + 1), (struct store_bytes){bytes + 1, size - 1});
    return 0;
}
