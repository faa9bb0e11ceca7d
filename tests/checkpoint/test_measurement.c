/* The table of measurements in a checkpoint store: what is kept, found, damaged and lost. */
#include "base/fault.h"
#include "base/store/store.h"
#include "tests/checkpoint/fixture.h"
#include "trainer/checkpoint/measurement.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h> /* needs the four above */

static void assert_ok(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
}

static void arm(const char *rules)
{
    setenv("GLOWWORM_FAULT", rules, 1);
    fault_reset();
}

static void disarm(void)
{
    unsetenv("GLOWWORM_FAULT");
    fault_reset();
}

/* Number i's key and score. */
static void key_of(int i, char key[64])
{
    snprintf(key, 64, "measurement=1\nsubnet=r=28 number %d\n", i);
}

static void keep(struct checkpoint_store *store, int i)
{
    char key[64], score[64];
    key_of(i, key);
    int size = snprintf(score, sizeof score, "score %d of many bytes, and of one that is 0", i) + 1;
    struct measurement measurement = {.key = key, .score = score, .score_bytes = (size_t)size};
    measurement_keep(store, &measurement);
}

/* Whether number i is there with its score. */
static enum err find(struct checkpoint_store *store, int i)
{
    char key[64], expected[64];
    struct text score;
    text_init(&score);
    key_of(i, key);
    snprintf(expected, sizeof expected, "score %d of many bytes, and of one that is 0", i);
    enum err err = measurement_find(store, key, &score);
    if (err == ERR_OK) {
        assert_int_equal(score.size, strlen(expected) + 1);
        assert_memory_equal(score.bytes, expected, score.size);
    }
    text_fini(&score);
    return err;
}

static struct checkpoint_store *must_open(const char *path, bool is_writer)
{
    struct checkpoint_store *store = NULL;
    assert_ok(open_at(path, is_writer, 1, &store));
    return store;
}

static enum err count_one(const struct measurement *measurement, void *own)
{
    assert_memory_equal(measurement->key, "measurement=1\n", 14);
    ++*(int *)own;
    return ERR_OK;
}

static void what_was_kept_is_found_after_opening_again(void **state)
{
    int count = 0;
    struct checkpoint_store *store = must_open(*state, true);
    for (int i = 0; i < 3 * MEASUREMENT_BATCH + 1; i++)
        keep(store, i);
    checkpoint_finish(store);
    assert_ok(find(store, 0));
    checkpoint_store_close(&store);
    store = must_open(*state, false);
    for (int i = 0; i < 3 * MEASUREMENT_BATCH + 1; i++)
        assert_ok(find(store, i));
    assert_int_equal(find(store, 3 * MEASUREMENT_BATCH + 1), ERR_NOT_FOUND);
    assert_ok(measurement_each(store, count_one, &count));
    assert_int_equal(count, 3 * MEASUREMENT_BATCH + 1);
    checkpoint_store_close(&store);
}

static void one_is_found_before_it_is_durable_and_the_newest_counts(void **state)
{
    static const char *const scores[] = {"first", "second"};
    struct text found;
    struct checkpoint_store *store = must_open(*state, true);
    for (int i = 0; i < 2; i++) {
        struct measurement measurement = {.key = "key", .score = scores[i]};
        measurement.score_bytes = strlen(scores[i]);
        measurement_keep(store, &measurement);
        text_init(&found);
        assert_ok(measurement_find(store, "key", &found));
        assert_string_equal(text_get(&found), scores[i]);
        text_fini(&found);
    }
    checkpoint_finish(store);
    text_init(&found);
    assert_ok(measurement_find(store, "key", &found));
    assert_string_equal(text_get(&found), scores[1]);
    text_fini(&found);
    checkpoint_store_close(&store);
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
        struct measurement_key key = plain;
        struct text text;
        text_init(&text);
        key.checkpoint = part == 1 ? &twos : key.checkpoint;
        key.subnet = part == 2 ? "r=24" : key.subnet;
        key.split = part == 3 ? "holdout" : key.split;
        key.space = part == 4 ? "others" : key.space;
        key.dataset = part == 5 ? &twos : key.dataset;
        key.holdout += part == 6;
        key.batch += part == 7;
        key.calibration = part == 8 ? "images=41\n" : key.calibration;
        key.precision = part == 9 ? "bf16" : key.precision;
        key.lineage = part == 10 ? "cpu v4" : key.lineage;
        key.training_version += part == 11;
        measurement_key_write(&key, &text);
        texts[part] = mem_string(text_get(&text));
        text_fini(&text);
        for (int other = 0; other < part; other++)
            assert_string_not_equal(texts[other], texts[part]);
    }
    for (int part = 0; part <= PARTS; part++)
        mem_free(texts[part]);
}

