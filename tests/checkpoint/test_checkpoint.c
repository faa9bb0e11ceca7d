#include "tests/checkpoint/fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h> /* needs the four above */

static void assert_ok(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
}

static void what_was_saved_is_loaded(void **state)
{
    struct checkpoint_store *store = NULL;
    struct checkpoint loaded = {0};
    struct hash content = {{0}};
    assert_ok(open_at(*state, true, 3, &store));
    assert_ok(save_step(store, "teacher", 70, false, &content));
    checkpoint_store_close(&store);
    assert_ok(open_at(*state, false, 3, &store));
    assert_ok(checkpoint_load(store, "latest", &loaded));
    assert_null(find_difference(&loaded));
    assert_true(hash_equal(&loaded.content, &content));
    assert_string_equal(loaded.position.stage, "teacher");
    assert_int_equal(loaded.position.step, 70);
    assert_int_equal(loaded.position.epoch, 7);
    assert_false(loaded.position.is_final);
    assert_string_equal(loaded.meta.space, "name: test\nstages: []\n");
    assert_string_equal(loaded.meta.parent, "");
    assert_true(loaded.meta.width_multiplier == 1.2 && loaded.meta.has_statistics);
    assert_int_equal(loaded.meta.classes * 100 + loaded.meta.channels * 10 + loaded.meta.ranks,
                     1032);
    assert_int_equal(loaded.meta.lease_epoch, 4);
    assert_true(loaded.meta.saved_ms > INT64_C(1700000000000));
    assert_ptr_equal(checkpoint_find(&loaded, "blocks.2.conv.weight"), &loaded.tensors[2]);
    assert_null(checkpoint_find(&loaded, "blocks.2.conv"));
    checkpoint_fini(&loaded);
    checkpoint_store_close(&store);
}

static void a_description_is_read_without_values(void **state)
{
    struct checkpoint_store *store = NULL;
    struct checkpoint peeked = {0};
    assert_ok(open_at(*state, true, 3, &store));
    assert_ok(save_step(store, "kernel", 5, true, NULL));
    assert_ok(checkpoint_peek(store, "kernel/final", &peeked));
    assert_int_equal(peeked.position.step, 5);
    assert_true(peeked.position.is_final);
    assert_int_equal(peeked.tensor_count, TENSORS);
    assert_int_equal(peeked.tensors[3].count, 600000);
    for (int i = 0; i < TENSORS; i++)
        assert_null(peeked.tensors[i].values);
    checkpoint_fini(&peeked);
    checkpoint_store_close(&store);
}

static struct hash content_of(struct checkpoint_store *store, const struct checkpoint *checkpoint)
{
    struct checkpoint_saved saved = {0};
    assert_ok(checkpoint_save(store, checkpoint));
    assert_ok(checkpoint_wait(store));
    assert_true(checkpoint_saved(store, &saved));
    return saved.content;
}

static void the_content_hash_leaves_circumstances_out(void **state)
{
    struct checkpoint_store *store = NULL;
    struct checkpoint checkpoint;
    assert_ok(open_at(*state, true, 9, &store));
    make_checkpoint("teacher", 3, &checkpoint);
    struct hash first = content_of(store, &checkpoint);
    checkpoint.meta.lease_epoch = 99;
    checkpoint.meta.saved_ms = 12345;
    checkpoint.meta.ranks = 8;
    checkpoint.meta.campaign = mem_string("campaign: other");
    checkpoint.meta.stage_key = mem_string("00ff");
    mem_free(checkpoint.meta.lineage);
    checkpoint.meta.lineage = mem_string("another machine");
    checkpoint.meta.mixed = mem_string("a third one");
    struct tensor kept = checkpoint.tensors[0]; /* the order of tensors is a circumstance too */
    checkpoint.tensors[0] = checkpoint.tensors[3];
    checkpoint.tensors[3] = kept;
    struct hash second = content_of(store, &checkpoint);
    assert_true(hash_equal(&first, &second));
    checkpoint_fini(&checkpoint);
    checkpoint_store_close(&store);
}

enum change {
    CHANGE_VALUE, /* the last bit of one element of tensor `which` */
    CHANGE_NAME,
    CHANGE_SHAPE,
    CHANGE_STAGE,
    CHANGE_STEP,
    CHANGE_EPOCH,
    CHANGE_FINAL,
    CHANGE_FEWER,
    CHANGE_COUNT
};

