/* A store copied to one file while it is written, and a sealed folder that is read without locks.
 */
#include "base/fault.h"
#include "tests/store/fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h> /* needs the four above */

enum { BLOCKS = 40 };

static void must(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
}

static struct store *open_in(const char *folder, const char *name, enum store_mode mode)
{
    struct store *store = NULL;
    char *path = file_join(folder, name);
    struct store_cfg cfg = cfg_of(path, mode);
    must(store_open(&cfg, &store));
    mem_free(path);
    return store;
}

/* The copy's folder, with its seal. */
static void seal(const char *folder, const char *name, char **file)
{
    char *path = file_join(folder, name), *sealed = file_join(path, STORE_SEALED);
    must(file_make_folders(path));
    must(file_write(sealed, "", 0));
    *file = file_join(path, STORE_FILE);
    mem_free(sealed);
    mem_free(path);
}

static void assert_blocks(struct store *store, int round)
{
    struct blocks seen = {0};
    must(store_view(store, see_blocks, &seen));
    assert_int_equal(seen.count, BLOCKS);
    assert_int_equal(seen.round, round);
}

/* Every round is one transaction, until told to end. */
static int write_rounds(const char *folder, int is_ready)
{
    struct store *store = open_in(folder, "live", STORE_WRITE);
    struct blocks put = {.count = BLOCKS, .size = 9000};
    char byte = 1;
    for (put.round = 1;; put.round = put.round % 200 + 1) {
        if (store_update(store, put_blocks, &put) != ERR_OK ||
            (put.round == 1 && byte == 1 && write(is_ready, &byte, 1) != 1))
            return 1;
        byte = 0;
    }
}

static void a_copy_is_one_moment_of_a_store_that_is_being_written(void **state)
{
    int ready[2];
    char byte, *file = NULL;
    assert_int_equal(pipe(ready), 0);
    pid_t writer = fork();
    if (writer == 0)
        _exit(write_rounds(*state, ready[1]));
    assert_int_equal(read(ready[0], &byte, 1), 1);
    struct store *live = open_in(*state, "live", STORE_READ);
    seal(*state, "copy", &file);
    for (int i = 0; i < 10; i++) {
        struct blocks seen = {0};
        must(store_copy(live, file));
        struct store *copy = open_in(*state, "copy", STORE_READ);
        must(store_view(copy, see_blocks, &seen)); /* all of one round */
        assert_int_equal(seen.count, BLOCKS);
        store_close(&copy);
        assert_int_equal(unlink(file), 0);
    }
    store_close(&live);
    kill(writer, SIGKILL);
    assert_int_equal(waitpid(writer, NULL, 0), writer);
    mem_free(file);
    close(ready[0]), close(ready[1]);
}

static void a_sealed_copy_is_read_without_locks_and_never_written(void **state)
{
    char *file = NULL, *folder = file_join(*state, "copy"), *lock = file_join(folder, "lock.mdb");
    struct store *live = open_in(*state, "live", STORE_WRITE), *store = NULL;
    struct blocks put = {.count = BLOCKS, .size = 9000, .round = 3};
    must(store_update(live, put_blocks, &put));
    seal(*state, "copy", &file);
    must(store_copy(live, file));
    struct store *copy = open_in(*state, "copy", STORE_READ);
    assert_blocks(copy, 3);
    assert_false(file_exists(lock));
    store_close(&copy);
    struct store_cfg cfg = cfg_of(folder, STORE_WRITE);
    assert_int_equal(store_open(&cfg, &store), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "published copy"));
    assert_false(file_exists(lock));
    store_close(&live);
    mem_free(file), mem_free(folder), mem_free(lock);
}

static void a_copy_that_fails_leaves_no_file_and_none_is_overwritten(void **state)
{
    static const char *const faults[] = {"store.copy:1:full", "store.copied:1"};
    char *file = file_join(*state, "file");
    struct store *live = open_in(*state, "live", STORE_WRITE);
    must(put_text(live, "key", "value"));
    for (int i = 0; i < 2; i++) {
        setenv("GLOWWORM_FAULT", faults[i], 1);
        fault_reset();
        assert_int_not_equal(store_copy(live, file), ERR_OK);
        assert_false(file_exists(file));
    }
    unsetenv("GLOWWORM_FAULT");
    fault_reset();
    must(store_copy(live, file));
    assert_int_not_equal(store_copy(live, file), ERR_OK);
    assert_true(file_exists(file));
    store_close(&live);
    mem_free(file);
}

static void the_last_write_grows_with_writes_and_with_nothing_else(void **state)
{
    struct store_info before, same, after;
    struct store *live = open_in(*state, "live", STORE_WRITE);
    must(put_text(live, "key", "value"));
    must(store_info(live, &before));
    store_close(&live);
    live = open_in(*state, "live", STORE_WRITE);
    must(store_info(live, &same));
    must(put_text(live, "key", "another"));
    must(store_info(live, &after));
    assert_int_equal(same.last_write, before.last_write);
    assert_true(after.last_write > before.last_write);
    store_close(&live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define A_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)
        A_TEST(a_copy_is_one_moment_of_a_store_that_is_being_written),
        A_TEST(a_sealed_copy_is_read_without_locks_and_never_written),
        A_TEST(a_copy_that_fails_leaves_no_file_and_none_is_overwritten),
        A_TEST(the_last_write_grows_with_writes_and_with_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
