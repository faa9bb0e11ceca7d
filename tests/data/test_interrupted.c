#include "base/fault.h"
#include "tests/data/fixture.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void arm(const char *rules)
{
    setenv("GLOWWORM_FAULT", rules, 1);
    fault_reset();
}

static void disarm(void)
{
    unsetenv("GLOWWORM_FAULT");
    fault_reset();
}

static bool has_leftover(const struct scene *scene)
{
    char *path = file_join(scene->folder, "dataset.importing");
    bool is_there = file_exists(path);
    mem_free(path);
    return is_there;
}

/* Imports in a child that is killed at the fault point. */
static void import_and_die(const struct scene *scene, const char *rule)
{
    pid_t child = fork();
    if (child == 0) {
        struct import_report report;
        arm(rule);
        _exit(dataset_import(&scene->cfg, &report) == ERR_OK ? 100 : 101);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail_msg("%s: the import ended with status %d instead of being killed", rule, status);
}

static void a_killed_import_leaves_no_dataset_and_the_next_one_works(void **state)
{
    static const char *const rules[] = {"import.record:1:kill", "import.record:40:kill",
                                        "import.flush:1:kill", "store.commit:3:kill",
                                        "import.rename:1:kill"};
    struct scene *scene = *state;
    write_idx(scene->source, 90, 10, 8, GZIP);
    struct hash expected = must_hash(&scene->cfg);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        import_and_die(scene, rules[i]);
        assert_false(file_exists(scene->destination));
        assert_true(has_leftover(scene));
        struct hash hash = must_hash(&scene->cfg);
        assert_memory_equal(hash.bytes, expected.bytes, HASH_BYTES);
        assert_false(has_leftover(scene));
    }
}

static void every_failing_step_leaves_nothing_behind(void **state)
{
    static const char *const points[] = {"import.record", "import.flush", "import.rename",
                                         "store.commit"};
    struct scene *scene = *state;
    struct import_report report;
    write_idx(scene->source, 70, 0, 8, GZIP);
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        enum err err = ERR_IO;
        int call = 0;
        while (err != ERR_OK) {
            char rule[64];
            snprintf(rule, sizeof rule, "%s:%d", points[i], ++call);
            arm(rule);
            err = dataset_import(&scene->cfg, &report);
            import_report_fini(&report);
            disarm();
            assert_int_equal(file_exists(scene->destination), err == ERR_OK);
            assert_false(has_leftover(scene));
        }
        assert_in_range(call, 2, 80);
        assert_int_equal(file_remove_folder(scene->destination), ERR_OK);
    }
}

static bool stop_late(void *own, const struct import_progress *progress)
{
    uint32_t *calls = own;
    (void)progress;
    return ++*calls < 2;
}

static void an_import_that_is_asked_to_stop_cleans_up(void **state)
{
    struct scene *scene = *state;
    struct import_report report;
    uint32_t calls = 1;
    write_idx(scene->source, 90, 10, 8, GZIP);
    scene->cfg.progress = stop_late;
    scene->cfg.own = &calls;
    assert_int_equal(dataset_import(&scene->cfg, &report), ERR_INTERRUPTED);
    assert_false(file_exists(scene->destination));
    assert_false(has_leftover(scene));
    import_report_fini(&report);
}

static void a_second_import_to_the_same_place_waits_its_turn(void **state)
{
    struct scene *scene = *state;
    struct import_report report;
    write_idx(scene->source, 20, 0, 8, GZIP);
    char *beside = file_join(scene->folder, "dataset.importing");
    assert_int_equal(file_make_folders(beside), ERR_OK);
    int held = open(beside, O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(held, LOCK_EX | LOCK_NB), 0);
    assert_int_equal(dataset_import(&scene->cfg, &report), ERR_AGAIN);
    import_report_fini(&report);
    assert_true(has_leftover(scene));
    close(held);
    assert_int_equal(dataset_import(&scene->cfg, &report), ERR_OK);
    assert_false(has_leftover(scene));
    import_report_fini(&report);
    mem_free(beside);
}