static void change(struct checkpoint *checkpoint, enum change what, int which)
{
    struct tensor *tensor = &checkpoint->tensors[which];
    switch (what) {
    case CHANGE_VALUE:
        ((unsigned char *)(tensor->values + tensor->count - 1))[0] ^= 1;
        break;
    case CHANGE_NAME:
        tensor->name[0] ^= 1;
        break;
    case CHANGE_SHAPE:
        tensor->rank = 1;
        tensor->shape[0] = (int64_t)tensor->count;
        break;
    case CHANGE_STAGE:
        checkpoint->position.stage[0] ^= 1;
        break;
    case CHANGE_STEP:
        checkpoint->position.step++;
        break;
    case CHANGE_EPOCH:
        checkpoint->position.epoch++;
        break;
    case CHANGE_FINAL:
        checkpoint->position.is_final = true;
        break;
    case CHANGE_FEWER:
        mem_free(checkpoint->tensors[--checkpoint->tensor_count].values);
        break;
    case CHANGE_COUNT:
        break;
    }
}

static void the_content_hash_covers_tensors_and_position(void **state)
{
    struct checkpoint_store *store = NULL;
    struct hash seen[1 + CHANGE_COUNT * 3];
    struct checkpoint checkpoint;
    int count = 0;
    assert_ok(open_at(*state, true, 99, &store));
    make_checkpoint("teacher", 3, &checkpoint);
    seen[count++] = content_of(store, &checkpoint);
    checkpoint_fini(&checkpoint);
    for (enum change what = CHANGE_VALUE; what < CHANGE_COUNT; what++) {
        for (int which = 0; which < (what <= CHANGE_SHAPE ? 3 : 1); which++) {
            make_checkpoint("teacher", 3, &checkpoint);
            change(&checkpoint, what, which);
            seen[count] = content_of(store, &checkpoint);
            checkpoint_fini(&checkpoint);
            for (int i = 0; i < count; i++)
                if (hash_equal(&seen[i], &seen[count]))
                    fail_msg("change %d of tensor %d left the hash as it was", what, which);
            count++;
        }
    }
    checkpoint_store_close(&store);
}

static void an_unchanged_blob_is_not_written_again(void **state)
{
    struct checkpoint_store *store = NULL;
    struct checkpoint_saved saved = {0};
    assert_ok(open_at(*state, true, 3, &store));
    assert_false(checkpoint_saved(store, &saved));
    assert_ok(save_step(store, "teacher", 1, false, NULL));
    assert_true(checkpoint_saved(store, &saved));
    assert_int_equal(saved.written_bytes, 4 * (7 + 100 + 5000 + 600000 + 300000));
    assert_ok(save_step(store, "teacher", 2, false, NULL));
    assert_true(checkpoint_saved(store, &saved));
    assert_int_equal(saved.written_bytes, 4 * (7 + 100 + 5000 + 600000));
    assert_ok(save_step(store, "kernel", 2, false, NULL));
    assert_true(checkpoint_saved(store, &saved));
    assert_int_equal(saved.written_bytes, 0);
    assert_int_equal(saved.count, 3);
    assert_string_equal(saved.position.stage, "kernel");
    checkpoint_store_close(&store);
}

static void assert_steps(struct checkpoint_store *store, const char *expected)
{
    struct checkpoint_entry *entries = NULL;
    int count = 0;
    char found[400] = "";
    assert_ok(checkpoint_list(store, &entries, &count));
    for (int i = 0; i < count; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s:%llu(%s) ",
                 entries[i].position.stage, (unsigned long long)entries[i].position.step,
                 entries[i].names);
    checkpoint_entries_free(entries, count);
    assert_string_equal(found, expected);
}

static void the_newest_of_each_stage_and_the_named_are_kept(void **state)
{
    struct checkpoint_store *store = NULL;
    struct hash second = {{0}};
    uint64_t read_bytes = 0;
    assert_ok(open_at(*state, true, 2, &store));
    assert_ok(save_step(store, "teacher", 1, false, NULL));
    assert_ok(save_step(store, "teacher", 2, false, &second));
    assert_ok(checkpoint_name(store, "good", &second));
    assert_ok(save_step(store, "teacher", 3, false, NULL));
    assert_ok(save_step(store, "teacher", 4, true, NULL));
    assert_steps(store, "teacher:2(good) teacher:3() teacher:4(latest teacher/final "
                        "teacher/latest) ");
    assert_ok(save_step(store, "kernel", 1, false, NULL));
    assert_ok(save_step(store, "kernel", 2, false, NULL));
    assert_ok(save_step(store, "kernel", 3, false, NULL));
    assert_steps(store, "teacher:2(good) teacher:3() teacher:4(teacher/final teacher/latest) "
                        "kernel:2() kernel:3(kernel/latest latest) ");
    assert_ok(checkpoint_verify(store, NULL, &read_bytes)); /* no needed blob was dropped */
    assert_int_equal(read_bytes, 5 * 4 * (7 + 100 + 5000 + 600000 + 300000));
    checkpoint_store_close(&store);
}

