/* What is written into the journal in one transaction, and what others than the stage's own gang
 * add to it: measurements, helpers. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/scheduler/journal_rig.h"

static struct journal_entry checkpoint_entry(const struct lease *lease, const char *content)
{
    return (struct journal_entry){
        .verb = JOURNAL_CHECKPOINT, .lease = lease, .checkpoint = {5, 20, content}};
}

static struct journal_entry measured(const struct hash *key, int detail, const char *record)
{
    return (struct journal_entry){.verb = JOURNAL_MEASUREMENT,
                                  .measurement = {key, detail, record, strlen(record)}};
}

static void an_entry_that_does_not_count_stops_no_other(void **state)
{
    struct journal *journal = open_journal(*state);
    struct lease old = take(journal, &kernel, "kernel"), current = take(journal, &kernel, "kernel"),
                 other = take(journal, &depth, "depth");
    struct journal_entry entries[] = {
        checkpoint_entry(&old, "ghost"),
        checkpoint_entry(&current, "real"),
        measured(&kernel, 0, "score"),
        {.verb = JOURNAL_END, .lease = &other, .outcome = outcome(ERR_OK)},
        checkpoint_entry(&other, "late")};
    assert_int_equal(journal_write(journal, entries, 5), ERR_OK);
    const enum err expected[] = {ERR_PEER, ERR_OK, ERR_OK, ERR_OK, ERR_PEER};
    for (int i = 0; i < 5; i++)
        assert_int_equal(entries[i].result, expected[i]);
    struct stage_record record = read_record(journal, &kernel);
    assert_string_equal(record.checkpoint, "real");
    stage_record_fini(&record);
    record = read_record(journal, &depth);
    assert_true(record.is_done);
    assert_string_equal(record.checkpoint, "");
    stage_record_fini(&record);
    expect_measurement(journal, &kernel, 0, "score");
    journal_close(&journal);
}

static void entries_are_written_all_or_none(void **state)
{
    struct journal *journal = open_journal(*state);
    struct lease lease = take(journal, &kernel, "kernel");
    struct lease nobody = {.key = {{9}}, .name = "nobody", .epoch = 77};
    struct journal_entry entries[] = {checkpoint_entry(&lease, "first"),
                                      measured(&kernel, 0, "score"),
                                      checkpoint_entry(&nobody, "second")};
    assert_int_equal(journal_write(journal, entries, 3), ERR_NOT_FOUND);
    struct stage_record record = read_record(journal, &kernel);
    assert_string_equal(record.checkpoint, "");
    stage_record_fini(&record);
    expect_measurement(journal, &kernel, 0, NULL);
    journal_close(&journal);
}

static void more_detail_answers_for_less_and_is_not_replaced_by_it(void **state)
{
    struct journal *journal = open_journal(*state);
    struct journal_entry plain = measured(&kernel, 0, "plain"),
                         detailed = measured(&kernel, 1, "detailed"),
                         again = measured(&kernel, 0, "plain again");
    assert_int_equal(journal_write(journal, &plain, 1), ERR_OK);
    expect_measurement(journal, &kernel, 0, "plain");
    expect_measurement(journal, &kernel, 1, NULL);
    expect_measurement(journal, &depth, 0, NULL);
    assert_int_equal(journal_write(journal, &detailed, 1), ERR_OK);
    assert_int_equal(journal_write(journal, &again, 1), ERR_OK);
    journal_close(&journal);
    journal = open_journal(*state);
    expect_measurement(journal, &kernel, 0, "detailed");
    expect_measurement(journal, &kernel, 1, "detailed");
    journal_close(&journal);
}

static enum err collect_measurement(const struct measurement_bytes *measurement, void *own)
{
    text_add(own, "%d %d %.*s\n", measurement->key->bytes[0], measurement->detail,
             (int)measurement->size_bytes, (const char *)measurement->record);
    return ERR_OK;
}

static void every_measurement_is_visited(void **state)
{
    struct journal *journal = open_journal(*state);
    struct journal_entry entries[] = {measured(&depth, 1, "two"), measured(&kernel, 0, "one")};
    struct text list;
    text_init(&list);
    assert_int_equal(journal_write(journal, entries, 2), ERR_OK);
    assert_int_equal(journal_measurements(journal, collect_measurement, &list), ERR_OK);
    assert_string_equal(text_get(&list), "1 0 one\n2 1 two\n");
    text_fini(&list);
    journal_close(&journal);
}

static enum err find_helper(const struct attempt_record *record, void *own)
{
    if (record->is_helper)
        *(struct attempt_record *)own = *record;
    return ERR_OK;
}

static void a_helper_voids_no_lease_and_ends_alone(void **state)
{
    struct journal *journal = open_journal(*state);
    struct lease lease = take(journal, &kernel, "kernel"), helper;
    struct stage_outcome lost = outcome(ERR_PEER), done = outcome(ERR_OK);
    struct attempt_record found = {0};
    assert_int_equal(journal_help(journal, &depth, &helper), ERR_NOT_FOUND);
    assert_int_equal(journal_help(journal, &kernel, &helper), ERR_OK);
    assert_true(helper.epoch > lease.epoch);
    assert_string_equal(helper.name, "kernel");
    assert_int_equal(journal_unended(journal, find_helper, &found), ERR_OK);
    assert_int_equal(found.lease_epoch, helper.epoch);
    assert_int_equal(journal_end(journal, &helper, &lost), ERR_OK);
    assert_int_equal(journal_end(journal, &helper, &lost), ERR_PEER);
    found = (struct attempt_record){0};
    assert_int_equal(journal_unended(journal, find_helper, &found), ERR_OK);
    assert_false(found.is_helper);
    assert_int_equal(journal_checkpoint(journal, &lease, 10, 20, "cccc"), ERR_OK);
    assert_int_equal(journal_end(journal, &lease, &done), ERR_OK);
    journal_close(&journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_entry_that_does_not_count_stops_no_other),
        TEST(entries_are_written_all_or_none),
        TEST(more_detail_answers_for_less_and_is_not_replaced_by_it),
        TEST(every_measurement_is_visited),
        TEST(a_helper_voids_no_lease_and_ends_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
