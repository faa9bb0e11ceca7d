/* A data set's copy on a local disk: made once, whole or not there, and never another one's. */
#include "tests/data/fixture.h"
#include "trainer/data/staged.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define IMAGES 60

static struct hash make_dataset(struct scene *scene)
{
    write_idx(scene->source, IMAGES, 10, 8, GZIP);
    struct dataset *dataset = must_import(&scene->cfg);
    struct hash content = dataset_info(dataset)->content;
    dataset_close(&dataset);
    return content;
}

/* Below the scene's folder; returns owned. */
static char *scratch_of(const struct scene *scene)
{
    return file_join(scene->folder, "scratch");
}

static char *must_stage(const struct scene *scene)
{
    struct text staged;
    char *scratch = scratch_of(scene);
    text_init(&staged);
    if (dataset_stage(scene->destination, scratch, &staged) != ERR_OK)
        fail_msg("%s", err_text());
    char *path = mem_string(text_get(&staged));
    text_fini(&staged);
    mem_free(scratch);
    return path;
}

static void expect_content(const char *path, const struct hash *content)
{
    struct dataset *dataset = NULL;
    struct dataset_check check;
    if (dataset_open(path, &dataset) != ERR_OK)
        fail_msg("%s", err_text());
    assert_true(hash_equal(&dataset_info(dataset)->content, content));
    assert_int_equal(dataset_verify(dataset, 1, &check), ERR_OK);
    assert_int_equal(check.fault_count, 0);
    assert_true(check.content_agrees);
    dataset_close(&dataset);
}

static ino_t inode_of(const char *path)
{
    struct stat status;
    char *file = file_join(path, "data.mdb");
    assert_int_equal(stat(file, &status), 0);
    mem_free(file);
    return status.st_ino;
}

static void a_copy_is_the_same_and_made_once(void **state)
{
    struct scene *scene = *state;
    struct hash content = make_dataset(scene);
    char *first = must_stage(scene);
    assert_string_not_equal(first, scene->destination);
    expect_content(first, &content);
    ino_t inode = inode_of(first);
    char *second = must_stage(scene);
    assert_string_equal(second, first);
    assert_true(inode_of(second) == inode);
    mem_free(first);
    mem_free(second);
}

static void ranks_of_one_node_make_one_copy(void **state)
{
    struct scene *scene = *state;
    struct hash content = make_dataset(scene);
    pid_t ranks[4];
    int status = 0;
    for (int i = 0; i < 4; i++)
        if ((ranks[i] = fork()) == 0) {
            struct text staged;
            char *scratch = scratch_of(scene);
            text_init(&staged);
            enum err err = dataset_stage(scene->destination, scratch, &staged);
            char *file = file_join(text_get(&staged), "data.mdb");
            struct stat found;
            _exit(err == ERR_OK && stat(file, &found) == 0 ? (int)(found.st_ino % 100) : 255);
        }
    char *path = NULL;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(waitpid(ranks[i], &status, 0), ranks[i]);
        assert_true(WIFEXITED(status));
        path = path ? path : must_stage(scene);
        assert_int_equal(WEXITSTATUS(status), (int)(inode_of(path) % 100));
    }
    expect_content(path, &content);
    mem_free(path);
}

static void a_copy_that_was_cut_short_is_made_anew(void **state)
{
    struct scene *scene = *state;
    struct hash content = make_dataset(scene);
    char *path = must_stage(scene), part[600];
    snprintf(part, sizeof part, "%s.part", path);
    assert_int_equal(rename(path, part), 0); /* as a kill leaves it */
    char *file = file_join(part, "data.mdb");
    assert_int_equal(truncate(file, 8192), 0);
    char *again = must_stage(scene);
    assert_string_equal(again, path);
    expect_content(again, &content);
    assert_false(file_exists(part));
    mem_free(file);
    mem_free(again);
    mem_free(path);
}

/* A byte of a picture. */
static void damage(const struct scene *scene)
{
    uint8_t pixels[64], *found;
    size_t size = 0;
    for (int i = 0; i < 64; i++)
        pixels[i] = idx_pixel(0, 3, i);
    char *bytes = read_file(scene->destination, "data.mdb", &size);
    found = memmem(bytes, size, pixels, sizeof pixels);
    assert_non_null(found);
    found[30] ^= 64;
    write_file(scene->destination, "data.mdb", bytes, size);
    mem_free(bytes);
}

static void what_is_not_what_was_imported_is_not_taken(void **state)
{
    struct scene *scene = *state;
    struct text staged;
    char *scratch = scratch_of(scene);
    make_dataset(scene);
    damage(scene);
    text_init(&staged);
    assert_int_equal(dataset_stage(scene->destination, scratch, &staged), ERR_DATA);
    if (!strstr(err_text(), "is not what was imported"))
        fail_msg("%s", err_text());
    assert_string_equal(text_get(&staged), "");
    text_fini(&staged);
    mem_free(scratch);
}

static void another_content_gets_another_copy(void **state)
{
    struct scene *scene = *state;
    struct hash content = make_dataset(scene);
    char *first = must_stage(scene);
    write_idx(scene->source, IMAGES + 10, 10, 8, GZIP);
    scene->cfg.replaces = true;
    struct dataset *dataset = must_import(&scene->cfg);
    struct hash other = dataset_info(dataset)->content;
    dataset_close(&dataset);
    char *second = must_stage(scene);
    assert_string_not_equal(first, second);
    expect_content(first, &content);
    expect_content(second, &other);
    mem_free(first);
    mem_free(second);
}

static void where_there_is_no_room_it_is_read_where_it_lies(void **state)
{
    struct scene *scene = *state;
    struct rlimit whole, small;
    make_dataset(scene);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &whole), 0);
    small = whole;
    small.rlim_cur = 10000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    char *path = must_stage(scene);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &whole), 0);
    assert_string_equal(path, scene->destination);
    mem_free(path);
}

static void a_place_of_somebody_elses_is_refused(void **state)
{
    struct scene *scene = *state;
    struct text staged;
    char *scratch = scratch_of(scene), *path = must_stage((make_dataset(scene), scene));
    *strrchr(path, '/') = '\0';
    assert_int_equal(chmod(path, 0777), 0);
    text_init(&staged);
    assert_int_equal(dataset_stage(scene->destination, scratch, &staged), ERR_CONFIG);
    text_fini(&staged);
    mem_free(path);
    mem_free(scratch);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_copy_is_the_same_and_made_once),
        TEST(ranks_of_one_node_make_one_copy),
        TEST(a_copy_that_was_cut_short_is_made_anew),
        TEST(what_is_not_what_was_imported_is_not_taken),
        TEST(another_content_gets_another_copy),
        TEST(where_there_is_no_room_it_is_read_where_it_lies),
        TEST(a_place_of_somebody_elses_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