/* As programs made them before there were measurements. */
static void make_old_store(const char *path)
{
    static const char *const tables[] = {"blobs", "manifests", "names", NULL};
    struct store *store = NULL;
    struct store_cfg cfg = {
        .path = path, .mode = STORE_WRITE, .kind = "checkpoints", .version = 1, .tables = tables};
    assert_ok(store_open(&cfg, &store));
    store_close(&store);
}

static void a_store_of_before_has_none_and_takes_them(void **state)
{
    uint64_t read_bytes = 0;
    int count = 0;
    make_old_store(*state);
    struct checkpoint_store *store = must_open(*state, false);
    assert_int_equal(find(store, 1), ERR_NOT_FOUND);
    assert_ok(measurement_each(store, count_one, &count));
    assert_int_equal(count, 0);
    assert_ok(checkpoint_verify(store, NULL, &read_bytes));
    checkpoint_store_close(&store);
    store = must_open(*state, true);
    keep(store, 1);
    checkpoint_finish(store);
    assert_ok(find(store, 1));
    checkpoint_store_close(&store);
    make_old_store(*state); /* opens: an older program does not mind the table */
    store = must_open(*state, false);
    assert_ok(find(store, 1));
    checkpoint_store_close(&store);
}

/* Turns one bit over in the file where these bytes lie. */
static void damage(const char *folder, const char *bytes)
{
    char *path = file_join(folder, "data.mdb"), *all = NULL;
    size_t size = 0;
    assert_ok(file_read(path, (size_t)1 << 30, &all, &size));
    char *found = memmem(all, size, bytes, strlen(bytes));
    assert_non_null(found);
    int file = open(path, O_RDWR);
    char byte = (char)(*found ^ 4);
    assert_int_equal(pwrite(file, &byte, 1, found - all), 1);
    close(file);
    mem_free(all);
    mem_free(path);
}

static void a_damaged_measurement_is_not_believed_but_made_again(void **state)
{
    uint64_t read_bytes = 0;
    int count = 0;
    struct checkpoint_store *store = must_open(*state, true);
    for (int i = 0; i < 3; i++)
        keep(store, i);
    checkpoint_store_close(&store);
    damage(*state, "score 1 of many");
    store = must_open(*state, true);
    assert_int_equal(find(store, 1), ERR_DATA);
    assert_non_null(strstr(err_text(), "is damaged"));
    assert_ok(find(store, 0));
    assert_ok(find(store, 2));
    assert_int_equal(checkpoint_verify(store, NULL, &read_bytes), ERR_DATA);
    assert_non_null(strstr(err_text(), "the measurement "));
    assert_int_equal(measurement_each(store, count_one, &count), ERR_DATA);
    assert_int_equal(count, 2);
    keep(store, 1);
    checkpoint_finish(store);
    assert_ok(find(store, 1));
    assert_ok(checkpoint_verify(store, NULL, &read_bytes));
    checkpoint_store_close(&store);
}

static enum err cut_short(struct store_txn *txn, void *argument)
{
    struct hash key = *(const struct hash *)argument;
    struct store_bytes at = {key.bytes, HASH_BYTES}, value;
    char copy[16];
    enum err err = store_get(txn, 0, at, &value);
    if (err != ERR_OK)
        return err;
    memcpy(copy, value.data, sizeof copy);
    return store_put(txn, 0, at, (struct store_bytes){copy, sizeof copy});
}

