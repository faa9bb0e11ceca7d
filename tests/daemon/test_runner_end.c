/* What becomes of a campaign whose runner has ended: tables. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cluster/daemon/runner_end.h"

#define NOW       5000000
#define NO_STATUS (-1)

#define R SUBMITTED_RUNNING
#define S SUBMITTED_STOPPING

struct row {
    const char *what;
    enum submitted_state state, then;
    int code, signal;
    int status, status_signal; /* enum run_state; NO_STATUS */
    enum submitted_state becomes;
    bool pauses, is_loss;
    const char *text; /* it says so */
};

static const struct row rows[] = {
    {"done", R, 0, 0, 0, RUN_STATE_DONE, 0, SUBMITTED_DONE, false, false, ""},
    {"done, and nobody heard it", R, 0, -1, 0, RUN_STATE_DONE, 0, SUBMITTED_DONE, false, false, ""},
    {"done before it could stop", S, SUBMITTED_CANCELLED, 0, 0, RUN_STATE_DONE, 0, SUBMITTED_DONE,
     false, false, ""},
    {"failed", R, 0, 1, 0, RUN_STATE_FAILED, 0, SUBMITTED_FAILED, false, false, "the reason"},
    {"failed, and nobody heard it", R, 0, -1, 0, RUN_STATE_FAILED, 0, SUBMITTED_FAILED, false,
     false, "the reason"},
    {"failed before it had a status", R, 0, 78, 0, NO_STATUS, 0, SUBMITTED_FAILED, false, false,
     "last words"},
    {"failed while it was to stop", S, SUBMITTED_WAITING, 1, 0, RUN_STATE_FAILED, 0,
     SUBMITTED_FAILED, false, false, "the reason"},
    {"makes room", S, SUBMITTED_WAITING, 143, 0, RUN_STATE_STOPPED, SIGTERM, SUBMITTED_WAITING,
     false, false, "before"},
    {"makes room, and nobody heard it", S, SUBMITTED_WAITING, -1, 0, RUN_STATE_STOPPED, SIGTERM,
     SUBMITTED_WAITING, false, false, "before"},
    {"was to stop, and was killed", S, SUBMITTED_HELD, -1, SIGKILL, RUN_STATE_STOPPING, 0,
     SUBMITTED_HELD, false, false, "before"},
    {"taken out", S, SUBMITTED_CANCELLED, 143, 0, RUN_STATE_STOPPED, SIGTERM, SUBMITTED_CANCELLED,
     false, false, "before"},
    {"cancel", R, 0, 130, 0, RUN_STATE_STOPPED, SIGINT, SUBMITTED_CANCELLED, false, false,
     "by a person"},
    {"cancel, and nobody heard it", R, 0, -1, 0, RUN_STATE_STOPPED, SIGINT, SUBMITTED_CANCELLED,
     false, false, "by a person"},
    {"the machine goes down", R, 0, 143, 0, RUN_STATE_STOPPED, SIGTERM, SUBMITTED_WAITING, true,
     false, "SIGTERM"},
    {"the machine went down", R, 0, -1, 0, RUN_STATE_STOPPED, SIGTERM, SUBMITTED_WAITING, true,
     false, "SIGTERM"},
    {"killed", R, 0, -1, SIGKILL, RUN_STATE_RUNNING, 0, SUBMITTED_WAITING, true, true, "killed"},
    {"crashed", R, 0, -1, SIGSEGV, RUN_STATE_RUNNING, 0, SUBMITTED_WAITING, true, true,
     "signal 11"},
    {"killed, and nobody saw it", R, 0, -1, 0, RUN_STATE_RUNNING, 0, SUBMITTED_WAITING, true, true,
     "vanished"},
    {"killed before its first word", R, 0, -1, 0, NO_STATUS, 0, SUBMITTED_WAITING, true, true,
     "vanished"},
    {"another has its folder", R, 0, 75, 0, NO_STATUS, 0, SUBMITTED_WAITING, true, false,
     "last words"},
    {"its job is over", R, 0, 85, 0, RUN_STATE_STOPPED, 0, SUBMITTED_WAITING, true, false,
     "the reason"},
    {"an error of its disk", R, 0, 74, 0, RUN_STATE_FAILED, 0, SUBMITTED_FAILED, false, false,
     "the reason"},
};

static void judge(const struct row *row, struct submitted *campaign)
{
    struct run_status *status = mem_alloc(sizeof *status);
    run_status_init(status);
    snprintf(status->text, sizeof status->text, "the reason");
    status->state = row->status >= 0 ? row->status : 0;
    status->signal = row->status_signal;
    const struct runner_seen seen = {.code = row->code,
                                     .signal = row->signal,
                                     .status = row->status >= 0 ? status : NULL,
                                     .last_words = "last words"};
    runner_end_judge(campaign, &seen, NOW);
    mem_free(status);
}

