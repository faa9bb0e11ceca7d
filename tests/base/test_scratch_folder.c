/* Where a run's scratch is, and whom it is refused for. */
#include "base/scratch_folder.h"
#include "tests/scratch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h> /* needs the four above */

static void expect(const char *words, const char *wanted)
{
    struct text path;
    text_init(&path);
    enum err err = scratch_expand(words, &path);
    if (wanted && err != ERR_OK)
        fail_msg("%s: %s", words, err_text());
    if (wanted)
        assert_string_equal(text_get(&path), wanted);
    else
        assert_int_equal(err, ERR_CONFIG);
    text_fini(&path);
}

static void words_become_a_path_of_this_node(void **state)
{
    (void)state;
    setenv("GW_DISK", "/disk", 1);
    setenv("SLURMD_NODENAME", "n17", 1);
    expect("/scratch", "/scratch");
    expect("/scratch/{node}/x-{node}", "/scratch/n17/x-n17");
    expect("$GW_DISK", "/disk");
    expect("$GW_DISK/a", "/disk/a");
    expect("$GW_DISK{node}", "/diskn17");
    setenv("GW_DISK", "relative", 1);
    expect("$GW_DISK/a", NULL);
    setenv("GW_DISK", "/$(touch x);`y` ", 1); /* what a variable holds is a path, whatever it is */
    expect("$GW_DISK", "/$(touch x);`y` ");
    unsetenv("GW_DISK");
    expect("$GW_DISK", NULL);
    assert_non_null(strstr(err_text(), "GW_DISK is not set"));
    expect("$", NULL);
    expect("${HOME}", NULL);
    expect("/a/$HOME", NULL);
    expect("/a/{job}", NULL);
    expect("a", NULL);
    unsetenv("SLURMD_NODENAME");
    char host[256] = "", wanted[300];
    gethostname(host, sizeof host - 1);
    snprintf(wanted, sizeof wanted, "/%s", host);
    expect("/{node}", wanted);
}

static char *folder_for(const char *scratch, const char *run, enum err expected)
{
    char *folder = NULL;
    assert_int_equal(scratch_folder_make(scratch, run, &folder), expected);
    return folder;
}

static void a_run_has_a_folder_of_its_own_that_nobody_else_enters(void **state)
{
    struct stat status;
    char *scratch = file_join(*state, "scratch"),
         *runs[2] = {file_join(*state, "a"), file_join(*state, "b")};
    for (int i = 0; i < 2; i++)
        assert_int_equal(mkdir(runs[i], 0755), 0);
    char *a = folder_for(scratch, runs[0], ERR_OK), *b = folder_for(scratch, runs[1], ERR_OK);
    char *again = folder_for(scratch, runs[0], ERR_OK);
    assert_string_equal(a, again);
    assert_string_not_equal(a, b);
    assert_int_equal(stat(a, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_int_equal(chmod(a, 0750), 0);
    folder_for(scratch, runs[0], ERR_CONFIG);
    assert_non_null(strstr(err_text(), "can be seen by others"));
    assert_int_equal(rmdir(a), 0);
    assert_int_equal(symlink(b, a), 0);
    folder_for(scratch, runs[0], ERR_CONFIG);
    assert_int_equal(unlink(a), 0);
    if (geteuid() == 0) {
        assert_int_equal(mkdir(a, 0700), 0);
        assert_int_equal(chown(a, 12345, 12345), 0);
        folder_for(scratch, runs[0], ERR_CONFIG);
        assert_non_null(strstr(err_text(), "belongs to somebody else"));
    }
    mem_free(again), mem_free(b), mem_free(a);
    mem_free(runs[0]), mem_free(runs[1]), mem_free(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define A_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)
        A_TEST(words_become_a_path_of_this_node),
        A_TEST(a_run_has_a_folder_of_its_own_that_nobody_else_enters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
