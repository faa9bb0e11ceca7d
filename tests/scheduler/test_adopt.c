/* A runner that was killed, and its gang that lives on: the next runner takes over what is this
 * run's, answers and may go on, and replaces the rest. */
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
#include "tests/scheduler/open_journal.h"
#include "tests/scheduler/puppet.h"
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 20

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static void await_step(const struct stage_set *set, const char *stage, int step)
{
    for (double end = clock_seconds() + PATIENCE_S; set_count_steps(set, stage, step) == 0; nap())
        if (clock_seconds() > end)
            fail_msg("%s has not come to step %d", stage, step);
}

static void end_runner(pid_t runner)
{
    int status = 0;
    kill(runner, SIGKILL);
    assert_int_equal(waitpid(runner, &status, 0), runner);
    assert_int_equal(status, SIGKILL);
}

/* A runner that was killed in the middle of the teacher's steps. */
static void leave_gang(struct stage_set *set)
{
    setenv("FAKE_STEP_MS", "50", 1);
    pid_t runner = set_fork(set);
    await_step(set, "teacher", 6);
    end_runner(runner);
}

static enum err take_newest(const struct attempt_record *record, void *own)
{
    *(struct attempt_record *)own = *record;
    return ERR_OK;
}

static struct attempt_record newest_attempt(const struct stage_set *set)
{
    struct attempt_record newest = {.number = 0};
    struct journal *journal = open_journal(set->folder);
    assert_int_equal(journal_attempts(journal, take_newest, &newest), ERR_OK);
    journal_close(&journal);
    return newest;
}

static void expect_attempts(struct stage_set *set, enum set_stage stage, int count)
{
    set_survey(set);
    int found = set->survey.stages[stage].record.attempts;
    if (found != count)
        fail_msg("%d attempts of %s, expected %d; told:\n%s", found, set->graph.stages[stage].name,
                 count, text_get(&set->told));
}

static void expect_each_step_once(const struct stage_set *set, const char *stage)
{
    for (int step = 1; step <= 20; step++)
        if (set_count_steps(set, stage, step) != 1)
            fail_msg("step %d of %s was computed %d times", step, stage,
                     set_count_steps(set, stage, step));
}

static void expect_not_told(const struct stage_set *set, const char *part)
{
    if (strstr(text_get(&set->told), part))
        fail_msg("\"%s\" is in:\n%s", part, text_get(&set->told));
}

struct counting {
    const char *kind, *text;
    int count;
};

static enum err count_event(const struct event_record *event, void *own)
{
    struct counting *counting = own;
    counting->count += strcmp(event->kind, counting->kind) == 0 &&
                       strncmp(event->text, counting->text, strlen(counting->text)) == 0;
    return ERR_OK;
}

static int count_events(const struct stage_set *set, const char *kind, const char *text)
{
    struct counting counting = {kind, text, 0};
    struct journal *journal = open_journal(set->folder);
    assert_int_equal(journal_events(journal, count_event, &counting), ERR_OK);
    journal_close(&journal);
    return counting.count;
}

static void a_gang_goes_on_under_the_next_runner(void **state)
{
    struct stage_set *set = *state;
    leave_gang(set);
    await_step(set, "teacher", 9); /* with nobody to tell */
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told), "adopted teacher 1\n");
    expect_not_told(set, "start teacher");
    expect_each_step_once(set, "teacher");
    expect_attempts(set, SET_TEACHER, 1);
    assert_int_equal(set->survey.stages[SET_TEACHER].record.step, 20);
    assert_int_equal(set->survey.stages[SET_TEACHER].record.steps, 20);
    set_expect_done(set);
    char *left = set_read(set, RENDEZVOUS_NAME);
    assert_string_equal(left, ""); /* a clean end */
    mem_free(left);
}

/* It looks for a port of this machine, and knows its runner by the key of the one before. */
static void a_gang_of_several_nodes_goes_on_under_the_next_runner(void **state)
{
    struct stage_set *set = *state;
    set_widen(set);
    leave_gang(set);
    await_step(set, "teacher", 9);
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told), "adopted teacher 1\n");
    expect_each_step_once(set, "teacher");
    set_expect_done(set);
}

static void make_claim(const struct stage_set *set, uint64_t claim)
{
    char *folder = file_join(set->folder, "published");
    char *path = fence_path(set->folder, claim, "");
    assert_int_equal(file_make_folders(folder), ERR_OK);
    assert_int_equal(file_write(path, "", 0), ERR_OK);
    mem_free(path);
    mem_free(folder);
}

