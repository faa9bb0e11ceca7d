/* Which stores a run goes on with: those of the last owner that had some, here or as published. */
#include "base/published.h"
#include "cluster/scratch/run_scratch.h"
#include "tests/cluster/scratch_rig.h"
#include <signal.h>

static struct run_scratch *open_on(const struct rig *rig, const char *disk)
{
    struct run_scratch *scratch = NULL;
    struct campaign *campaign = mem_alloc(sizeof *campaign);
    snprintf(campaign->resources.scratch, sizeof campaign->resources.scratch, "%s/%s", rig->folder,
             disk);
    struct run_scratch_cfg cfg = {
        .campaign = campaign, .run_folder = rig->run, .mode = CLAIM_TAKE_OVER};
    must(run_scratch_open(&cfg, &scratch));
    mem_free(campaign);
    return scratch;
}

/* The rig's paths are those of this scratch from now on. */
static void use(struct rig *rig, const struct run_scratch *scratch)
{
    mem_free(rig->stores), mem_free(rig->journal), mem_free(rig->checkpoints);
    rig->stores = mem_string(run_scratch_stores(scratch));
    rig->journal = file_join(rig->stores, "journal");
    rig->checkpoints = file_join(rig->stores, "checkpoints");
}

static void publish(const struct rig *rig, const struct run_scratch *scratch)
{
    struct published_state name;
    bool is_new = false;
    const struct publish_cfg cfg = publishing(rig, run_scratch_claim(scratch));
    must(state_publish(&cfg, &name, &is_new));
}

/* Opens on a disk, expects that step (0: nothing), and trains to another one. */
static void work(struct rig *rig, const char *disk, uint64_t expected, uint64_t step,
                 enum claim_end end)
{
    struct run_scratch *scratch = open_on(rig, disk);
    use(rig, scratch);
    if (expected > 0)
        assert_int_equal(trained_to(rig->stores), expected);
    else
        assert_false(file_exists(rig->journal));
    train_to(rig, step);
    if (end == CLAIM_PUBLISHED)
        publish(rig, scratch);
    run_scratch_close(&scratch, end);
}

static void a_scratch_goes_on_where_it_is_and_elsewhere_what_was_published(void **state)
{
    struct rig *rig = *state;
    work(rig, "a", 0, 10, CLAIM_PUBLISHED);
    work(rig, "a", 10, 20, CLAIM_LOST); /* killed before it published */
    work(rig, "a", 20, 30, CLAIM_LOST);
    work(rig, "b", 10, 40, CLAIM_PUBLISHED);
}

/* Back where the run has been: what lies there is older than what another machine did. */
static void an_old_scratch_is_never_taken_for_the_run(void **state)
{
    struct rig *rig = *state;
    work(rig, "a", 0, 10, CLAIM_PUBLISHED);
    work(rig, "a", 10, 20, CLAIM_LOST);
    work(rig, "b", 10, 40, CLAIM_PUBLISHED);
    work(rig, "a", 40, 50, CLAIM_PUBLISHED);
    work(rig, "b", 50, 60, CLAIM_LOST);
}

static void links_lead_to_the_stores_of_the_last_owner(void **state)
{
    struct rig *rig = *state;
    work(rig, "a", 0, 10, CLAIM_PUBLISHED);
    work(rig, "b", 10, 20, CLAIM_PUBLISHED);
    char *link = file_join(rig->run, "checkpoints"), *real = realpath(link, NULL);
    assert_non_null(real);
    assert_string_equal(real, rig->checkpoints);
    free(real);
    mem_free(link);
}

static void a_run_of_another_folder_does_not_find_these_stores(void **state)
{
    struct rig *rig = *state;
    work(rig, "a", 0, 10, CLAIM_PUBLISHED);
    char *other = file_join(rig->folder, "other");
    assert_int_equal(mkdir(other, 0700), 0);
    mem_free(rig->run);
    rig->run = other;
    work(rig, "a", 0, 5, CLAIM_PUBLISHED);
}

/* Removed and begun anew at the same path: scratch has the old run still. */
static void a_run_that_was_begun_anew_begins_anew(void **state)
{
    struct rig *rig = *state;
    work(rig, "a", 0, 10, CLAIM_PUBLISHED);
    must(file_remove_folder(rig->run));
    assert_int_equal(mkdir(rig->run, 0700), 0);
    work(rig, "a", 0, 5, CLAIM_PUBLISHED);
}

static void a_kill_while_it_is_brought_back_costs_nothing(void **state)
{
    static const char *const faults[] = {"restore.copy:1:kill", "restore.copy:2:kill",
                                         "scratch.made:1:kill", "scratch.replaced:1:kill"};
    struct rig *rig = *state;
    work(rig, "b", 0, 10, CLAIM_PUBLISHED);
    for (uint64_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        int status = 0;
        work(rig, "a", 10 + 10 * i, 20 + 10 * i, CLAIM_PUBLISHED); /* what lies on b is old */
        pid_t child = fork();
        if (child == 0) {
            arm(faults[i]);
            open_on(rig, "b");
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFSIGNALED(status))
            fail_msg("%s: no kill, status %d", faults[i], status);
        struct run_scratch *scratch = open_on(rig, "b");
        assert_int_equal(trained_to(run_scratch_stores(scratch)), 20 + 10 * i);
        run_scratch_close(&scratch, CLAIM_LOST);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define A_TEST(name) cmocka_unit_test_setup_teardown(name, rig_make, rig_remove)
        A_TEST(a_scratch_goes_on_where_it_is_and_elsewhere_what_was_published),
        A_TEST(an_old_scratch_is_never_taken_for_the_run),
        A_TEST(links_lead_to_the_stores_of_the_last_owner),
        A_TEST(a_run_of_another_folder_does_not_find_these_stores),
        A_TEST(a_run_that_was_begun_anew_begins_anew),
        A_TEST(a_kill_while_it_is_brought_back_costs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
