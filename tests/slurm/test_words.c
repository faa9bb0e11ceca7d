/* What is read from Slurm and from a site's file, without a Slurm. */
#include "cluster/slurm/ask.h"
#include "cluster/slurm/preflight.h"
#include "cluster/slurm/queue.h"
#include "cluster/slurm/site.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char cluster[] = "cpu*|2-00:00:00|8|64|256000|(null)\n"
                              "cpu*|2-00:00:00|2|16|1000000|(null)\n"
                              "gpu|30:00|4|32|128000|gpu:a100:4(S:0-1),shard:8\n";

static void expect_refused(const struct job_needs *needs, const char *word)
{
    assert_int_equal(preflight_check(cluster, needs), ERR_CONFIG);
    if (!strstr(err_text(), word))
        fail_msg("\"%s\" does not say %s", err_text(), word);
}

static void a_job_that_some_node_can_start_passes(void **state)
{
    (void)state;
    const struct job_needs wide = {.partition = "", .nodes = 1, .cpus = 64, .memory_mib = 256000};
    const struct job_needs large = {.partition = "cpu", .nodes = 1, .memory_mib = 1000000};
    const struct job_needs gpus = {.partition = "gpu", .nodes = 1, .gpus = 4, .time_seconds = 1800};
    const struct job_needs *all[] = {&wide, &large, &gpus};
    for (int i = 0; i < 3; i++)
        if (preflight_check(cluster, all[i]) != ERR_OK)
            fail_msg("%d: %s", i, err_text());
}

static void a_job_that_none_can_start_is_refused_with_what_there_is(void **state)
{
    (void)state;
    expect_refused(&(struct job_needs){.partition = "fast"}, "cpu, gpu,");
    expect_refused(&(struct job_needs){.partition = "", .cpus = 65}, "the most is 64");
    expect_refused(&(struct job_needs){.partition = "", .nodes = 11}, "has 10 nodes");
    expect_refused(&(struct job_needs){.partition = "gpu", .gpus = 5}, "the most is 4");
    expect_refused(&(struct job_needs){.partition = "gpu", .time_seconds = 1801}, "30:00");
    expect_refused(&(struct job_needs){.partition = "gpu", .signal_seconds = 1800}, "lower it");
    expect_refused(&(struct job_needs){.partition = "cpu", .cpus = 17, .memory_mib = 256001},
                   "at once; lower");
}

static void of_jobs_with_a_uuid_the_one_that_has_not_ended_is_found(void **state)
{
    (void)state;
    struct queued found;
    const char listed[] = "7|RUNNING|None|n1|other|glowworm-1\n8|CANCELLED|None||glowworm-1\n"
                          "9|PENDING|Priority||glowworm-1\n10|COMPLETED|None|n2|glowworm-1\n"
                          "11|RUNNING|None|n[1-2]|glowworm-12\n12|RUNNING\n";
    queue_find_in(listed, "glowworm-1", &found);
    assert_true(found.is_there && !found.has_ended);
    assert_string_equal(found.job, "9");
    assert_string_equal(found.reason, "Priority");
    assert_string_equal(found.nodes, "");
    queue_find_in(listed, "glowworm-12", &found);
    assert_string_equal(found.reason, "");
    assert_string_equal(found.nodes, "n[1-2]");
    queue_find_in(listed, "glowworm-", &found);
    assert_false(found.is_there);
    queue_find_in("8|CANCELLED|None||u\n", "u", &found);
    assert_true(found.is_there && found.has_ended);
    queue_find_in("|RUNNING|None|n1|u\n8||None|n1|u\n", "u", &found);
    assert_false(found.is_there);
}

static void what_does_not_answer_in_time_is_unknown(void **state)
{
    (void)state;
    struct answer answer = {0};
    const char *slow[] = {"sleep", "600", NULL}, *missing[] = {"/no/such/squeue", NULL};
    assert_int_equal(ask(slow, 0.1, &answer), ERR_AGAIN);
    assert_int_equal(ask(missing, 10, &answer), ERR_UNAVAILABLE);
}

