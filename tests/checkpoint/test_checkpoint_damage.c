/* Damage: the newest sound checkpoint of a stage is found past it, a save mends what it saves, and
 * nothing sound goes with what is not. */
#include "tests/checkpoint/damage.h"
#include "tests/checkpoint/fixture.h"
#include "trainer/checkpoint/checkpoint.pb-c.h"
#include "trainer/checkpoint/manifest.h"
#include "trainer/checkpoint/prune.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#define KEY   "00112233445566778899aabbccddeeff"
#define OTHER "ffeeddccbbaa99887766554433221100"

static void assert_ok(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
}

/* Saves in a store of its own; what was written of blobs. hex: may be NULL. */
static uint64_t save(const char *folder, int keep, const char *stage, const char *key,
                     uint64_t step, bool is_final, char hex[HASH_HEX_BYTES])
{
    struct checkpoint_store *store = NULL;
    struct checkpoint checkpoint;
    struct checkpoint_saved saved = {0};
    assert_ok(open_at(folder, true, keep, &store));
    make_checkpoint(stage, step, &checkpoint);
    checkpoint.position.is_final = is_final;
    checkpoint.meta.stage_key = mem_string(key);
    assert_ok(checkpoint_save(store, &checkpoint));
    assert_ok(checkpoint_wait(store));
    assert_true(checkpoint_saved(store, &saved));
    if (hex)
        hash_hex(&saved.content, hex);
    checkpoint_fini(&checkpoint);
    checkpoint_store_close(&store);
    return saved.written_bytes;
}

/* The step of the newest sound one of stage "kernel" with KEY, -1: none; its tensors are checked.
 * damage: what was passed over; text_fini() it. */
static int find_newest(const char *folder, bool is_final, struct text *damage)
{
    struct checkpoint_store *store = NULL;
    struct checkpoint loaded = {0};
    const struct checkpoint_wanted wanted = {"kernel", KEY, is_final};
    text_init(damage);
    assert_ok(open_at(folder, true, 9, &store));
    enum err err = checkpoint_load_newest(store, &wanted, &loaded, damage);
    int step = err == ERR_OK ? (int)loaded.position.step : -1;
    if (err != ERR_NOT_FOUND)
        assert_ok(err);
    else
        assert_non_null(strstr(err_text(), "no sound checkpoint of stage kernel"));
    if (err == ERR_OK && find_difference(&loaded))
        fail_msg("%s", find_difference(&loaded));
    checkpoint_fini(&loaded);
    checkpoint_store_close(&store);
    return step;
}

static void expect_newest(const char *folder, int step, const char *sentence)
{
    struct text damage;
    int found = find_newest(folder, false, &damage);
    if (found != step || (sentence ? !strstr(text_get(&damage), sentence) : damage.size > 0))
        fail_msg("step %d for %d: %s", found, step, text_get(&damage));
    text_fini(&damage);
}

static void any_damage_is_passed_over_and_a_save_mends_it(void **state)
{
    static const char *const sentences[] = {"the tensor blocks.3.conv.weight of checkpoint",
                                            "chunk 0 is missing", "the manifest cannot be read",
                                            "the manifest has changed since it was written",
                                            "is missing"};
    char newest[HASH_HEX_BYTES];
    for (uint64_t step = 1; step <= 4; step++)
        save(*state, 9, "kernel", KEY, step, step == 4, newest);
    for (enum damage kind = DAMAGE_BLOB; kind <= DAMAGE_NO_MANIFEST; kind++) {
        expect_newest(*state, 4, NULL);
        damage_checkpoint(*state, newest, kind);
        expect_newest(*state, 3, sentences[kind]);
        save(*state, 9, "kernel", KEY, 4, true, NULL); /* as the stage does, behind step 3 */
    }
    expect_newest(*state, 4, NULL);
}

