/* A run that several machines may see: what its loop does when another runner has taken it over,
 * and what it leaves alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fence.h"
#include "base/file.h"
#include "base/mem.h"
#include "scheduler/rendezvous.h"
#include "tests/scheduler/stage_set.h"
#include <dirent.h>
#include <unistd.h>

static void write_in(const struct stage_set *set, const char *name, const char *text)
{
    char *path = file_join(set->folder, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    assert_int_equal(file_make_folders(path), ERR_OK);
    *slash = '/';
    assert_int_equal(file_write(path, text, strlen(text)), ERR_OK);
    mem_free(path);
}

static bool is_there(const struct stage_set *set, const char *name)
{
    char *path = file_join(set->folder, name);
    bool found = file_exists(path);
    mem_free(path);
    return found;
}

static enum err ask_owner(void *own)
{
    const struct stage_set *set = own;
    return is_there(set, "lost") ? err_set(ERR_AGAIN, "another has it") : ERR_OK;
}

static void lose_it(struct stage_set *set, const struct gang *gang)
{
    if (gang->stage == SET_KERNEL)
        write_in(set, "lost", "");
}

static void a_run_that_was_taken_over_ends_at_once_and_kills_its_gangs(void **state)
{
    struct stage_set *set = *state;
    set->cfg.check_owner = ask_owner;
    set->cfg.owner = set;
    set->cfg.limits.leave_s = 1e6; /* what a gang would have to save */
    set->on_start = lose_it;
    setenv("FAKE_FAULT", "kernel:hang:6:1", 1);
    expect_run(set, ERR_AGAIN);
    assert_string_equal(err_text(), "another has it");
    assert_int_equal(set_count_processes(), 0);
    assert_null(strstr(text_get(&set->told), "done kernel"));
    set->on_start = NULL; /* taken back, it goes on: nothing of it was lost */
    set->cfg.check_owner = NULL;
    unsetenv("FAKE_FAULT");
    expect_run(set, ERR_OK);
    set_expect_done(set);
}

/* What the journal says of the report. */
static bool is_report_done(struct stage_set *set)
{
    struct stage_record record = {0};
    struct journal *journal = NULL;
    char *path = file_join(set->folder, "journal");
    assert_int_equal(journal_open(path, JOURNAL_READ, &journal), ERR_OK);
    assert_int_equal(journal_stage(journal, &set->graph.stages[SET_REPORT].key, &record), ERR_OK);
    bool is_done = record.is_done;
    stage_record_fini(&record);
    journal_close(&journal);
    mem_free(path);
    return is_done;
}

static void a_run_that_was_lost_before_it_began_reopens_nothing(void **state)
{
    struct stage_set *set = *state;
    expect_run(set, ERR_OK);
    char *report = file_join(set->folder, "report.html");
    assert_int_equal(unlink(report), 0);
    set->cfg.check_owner = ask_owner;
    set->cfg.owner = set;
    write_in(set, "lost", "");
    expect_run(set, ERR_AGAIN);
    assert_int_equal(set->survey.stages[SET_REPORT].verdict, SURVEY_LOST);
    assert_true(is_report_done(set));
    mem_free(report);
}

static void claim_it(struct stage_set *set, const struct gang *gang)
{
    if (gang->stage == SET_TEACHER)
        write_in(set, "published/claim-5", "");
}

static void no_stage_begins_behind_a_higher_claim(void **state)
{
    struct stage_set *set = *state;
    set->cfg.launch.claim = 4;
    set->on_start = claim_it;
    expect_run(set, ERR_AGAIN);
    expect_in(err_text(), "claim-5");
    assert_null(strstr(text_get(&set->told), "start kernel"));
    assert_false(is_there(set, "logs/kernel-1.log"));
    assert_int_equal(set_count_processes(), 0);
}

static void a_log_that_the_journal_does_not_know_is_kept_and_not_written_to(void **state)
{
    struct stage_set *set = *state;
    write_in(set, "logs/kernel-1.log", "of a runner elsewhere\n");
    set->cfg.launch.claim = 3;
    expect_run(set, ERR_OK);
    char *kept = set_read(set, "logs/kernel-1.log-before-claim-3");
    char *ours = set_read(set, "logs/kernel-1.log");
    assert_string_equal(kept, "of a runner elsewhere\n");
    assert_null(strstr(ours, "of a runner elsewhere"));
    mem_free(kept);
    mem_free(ours);
}

static void look_for_rendezvous(struct stage_set *set, const struct gang *gang)
{
    (void)gang;
    assert_true(is_there(set, "elsewhere/" RENDEZVOUS_NAME));
    assert_false(is_there(set, RENDEZVOUS_NAME));
}

static void where_gangs_meet_their_runner_is_this_machines_affair(void **state)
{
    struct stage_set *set = *state;
    char *stores = file_join(set->folder, "elsewhere");
    assert_int_equal(file_make_folders(stores), ERR_OK);
    set->cfg.launch.stores = stores;
    set->on_start = look_for_rendezvous;
    expect_run(set, ERR_OK);
    assert_false(is_there(set, "elsewhere/" RENDEZVOUS_NAME));
    mem_free(stores);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_run_that_was_taken_over_ends_at_once_and_kills_its_gangs),
        TEST(a_run_that_was_lost_before_it_began_reopens_nothing),
        TEST(no_stage_begins_behind_a_higher_claim),
        TEST(a_log_that_the_journal_does_not_know_is_kept_and_not_written_to),
        TEST(where_gangs_meet_their_runner_is_this_machines_affair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
