/* Whom a gang's end is blamed on, which node is left out for it, and what of that the journal
 * keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "scheduler/bad_nodes.h"
#include "tests/scheduler/open_journal.h"
#include "tests/scratch.h"

static void expect_blame(const char *log, const char *expected, const char *said)
{
    struct blame blame;
    bad_nodes_blame(log, &blame);
    assert_string_equal(blame.node, expected);
    assert_string_equal(blame.said, said);
}

static void the_node_that_srun_names_first_is_blamed(void **state)
{
    (void)state;
    expect_blame("ts=1 level=info hello\n"
                 "srun: error: n2: task 1: Exited with exit code 9\n"
                 "srun: launch/slurm: _step_signal: Terminating StepId=7.0\n"
                 "slurmstepd: error: *** STEP 7.0 ON n1 CANCELLED AT 2026-11-30T06:00:00 ***\n"
                 "srun: error: n1: task 0: Killed\n",
                 "n2", "task 1: Exited with exit code 9");
    expect_blame("srun: error: gpu-07.x_y: tasks 4-7: Exited with exit code 1", "gpu-07.x_y",
                 "tasks 4-7: Exited with exit code 1");
}

static void nobody_is_blamed_where_srun_does_not_say(void **state)
{
    (void)state;
    expect_blame("", "", "");
    expect_blame("srun: error: Unable to create step for job 7: Job/step already completing\n", "",
                 "");
    expect_blame("srun: error: n[1-2]: tasks 0-1: Exited with exit code 9\n"
                 "srun: error: n1: task 0: Killed\n",
                 "", ""); /* both at once */
    expect_blame("a rank says srun: error: n2: task 1: Exited with exit code 9\n", "", "");
    expect_blame("srun: error: -x n2: task 1: Exited\n", "", "");
}

static void expect_word(const char *text, const char *node, const char *said)
{
    struct blame blame;
    bad_nodes_blame_word(text, &blame);
    assert_string_equal(blame.node, node);
    assert_string_equal(blame.said, said);
}

static void a_gang_names_the_node_of_a_rank(void **state)
{
    (void)state;
    expect_word("rank 1 on n2: there is no device", "n2", "there is no device");
    expect_word("rank 1: there is no device", "", "");
    expect_word("rank 1 on my own disk", "", "");
    expect_word("rank x on n2: there is no device", "", "");
    expect_word("rank 3 on $(reboot): there is no device", "", "");
    expect_word("", "", "");
}

static void the_second_end_in_a_row_leaves_a_node_out(void **state)
{
    struct bad_nodes nodes = {0};
    char list[64];
    (void)state;
    assert_false(bad_nodes_add(&nodes, "n2", "first"));
    bad_nodes_forgive(&nodes); /* a gang has made a step */
    assert_false(bad_nodes_add(&nodes, "n2", "again"));
    assert_false(bad_nodes_add(&nodes, "n3", "another"));
    assert_int_equal(bad_nodes_excluded(&nodes), 0);
    assert_true(bad_nodes_add(&nodes, "n2", "twice"));
    bad_nodes_forgive(&nodes);
    assert_false(bad_nodes_add(&nodes, "n2", "it was told already"));
    assert_false(bad_nodes_add(&nodes, "n3", "once"));
    assert_true(bad_nodes_add(&nodes, "n3", "twice"));
    bad_nodes_write(&nodes, list, sizeof list);
    assert_string_equal(list, "n2,n3");
    bad_nodes_write(&nodes, list, 5); /* cut, and no further */
    assert_int_equal(strlen(list), 4);
}

static const struct hash kernel = {{1}};

static void end_attempt(struct journal *journal, enum cause cause, const char *node, uint64_t step)
{
    struct lease lease;
    struct stage_outcome ended = {.error = ERR_PEER,
                                  .cause = cause,
                                  .text = "ended with exit code 9",
                                  .node = node,
                                  .content = "",
                                  .results = "",
                                  .results_hash = "",
                                  .step = step};
    if (journal_lease(journal, &kernel, "kernel", "", LEASE_GOES_ON, &lease) != ERR_OK ||
        journal_end(journal, &lease, &ended) != ERR_OK)
        fail_msg("%s", err_text());
}

static int count_excluded(struct journal *journal)
{
    struct bad_nodes nodes;
    if (bad_nodes_recall(journal, &nodes) != ERR_OK)
        fail_msg("%s", err_text());
    return bad_nodes_excluded(&nodes);
}

static void a_runner_that_takes_over_knows_them_until_a_run_has_ended(void **state)
{
    struct journal *journal = open_journal(*state);
    end_attempt(journal, CAUSE_NODE, "n2", 0);
    end_attempt(journal, CAUSE_CRASH, NULL, 5); /* with a step between them */
    end_attempt(journal, CAUSE_NODE, "n2", 0);
    end_attempt(journal, CAUSE_CRASH, "n1", 0); /* no other could take its place */
    end_attempt(journal, CAUSE_CRASH, "n1", 0);
    assert_int_equal(count_excluded(journal), 0);
    end_attempt(journal, CAUSE_NODE, "n2", 0);
    journal_close(&journal);
    journal = open_journal(*state);
    assert_int_equal(count_excluded(journal), 1);
    assert_int_equal(journal_forgive(journal, &kernel), ERR_OK);
    assert_int_equal(count_excluded(journal), 0);
    end_attempt(journal, CAUSE_NODE, "n2", 0);
    assert_int_equal(count_excluded(journal), 0);
    journal_close(&journal);
}

static void those_of_an_earlier_job_are_none_of_this_one(void **state)
{
    (void)state;
    struct bad_nodes nodes = {0};
    struct allocation now = {.nodes = 2, .names = "n[5-6]"}, same = {.nodes = 3, .names = "n[1-3]"};
    struct allocation unknown = {.nodes = 2};
    for (int i = 0; i < 2; i++) {
        bad_nodes_add(&nodes, "n2", "ended");
        bad_nodes_add(&nodes, "n3", "ended");
    }
    bad_nodes_add(&nodes, "n1", "ended"); /* once */
    assert_int_equal(bad_nodes_excluded_of(&nodes, &now), 0);
    assert_int_equal(bad_nodes_excluded_of(&nodes, &same), 2);
    assert_int_equal(bad_nodes_excluded_of(&nodes, &unknown), 2);
    bad_nodes_add(&nodes, "n6", "ended");
    bad_nodes_add(&nodes, "n6", "ended");
    assert_int_equal(bad_nodes_excluded_of(&nodes, &now), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_node_that_srun_names_first_is_blamed),
        TEST(nobody_is_blamed_where_srun_does_not_say),
        TEST(a_gang_names_the_node_of_a_rank),
        TEST(the_second_end_in_a_row_leaves_a_node_out),
        cmocka_unit_test(those_of_an_earlier_job_are_none_of_this_one),
        TEST(a_runner_that_takes_over_knows_them_until_a_run_has_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