/* Their table may have been lost or lead elsewhere. */
static void names_are_not_needed(void **state)
{
    struct checkpoint_store *store = NULL;
    struct hash content;
    char first[HASH_HEX_BYTES];
    save(*state, 9, "kernel", KEY, 1, false, first);
    save(*state, 9, "kernel", KEY, 2, false, NULL);
    assert_true(hash_parse(first, &content));
    assert_ok(open_at(*state, true, 9, &store));
    assert_ok(checkpoint_name(store, "kernel/latest", &content));
    checkpoint_store_close(&store);
    expect_newest(*state, 2, NULL);
}

static void only_the_stage_s_own_settings_count(void **state)
{
    struct text damage;
    save(*state, 9, "kernel", KEY, 1, false, NULL);
    save(*state, 9, "kernel", OTHER, 5, true, NULL);
    save(*state, 9, "depth-1", KEY, 6, true, NULL);
    expect_newest(*state, 1, NULL);
    assert_int_equal(find_newest(*state, true, &damage), -1);
    assert_int_equal(damage.size, 0);
    text_fini(&damage);
}

static void when_all_are_damaged_each_is_told(void **state)
{
    char first[HASH_HEX_BYTES], second[HASH_HEX_BYTES];
    save(*state, 9, "kernel", KEY, 1, false, first);
    save(*state, 9, "kernel", KEY, 2, false, second);
    damage_checkpoint(*state, first, DAMAGE_BLOB);
    damage_checkpoint(*state, second, DAMAGE_MANIFEST);
    expect_newest(*state, -1, "the manifest cannot be read");
    expect_newest(*state, -1, "; step 1: ");
}

/* Hundreds must not hide what is said behind them. */
static void of_many_damaged_the_newest_are_told_and_the_others_counted(void **state)
{
    struct text damage;
    char hex[10][HASH_HEX_BYTES];
    for (uint64_t step = 1; step <= 9; step++)
        save(*state, 9, "kernel", KEY, step, false, hex[step]);
    for (int step = 3; step <= 9; step++)
        damage_checkpoint(*state, hex[step], DAMAGE_BLOB);
    expect_newest(*state, 2, "; and 3 more");
    assert_int_equal(find_newest(*state, false, &damage), 2);
    assert_non_null(strstr(text_get(&damage), "step 6: "));
    assert_null(strstr(text_get(&damage), "step 5: "));
    text_fini(&damage);
}

/* What cannot be read may be mended one day: its manifest stays, and all that only it needs. */
static void saves_go_on_beside_a_damaged_manifest(void **state)
{
    char teacher[HASH_HEX_BYTES];
    struct checkpoint_store *store = NULL;
    struct checkpoint_entry *entries = NULL;
    struct prune_plan plan;
    int count = 0;
    save(*state, 1, "teacher", KEY, 9, true, teacher);
    damage_checkpoint(*state, teacher, DAMAGE_MANIFEST);
    for (uint64_t step = 1; step <= 4; step++)
        save(*state, 1, "kernel", KEY, step, false, NULL);
    expect_newest(*state, 4, NULL); /* the damage is not this stage's */
    assert_ok(open_at(*state, false, 1, &store));
    assert_ok(checkpoint_list(store, &entries, &count));
    assert_int_equal(count, 2); /* retention has dropped the others */
    assert_true(entries[0].is_damaged && !entries[1].is_damaged);
    assert_string_equal(entries[0].names, "teacher/final teacher/latest");
    checkpoint_entries_free(entries, count);
    assert_ok(prune_look(store, &(struct prune_cfg){.keep = 1}, &plan));
    assert_int_equal(plan.bytes, 0); /* nor are they of a save that came to no end */
    prune_plan_fini(&plan);
    checkpoint_store_close(&store);
    assert_int_equal(save(*state, 1, "teacher", KEY, 9, true, NULL), 0); /* every blob was there */
}