/* It was started by the owner before, and what it writes counts all the same. */
static void a_gang_that_a_later_owner_takes_over_writes_under_its_claim(void **state)
{
    struct stage_set *set = *state;
    make_claim(set, 1);
    set->cfg.launch.claim = 1;
    leave_gang(set);
    make_claim(set, 2);
    set->cfg.launch.claim = 2;
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told), "adopted teacher 1\n");
    expect_each_step_once(set, "teacher");
    expect_attempts(set, SET_TEACHER, 1);
}

/* A rank that another program started for the gang, as Slurm does. */
static pid_t add_rank(const struct attempt_record *record)
{
    char endpoint[SET_ENDPOINT], mark[SET_ENDPOINT + 32], gang[SET_ENDPOINT + 32];
    snprintf(endpoint, sizeof endpoint, "ipc://%s/gang", record->socket_folder);
    launch_mark(endpoint, mark, sizeof mark);
    launch_gang_mark(endpoint, record->lease_epoch, gang, sizeof gang);
    pid_t rank = fork();
    if (rank == 0) {
        setsid();
        execle("/bin/sleep", "sleep", "600", (char *)NULL, (char *[]){mark, gang, NULL});
        _exit(127);
    }
    while (!process_is_marked(&(struct process){.pid = rank}, gang))
        nap();
    return rank;
}

static void ranks_that_are_nobody_s_children_go_on_with_their_gang(void **state)
{
    struct stage_set *set = *state;
    int status = 0;
    leave_gang(set);
    struct attempt_record record = newest_attempt(set);
    pid_t rank = add_rank(&record);
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told), "adopted teacher 1\n");
    assert_int_equal(waitpid(rank, &status, WNOHANG), 0);
    kill(rank, SIGKILL);
    assert_int_equal(waitpid(rank, &status, 0), rank);
}

static void runner_after_runner_keeps_its_gang(void **state)
{
    struct stage_set *set = *state;
    leave_gang(set);
    for (int step = 8; step <= 14; step += 3) {
        pid_t runner = set_fork(set);
        await_step(set, "teacher", step);
        end_runner(runner);
    }
    expect_run(set, ERR_OK);
    expect_each_step_once(set, "teacher");
    expect_attempts(set, SET_TEACHER, 1);
    set_expect_done(set);
}

static void what_was_done_meanwhile_is_told_to_the_next_runner(void **state)
{
    struct stage_set *set = *state;
    leave_gang(set);
    await_step(set, "teacher", 20);
    expect_run(set, ERR_OK);
    expect_each_step_once(set, "teacher");
    expect_attempts(set, SET_TEACHER, 1);
    set_expect_done(set);
}

/* It has written down what the gang said, and does not live to say so. */
static void die_at_checkpoint(void *own, const struct gang *gang, uint64_t step)
{
    (void)own, (void)gang;
    if (step == 10)
        raise(SIGKILL);
}

static void what_is_written_and_not_acknowledged_is_not_written_again(void **state)
{
    struct stage_set *set = *state;
    int status = 0;
    setenv("FAKE_STEP_MS", "20", 1);
    set->view.checkpoint = die_at_checkpoint;
    pid_t runner = set_fork(set);
    assert_int_equal(waitpid(runner, &status, 0), runner);
    assert_int_equal(status, SIGKILL);
    set->view.checkpoint = NULL;
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told), "adopted teacher 1\n");
    expect_each_step_once(set, "teacher");
    for (int i = 0; i < 2; i++) /* of each of the three gangs */
        assert_int_equal(count_events(set, "checkpoint", i == 0 ? "5 " : "10 "), 3);
    set_expect_done(set);
}

static void a_gang_that_does_not_answer_is_replaced(void **state)
{
    struct stage_set *set = *state;
    leave_gang(set);
    kill((pid_t)newest_attempt(set).pid, SIGSTOP);
    set->cfg.limits.adopt_s = set->cfg.limits.hello_s = 0.3;
    setenv("FAKE_STEP_MS", "2", 1);
    expect_run(set, ERR_OK);
    expect_not_told(set, "adopted");
    expect_in(text_get(&set->told), "it was left running, and said nothing within 0 s");
    expect_in(text_get(&set->told), "resume teacher 5\n");
    expect_attempts(set, SET_TEACHER, 2);
    set_expect_done(set);
}

static void kill_found(void *own, const struct gang *gang)
{
    (void)own;
    kill((pid_t)gang->process.pid, SIGKILL);
}

