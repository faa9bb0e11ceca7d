/* What status, logs, top and cancel say of a run that glowworm-scheduler has queued. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "cluster/command.h"
#include "tests/daemon/stand.h"
#include <getopt.h>

static const struct {
    const char *name;
    enum err (*run)(int argc, char **argv);
} asked[] = {{"status", cmd_status}, {"logs", cmd_logs}, {"top", cmd_top}, {"cancel", cmd_cancel}};

static enum err ask_command(int which, const char *run)
{
    char name[16], folder[400];
    snprintf(name, sizeof name, "%s", asked[which].name);
    snprintf(folder, sizeof folder, "%s", run);
    char *argv[] = {name, folder, NULL};
    optind = 0;
    return asked[which].run(2, argv);
}

/* Of each of them; told: NULL, nothing. */
static void expect(const char *run, enum err err, const char *told)
{
    for (int i = 0; i < 4; i++) {
        if (ask_command(i, run) != err || (told && !strstr(err_text(), told)))
            fail_msg("%s %s: \"%s\" is not %s, or does not say \"%s\"", asked[i].name, run,
                     err_text(), err_name(err), told ? told : "");
        if (!told && strstr(err_text(), "scheduler"))
            fail_msg("%s %s: \"%s\"", asked[i].name, run, err_text());
    }
}

static void begin(struct stand *stand, char run[400])
{
    snprintf(run, 400, "%s/one", stand->folder);
    setenv("GLOWWORM_SCHEDULER", stand->scheduler, 1);
    stand_start(stand, NULL);
}

static void one_that_is_held_is_told_of_until_it_is_taken_out(void **state)
{
    struct stand *stand = *state;
    struct wanted wanted = {.name = "one", .cores = 1, .is_held = true};
    char run[400];
    begin(stand, run);
    expect(run, ERR_NOT_FOUND, NULL);
    uint64_t id = stand_submit(stand, &wanted);
    expect(run, ERR_AGAIN, "campaign 1 of the scheduler in ");
    expect(run, ERR_AGAIN, stand->scheduler);
    expect(run, ERR_AGAIN, ", held");
    expect(run, ERR_AGAIN, "glowworm queue remove 1");
    assert_int_equal(stand_change(stand, id, GWD__VERB__REMOVE, 0), ERR_OK);
    expect(run, ERR_NOT_FOUND, NULL);
}

static void one_that_waits_says_what_for(void **state)
{
    struct stand *stand = *state;
    struct wanted wanted = {.name = "one", .cores = 2};
    char run[400];
    begin(stand, run);
    stand_submit_simple(stand, "other", 2);
    stand_await_start(stand, "other", 1);
    uint64_t id = stand_submit(stand, &wanted);
    stand_expect_why(stand, id, "for room");
    expect(run, ERR_AGAIN, "waiting: for room");
}

static void a_folder_is_known_by_another_name(void **state)
{
    struct stand *stand = *state;
    struct wanted wanted = {.name = "one", .cores = 1, .is_held = true};
    char run[400], link[300], before[400];
    begin(stand, run);
    stand_submit(stand, &wanted);
    snprintf(link, sizeof link, "%s/link", stand->folder);
    assert_int_equal(symlink(stand->folder, link), 0);
    snprintf(run, sizeof run, "%s/one", link);
    expect(run, ERR_AGAIN, "campaign 1");
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(stand->folder), 0);
    expect("one", ERR_AGAIN, "campaign 1");
    assert_int_equal(chdir(before), 0);
}

static void without_a_scheduler_nothing_is_added(void **state)
{
    struct stand *stand = *state;
    char run[400];
    begin(stand, run);
    stand_submit_simple(stand, "one", 2);
    stand_end(stand, SIGKILL);
    snprintf(run, sizeof run, "%s/two", stand->folder);
    expect(run, ERR_NOT_FOUND, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, stand_make, stand_remove)
    const struct CMUnitTest tests[] = {
        TEST(one_that_is_held_is_told_of_until_it_is_taken_out),
        TEST(one_that_waits_says_what_for),
        TEST(a_folder_is_known_by_another_name),
        TEST(without_a_scheduler_nothing_is_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