static void every_end_is_judged(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        struct submitted campaign = {
            .id = 1, .state = row->state, .then = row->then, .text = "before"};
        judge(row, &campaign);
        if (campaign.state != row->becomes || (campaign.not_before_ms > NOW) != row->pauses ||
            (campaign.losses == 1) != row->is_loss || !strstr(campaign.text, row->text))
            fail_msg("%s: it becomes %s, not before %lld, after %d losses: \"%s\"", row->what,
                     submitted_state_name(campaign.state), (long long)campaign.not_before_ms,
                     campaign.losses, campaign.text);
        assert_int_equal(campaign.exit_code, row->code);
        assert_int_equal(campaign.ended_ms, NOW);
    }
}

/* How its end is seen: by its status, by a disk that has no room for one, or by neither exit code
 * nor status. */
static void a_full_disk_costs_nothing_and_does_not_undo_a_stop(void **unused)
{
    (void)unused;
    struct run_status *status = mem_alloc(sizeof *status);
    struct run_status *earlier = mem_alloc(sizeof *earlier);
    status->state = RUN_STATE_FAILED;
    snprintf(status->error, sizeof status->error, "%s", err_name(ERR_FULL));
    snprintf(earlier->waits, sizeof earlier->waits, "no room");
    earlier->state = RUN_STATE_STOPPING;
    const struct runner_seen ends[] = {
        {.code = 74, .status = status, .last_words = "full"},
        {.code = -1, .status = status, .last_words = "full"},
        {.code = 74, .status = earlier, .last_words = "full"},
        {.code = 74, .has_no_room = true, .last_words = "full"},
        {.code = -1, .has_no_room = true, .last_words = "full"},
    };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        for (int then = SUBMITTED_WAITING; then < SUBMITTED_STATES; then++) {
            struct submitted stopping = {.state = S, .then = (enum submitted_state)then};
            runner_end_judge(&stopping, &ends[i], NOW);
            assert_int_equal(stopping.state, then);
        }
        struct submitted running = {.state = R, .losses = RUNNER_MOST_LOSSES - 1};
        runner_end_judge(&running, &ends[i], NOW);
        assert_int_equal(running.state, SUBMITTED_WAITING);
        assert_true(running.not_before_ms > NOW);
        assert_int_equal(running.losses, RUNNER_MOST_LOSSES - 1);
        assert_string_equal(running.text, "full");
    }
    mem_free(earlier);
    mem_free(status);
}

static void what_is_in_the_way_is_waited_for_however_long(void **unused)
{
    (void)unused;
    const struct runner_seen busy = {.code = 75, .last_words = "is being run by process 12"};
    struct submitted campaign = {.state = R};
    int64_t pause = 0;
    for (int i = 0; i < 1000; i++) {
        runner_end_judge(&campaign, &busy, NOW);
        assert_int_equal(campaign.state, SUBMITTED_WAITING);
        assert_string_equal(campaign.text, busy.last_words);
        assert_true(campaign.not_before_ms - NOW >= pause);
        pause = campaign.not_before_ms - NOW;
        campaign.state = R;
    }
    assert_int_equal(pause, 60000);
    assert_int_equal(campaign.losses, 0);
}

static const struct runner_seen killed = {.code = -1, .signal = SIGKILL, .last_words = ""};

static void what_is_lost_without_progress_is_given_up(void **unused)
{
    (void)unused;
    struct submitted campaign = {.state = R};
    int64_t pause = 0;
    for (int i = 1; i < RUNNER_MOST_LOSSES; i++) {
        runner_end_judge(&campaign, &killed, NOW);
        assert_int_equal(campaign.state, SUBMITTED_WAITING);
        assert_true(campaign.not_before_ms - NOW > pause);
        pause = campaign.not_before_ms - NOW;
        campaign.state = R;
    }
    runner_end_judge(&campaign, &killed, NOW);
    assert_int_equal(campaign.state, SUBMITTED_FAILED);
    assert_non_null(strstr(campaign.text, "tried 5 times"));
}

static void progress_gives_the_tries_back(void **unused)
{
    (void)unused;
    struct submitted campaign = {.state = R};
    for (int i = 1; i < 3 * RUNNER_MOST_LOSSES; i++) {
        struct runner_seen seen = killed;
        seen.progress = i / 3; /* every third start gets on */
        runner_end_judge(&campaign, &seen, NOW);
        assert_int_equal(campaign.state, SUBMITTED_WAITING);
        campaign.state = R;
    }
}

static void a_machine_that_was_started_anew_is_no_loss(void **unused)
{
    (void)unused;
    struct submitted campaign = {.state = R, .losses = RUNNER_MOST_LOSSES - 1};
    struct runner_seen seen = {.code = -1, .is_rebooted = true, .last_words = ""};
    runner_end_judge(&campaign, &seen, NOW);
    assert_int_equal(campaign.state, SUBMITTED_WAITING);
    assert_int_equal(campaign.not_before_ms, 0);
}

struct slurm_row {
    const char *what;
    enum submitted_state state, then;
    int code, signal;
    enum submitted_state becomes;
    bool may_have_job, pauses, is_loss;
    bool has_no_room;
};