static void save_with_key(struct checkpoint_store *store, uint64_t step, const char *key)
{
    struct checkpoint checkpoint;
    make_checkpoint("kernel", step, &checkpoint);
    checkpoint.meta.stage_key = mem_string(key);
    assert_ok(checkpoint_save(store, &checkpoint));
    assert_ok(checkpoint_wait(store));
    checkpoint_fini(&checkpoint);
}

static void an_edit_leaves_the_newest_of_the_settings_before(void **state)
{
    struct checkpoint_store *store = NULL;
    assert_ok(open_at(*state, true, 2, &store));
    for (uint64_t step = 1; step <= 3; step++)
        save_with_key(store, step, "aa");
    for (uint64_t step = 11; step <= 13; step++)
        save_with_key(store, step, "bb");
    assert_steps(store, "kernel:3() kernel:12() kernel:13(kernel/latest latest) ");
    save_with_key(store, 4, "aa"); /* taken back: now the other is the one before */
    assert_steps(store, "kernel:3() kernel:13() kernel:4(kernel/latest latest) ");
    save_with_key(store, 21, "cc");
    save_with_key(store, 31, "dd"); /* the disk is not for every edit there ever was */
    assert_steps(store, "kernel:4() kernel:21() kernel:31(kernel/latest latest) ");
    checkpoint_store_close(&store);
}

static void order_of_saves_survives_opening_again(void **state)
{
    struct checkpoint_store *store = NULL;
    for (uint64_t step = 9; step > 5; step--) { /* steps may go back: a rewound stage */
        assert_ok(open_at(*state, true, 2, &store));
        assert_ok(save_step(store, "teacher", step, false, NULL));
        checkpoint_store_close(&store);
    }
    assert_ok(open_at(*state, false, 1, &store));
    assert_steps(store, "teacher:7() teacher:6(latest teacher/latest) ");
    checkpoint_store_close(&store);
}

static off_t size_of_file(const char *folder)
{
    char *file = file_join(folder, "data.mdb"), *bytes = NULL;
    size_t size = 0;
    assert_ok(file_read(file, (size_t)1 << 30, &bytes, &size));
    mem_free(bytes);
    mem_free(file);
    return (off_t)size;
}

static void the_file_stops_growing(void **state)
{
    struct checkpoint_store *store = NULL;
    assert_ok(open_at(*state, true, 2, &store));
    for (uint64_t step = 0; step < 8; step++)
        assert_ok(save_step(store, "teacher", step, false, NULL));
    off_t early = size_of_file(*state);
    for (uint64_t step = 8; step < 40; step++)
        assert_ok(save_step(store, "teacher", step, false, NULL));
    off_t late = size_of_file(*state);
    if (late > early + early / 4)
        fail_msg("%lld bytes after 8 saves, %lld after 40", (long long)early, (long long)late);
    checkpoint_store_close(&store);
}

static void training_goes_on_in_the_saved_memory(void **state)
{
    struct checkpoint_store *store = NULL;
    struct checkpoint checkpoint, loaded = {0};
    assert_ok(open_at(*state, true, 3, &store));
    make_checkpoint("teacher", 11, &checkpoint);
    assert_ok(checkpoint_save(store, &checkpoint));
    for (int i = 0; i < TENSORS; i++) /* the next step, before the save is durable */
        memset(checkpoint.tensors[i].values, 0xFF, checkpoint.tensors[i].count * sizeof(float));
    checkpoint.position.step = 12;
    assert_ok(checkpoint_wait(store));
    assert_ok(checkpoint_load(store, "latest", &loaded));
    assert_int_equal(loaded.position.step, 11);
    assert_null(find_difference(&loaded));
    checkpoint_fini(&loaded);
    checkpoint_fini(&checkpoint);
    checkpoint_store_close(&store);
}

static void closing_waits_for_the_save_in_hand(void **state)
{
    struct checkpoint_store *store = NULL;
    struct checkpoint checkpoint, loaded = {0};
    make_checkpoint("teacher", 1, &checkpoint);
    assert_ok(open_at(*state, true, 1, &store));
    assert_ok(checkpoint_save(store, &checkpoint));
    checkpoint_store_close(&store);
    assert_ok(open_at(*state, false, 1, &store));
    assert_ok(checkpoint_load(store, "teacher/latest", &loaded));
    checkpoint_fini(&loaded);
    checkpoint_fini(&checkpoint);
    checkpoint_store_close(&store);
}

static void a_checkpoint_is_found_by_its_hash(void **state)
{
    struct checkpoint_store *store = NULL;
    struct checkpoint peeked = {0};
    struct hash content = {{0}};
    char hex[HASH_HEX_BYTES];
    assert_ok(open_at(*state, true, 3, &store));
    assert_ok(save_step(store, "teacher", 1, false, &content));
    assert_ok(save_step(store, "teacher", 2, false, NULL));
    hash_hex(&content, hex);
    for (int digits = 64; digits >= 8; digits -= 28) {
        hex[digits] = '\0';
        assert_ok(checkpoint_peek(store, hex, &peeked));
        assert_true(hash_equal(&peeked.content, &content));
        checkpoint_fini(&peeked);
    }
    hex[7] = '\0';
    assert_int_equal(checkpoint_peek(store, hex, &peeked), ERR_NOT_FOUND);
    checkpoint_store_close(&store);
}

