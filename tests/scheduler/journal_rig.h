/* What tests of the journal alone share: two stages, leases of them, how they end. */
#ifndef TESTS_SCHEDULER_JOURNAL_RIG_H
#define TESTS_SCHEDULER_JOURNAL_RIG_H

#include "base/text.h"
#include "tests/scheduler/open_journal.h"
#include "tests/scratch.h"
#include <string.h>

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

static const struct hash kernel = {{1}}, depth = {{2}};

static inline struct lease take(struct journal *journal, const struct hash *key, const char *name)
{
    struct lease lease;
    if (journal_lease(journal, key, name, "epochs=2\n", LEASE_GOES_ON, &lease) != ERR_OK)
        fail_msg("%s", err_text());
    return lease;
}

static inline struct stage_record read_record(struct journal *journal, const struct hash *key)
{
    struct stage_record record = {0};
    if (journal_stage(journal, key, &record) != ERR_OK)
        fail_msg("%s", err_text());
    return record;
}

static inline struct stage_outcome outcome(enum err error)
{
    return (struct stage_outcome){.error = error,
                                  .text = "why",
                                  .content = "aaaa",
                                  .results = "results/kernel.json",
                                  .results_hash = "bbbb",
                                  .step = 20,
                                  .seconds = 2.5,
                                  .images_per_second = 7};
}

/* expected: what is kept, NULL: nothing. */
static inline void expect_measurement(struct journal *journal, const struct hash *key, int detail,
                                      const char *expected)
{
    struct text record;
    text_init(&record);
    enum err err = journal_measurement(journal, key, detail, &record);
    assert_int_equal(err, expected ? ERR_OK : ERR_NOT_FOUND);
    assert_string_equal(text_get(&record), expected ? expected : "");
    text_fini(&record);
}

#endif