static void a_gang_that_was_found_and_dies_is_replaced(void **state)
{
    struct stage_set *set = *state;
    leave_gang(set);
    set->view.adopted = kill_found;
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told), "failed teacher peer: ended without a word; an earlier runner");
    expect_in(text_get(&set->told), "resume teacher ");
    expect_attempts(set, SET_TEACHER, 2);
    set_expect_done(set);
}

static void a_gang_that_knows_another_token_is_replaced(void **state)
{
    struct stage_set *set = *state;
    struct rendezvous at = {.token = ""};
    leave_gang(set);
    assert_int_equal(rendezvous_read(set->folder, &set->campaign, &at), ERR_OK);
    at.token[0] ^= 1;
    assert_int_equal(rendezvous_write(set->folder, &set->campaign, &at), ERR_OK);
    set->cfg.limits.adopt_s = set->cfg.limits.hello_s = 0.3;
    expect_run(set, ERR_OK);
    expect_not_told(set, "adopted");
    expect_attempts(set, SET_TEACHER, 2);
    set_expect_done(set);
}

/* What was left is killed at once: no word of it is waited for. */
static void expect_replaced(struct stage_set *set, int attempts)
{
    set->cfg.limits.adopt_s = 1000;
    expect_run(set, ERR_OK);
    expect_not_told(set, "adopted");
    expect_not_told(set, "failed");
    expect_attempts(set, SET_TEACHER, attempts);
    set_expect_done(set);
}

static void a_gang_that_is_not_met_where_the_file_says_is_replaced(void **state)
{
    struct stage_set *set = *state;
    char path[160];
    snprintf(path, sizeof path, "%s/" RENDEZVOUS_NAME, set->folder);
    leave_gang(set);
    assert_int_equal(unlink(path), 0);
    expect_replaced(set, 2);
}

static void a_gang_of_an_old_lease_is_replaced(void **state)
{
    struct stage_set *set = *state;
    struct lease lease;
    const struct graph_stage *teacher = &set->graph.stages[SET_TEACHER];
    leave_gang(set);
    struct journal *journal = open_journal(set->folder);
    assert_int_equal(journal_lease(journal, &teacher->key, teacher->name, teacher->inputs,
                                   LEASE_GOES_ON, &lease),
                     ERR_OK);
    journal_close(&journal);
    expect_replaced(set, 3);
}

static void a_gang_of_a_stage_that_was_edited_is_replaced(void **state)
{
    struct stage_set *set = *state;
    leave_gang(set);
    set_edit(set, SET_TEACHER, 2);
    expect_replaced(set, 1); /* of the new one */
}

static void a_gang_of_a_stage_before_the_edit_goes_on(void **state)
{
    struct stage_set *set = *state;
    leave_gang(set);
    set_edit(set, SET_KERNEL, 2);
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told), "adopted teacher 1\n");
    expect_each_step_once(set, "teacher");
    set_expect_done(set);
}

static void a_gang_with_other_resources_is_replaced(void **state)
{
    struct stage_set *set = *state;
    leave_gang(set);
    set->campaign.resources.threads = 3;
    expect_replaced(set, 2);
}

static void a_host_stage_that_was_left_begins_anew(void **state)
{
    struct stage_set *set = *state;
    char path[160];
    snprintf(path, sizeof path, "%s/begun", set->folder);
    set_script(set, "best", "trap '' TERM; touch begun; await release");
    pid_t runner = set_fork(set);
    for (double end = clock_seconds() + PATIENCE_S; !file_exists(path); nap())
        assert_true(clock_seconds() < end);
    end_runner(runner);
    set_script(set, "best", NULL);
    expect_run(set, ERR_OK);
    expect_not_told(set, "adopted");
    expect_attempts(set, SET_COMPILE, 2);
    set_expect_done(set);
}

static struct {
    struct stage_set *set;
    pid_t gang;
    int turns;
} stopping;

/* Once the stop is asked for, the gang can hear of it. */
static void stop_at_once(void *own)
{
    (void)own;
    if (stopping.turns++ == 0)
        stopping.set->stop = 1;
    else
        kill(stopping.gang, SIGCONT);
}

static void a_stop_finds_a_gang_that_has_not_answered_yet(void **state)
{
    struct stage_set *set = *state;
    leave_gang(set);
    stopping.set = set;
    stopping.gang = (pid_t)newest_attempt(set).pid;
    stopping.turns = 0;
    kill(stopping.gang, SIGSTOP);
    set->view.tick = stop_at_once;
    expect_run(set, ERR_INTERRUPTED);
    expect_in(text_get(&set->told), "adopted teacher 1\n");
    assert_int_equal(set_count_processes(), 0);
    expect_attempts(set, SET_TEACHER, 1);
    assert_true(set->survey.stages[SET_TEACHER].record.step > 5); /* it has saved */
    set->view.tick = NULL;
    expect_run(set, ERR_OK);
    expect_each_step_once(set, "teacher");
    set_expect_done(set);
}