static void a_missing_name_lists_the_names_there_are(void **state)
{
    struct checkpoint_store *store = NULL;
    struct checkpoint loaded = {0};
    assert_ok(open_at(*state, true, 3, &store));
    assert_int_equal(checkpoint_load(store, "latest", &loaded), ERR_NOT_FOUND);
    assert_non_null(strstr(err_text(), "none at all"));
    assert_ok(save_step(store, "teacher", 1, true, NULL));
    assert_int_equal(checkpoint_load(store, "kernel/final", &loaded), ERR_NOT_FOUND);
    assert_non_null(strstr(err_text(), "latest, teacher/final, teacher/latest"));
    assert_non_null(strstr(err_text(), *state));
    checkpoint_store_close(&store);
}

static void bad_names_and_tensors_are_refused(void **state)
{
    struct checkpoint_store *store = NULL;
    struct checkpoint checkpoint;
    struct hash content = {{0}}, none = {{1}};
    assert_ok(open_at(*state, true, 3, &store));
    assert_ok(save_step(store, "teacher", 1, false, &content));
    assert_int_equal(checkpoint_name(store, "good", &none), ERR_NOT_FOUND);
    static const char *const bad[] = {
        "", "a@b", "two words", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"};
    for (int i = 0; i < 4; i++)
        assert_int_equal(checkpoint_name(store, bad[i], &content), ERR_USAGE);
    make_checkpoint("teacher", 2, &checkpoint);
    snprintf(checkpoint.tensors[0].name, 10, "twice");
    snprintf(checkpoint.tensors[1].name, 10, "twice");
    assert_int_equal(checkpoint_save(store, &checkpoint), ERR_DATA);
    assert_non_null(strstr(err_text(), checkpoint.tensors[0].name));
    checkpoint.tensors[0].name[0] = '\0';
    assert_int_equal(checkpoint_save(store, &checkpoint), ERR_DATA);
    snprintf(checkpoint.tensors[0].name, 10, "other");
    checkpoint.tensors[2].shape[0]++;
    assert_int_equal(checkpoint_save(store, &checkpoint), ERR_DATA);
    assert_int_equal(checkpoint_wait(store), ERR_OK);
    checkpoint_fini(&checkpoint);
    checkpoint_store_close(&store);
}

static void assert_reference(const char *text, const char *path, const char *name)
{
    char *found_path = NULL, *found_name = NULL;
    assert_ok(checkpoint_reference(text, &found_path, &found_name));
    assert_string_equal(found_path, path);
    assert_string_equal(found_name, name);
    mem_free(found_path);
    mem_free(found_name);
}

static void references_name_a_store_or_a_run(void **state)
{
    char *path = NULL, *name = NULL, run[300], inside[320], text[340];
    snprintf(run, sizeof run, "%s/run@home", (const char *)*state);
    snprintf(inside, sizeof inside, "%s/checkpoints", run);
    assert_ok(file_make_folders(inside));
    assert_reference("some/where", "some/where", "latest");
    assert_reference("some/where@teacher/final", "some/where", "teacher/final");
    assert_reference(run, inside, "latest");
    snprintf(text, sizeof text, "%s@kernel/latest", run);
    assert_reference(text, inside, "kernel/latest");
    snprintf(text, sizeof text, "%s/data.mdb", run);
    assert_ok(file_write(text, "x", 1)); /* a store of its own is taken as it is */
    assert_reference(run, run, "latest");
    assert_int_equal(checkpoint_reference("@name", &path, &name), ERR_USAGE);
    assert_int_equal(checkpoint_reference("path@", &path, &name), ERR_USAGE);
    assert_int_equal(checkpoint_reference("", &path, &name), ERR_USAGE);
}

#define T(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_was_saved_is_loaded),
        T(a_description_is_read_without_values),
        T(the_content_hash_leaves_circumstances_out),
        T(the_content_hash_covers_tensors_and_position),
        T(an_unchanged_blob_is_not_written_again),
        T(the_newest_of_each_stage_and_the_named_are_kept),
        T(an_edit_leaves_the_newest_of_the_settings_before),
        T(order_of_saves_survives_opening_again),
        T(the_file_stops_growing),
        T(training_goes_on_in_the_saved_memory),
        T(closing_waits_for_the_save_in_hand),
        T(a_checkpoint_is_found_by_its_hash),
        T(a_missing_name_lists_the_names_there_are),
        T(bad_names_and_tensors_are_refused),
        T(references_name_a_store_or_a_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
