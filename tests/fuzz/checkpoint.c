/* What the trainer keeps: a manifest of the checkpoint store (key and message), a measurement
 * (likewise) and the score in one; the first byte says which. */
#include "tests/fuzz/fuzz.h"
#include "trainer/checkpoint/manifest.h"
#include "trainer/checkpoint/measurement_record.h"
#include "trainer/evaluate/eval_metrics.h"
#include <string.h>

static enum err look_away(const struct measurement *measurement, void *own)
{
    (void)measurement;
    (void)own;
    return ERR_OK;
}

static enum err read_score(const uint8_t *bytes, size_t size)
{
    struct eval_metrics metrics = {0};
    enum err err = eval_metrics_unpack(bytes, size, &metrics);
    if (err == ERR_OK)
        eval_metrics_fini(&metrics);
    return err;
}

static enum err read_manifest(struct store_bytes key, struct store_bytes value)
{
    struct hash content;
    struct manifest manifest = {0};
    enum err err = manifest_unpack_row(key, value, &content, &manifest);
    if (err == ERR_OK)
        manifest_fini(&manifest);
    return err;
}

static enum err read_measurement(const uint8_t *key_bytes, struct store_bytes value)
{
    struct hash key;
    memcpy(key.bytes, key_bytes, HASH_BYTES);
    return measurement_record_unpack(&key, value.data, value.size, look_away, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    enum err err = ERR_OK;
    if (size < 1 + HASH_BYTES)
        return 0;
    struct store_bytes key = {bytes + 1, HASH_BYTES};
    struct store_bytes value = {bytes + 1 + HASH_BYTES, size - 1 - HASH_BYTES};
    if (bytes[0] % 3 == 0)
        err = read_manifest(key, value);
    else if (bytes[0] % 3 == 1)
        err = read_measurement(bytes + 1, value);
    else
        err = read_score(bytes + 1, size - 1);
    FUZZ_EXPECT(err == ERR_OK || err == ERR_DATA);
    return 0;
}
