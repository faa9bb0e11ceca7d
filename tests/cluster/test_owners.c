/* Two owners of a run: the first stands still between its look for a later one and the rename of
 * what it has made. A second takes the run over and writes the same; then the first goes on. What
 * the second wrote stays, and nothing half made is left. */
#include "cluster/status/publisher.h"
#include "tests/cluster/scratch_rig.h"
#include "trainer/record/event_log.h"
#include "trainer/record/results.h"
#include <dirent.h>
#include <signal.h>

#define OLD 1
#define NEW 2

typedef enum err write_as(const struct rig *rig, uint64_t claim);

static struct fence fence_of(const struct rig *rig, uint64_t claim)
{
    return (struct fence){rig->run, claim};
}

static enum err write_status(const struct rig *rig, uint64_t claim)
{
    return publisher_write(rig->run, claim, claim == NEW ? "of the new" : "of the old");
}

static enum err write_report(const struct rig *rig, uint64_t claim)
{
    const struct fence fence = fence_of(rig, claim);
    char *path = file_join(rig->run, "report.html");
    const char *text = claim == NEW ? "of the new" : "of the old";
    enum err err = fence_write(&fence, path, text, strlen(text));
    mem_free(path);
    return err;
}

static enum err write_results(const struct rig *rig, uint64_t claim)
{
    struct text mixed;
    text_init(&mixed);
    const struct run_record record = {.folder = rig->run,
                                      .claim = claim,
                                      .lineage = claim == NEW ? "of the new" : "of the old",
                                      .mixed = &mixed};
    enum err err = results_write(&record, "kernel", json_object());
    text_fini(&mixed);
    return err;
}

static enum err write_metrics(const struct rig *rig, uint64_t claim)
{
    char *path = file_join(rig->run, "metrics/kernel.jsonl");
    struct event_log *events = NULL;
    const struct event_log_cfg cfg = {.path = path, .fence = fence_of(rig, claim)};
    enum err err = event_log_open(&cfg, &events);
    if (events) {
        event_log_begin(events, claim == NEW ? "of the new" : "of the old", 1);
        event_log_end(events);
    }
    event_log_close(&events);
    mem_free(path);
    return err;
}

static enum err write_copy(const struct rig *rig, uint64_t claim)
{
    struct published_state name;
    bool is_new = false;
    const struct publish_cfg cfg = publishing(rig, claim);
    return state_publish(&cfg, &name, &is_new);
}

/* Stands still at its look of that number, and then ends with the code of its error. */
static pid_t start_old(const struct rig *rig, write_as *write, int look)
{
    char fault[64];
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        snprintf(fault, sizeof fault, "fence.looked:%d:stop", look);
        arm(fault);
        enum err err = write(rig, OLD);
        _exit(err);
    }
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    return child;
}