static void what_is_said_is_whole_and_a_failure_is_no_answer(void **state)
{
    (void)state;
    struct answer answer = {0};
    const char *many[] = {"seq", "20000", NULL};
    const char *failing[] = {"sh", "-c", "echo no >&2; exit 3", NULL};
    assert_int_equal(ask(many, 60, &answer), ERR_OK);
    assert_int_equal(answer.code, 0);
    assert_int_equal(strlen(answer.output), 108894);
    answer_fini(&answer);
    assert_int_equal(ask(failing, 60, &answer), ERR_OK);
    assert_int_equal(answer.code, 3);
    assert_string_equal(answer.error, "no");
    answer_fini(&answer);
    assert_int_equal(ask_surely(failing, &answer), ERR_AGAIN);
}

static void a_submission_is_a_number_or_why_not_and_what_to_do(void **state)
{
    (void)state;
    char job[ASK_JOB] = "";
    const char *taken[] = {"printf", "7;cluster\n", NULL};
    const char *refusing[] = {"sh", "-c", "echo 'no such partition' >&2; exit 1", NULL};
    assert_int_equal(ask_sbatch(taken, "", job), ERR_OK);
    assert_string_equal(job, "7");
    assert_int_equal(ask_sbatch(refusing, "name another", job), ERR_FAILED);
    assert_non_null(strstr(err_text(), "no such partition; name another"));
    assert_string_equal(job, "7");
}

static void what_slurm_may_take_all_the_same_is_no_refusal(void **state)
{
    (void)state;
    char job[ASK_JOB] = "";
    static const char *const said[] = {
        "Unable to contact slurm controller (connect failure)",
        "Socket timed out on send/recv operation",
        "Zero Bytes were transmitted or received",
        "Slurm temporarily unable to accept job, sleeping and retrying",
        "QOSMaxSubmitJobPerUserLimit",
        "AssocGrpSubmitJobsLimit"};
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        const char *argv[] = {"sh", "-c", "echo \"sbatch: error: $0\" >&2; exit 1", said[i], NULL};
        assert_int_equal(ask_sbatch(argv, "", job), ERR_AGAIN);
        assert_non_null(strstr(err_text(), said[i]));
    }
    const char *killed[] = {"sh", "-c", "kill -9 $$", NULL};
    const char *never[] = {"sh", "-c", "echo 'Requested time limit is invalid' >&2; exit 1", NULL};
    assert_int_equal(ask_sbatch(killed, "", job), ERR_AGAIN);
    assert_int_equal(ask_sbatch(never, "", job), ERR_FAILED);
    assert_string_equal(job, "");
}

static void the_site_of_defaults_and_the_example_are_the_same(void **state)
{
    (void)state;
    struct site defaults, example;
    assert_int_equal(site_load(SITE_DEFAULT, &defaults), ERR_OK);
    assert_int_equal(site_load("configs/sites/example.yaml", &example), ERR_OK);
    assert_memory_equal(&defaults, &example, sizeof defaults);
    assert_int_equal(defaults.requeue, SITE_SCONTROL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_that_some_node_can_start_passes),
        cmocka_unit_test(a_job_that_none_can_start_is_refused_with_what_there_is),
        cmocka_unit_test(of_jobs_with_a_uuid_the_one_that_has_not_ended_is_found),
        cmocka_unit_test(what_does_not_answer_in_time_is_unknown),
        cmocka_unit_test(what_is_said_is_whole_and_a_failure_is_no_answer),
        cmocka_unit_test(a_submission_is_a_number_or_why_not_and_what_to_do),
        cmocka_unit_test(what_slurm_may_take_all_the_same_is_no_refusal),
        cmocka_unit_test(the_site_of_defaults_and_the_example_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