static void what_is_at_the_destination_is_only_replaced_when_it_is_a_dataset(void **state)
{
    struct scene *scene = *state;
    struct import_report report;
    write_idx(scene->source, 20, 0, 8, GZIP);
    struct dataset *dataset = must_import(&scene->cfg);
    dataset_close(&dataset);
    assert_int_equal(dataset_import(&scene->cfg, &report), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "--force"));
    import_report_fini(&report);
    write_idx(scene->source, 25, 0, 8, GZIP);
    scene->cfg.replaces = true;
    dataset = must_import(&scene->cfg);
    assert_int_equal(dataset_info(dataset)->train_count, 25);
    dataset_close(&dataset);
    assert_false(has_leftover(scene));
    assert_int_equal(file_remove_folder(scene->destination), ERR_OK);
    write_file(scene->destination, "thesis.txt", "years of work", 13);
    assert_int_equal(dataset_import(&scene->cfg, &report), ERR_CONFIG);
    import_report_fini(&report);
    size_t size = 0;
    mem_free(read_file(scene->destination, "thesis.txt", &size));
    assert_int_equal(size, 13);
}

static void a_destination_without_a_name_is_refused_at_once(void **state)
{
    static const char *const nowhere[] = {"", "/", "///"};
    struct scene *scene = *state;
    struct import_report report;
    write_idx(scene->source, 20, 0, 8, GZIP);
    for (int i = 0; i < 3; i++) {
        scene->cfg.destination = nowhere[i];
        assert_int_equal(dataset_import(&scene->cfg, &report), ERR_CONFIG);
        assert_non_null(strstr(err_text(), "name a folder"));
        import_report_fini(&report);
    }
}

static void a_failed_replacement_keeps_the_old_dataset(void **state)
{
    struct scene *scene = *state;
    struct import_report report;
    write_idx(scene->source, 20, 0, 8, GZIP);
    struct dataset *dataset = must_import(&scene->cfg);
    dataset_close(&dataset);
    write_idx(scene->source, 25, 0, 8, GZIP);
    scene->cfg.replaces = true;
    arm("import.rename:1");
    assert_int_equal(dataset_import(&scene->cfg, &report), ERR_IO);
    disarm();
    import_report_fini(&report);
    assert_int_equal(dataset_open(scene->destination, &dataset), ERR_OK);
    assert_int_equal(dataset_info(dataset)->train_count, 20);
    dataset_close(&dataset);
}

static int has_exchange = 1; /* of the file system under the test */

int __real_renameat2(int from_folder, const char *from, int to_folder, const char *to,
                     unsigned flags);
int __wrap_renameat2(int from_folder, const char *from, int to_folder, const char *to,
                     unsigned flags);

int __wrap_renameat2(int from_folder, const char *from, int to_folder, const char *to,
                     unsigned flags)
{
    if (has_exchange || flags == 0)
        return __real_renameat2(from_folder, from, to_folder, to, flags);
    errno = EINVAL;
    return -1;
}

static const char *refused; /* nothing can be renamed to it; NULL: everything can */

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);

int __wrap_rename(const char *from, const char *to)
{
    if (!refused || strcmp(to, refused) != 0)
        return __real_rename(from, to);
    errno = EIO;
    return -1;
}

static void import_first(struct scene *scene, uint32_t images)
{
    write_idx(scene->source, images, 0, 8, GZIP);
    struct dataset *dataset = must_import(&scene->cfg);
    dataset_close(&dataset);
}

/* The number of images of the data set at FOLDER/name; 0: there is none. */
static uint32_t images_at(const struct scene *scene, const char *name)
{
    char *path = file_join(scene->folder, name);
    struct dataset *dataset = NULL;
    uint32_t count = 0;
    if (dataset_open(path, &dataset) == ERR_OK)
        count = dataset_info(dataset)->train_count;
    dataset_close(&dataset);
    mem_free(path);
    return count;
}

/* 20 images in the place, 25 to replace them, and no exchange of names. */
static void begin_replacement(struct scene *scene)
{
    import_first(scene, 20);
    write_idx(scene->source, 25, 0, 8, GZIP);
    scene->cfg.replaces = true;
    has_exchange = 0;
}

static void a_dataset_is_replaced_where_names_cannot_be_exchanged(void **state)
{
    struct scene *scene = *state;
    struct import_report report;
    begin_replacement(scene);
    enum err err = dataset_import(&scene->cfg, &report);
    has_exchange = 1;
    import_report_fini(&report);
    assert_int_equal(err, ERR_OK);
    assert_int_equal(images_at(scene, "dataset"), 25);
    assert_false(has_leftover(scene));
}

