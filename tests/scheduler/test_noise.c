/* Words between gangs and their runner that are lost, doubled, late and out of order, a sixth of
 * them each (noisy_wire.c), over whole campaigns with helpers: the journal in the end is that of a
 * run without any noise, and nothing is in it twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/scheduler/fake_measure.h"
#include "tests/scheduler/open_journal.h"
#include "tests/scheduler/stage_set.h"

#define SCORES 24

/* What must be the same: not when, not which helpers came, not which checkpoints were heard of. */
static enum err add_event(const struct event_record *event, void *own)
{
    static const char *const kinds[] = {"start", "done", "failed", "stop", "reopened"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(event->kind, kinds[i]) == 0)
            text_add(own, "%s %s: %s\n", event->kind, event->stage, event->text);
    return ERR_OK;
}

/* One may be heard when its stage is done. */
static enum err add_warning(const struct event_record *event, void *own)
{
    if (strcmp(event->kind, "warning") == 0)
        text_add(own, "warning %s: %s\n", event->stage, event->text);
    return ERR_OK;
}

static void add_stage(const struct graph_stage *stage, const struct stage_record *record,
                      struct text *text)
{
    text_add(text, "%s: %s, %d attempts, content %s, results %s %s\n", stage->name,
             record->is_done ? "done" : "not done", record->attempts, record->content,
             record->results, record->results_hash);
    for (int cause = 0; cause < CAUSE_COUNT; cause++)
        if (record->ends[cause] > 0)
            text_add(text, "  %d %s\n", record->ends[cause], cause_name((enum cause)cause));
}

static void add_score(struct journal *journal, int number, struct text *text)
{
    struct hash key;
    struct text record;
    text_init(&record);
    fake_score_key(number, &key);
    enum err err = journal_measurement(journal, &key, 0, &record);
    text_add(text, "net%d: %s\n", number, err == ERR_OK ? text_get(&record) : err_text());
    text_fini(&record);
}

/* Returns owned. */
static char *describe(struct stage_set *set)
{
    struct text text;
    text_init(&text);
    set_survey(set);
    struct journal *journal = open_journal(set->folder);
    for (int i = 0; i < set->graph.count; i++)
        add_stage(&set->graph.stages[i], &set->survey.stages[i].record, &text);
    assert_int_equal(journal_events(journal, add_event, &text), ERR_OK);
    assert_int_equal(journal_events(journal, add_warning, &text), ERR_OK);
    for (int i = 0; i < SCORES; i++)
        add_score(journal, i, &text);
    journal_close(&journal);
    char *description = mem_string(text_get(&text));
    text_fini(&text);
    return description;
}

struct seen { /* checkpoints: "kernel 5 <content>" */
    int count;
    char lines[256][256];
};

static enum err see_checkpoint(const struct event_record *event, void *own)
{
    struct seen *seen = own;
    char line[256];
    if (strcmp(event->kind, "checkpoint") != 0)
        return ERR_OK;
    snprintf(line, sizeof line, "%s %.100s", event->stage, event->text);
    for (int i = 0; i < seen->count; i++)
        assert_string_not_equal(seen->lines[i], line);
    assert_in_range(seen->count, 0, 255);
    memcpy(seen->lines[seen->count++], line, sizeof line);
    return ERR_OK;
}

static void expect_each_once(struct stage_set *set)
{
    struct seen seen = {0};
    struct journal *journal = open_journal(set->folder);
    assert_int_equal(journal_events(journal, see_checkpoint, &seen), ERR_OK);
    journal_close(&journal);
    for (int step = 1; step <= 20; step++)
        assert_int_equal(set_count_steps(set, "kernel", step), 1);
}

static char *run_with(struct stage_set *set, const char *noise)
{
    set->cfg.launch.worker = NOISY_WORKER;
    set->cfg.capacity.gangs = 3;
    setenv("FAKE_SCORES", "24", 1);
    setenv("FAKE_NOISE", noise, 1);
    setenv("FAKE_FAULT", "kernel:warn:7:1", 1);
    expect_run(set, ERR_OK);
    set_expect_done(set);
    expect_each_once(set);
    return describe(set);
}

static void a_noisy_line_changes_nothing_in_the_journal(void **state)
{
    static const char *const seeds[] = {"1", "3"};
    char *quiet = run_with(*state, "0");
    assert_non_null(strstr(quiet, "warning kernel: this is another machine\n"));
    assert_non_null(strstr(quiet, "net23: score of net23\n"));
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
        tear_down(state);
        assert_int_equal(set_up(state), 0);
        char *noisy = run_with(*state, seeds[i]);
        if (strcmp(quiet, noisy) != 0)
            fail_msg("seed %s: the journal is\n%s\nand not\n%s", seeds[i], noisy, quiet);
        mem_free(noisy);
    }
    mem_free(quiet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_noisy_line_changes_nothing_in_the_journal, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
