/* What Slurm tells of a job, and whether gangs have room in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scheduler/allocation.h"
#include "scheduler/node_list.h"

static const char *const names[] = {
    "SLURM_JOB_ID",       "SLURMD_NODENAME",         "SLURM_JOB_NUM_NODES", "SLURM_NODEID",
    "SLURM_CPUS_ON_NODE", "SLURM_JOB_CPUS_PER_NODE", "SLURM_MEM_PER_NODE",  "SLURM_JOB_NODELIST"};

/* A job of two nodes, on the first of them. */
static int enter_job(void **state)
{
    static const char *const values[] = {"17", "n1", "2", "0", "8", "8,6", "4000", "n[1-2]"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        setenv(names[i], values[i], 1);
    return 0;
}

static struct allocation read_job(void)
{
    struct allocation allocation;
    if (allocation_read(&allocation) != ERR_OK)
        fail_msg("%s", err_text());
    return allocation;
}

static struct campaign make_campaign(int gangs, int nodes, int ranks, int threads)
{
    struct campaign campaign = {
        .resources = {.gangs = gangs, .nodes = nodes, .ranks = ranks, .threads = threads}};
    return campaign;
}

static void expect_refused(struct allocation allocation, struct campaign campaign,
                           const char *reason)
{
    struct gang_share share;
    assert_int_equal(allocation_divide(&allocation, &campaign, &share), ERR_CONFIG);
    if (!strstr(err_text(), reason))
        fail_msg("\"%s\" is not in: %s", reason, err_text());
}

static void a_job_is_what_slurm_says(void **state)
{
    (void)state;
    struct allocation allocation = read_job();
    assert_string_equal(allocation.job, "17");
    assert_string_equal(allocation.node, "n1");
    assert_int_equal(allocation.nodes, 2);
    assert_string_equal(allocation.names, "n[1-2]");
    assert_true(allocation.is_first);
    assert_int_equal(allocation.cpus, 8);
    assert_int_equal(allocation.cpus_of_each, 6);
    assert_int_equal(allocation.memory_mib, 4000);
}

static void the_least_of_all_nodes_counts(void **state)
{
    static const struct {
        const char *list;
        int least;
    } cases[] = {{"4", 4}, {"4(x3)", 4}, {"4(x2),2", 2}, {"2(x12),4(x3),3", 2}, {"128,96(x2)", 96}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setenv("SLURM_JOB_CPUS_PER_NODE", cases[i].list, 1);
        assert_int_equal(read_job().cpus_of_each, cases[i].least);
    }
}

static void what_slurm_would_not_say_is_refused(void **state)
{
    static const char *const lists[] = {"",      "x", "4,", "4(x", "4(x2", "4(2)",
                                        "4(x0)", "0", "-4", "4;2", "4 2",  "4(x2)3"};
    struct allocation allocation;
    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        setenv("SLURM_JOB_CPUS_PER_NODE", lists[i], 1);
        if (allocation_read(&allocation) != ERR_DATA)
            fail_msg("\"%s\" is taken", lists[i]);
        assert_non_null(strstr(err_text(), "SLURM_JOB_CPUS_PER_NODE"));
    }
}

static void a_gang_gets_its_share_of_every_node(void **state)
{
    (void)state;
    struct allocation allocation = read_job();
    struct campaign campaign = make_campaign(2, 2, 6, 1);
    struct gang_share share;
    assert_int_equal(allocation_divide(&allocation, &campaign, &share), ERR_OK);
    assert_int_equal(share.threads, 1);
    assert_int_equal(share.memory_mib, 2000);
    expect_refused(allocation, make_campaign(2, 2, 8, 1),
                   "need 8 CPUs of each node (resources.nodes: 2); job 17 has 6");
}

static void a_gang_of_one_node_lies_on_ours(void **state)
{
    (void)state;
    struct allocation allocation = read_job();
    struct campaign campaign = make_campaign(1, 1, 8, 1);
    struct gang_share share;
    assert_int_equal(allocation_divide(&allocation, &campaign, &share), ERR_OK);
    expect_refused(allocation, make_campaign(1, 1, 9, 1), "has 8 on n1");
}