static void a_replacement_that_fails_anywhere_keeps_the_old_dataset(void **state)
{
    static const char *const rules[] = {"folder.aside:1", "folder.place:1"};
    struct scene *scene = *state;
    struct import_report report;
    begin_replacement(scene);
    for (int i = 0; i < 2; i++) {
        arm(rules[i]);
        assert_int_equal(dataset_import(&scene->cfg, &report), ERR_IO);
        disarm();
        import_report_fini(&report);
        assert_int_equal(images_at(scene, "dataset"), 20);
        assert_false(has_leftover(scene));
    }
    has_exchange = 1;
}

/* Neither the new one nor the old one gets into the place: both are kept for the next import. */
static void what_cannot_be_put_back_is_kept(void **state)
{
    struct scene *scene = *state;
    struct import_report report;
    begin_replacement(scene);
    refused = scene->destination;
    enum err err = dataset_import(&scene->cfg, &report);
    refused = NULL;
    has_exchange = 1;
    import_report_fini(&report);
    assert_int_equal(err, ERR_IO);
    assert_non_null(strstr(err_text(), "is kept"));
    assert_int_equal(images_at(scene, "dataset.importing/dataset.old"), 20);
    assert_int_equal(images_at(scene, "dataset.importing/dataset"), 25);
    import_first(scene, 30);
    assert_int_equal(images_at(scene, "dataset"), 30);
    assert_false(has_leftover(scene));
}

/* Both the old one and the new one lie somewhere after a kill at any of its steps. */
static void a_killed_replacement_loses_neither_dataset(void **state)
{
    static const struct {
        const char *rule, *old, *new;
        int has_exchange;
    } cases[] = {
        {"import.rename:1:kill", "dataset", "dataset.importing/dataset", 0},
        {"folder.aside:1:kill", "dataset", "dataset.importing/dataset", 0},
        {"folder.place:1:kill", "dataset.importing/dataset.old", "dataset.importing/dataset", 0},
        {"folder.remove:1:kill", "dataset.importing/dataset.old", "dataset", 0},
        {"folder.remove:1:kill", "dataset.importing/dataset", "dataset", 1}};
    struct scene *scene = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scene->cfg.replaces = true;
        import_first(scene, 20);
        write_idx(scene->source, 25, 0, 8, GZIP);
        has_exchange = cases[i].has_exchange;
        import_and_die(scene, cases[i].rule);
        has_exchange = 1;
        assert_int_equal(images_at(scene, cases[i].old), 20);
        assert_int_equal(images_at(scene, cases[i].new), 25);
        import_first(scene, 30);
        assert_int_equal(images_at(scene, "dataset"), 30);
        assert_false(has_leftover(scene));
    }
}

static void an_interrupted_replacement_is_told_and_finished_by_the_next_import(void **state)
{
    struct scene *scene = *state;
    struct import_report report;
    struct dataset *dataset = NULL;
    begin_replacement(scene);
    import_and_die(scene, "folder.place:1:kill");
    has_exchange = 1;
    assert_int_equal(dataset_open(scene->destination, &dataset), ERR_DATA);
    assert_non_null(strstr(err_text(), "stopped in the middle; import again"));
    scene->cfg.replaces = false;
    assert_int_equal(dataset_import(&scene->cfg, &report), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "exists; --force"));
    import_report_fini(&report);
    assert_int_equal(images_at(scene, "dataset"), 25);
    assert_false(has_leftover(scene));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_killed_import_leaves_no_dataset_and_the_next_one_works),
        TEST(every_failing_step_leaves_nothing_behind),
        TEST(an_import_that_is_asked_to_stop_cleans_up),
        TEST(a_second_import_to_the_same_place_waits_its_turn),
        TEST(what_is_at_the_destination_is_only_replaced_when_it_is_a_dataset),
        TEST(a_destination_without_a_name_is_refused_at_once),
        TEST(a_failed_replacement_keeps_the_old_dataset),
        TEST(a_dataset_is_replaced_where_names_cannot_be_exchanged),
        TEST(a_replacement_that_fails_anywhere_keeps_the_old_dataset),
        TEST(what_cannot_be_put_back_is_kept),
        TEST(a_killed_replacement_loses_neither_dataset),
        TEST(an_interrupted_replacement_is_told_and_finished_by_the_next_import),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