static void names_that_stand_for_nothing_are_told(void **state)
{
    struct checkpoint_store *store = NULL;
    char lost[HASH_HEX_BYTES];
    uint64_t read_bytes = 0;
    save(*state, 9, "teacher", KEY, 1, true, NULL);
    save(*state, 9, "kernel", KEY, 2, false, lost);
    damage_checkpoint(*state, lost, DAMAGE_NO_MANIFEST);
    assert_ok(open_at(*state, false, 9, &store));
    assert_ok(checkpoint_verify(store, "teacher/final", &read_bytes));
    assert_int_equal(checkpoint_verify(store, NULL, &read_bytes), ERR_DATA);
    assert_non_null(strstr(err_text(), "the name kernel/latest stands for nothing"));
    assert_int_equal(checkpoint_verify(store, "kernel/latest", &read_bytes), ERR_DATA);
    assert_non_null(strstr(err_text(), "is missing"));
    checkpoint_store_close(&store);
}

static void manifests_of_older_writers_are_read(void **state)
{
    (void)state;
    struct manifest manifest = {.serial = 3}, read = {0};
    struct text packed;
    text_init(&packed);
    make_checkpoint("kernel", 2, &manifest.checkpoint);
    manifest.checkpoint.meta.has_trained = true;
    manifest.checkpoint.meta.trained = (struct open_choices){{1, {7}}, {2, {3, 4}}, {1, {2}}};
    manifest.blobs = mem_array(TENSORS, sizeof *manifest.blobs);
    struct hash content = manifest_content(&manifest.checkpoint, manifest.blobs);
    manifest_pack(&manifest, &packed);
    Glowworm__Checkpoint__Manifest *message =
        glowworm__checkpoint__manifest__unpack(NULL, packed.size, (const uint8_t *)packed.bytes);
    assert_int_equal(message->seal.len, HASH_BYTES);
    message->seal.len = 0; /* neither was there */
    glowworm__checkpoint__trained__free_unpacked(message->meta->trained, NULL);
    message->meta->trained = NULL;
    packed.size = glowworm__checkpoint__manifest__pack(message, (uint8_t *)packed.bytes);
    assert_ok(manifest_unpack(packed.bytes, packed.size, &content, &read));
    assert_false(read.checkpoint.meta.has_trained);
    assert_int_equal(read.serial, 3);
    manifest_fini(&read);
    glowworm__checkpoint__manifest__free_unpacked(message, NULL);
    text_fini(&packed);
    manifest_fini(&manifest);
}

/* 2^40 x 2^40 elements are 0 in 64 bits. */
static void a_shape_whose_product_overflows_is_damage(void **state)
{
    (void)state;
    struct manifest manifest = {.serial = 3}, read = {0};
    struct text packed;
    text_init(&packed);
    make_checkpoint("kernel", 2, &manifest.checkpoint);
    struct tensor *tensor = &manifest.checkpoint.tensors[0];
    tensor->shape[0] = tensor->shape[1] = (int64_t)1 << 40;
    manifest.blobs = mem_array(TENSORS, sizeof *manifest.blobs);
    struct hash content = manifest_content(&manifest.checkpoint, manifest.blobs);
    manifest_pack(&manifest, &packed);
    assert_int_equal(manifest_unpack(packed.bytes, packed.size, &content, &read), ERR_DATA);
    assert_non_null(strstr(err_text(), "impossible size"));
    manifest_fini(&manifest);
    text_fini(&packed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(any_damage_is_passed_over_and_a_save_mends_it),
        TEST(names_are_not_needed),
        TEST(only_the_stage_s_own_settings_count),
        TEST(when_all_are_damaged_each_is_told),
        TEST(of_many_damaged_the_newest_are_told_and_the_others_counted),
        TEST(saves_go_on_beside_a_damaged_manifest),
        TEST(names_that_stand_for_nothing_are_told),
        TEST(manifests_of_older_writers_are_read),
        TEST(a_shape_whose_product_overflows_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
