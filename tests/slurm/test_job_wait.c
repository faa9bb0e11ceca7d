/* What became of a run that was given to Slurm, and what is told and kept of it, without a Slurm.
 */
#include "base/file.h"
#include "base/mem.h"
#include "cluster/slurm/intent.h"
#include "cluster/slurm/job_news.h"
#include "cluster/slurm/job_wait.h"
#include "cluster/slurm/submission.h"
#include "tests/scratch.h"
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NONE (-1) /* no runner of this submission has said anything */

struct row {
    const char *job; /* its state, "": Slurm does not list it, NULL: Slurm does not answer */
    bool has_ended;
    int state, signal;
    const char *error; /* of the run */
    enum job_verdict verdict;
    enum err err;
    const char *text; /* it says so */
};

static const struct row rows[] = {
    /* it waits, runs, comes back */
    {"PENDING", false, NONE, 0, "", JOB_GOES_ON, ERR_OK, NULL},
    {"RUNNING", false, NONE, 0, "", JOB_GOES_ON, ERR_OK, NULL},
    {"RUNNING", false, RUN_STATE_RUNNING, 0, "", JOB_GOES_ON, ERR_OK, NULL},
    {"PENDING", false, RUN_STATE_STOPPED, SIGUSR1, "", JOB_GOES_ON, ERR_OK, NULL},
    {"COMPLETING", false, RUN_STATE_DONE, 0, "", JOB_GOES_ON, ERR_OK, NULL},
    /* Slurm does not answer: only the run's last word ends it */
    {NULL, false, NONE, 0, "", JOB_GOES_ON, ERR_OK, NULL},
    {NULL, false, RUN_STATE_RUNNING, 0, "", JOB_GOES_ON, ERR_OK, NULL},
    {NULL, false, RUN_STATE_STOPPED, SIGTERM, "", JOB_GOES_ON, ERR_OK, NULL},
    {NULL, false, RUN_STATE_DONE, 0, "", JOB_IS_OVER, ERR_OK, NULL},
    {NULL, false, RUN_STATE_FAILED, 0, "numeric", JOB_IS_OVER, ERR_NUMERIC, "run's words"},
    /* the run's own last word */
    {"COMPLETED", true, RUN_STATE_DONE, 0, "", JOB_IS_OVER, ERR_OK, NULL},
    {"", false, RUN_STATE_DONE, 0, "", JOB_IS_OVER, ERR_OK, NULL},
    {"FAILED", true, RUN_STATE_FAILED, 0, "config", JOB_IS_OVER, ERR_CONFIG, "run's words"},
    {"FAILED", true, RUN_STATE_FAILED, 0, "strange", JOB_IS_OVER, ERR_FAILED, "run's words"},
    {"FAILED", true, RUN_STATE_STOPPED, SIGINT, "", JOB_IS_OVER, ERR_INTERRUPTED, "by a person"},
    /* scancel is a person, too */
    {"CANCELLED", true, RUN_STATE_STOPPED, SIGTERM, "", JOB_IS_OVER, ERR_INTERRUPTED, "has saved"},
    {"CANCELLED", true, RUN_STATE_RUNNING, 0, "", JOB_IS_OVER, ERR_INTERRUPTED, "no time to save"},
    {"CANCELLED", true, NONE, 0, "", JOB_IS_OVER, ERR_INTERRUPTED, "before the run began"},
    /* its job ended under it */
    {"FAILED", true, RUN_STATE_STOPPED, SIGUSR1, "", JOB_MAY_BE_OVER, ERR_REQUEUE, "no other job"},
    {"PREEMPTED", true, RUN_STATE_STOPPED, SIGTERM, "", JOB_MAY_BE_OVER, ERR_REQUEUE, "saved"},
    {"TIMEOUT", true, RUN_STATE_RUNNING, 0, "", JOB_MAY_BE_OVER, ERR_REQUEUE, "TIMEOUT"},
    {"NODE_FAIL", true, NONE, 0, "", JOB_MAY_BE_OVER, ERR_REQUEUE, "before the run began"},
    {"", false, RUN_STATE_RUNNING, 0, "", JOB_MAY_BE_OVER, ERR_REQUEUE, "not in Slurm"},
    {"OUT_OF_MEMORY", true, RUN_STATE_RUNNING, 0, "", JOB_MAY_BE_OVER, ERR_MEMORY, "want of"},
    /* it never came to be a run */
    {"FAILED", true, NONE, 0, "", JOB_MAY_BE_OVER, ERR_FAILED, "log's words"},
    {"", false, NONE, 0, "", JOB_MAY_BE_OVER, ERR_FAILED, "submit it again"}};

static void expect_row(int number, struct run_status *status)
{
    const struct row *row = &rows[number];
    struct job_seen seen = {.is_known = row->job != NULL,
                            .status = row->state == NONE ? NULL : status,
                            .last_words = "the log's words"};
    seen.queued.is_there = row->job && row->job[0];
    seen.queued.has_ended = row->has_ended;
    snprintf(seen.queued.state, sizeof seen.queued.state, "%s", row->job ? row->job : "");
    status->state = row->state;
    status->signal = row->signal;
    snprintf(status->error, sizeof status->error, "%s", row->error);
    snprintf(status->text, sizeof status->text, "the run's words");
    enum job_verdict verdict = job_wait_judge(&seen);
    if (verdict != row->verdict)
        fail_msg("row %d: verdict %d, expected %d", number, verdict, row->verdict);
    if (verdict == JOB_GOES_ON)
        return;
    enum err err = job_wait_end(&seen);
    if (err != row->err || (row->text && !strstr(err_text(), row->text)))
        fail_msg("row %d: %s, \"%s\"", number, err_name(err), err_text());
}