static void stop_three_times(void *own)
{
    (void)own;
    if (stopping.set->stop < 3)
        stopping.set->stop++;
}

static void a_third_stop_kills_a_gang_that_has_not_answered_yet(void **state)
{
    struct stage_set *set = *state;
    leave_gang(set);
    stopping.set = set;
    kill((pid_t)newest_attempt(set).pid, SIGSTOP);
    set->view.tick = stop_three_times;
    expect_run(set, ERR_INTERRUPTED);
    expect_not_told(set, "adopted");
    assert_int_equal(set_count_processes(), 0);
}

/* ---- a gang whose words the test says */

static void die_at_once(void *own)
{
    (void)own;
    raise(SIGKILL);
}

/* A runner that died when it had started its gang, of which it heard nothing. */
static void leave_puppet(struct stage_set *set)
{
    int status = 0;
    struct loop_view whole = set->view;
    set->view.tick = die_at_once;
    pid_t runner = set_fork(set);
    assert_int_equal(waitpid(runner, &status, 0), runner);
    assert_int_equal(status, SIGKILL);
    set->view = whole;
}

static void ask_for_work(struct puppet *puppet)
{
    if (puppet->scene == 0) {
        puppet->lease_epoch = 1;
        puppet_connect(puppet);
        puppet_say_hello(puppet);
        puppet->scene++;
    } else if (puppet->scene == 1 && puppet_hears(puppet, GW__TO_WORKER__BODY_ASSIGN)) {
        assert_true(puppet_was_accepted(puppet, 1));
        puppet->set->stop = 3;
        puppet->scene++;
    }
}

static void a_gang_that_waits_for_its_assignment_gets_it_from_the_next_runner(void **state)
{
    struct stage_set *set = *state;
    struct puppet puppet;
    puppet_make(&puppet, set, ask_for_work);
    leave_puppet(set);
    expect_run(set, ERR_INTERRUPTED);
    expect_in(text_get(&set->told), "adopted teacher 1\n");
    assert_int_equal(puppet.scene, 2);
    expect_attempts(set, SET_TEACHER, 1);
    puppet_free(&puppet);
}

/* It says its hello late, and has its own time for that, not only the runner's. */
static void hesitate(struct puppet *puppet)
{
    if (puppet->scene == 0) {
        puppet->lease_epoch = 1;
        puppet->give_up_s = clock_seconds() + PATIENCE_S;
        puppet->scene++;
    } else if (puppet->scene == 1 && clock_seconds() > puppet->give_up_s - PATIENCE_S + 0.5) {
        puppet_connect(puppet);
        puppet_say_hello(puppet);
        puppet->scene++;
    } else if (puppet->scene == 2 && puppet_hears(puppet, GW__TO_WORKER__BODY_ASSIGN)) {
        puppet->set->stop = 3;
        puppet->scene++;
    }
}

static void a_gang_that_was_left_while_it_started_has_time_for_its_hello(void **state)
{
    struct stage_set *set = *state;
    struct puppet puppet;
    puppet_make(&puppet, set, hesitate);
    leave_puppet(set);
    set->cfg.limits.adopt_s = 0.1;
    expect_run(set, ERR_INTERRUPTED);
    assert_int_equal(puppet.scene, 3);
    expect_attempts(set, SET_TEACHER, 1);
    puppet_free(&puppet);
}

/* The runner before has written of two of its checkpoints, and acknowledged none. */
static void repeat_older_checkpoint(struct puppet *puppet)
{
    if (puppet->scene == 0) {
        puppet->lease_epoch = 1;
        puppet_connect(puppet);
        puppet_say_checkpoint(puppet, "teacher", 5);
        puppet->scene++;
    } else if (puppet->scene == 1 && !puppet_hears(puppet, GW__TO_WORKER__BODY_PULSE) &&
               puppet_was_accepted(puppet, 1)) {
        puppet->set->stop = 3;
        puppet->scene++;
    }
}

static void an_older_checkpoint_that_is_said_again_does_not_count_again(void **state)
{
    struct stage_set *set = *state;
    struct puppet puppet;
    const struct lease lease = {.key = set->graph.stages[SET_TEACHER].key, .epoch = 1};
    puppet_make(&puppet, set, repeat_older_checkpoint);
    leave_puppet(set);
    struct journal *journal = open_journal(set->folder);
    assert_int_equal(journal_checkpoint(journal, &lease, 10, 20, "ten"), ERR_OK);
    journal_close(&journal);
    expect_run(set, ERR_INTERRUPTED);
    assert_int_equal(puppet.scene, 2);
    set_survey(set);
    assert_int_equal(set->survey.stages[SET_TEACHER].record.step, 10);
    assert_int_equal(count_events(set, "checkpoint", ""), 1);
    puppet_free(&puppet);
}

