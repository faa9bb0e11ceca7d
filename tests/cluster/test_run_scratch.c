/* Which stores a run goes on with: those of the last owner that had some, here or as published. */
#include "base/published.h"
#include "cluster/scratch/run_scratch.h"
#include "tests/cluster/scratch_rig.h"
#include <signal.h>

static enum err try_on(const struct rig *rig, const char *disk, const volatile sig_atomic_t *stop,
                       struct run_scratch **scratch)
{
    struct campaign *campaign = mem_alloc(sizeof *campaign);
    snprintf(campaign->resources.scratch, sizeof campaign->resources.scratch, "%s/%s", rig->folder,
             disk);
    struct run_scratch_cfg cfg = {.campaign = campaign,
                                  .run_folder = rig->run,
                                  .mode = CLAIM_TAKE_OVER,
                                  .leaves_s = 60,
                                  .stop_asked = stop};
    enum err err = run_scratch_open(&cfg, scratch);
    mem_free(campaign);
    return err;
}

static struct run_scratch *open_on(const struct rig *rig, const char *disk)
{
    struct run_scratch *scratch = NULL;
    must(try_on(rig, disk, NULL, &scratch));
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

/* A runner on this disk; exits with its error. */
static pid_t open_in_child(const struct rig *rig, const char *disk, const char *faults)
{
    struct run_scratch *scratch = NULL;
    pid_t child = fork();
    if (child != 0)
        return child;
    arm(faults);
    enum err err = try_on(rig, disk, NULL, &scratch);
    run_scratch_close(&scratch, CLAIM_LOST);
    _exit((int)err);
}

static void expect_stop(pid_t child)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    if (!WIFSTOPPED(status))
        fail_msg("it did not stop: status %d", status);
}

static void expect_exit(pid_t child, enum err expected)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != (int)expected)
        fail_msg("status %d, not the exit code %d", status, (int)expected);
}

static void await_claim(const struct rig *rig, uint64_t number)
{
    for (int i = 0; i < 6000 && claim_highest(rig->run) < number; i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_int_equal(claim_highest(rig->run), number);
}

static bool has_told(const struct rig *rig, uint64_t claim)
{
    char *path = fence_path(rig->run, claim, ".stores");
    bool has = file_exists(path);
    mem_free(path);
    return has;
}

/* The one that is replaced was in the middle of a copy, or had just finished it. */
static void one_that_is_taken_over_while_it_brings_back_leaves_it_to_the_next(void **state)
{
    static const char *const faults[] = {"restore.copy:2:stop", "scratch.made:1:stop"};
    struct rig *rig = *state;
    work(rig, "a", 0, 10, CLAIM_PUBLISHED);
    for (uint64_t i = 0; i < 2; i++) {
        uint64_t number = claim_highest(rig->run) + 1;
        const char *disk = i == 0 ? "b" : "c";
        pid_t before = open_in_child(rig, disk, faults[i]);
        expect_stop(before);
        pid_t after = open_in_child(rig, disk, "");
        await_claim(rig, number + 1);
        assert_int_equal(kill(before, SIGCONT), 0);
        expect_exit(before, ERR_AGAIN);
        expect_exit(after, ERR_OK);
        assert_false(has_told(rig, number));
        struct run_scratch *scratch = open_on(rig, disk);
        assert_int_equal(trained_to(run_scratch_stores(scratch)), 10);
        run_scratch_close(&scratch, CLAIM_LOST);
    }
}

static void stores_are_one_owners_until_it_holds_them(void **state)
{
    struct rig *rig = *state;
    struct run_scratch *second = NULL;
    volatile sig_atomic_t stop = 1;
    work(rig, "a", 0, 10, CLAIM_PUBLISHED);
    struct run_scratch *first = open_on(rig, "a");
    assert_int_equal(try_on(rig, "a", &stop, &second), ERR_INTERRUPTED); /* it would wait */
    run_scratch_unlock(first);
    must(try_on(rig, "a", &stop, &second));
    run_scratch_close(&second, CLAIM_LOST);
    run_scratch_close(&first, CLAIM_LOST);
}

static void a_stop_ends_the_copy(void **state)
{
    struct rig *rig = *state;
    struct run_scratch *scratch = NULL;
    volatile sig_atomic_t stop = 1;
    work(rig, "a", 0, 10, CLAIM_PUBLISHED);
    assert_int_equal(try_on(rig, "b", &stop, &scratch), ERR_INTERRUPTED);
    work(rig, "b", 10, 20, CLAIM_PUBLISHED);
}

/* Its links are what people on the next owner's machine look at. */
static void one_that_was_taken_over_links_nothing(void **state)
{
    struct rig *rig = *state;
    char *link = file_join(rig->run, "journal"), *claim = fence_path(rig->run, 2, "");
    pid_t child = open_in_child(rig, "a", "scratch.told:1:stop");
    expect_stop(child);
    must(file_write(claim, "", 0));
    assert_int_equal(kill(child, SIGCONT), 0);
    expect_exit(child, ERR_AGAIN);
    assert_false(file_exists(link));
    mem_free(claim), mem_free(link);
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
        A_TEST(one_that_is_taken_over_while_it_brings_back_leaves_it_to_the_next),
        A_TEST(stores_are_one_owners_until_it_holds_them),
        A_TEST(a_stop_ends_the_copy),
        A_TEST(one_that_was_taken_over_links_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