static void what_became_of_a_run_follows_from_its_last_word_and_slurms(void **state)
{
    (void)state;
    struct run_status *status = mem_alloc(sizeof *status);
    run_status_init(status);
    for (int i = 0; i < (int)(sizeof rows / sizeof *rows); i++)
        expect_row(i, status);
    mem_free(status);
}

static void a_stop_that_was_asked_is_no_failure_of_a_job_that_slurm_does_not_have(void **state)
{
    (void)state;
    struct job_seen seen = {.is_known = true, .last_words = ""};
    assert_int_equal(job_wait_end(&seen), ERR_FAILED);
    seen.is_stop_asked = true;
    assert_int_equal(job_wait_end(&seen), ERR_INTERRUPTED);
    seen.queued = (struct queued){.is_there = true, .has_ended = true, .state = "FAILED"};
    assert_int_equal(job_wait_end(&seen), ERR_FAILED);
}

static void what_is_told_of_a_job_is_read_as_it_was_written(void **state)
{
    struct job_news news = {.queued = {.is_there = true,
                                       .job = "12",
                                       .state = "PENDING",
                                       .reason = "QOSMaxJobsPerUserLimit"}},
                    read;
    char text[JOB_NEWS_TEXT];
    assert_false(job_news_read(*state, &read));
    assert_int_equal(job_news_write(*state, &news), ERR_OK);
    assert_true(job_news_read(*state, &read));
    job_news_text(&read, text);
    assert_string_equal(text, "job 12: pending in Slurm (QOSMaxJobsPerUserLimit)");
    news.queued = (struct queued){
        .is_there = true, .job = "12", .state = "RUNNING", .nodes = "n[1-2]\033[2J"};
    news.is_silent = true;
    assert_int_equal(job_news_write(*state, &news), ERR_OK);
    assert_true(job_news_read(*state, &read));
    job_news_text(&read, text);
    assert_string_equal(text, "job 12: running on n[1-2]?[2J; Slurm does not answer now");
    read = (struct job_news){.queued = {.job = "7"}};
    job_news_text(&read, text);
    assert_string_equal(text, "job 7: not in Slurm any more");
}

static void write_file(const char *folder, const char *name, const char *bytes)
{
    char *path = file_join(folder, name);
    assert_int_equal(file_write(path, bytes, strlen(bytes)), ERR_OK);
    mem_free(path);
}

/* The same key submits once: from the moment that the job can be forgotten by nobody, or runs. */
static void a_key_is_submitted_once(void **state)
{
    struct intent intent = {.uuid = "u", .job = "3", .key = "4-1"};
    assert_false(submission_was_made(*state, "4-1"));
    assert_int_equal(intent_write(*state, &intent), ERR_OK);
    assert_false(submission_was_made(*state, "4-1"));
    intent.is_settled = true;
    assert_int_equal(intent_write(*state, &intent), ERR_OK);
    assert_true(submission_was_made(*state, "4-1"));
    assert_false(submission_was_made(*state, "4-2"));
    write_file(*state, INTENT_NAME,
               "{\"uuid\": \"u\", \"job\": \"3\"}"); /* of before there were keys */
    intent_read(*state, &intent);
    assert_string_equal(intent.job, "3");
    assert_true(intent.is_settled);
    assert_false(submission_was_made(*state, "4-1"));
    write_file(*state, INTENT_NAME, "{\"uuid\": 3}");
    intent_read(*state, &intent);
    assert_string_equal(intent.uuid, "");
}

static void a_run_that_has_begun_was_submitted_though_slurm_may_have_forgotten(void **state)
{
    struct intent intent = {.uuid = "u", .job = "3", .key = "k"};
    struct run_status *status = mem_alloc(sizeof *status);
    char *published = file_join(*state, "published");
    run_status_init(status);
    snprintf(status->place, sizeof status->place, "boot namespace host");
    status->pid = 77;
    status->started_ticks = 1234;
    assert_int_equal(file_make_folders(published), ERR_OK);
    json_t *json = run_status_json(status);
    char *text = json_dumps(json, 0);
    write_file(*state, "published/status.json", text);
    assert_int_equal(intent_write(*state, &intent), ERR_OK);
    assert_true(submission_was_made(*state, "k"));
    intent_name_runner(status, intent.before); /* it lay there before */
    assert_int_equal(intent_write(*state, &intent), ERR_OK);
    assert_false(submission_was_made(*state, "k"));
    free(text);
    json_decref(json);
    mem_free(published);
    mem_free(status);
}

static void a_key_is_a_plain_word(void **state)
{
    (void)state;
    char large[INTENT_KEY + 1];
    memset(large, 'a', INTENT_KEY);
    large[INTENT_KEY] = '\0';
    assert_true(intent_is_key("4-1_x.Y"));
    assert_false(intent_is_key(""));
    assert_false(intent_is_key("a b"));
    assert_false(intent_is_key(large));
    assert_true(intent_is_key(large + 1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_became_of_a_run_follows_from_its_last_word_and_slurms),
        cmocka_unit_test(a_stop_that_was_asked_is_no_failure_of_a_job_that_slurm_does_not_have),
        TEST(what_is_told_of_a_job_is_read_as_it_was_written),
        TEST(a_key_is_submitted_once),
        TEST(a_run_that_has_begun_was_submitted_though_slurm_may_have_forgotten),
        cmocka_unit_test(a_key_is_a_plain_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