static enum err let_go_on(pid_t child)
{
    int status = 0;
    assert_int_equal(kill(child, SIGCONT), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return (enum err)WEXITSTATUS(status);
}

static struct claim *take(const struct rig *rig, uint64_t number)
{
    struct claim *claim = NULL;
    const struct claim_info us = {.host = "elsewhere", .place = "a-boot elsewhere", .pid = 1};
    const struct claim_cfg cfg = {.run_folder = rig->run, .us = &us, .mode = CLAIM_TAKE_OVER};
    must(claim_take(&cfg, &claim));
    assert_int_equal(claim_number(claim), number);
    return claim;
}

static void expect_nothing_begun(const struct rig *rig, const char *name)
{
    char *path = file_join(rig->run, name);
    DIR *list = opendir(path);
    for (struct dirent *entry; list && (entry = readdir(list));)
        if (strstr(entry->d_name, "-of-claim-") || strncmp(entry->d_name, ".st", 3) == 0)
            fail_msg("%s is left in %s", entry->d_name, path);
    if (list)
        closedir(list);
    mem_free(path);
}

static void expect_new(const struct rig *rig, const char *name)
{
    char *path = file_join(rig->run, name), *bytes = NULL;
    size_t size = 0;
    must(file_read(path, 1 << 20, &bytes, &size));
    if (!strstr(bytes, "of the new") || strstr(bytes, "of the old"))
        fail_msg("%s: %s", name, bytes);
    mem_free(bytes);
    mem_free(path);
}

/* The first writes before the second does, and after it. */
static void race(const struct rig *rig, write_as *write, const char *folder, const char *name)
{
    struct claim *old = take(rig, OLD);
    must(write(rig, OLD));
    pid_t child = start_old(rig, write, 1);
    struct claim *new = take(rig, NEW);
    must(write(rig, NEW));
    assert_int_equal(let_go_on(child), ERR_AGAIN);
    expect_new(rig, name);
    expect_nothing_begun(rig, folder);
    assert_int_equal(write(rig, OLD), ERR_AGAIN);
    expect_new(rig, name);
    expect_nothing_begun(rig, folder);
    claim_close(&new, CLAIM_ENDED);
    claim_close(&old, CLAIM_LOST);
}

static void a_status_stays(void **state)
{
    race(*state, write_status, "published", "published/status.json");
}

static void a_report_stays(void **state)
{
    race(*state, write_report, "", "report.html");
}

static void results_stay(void **state)
{
    race(*state, write_results, "results", "results/kernel.json");
}

static void metrics_stay(void **state)
{
    const struct rig *rig = *state;
    char *folder = file_join(rig->run, "metrics");
    must(file_make_folders(folder));
    race(rig, write_metrics, "metrics", "metrics/kernel.jsonl");
    mem_free(folder);
}

/* Its second look is the one before the name. */
static void the_copy_of_the_highest_claim_is_read(void **state)
{
    const struct rig *rig = *state;
    struct published_state name, list[8];
    struct text damage;
    char *into = file_join(rig->folder, "restored");
    struct restore_cfg cfg = {.run_folder = rig->run, .into = into};
    text_init(&damage);
    struct claim *old = take(rig, OLD);
    train_to(rig, 10);
    must(write_copy(rig, OLD));
    train_to(rig, 20);
    pid_t child = start_old(rig, write_copy, 2);
    struct claim *new = take(rig, NEW);
    train_to(rig, 30);
    must(write_copy(rig, NEW));
    (void)let_go_on(child);
    assert_true(published_list(rig->run, list, 8) >= 1);
    assert_int_equal(list[0].claim, NEW);
    must(state_restore(&cfg, &name, &damage));
    assert_int_equal(name.claim, NEW);
    assert_int_equal(trained_to(into), 30);
    assert_int_equal(damage.size, 0);
    expect_nothing_begun(rig, "published");
    claim_close(&new, CLAIM_ENDED);
    claim_close(&old, CLAIM_LOST);
    mem_free(into);
}

/* What a new one's own processes have begun meanwhile. */
static void what_is_of_the_new_owner_is_not_swept(void **state)
{
    const struct rig *rig = *state;
    static const char *const names[] = {"a.part-1-0-of-claim-2", "b.part-1-0-of-claim-10",
                                        "c.part-1-0", "d-of-claim-1x", "e-of-claim-"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        write_text(rig->run, names[i], "");
    write_text(rig->run, "f.part-1-0-of-claim-1", "");
    fence_sweep(rig->run, 2);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = file_join(rig->run, names[i]);
        assert_true(file_exists(path));
        mem_free(path);
    }
    char *path = file_join(rig->run, "f.part-1-0-of-claim-1");
    assert_false(file_exists(path));
    mem_free(path);
}

/* Killed between the two renames of a file system that cannot exchange names. */
static void half_a_replacement_of_the_old_owner_is_taken_back(void **state)
{
    const struct rig *rig = *state;
    char *old = file_join(rig->run, "bundles/small.compiling-of-claim-1.old");
    must(file_make_folders(old));
    write_text(old, "bundle.json", "of the new");
    fence_sweep(rig->run, 2);
    expect_new(rig, "bundles/small/bundle.json");
    assert_false(file_exists(old));
    mem_free(old);
}

int main(void)
{
#define A_TEST(name) cmocka_unit_test_setup_teardown(name, rig_make, rig_remove)
    const struct CMUnitTest tests[] = {
        A_TEST(a_status_stays),
        A_TEST(a_report_stays),
        A_TEST(results_stay),
        A_TEST(metrics_stay),
        A_TEST(the_copy_of_the_highest_claim_is_read),
        A_TEST(what_is_of_the_new_owner_is_not_swept),
        A_TEST(half_a_replacement_of_the_old_owner_is_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
