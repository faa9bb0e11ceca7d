/* Measurements as they are kept: what tells their keys apart, and what of a record is believed. */
#include "base/store/store.h"
#include "tests/checkpoint/fixture.h"
#include "trainer/checkpoint/measurement_record.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

static void assert_ok(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
}

static const char key[] = "measurement=1\nsubnet=r=28 k=7\n";
static const char score[] = "a score of many bytes\0 and of one that is 0";

static void pack(struct measurement_record *record)
{
    struct measurement measurement = {.key = key, .score = score, .score_bytes = sizeof score};
    measurement_record_pack(&measurement, record);
}

static enum err expect_whole(const struct measurement *measurement, void *own)
{
    assert_string_equal(measurement->key, key);
    assert_int_equal(measurement->score_bytes, sizeof score);
    assert_memory_equal(measurement->score, score, sizeof score);
    ++*(int *)own;
    return ERR_OK;
}

static enum err unpack(const struct hash *name, const struct text *packed, size_t size_bytes)
{
    int visits = 0;
    enum err err =
        measurement_record_unpack(name, packed->bytes, size_bytes, expect_whole, &visits);
    assert_int_equal(visits, err == ERR_OK);
    return err;
}

static void a_record_gives_back_what_was_packed(void **state)
{
    struct measurement_record record;
    struct hash name = hash_of(key, strlen(key));
    (void)state;
    pack(&record);
    assert_true(hash_equal(&record.key, &name));
    assert_ok(unpack(&name, &record.packed, record.packed.size));
    measurement_record_fini(&record);
}

static void a_record_that_is_damaged_anywhere_is_not_believed(void **state)
{
    struct measurement_record record;
    (void)state;
    pack(&record);
    for (size_t at = 0; at < record.packed.size; at++) {
        record.packed.bytes[at] ^= 4;
        assert_int_equal(unpack(&record.key, &record.packed, record.packed.size), ERR_DATA);
        assert_non_null(strstr(err_text(), "is damaged"));
        record.packed.bytes[at] ^= 4;
    }
    for (size_t size = 0; size < record.packed.size; size++)
        assert_int_equal(unpack(&record.key, &record.packed, size), ERR_DATA);
    assert_ok(unpack(&record.key, &record.packed, record.packed.size));
    measurement_record_fini(&record);
}

static void a_record_of_another_key_is_not_believed(void **state)
{
    struct measurement_record record;
    struct hash other = hash_of("another", 7);
    (void)state;
    pack(&record);
    assert_int_equal(unpack(&other, &record.packed, record.packed.size), ERR_DATA);
    measurement_record_fini(&record);
}

static void every_part_of_a_key_tells_measurements_apart(void **state)
{
    enum { PARTS = 11 };
    const struct hash ones = {{1}}, twos = {{2}};
    const struct measurement_key plain = {&ones, "r=28",        "test", "lines",  &ones, 100,
                                          32,    "images=40\n", "fp32", "cpu v3", 1};
    char *texts[PARTS + 1];
    (void)state;
    for (int part = 0; part <= PARTS; part++) {
        struct measurement_key changed = plain;
        struct text text;
        text_init(&text);
        changed.checkpoint = part == 1 ? &twos : changed.checkpoint;
        changed.subnet = part == 2 ? "r=24" : changed.subnet;
        changed.split = part == 3 ? "holdout" : changed.split;
        changed.space = part == 4 ? "others" : changed.space;
        changed.dataset = part == 5 ? &twos : changed.dataset;
        changed.holdout += part == 6;
        changed.batch += part == 7;
        changed.calibration = part == 8 ? "images=41\n" : changed.calibration;
        changed.precision = part == 9 ? "bf16" : changed.precision;
        changed.lineage = part == 10 ? "cpu v4" : changed.lineage;
        changed.training_version += part == 11;
        measurement_key_write(&changed, &text);
        texts[part] = mem_string(text_get(&text));
        text_fini(&text);
        for (int other = 0; other < part; other++)
            assert_string_not_equal(texts[other], texts[part]);
    }
    for (int part = 0; part <= PARTS; part++)
        mem_free(texts[part]);
}

static enum err put_one(struct store_txn *txn, void *argument)
{
    struct store_bytes bytes = {key, sizeof key};
    (void)argument;
    return store_put(txn, 0, bytes, bytes);
}

/* Programs of before kept measurements in a table of the store of checkpoints. */
static void a_store_with_measurements_of_before_opens_and_goes_on(void **state)
{
    static const char *const old[] = {"measurements", "blobs", "manifests", "names", NULL};
    uint64_t read_bytes = 0;
    struct store *raw = NULL;
    struct checkpoint_store *store = NULL;
    struct store_cfg cfg = {
        .path = *state, .mode = STORE_WRITE, .kind = "checkpoints", .version = 1, .tables = old};
    assert_ok(store_open(&cfg, &raw));
    assert_ok(store_update(raw, put_one, NULL));
    store_close(&raw);
    assert_ok(open_at(*state, true, 1, &store));
    assert_ok(save_step(store, "teacher", 1, false, NULL));
    assert_ok(checkpoint_verify(store, NULL, &read_bytes));
    checkpoint_store_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_gives_back_what_was_packed),
        cmocka_unit_test(a_record_that_is_damaged_anywhere_is_not_believed),
        cmocka_unit_test(a_record_of_another_key_is_not_believed),
        cmocka_unit_test(every_part_of_a_key_tells_measurements_apart),
        cmocka_unit_test_setup_teardown(a_store_with_measurements_of_before_opens_and_goes_on,
                                        scratch_make, scratch_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