/* The runner is who waits for its job. */
static const struct slurm_row slurm_rows[] = {
    {"done", R, 0, 0, 0, SUBMITTED_DONE, false, false, false, false},
    {"failed", R, 0, 1, 0, SUBMITTED_FAILED, false, false, false, false},
    {"no sbatch", R, 0, 69, 0, SUBMITTED_FAILED, false, false, false, false},
    {"cancelled, by glowworm or by scancel", R, 0, 130, 0, SUBMITTED_CANCELLED, false, false, false,
     false},
    {"its job ended too early: another one", R, 0, 85, 0, SUBMITTED_WAITING, false, true, true,
     false},
    {"something had its folder: another job", R, 0, 75, 0, SUBMITTED_WAITING, false, true, true,
     false},
    {"stopped", S, SUBMITTED_HELD, 130, 0, SUBMITTED_HELD, false, false, false, false},
    {"taken out", S, SUBMITTED_REMOVED, 130, 0, SUBMITTED_REMOVED, false, false, false, false},
    {"killed: its job goes on", R, SUBMITTED_HELD, -1, SIGKILL, SUBMITTED_WAITING, true, true,
     false, false},
    {"ended, and nobody heard it", R, 0, -1, 0, SUBMITTED_WAITING, true, true, false, false},
    {"the machine goes down", R, 0, 143, 0, SUBMITTED_WAITING, true, true, false, false},
    {"killed while its job was to stop: that is owed", S, SUBMITTED_REMOVED, -1, SIGKILL,
     SUBMITTED_WAITING, true, true, false, false},
    {"the same, of one asked too early to know the sign", S, SUBMITTED_HELD, -1, SIGUSR1,
     SUBMITTED_WAITING, true, true, false, false},
    {"left while its job was to stop", S, SUBMITTED_REMOVED, 143, 0, SUBMITTED_WAITING, true, true,
     false, false},
    {"its terminal went before it could leave", R, 0, -1, SIGHUP, SUBMITTED_WAITING, true, true,
     false, false},
    {"ended on a full disk, and nobody heard it", R, 0, -1, 0, SUBMITTED_WAITING, true, true, false,
     true},
    {"ended by a full disk", R, 0, 74, 0, SUBMITTED_WAITING, true, true, false, true},
    {"the same, while its job was to stop", S, SUBMITTED_HELD, 74, 0, SUBMITTED_WAITING, true, true,
     false, true}};

static void who_waits_for_a_job_may_be_lost_and_the_job_is_not(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof slurm_rows / sizeof *slurm_rows; i++) {
        const struct slurm_row *row = &slurm_rows[i];
        struct submitted one = {
            .state = row->state, .then = row->then, .site = "mine", .may_have_job = true};
        const struct runner_seen seen = {.code = row->code,
                                         .signal = row->signal,
                                         .last_words = "last words",
                                         .has_no_room = row->has_no_room};
        runner_end_judge(&one, &seen, NOW);
        bool owes = row->may_have_job && row->state == S;
        if (one.state != row->becomes || one.may_have_job != row->may_have_job ||
            (one.not_before_ms > NOW) != row->pauses || (one.losses == 1) != row->is_loss ||
            submitted_owes_stop(&one) != owes)
            fail_msg("%s: it becomes %s, not before %lld, %d losses, %s job", row->what,
                     submitted_state_name(one.state), (long long)one.not_before_ms, one.losses,
                     one.may_have_job ? "with a" : "without a");
    }
}

static void a_job_is_waited_for_however_often_who_waits_is_killed(void **unused)
{
    (void)unused;
    struct submitted one = {.site = "mine", .may_have_job = true};
    for (int i = 0; i < 100; i++) {
        one.state = R;
        runner_end_judge(&one, &killed, NOW);
        assert_int_equal(one.state, SUBMITTED_WAITING);
        assert_true(one.may_have_job && one.not_before_ms <= NOW + 60000);
    }
}

static void progress_grows_with_steps_and_stages(void **unused)
{
    (void)unused;
    struct run_status *status = mem_alloc(sizeof *status);
    int64_t before = runner_progress(status);
    status->stage_count = 2;
    status->stages[0].step = 500;
    int64_t under_way = runner_progress(status);
    status->stages[0].state = STAGE_STATE_DONE;
    int64_t done = runner_progress(status);
    status->stages[1].step = 1;
    assert_true(before < under_way && under_way < done && done < runner_progress(status));
    mem_free(status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_end_is_judged),
        cmocka_unit_test(a_full_disk_costs_nothing_and_does_not_undo_a_stop),
        cmocka_unit_test(what_is_in_the_way_is_waited_for_however_long),
        cmocka_unit_test(what_is_lost_without_progress_is_given_up),
        cmocka_unit_test(progress_gives_the_tries_back),
        cmocka_unit_test(a_machine_that_was_started_anew_is_no_loss),
        cmocka_unit_test(who_waits_for_a_job_may_be_lost_and_the_job_is_not),
        cmocka_unit_test(a_job_is_waited_for_however_often_who_waits_is_killed),
        cmocka_unit_test(progress_grows_with_steps_and_stages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
