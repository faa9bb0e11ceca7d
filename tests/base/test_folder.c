#include "base/fault.h"
#include "base/folder.h"
#include "tests/scratch.h"
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h> /* needs the four above */

static bool has_exchange; /* of the file system under the test */

int __real_renameat2(int from_folder, const char *from, int to_folder, const char *to,
                     unsigned flags);
int __wrap_renameat2(int from_folder, const char *from, int to_folder, const char *to,
                     unsigned flags);

int __wrap_renameat2(int from_folder, const char *from, int to_folder, const char *to,
                     unsigned flags)
{
    if (has_exchange)
        return __real_renameat2(from_folder, from, to_folder, to, flags);
    errno = EINVAL;
    return -1;
}

struct pair { /* in the scratch folder */
    char *made, *place, *old;
};

static struct pair pair_of(const char *scratch)
{
    return (struct pair){file_join(scratch, "made"), file_join(scratch, "place"),
                         file_join(scratch, "made.old")};
}

static void pair_fini(struct pair *pair)
{
    mem_free(pair->made);
    mem_free(pair->place);
    mem_free(pair->old);
}

static void fill(const char *folder, const char *word)
{
    char *path = file_join(folder, "word");
    assert_int_equal(file_make_folders(folder), ERR_OK);
    assert_int_equal(file_write(path, word, strlen(word)), ERR_OK);
    mem_free(path);
}

static bool holds(const char *folder, const char *word)
{
    char *path = file_join(folder, "word"), *bytes = NULL;
    size_t size = 0;
    bool is_it = file_read(path, 100, &bytes, &size) == ERR_OK && strcmp(bytes, word) == 0;
    mem_free(bytes);
    mem_free(path);
    return is_it;
}

static void a_folder_takes_the_place_of_another_or_of_none(void **state)
{
    struct pair pair = pair_of(*state);
    for (int i = 0; i < 2; i++) {
        has_exchange = i == 0;
        fill(pair.made, "first");
        assert_int_equal(folder_replace(pair.made, pair.place), ERR_OK);
        assert_true(holds(pair.place, "first"));
        fill(pair.made, "second");
        assert_int_equal(folder_replace(pair.made, pair.place), ERR_OK);
        assert_true(holds(pair.place, "second"));
        assert_false(file_exists(pair.made) || file_exists(pair.old));
        assert_int_equal(file_remove_folder(pair.place), ERR_OK);
    }
    pair_fini(&pair);
}

static void replace_and_die(const struct pair *pair, const char *rule)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        setenv("GLOWWORM_FAULT", rule, 1);
        fault_reset();
        _exit(folder_replace(pair->made, pair->place) == ERR_OK);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void after_a_kill_at_any_step_one_recovery_leaves_one_whole_folder(void **state)
{
    static const struct {
        const char *rule, *result;
        bool is_half;
    } cases[] = {{"folder.aside:1:kill", "old", false},
                 {"folder.place:1:kill", "new", true},
                 {"folder.remove:1:kill", "new", false}};
    struct pair pair = pair_of(*state);
    has_exchange = false;
    for (int i = 0; i < 3; i++) {
        fill(pair.place, "old");
        fill(pair.made, "new");
        replace_and_die(&pair, cases[i].rule);
        assert_int_equal(folder_is_half_replaced(pair.made, pair.place), cases[i].is_half);
        assert_int_equal(folder_recover(pair.made, pair.place), ERR_OK);
        assert_true(holds(pair.place, cases[i].result));
        assert_false(file_exists(pair.old));
        assert_int_equal(file_exists(pair.made), i == 0); /* the caller's to use or remove */
        assert_int_equal(folder_recover(pair.made, pair.place), ERR_OK);
        assert_true(holds(pair.place, cases[i].result));
    }
    pair_fini(&pair);
}

static void a_step_that_fails_puts_everything_back(void **state)
{
    static const char *const rules[] = {"folder.aside:1", "folder.place:1"};
    struct pair pair = pair_of(*state);
    has_exchange = false;
    fill(pair.place, "old");
    fill(pair.made, "new");
    for (int i = 0; i < 2; i++) {
        setenv("GLOWWORM_FAULT", rules[i], 1);
        fault_reset();
        assert_int_equal(folder_replace(pair.made, pair.place), ERR_IO);
        assert_true(holds(pair.place, "old") && holds(pair.made, "new"));
        assert_false(file_exists(pair.old));
    }
    unsetenv("GLOWWORM_FAULT");
    fault_reset();
    pair_fini(&pair);
}

static void an_old_one_alone_goes_back_where_only_an_empty_folder_is(void **state)
{
    struct pair pair = pair_of(*state);
    fill(pair.old, "old");
    assert_int_equal(file_make_folders(pair.place), ERR_OK);
    assert_int_equal(folder_recover(pair.made, pair.place), ERR_OK);
    assert_true(holds(pair.place, "old"));
    assert_false(file_exists(pair.old));
    pair_fini(&pair);
}

#define T(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_folder_takes_the_place_of_another_or_of_none),
        T(after_a_kill_at_any_step_one_recovery_leaves_one_whole_folder),
        T(a_step_that_fails_puts_everything_back),
        T(an_old_one_alone_goes_back_where_only_an_empty_folder_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