static void a_measurement_cut_short_is_damaged(void **state)
{
    static const char *const tables[] = {"measurements", NULL};
    char key[64];
    struct store *raw = NULL;
    struct store_cfg cfg = {
        .path = *state, .mode = STORE_WRITE, .kind = "checkpoints", .version = 1, .tables = tables};
    struct checkpoint_store *store = must_open(*state, true);
    keep(store, 5);
    checkpoint_store_close(&store);
    key_of(5, key);
    struct hash hash = hash_of(key, strlen(key));
    assert_ok(store_open(&cfg, &raw));
    assert_ok(store_update(raw, cut_short, &hash));
    store_close(&raw);
    store = must_open(*state, false);
    assert_int_equal(find(store, 5), ERR_DATA);
    checkpoint_store_close(&store);
}

static void a_kill_loses_one_batch_at_most(void **state)
{
    enum { KEPT = 5 * MEASUREMENT_BATCH };
    int status = 0, lost = 0;
    pid_t child = fork();
    if (child == 0) {
        struct checkpoint_store *store = NULL;
        if (open_at(*state, true, 1, &store) != ERR_OK)
            _exit(1);
        for (int i = 0; i < KEPT; i++)
            keep(store, i);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    struct checkpoint_store *store = must_open(*state, false);
    for (int i = 0; i < KEPT; i++) {
        bool is_there = find(store, i) == ERR_OK;
        assert_true(!is_there || lost == 0); /* in order: none behind a lost one */
        lost += !is_there;
    }
    assert_in_range(lost, 0, MEASUREMENT_BATCH);
    checkpoint_store_close(&store);
}

static void one_that_cannot_be_written_stops_nothing(void **state)
{
    uint64_t read_bytes = 0;
    struct checkpoint_store *store = must_open(*state, true);
    keep(store, 0);
    checkpoint_finish(store);
    arm("checkpoint.measurement:1:full");
    for (int i = 1; i < 4 * MEASUREMENT_BATCH; i++)
        keep(store, i);
    checkpoint_finish(store);
    disarm();
    assert_ok(find(store, 0));
    assert_int_equal(find(store, 1), ERR_NOT_FOUND);
    assert_int_equal(find(store, 4 * MEASUREMENT_BATCH - 1), ERR_NOT_FOUND);
    assert_ok(save_step(store, "teacher", 1, false, NULL)); /* checkpoints go on */
    assert_ok(checkpoint_verify(store, NULL, &read_bytes));
    checkpoint_store_close(&store);
}

static void measurements_lie_between_saves_and_outlive_their_checkpoints(void **state)
{
    uint64_t read_bytes = 0;
    struct checkpoint_store *store = must_open(*state, true); /* keeps one a stage */
    for (int step = 0; step < 4; step++) {
        struct checkpoint checkpoint;
        make_checkpoint("teacher", (uint64_t)step, &checkpoint);
        assert_ok(checkpoint_save(store, &checkpoint));
        for (int i = 0; i < MEASUREMENT_BATCH + 3; i++) /* while it is being written */
            keep(store, 100 * step + i);
        checkpoint_fini(&checkpoint);
    }
    assert_ok(checkpoint_wait(store));
    checkpoint_finish(store);
    for (int step = 0; step < 4; step++)
        for (int i = 0; i < MEASUREMENT_BATCH + 3; i++)
            assert_ok(find(store, 100 * step + i));
    assert_ok(checkpoint_verify(store, NULL, &read_bytes));
    checkpoint_store_close(&store);
}

#define T(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_was_kept_is_found_after_opening_again),
        T(one_is_found_before_it_is_durable_and_the_newest_counts),
        T(every_part_of_a_key_tells_measurements_apart),
        T(a_store_of_before_has_none_and_takes_them),
        T(a_damaged_measurement_is_not_believed_but_made_again),
        T(a_measurement_cut_short_is_damaged),
        T(a_kill_loses_one_batch_at_most),
        T(one_that_cannot_be_written_stops_nothing),
        T(measurements_lie_between_saves_and_outlive_their_checkpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
