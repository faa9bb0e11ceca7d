/* Journals of earlier programs and of later ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/store/store.h"
#include "scheduler/journal_internal.h"
#include "tests/scheduler/journal_rig.h"

static void make_journal_of_before(const char *folder)
{
    static const char *const tables[] = {"stages", "attempts", "events", "current", "meta", NULL};
    struct store *store = NULL;
    char *path = file_join(folder, "journal");
    struct store_cfg cfg = {
        .path = path, .mode = STORE_WRITE, .kind = "journal", .version = 1, .tables = tables};
    assert_int_equal(store_open(&cfg, &store), ERR_OK);
    store_close(&store);
    mem_free(path);
}

static enum err open_as(const char *folder, enum journal_mode mode)
{
    struct journal *journal = NULL;
    char *path = file_join(folder, "journal");
    enum err err = journal_open(path, mode, &journal);
    if (err == ERR_OK)
        expect_measurement(journal, &kernel, 0, NULL);
    journal_close(&journal);
    mem_free(path);
    return err;
}

static void a_journal_of_before_is_read_and_becomes_one_of_today(void **state)
{
    make_journal_of_before(*state);
    assert_int_equal(open_as(*state, JOURNAL_READ), ERR_OK);
    assert_int_equal(open_as(*state, JOURNAL_READ), ERR_OK); /* reading changed nothing */
    struct journal *journal = open_journal(*state);
    struct lease lease = take(journal, &kernel, "kernel"), helper;
    assert_int_equal(journal_help(journal, &kernel, &helper), ERR_OK);
    assert_true(helper.epoch > lease.epoch);
    journal_close(&journal);
    static const char *const old_tables[] = {"stages", NULL};
    struct store *store = NULL;
    char *path = file_join(*state, "journal");
    struct store_cfg old = {.path = path, .kind = "journal", .version = 1, .tables = old_tables};
    assert_int_equal(store_open(&old, &store), ERR_DATA); /* a program of before would misread it */
    mem_free(path);
    assert_int_equal(open_as(*state, JOURNAL_READ), ERR_OK);
}

/* Its name, three failures and the time of a retry: fields 1, 19 and 20. */
static void a_stage_from_before_causes_is_read_with_a_whole_budget(void **state)
{
    static const uint8_t bytes[] = {0x0a, 1, 'k', 0x98, 0x01, 3, 0xa0, 0x01, 0x7f};
    struct stage_record record;
    struct budget whole = {0};
    (void)state;
    assert_int_equal(codec_read_stage((struct store_bytes){bytes, sizeof bytes}, &record), ERR_OK);
    assert_string_equal(record.name, "k");
    assert_memory_equal(&record.budget, &whole, sizeof whole);
    assert_int_equal(record.cause, CAUSE_NONE);
    stage_record_fini(&record);
}

/* Causes that a later program knows: 99 of an attempt, a hundred counts of a stage. */
static void causes_from_a_later_program_are_left_out(void **state)
{
    uint8_t ends[103] = {0xaa, 0x01, 100}; /* field 21, packed */
    uint8_t cause[] = {0xb8, 0x01, 99};    /* field 23 */
    struct stage_record record;
    (void)state;
    memset(ends + 3, 1, 100);
    assert_int_equal(codec_read_stage((struct store_bytes){ends, sizeof ends}, &record), ERR_OK);
    assert_int_equal(record.ends[CAUSE_COUNT - 1], 1);
    stage_record_fini(&record);
    assert_int_equal(codec_read_stage((struct store_bytes){cause, sizeof cause}, &record), ERR_OK);
    assert_int_equal(record.cause, CAUSE_NONE);
    stage_record_fini(&record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_journal_of_before_is_read_and_becomes_one_of_today),
        TEST(a_stage_from_before_causes_is_read_with_a_whole_budget),
        TEST(causes_from_a_later_program_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