/* The last progress died with the runner before. */
static void finish_without_progress(struct puppet *puppet)
{
    if (puppet->scene == 0) {
        puppet->lease_epoch = 1;
        puppet_connect(puppet);
        puppet_say_checkpoint(puppet, "teacher", 20);
        puppet_say_done(puppet, "teacher");
        puppet->scene++;
    } else if (puppet->scene == 1 && !puppet_hears(puppet, GW__TO_WORKER__BODY_PULSE) &&
               puppet_was_accepted(puppet, 2)) {
        puppet->set->stop = 3;
        puppet->scene++;
    }
}

static void a_stage_whose_last_progress_was_lost_keeps_its_step(void **state)
{
    struct stage_set *set = *state;
    struct puppet puppet;
    puppet_make(&puppet, set, finish_without_progress);
    leave_puppet(set);
    expect_run(set, ERR_INTERRUPTED);
    set_survey(set);
    assert_true(set->survey.stages[SET_TEACHER].record.is_done);
    assert_int_equal(set->survey.stages[SET_TEACHER].record.step, 20);
    puppet_free(&puppet);
}

/* Of the run before: it has written it down, and dies. */
static void die_of_warning(void *own, const struct gang *gang, const char *text)
{
    (void)own, (void)gang, (void)text;
    raise(SIGKILL);
}

static void warn(struct puppet *puppet)
{
    if (puppet->scene == 0) {
        puppet->lease_epoch = 1;
        puppet_connect(puppet);
        puppet_say_warning(puppet, "teacher");
        puppet->scene++;
    } else if (puppet->scene == 1 && !puppet_hears(puppet, GW__TO_WORKER__BODY_PULSE) &&
               puppet_was_accepted(puppet, 1)) {
        puppet->set->stop = 3;
        puppet->scene++;
    }
}

static void a_warning_that_was_written_is_not_told_again(void **state)
{
    struct stage_set *set = *state;
    struct puppet puppet;
    int status = 0;
    puppet_make(&puppet, set, warn);
    struct loop_view whole = set->view;
    set->view.warning = die_of_warning;
    pid_t runner = set_fork(set);
    assert_int_equal(waitpid(runner, &status, 0), runner);
    assert_int_equal(status, SIGKILL);
    set->view = whole;
    expect_run(set, ERR_INTERRUPTED);
    assert_int_equal(puppet.scene, 2);
    expect_not_told(set, "warning");
    assert_int_equal(count_events(set, "warning", ""), 1);
    puppet_free(&puppet);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_gang_goes_on_under_the_next_runner),
        TEST(a_gang_of_several_nodes_goes_on_under_the_next_runner),
        TEST(a_gang_that_a_later_owner_takes_over_writes_under_its_claim),
        TEST(ranks_that_are_nobody_s_children_go_on_with_their_gang),
        TEST(runner_after_runner_keeps_its_gang),
        TEST(what_was_done_meanwhile_is_told_to_the_next_runner),
        TEST(what_is_written_and_not_acknowledged_is_not_written_again),
        TEST(a_gang_that_does_not_answer_is_replaced),
        TEST(a_gang_that_was_found_and_dies_is_replaced),
        TEST(a_gang_that_was_left_while_it_started_has_time_for_its_hello),
        TEST(a_gang_that_knows_another_token_is_replaced),
        TEST(a_gang_that_is_not_met_where_the_file_says_is_replaced),
        TEST(a_gang_of_an_old_lease_is_replaced),
        TEST(a_gang_of_a_stage_that_was_edited_is_replaced),
        TEST(a_gang_of_a_stage_before_the_edit_goes_on),
        TEST(a_gang_with_other_resources_is_replaced),
        TEST(a_host_stage_that_was_left_begins_anew),
        TEST(a_stop_finds_a_gang_that_has_not_answered_yet),
        TEST(a_third_stop_kills_a_gang_that_has_not_answered_yet),
        TEST(a_gang_that_waits_for_its_assignment_gets_it_from_the_next_runner),
        TEST(an_older_checkpoint_that_is_said_again_does_not_count_again),
        TEST(a_stage_whose_last_progress_was_lost_keeps_its_step),
        TEST(a_warning_that_was_written_is_not_told_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