static void more_nodes_than_the_job_has_are_refused(void **state)
{
    (void)state;
    expect_refused(read_job(), make_campaign(1, 3, 3, 1), "job 17 has 2");
}

static void a_gang_of_several_nodes_begins_on_the_first(void **state)
{
    (void)state;
    setenv("SLURM_NODEID", "1", 1);
    struct campaign campaign = make_campaign(1, 1, 2, 1);
    struct allocation allocation = read_job();
    struct gang_share share;
    expect_refused(allocation, make_campaign(1, 2, 2, 1), "not the first node");
    assert_int_equal(allocation_divide(&allocation, &campaign, &share), ERR_OK);
}

static void gangs_that_ours_has_no_room_for_are_on_other_nodes(void **state)
{
    (void)state;
    struct allocation allocation = read_job();
    struct campaign campaign = make_campaign(3, 1, 3, 1);
    struct gang_share share;
    expect_refused(allocation, campaign, "resources.gangs_per_node");
    campaign.resources.gangs_per_node = 2;
    assert_int_equal(allocation_divide(&allocation, &campaign, &share), ERR_OK);
    assert_int_equal(share.of_node, 2);
    assert_int_equal(share.away, 1);
    assert_int_equal(share.memory_mib, 2000);
    campaign.resources.ranks = 4; /* 8 CPUs of each, and the other node has 6 */
    expect_refused(allocation, campaign, "has 6 on one of them");
    campaign = make_campaign(5, 1, 1, 1);
    campaign.resources.gangs_per_node = 2;
    expect_refused(allocation, campaign, "need 3 nodes, but job 17 has 2");
    campaign.resources.gangs_per_node = 9;
    campaign.resources.helper_jobs = 3;
    assert_int_equal(allocation_divide(&allocation, &campaign, &share), ERR_OK);
    assert_int_equal(share.away, 0);
    assert_int_equal(share.jobs, 3);
}

static void outside_of_a_job_it_is_said_what_to_do(void **state)
{
    struct allocation allocation;
    (void)state;
    unsetenv("SLURMD_NODENAME");
    assert_int_equal(allocation_read(&allocation), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "srun --pty"));
    unsetenv("SLURM_JOB_ID");
    assert_int_equal(allocation_read(&allocation), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "glowworm slurm submit"));
}

#define TEST(name) cmocka_unit_test_setup(name, enter_job)

static void a_node_is_found_in_slurm_s_short_list(void **state)
{
    static const struct {
        const char *list, *has, *lacks;
    } cases[] = {{"n1", "n1", "n11"},
                 {"n1,n2", "n2", "n3"},
                 {"n[1-3,7]", "n7", "n4"},
                 {"n[1-3,7]", "n2", "n02"},
                 {"n[08-11]", "n09", "n9"},
                 {"n[08-11]", "n11", "n12"},
                 {"n[8-11]", "n10", "n08"},
                 {"n[1-3],gpu-[01-02]x,m", "gpu-02x", "gpu-02"},
                 {"n[1-3],gpu-[01-02]x,m", "m", "n"},
                 {"r[0-1]c[00-31]", "r1c31", "r1c1"},
                 {"n[1-2][3-4]", "n23", "n33"},
                 {"n[998-1002]", "n1002", "n0998"}};
    static const char *const wrong[] = {"",     ",",    "n[", "n[1", "n[]",
                                        "n[x]", "n[1-", "n]", "[",   "]"};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (!node_list_has(cases[i].list, cases[i].has) ||
            node_list_has(cases[i].list, cases[i].lacks))
            fail_msg("%s: %s, but not %s", cases[i].list, cases[i].has, cases[i].lacks);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(node_list_has(wrong[i], "n1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_job_is_what_slurm_says),
        TEST(the_least_of_all_nodes_counts),
        TEST(what_slurm_would_not_say_is_refused),
        TEST(a_gang_gets_its_share_of_every_node),
        TEST(a_gang_of_one_node_lies_on_ours),
        TEST(more_nodes_than_the_job_has_are_refused),
        TEST(a_gang_of_several_nodes_begins_on_the_first),
        TEST(gangs_that_ours_has_no_room_for_are_on_other_nodes),
        cmocka_unit_test(a_node_is_found_in_slurm_s_short_list),
        TEST(outside_of_a_job_it_is_said_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
