/* A store's file written anew without its free pages: what is in it stays, whoever reads it keeps
 * it from happening, and a crash anywhere leaves one whole file. */
#include "base/fault.h"
#include "tests/store/fixture.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h> /* needs the four above */

enum { LEFT = 5, DROPPED = 200 };

static void must(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
}

static struct store *open_at(const char *path, enum store_mode mode)
{
    struct store *store = NULL;
    struct store_cfg cfg = cfg_of(path, mode);
    must(store_open(&cfg, &store));
    return store;
}

static enum err drop_blocks(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    uint8_t room[8];
    (void)argument;
    for (uint64_t i = LEFT; i < LEFT + DROPPED; i++)
        TRY(store_delete(txn, TABLE_B, store_number(i, room)));
out:
    return err;
}

/* A store whose file is mostly free pages. */
static struct store *open_with_free_pages(const char *path)
{
    struct store *store = open_at(path, STORE_WRITE);
    struct blocks put = {.count = LEFT + DROPPED, .size = 50000, .round = 7};
    must(store_update(store, put_blocks, &put));
    must(put_text(store, "key", "value"));
    must(store_update(store, drop_blocks, NULL));
    return store;
}

static void assert_left(struct store *store, int round)
{
    struct blocks seen = {0};
    struct pair pair = {.key = "key"};
    must(store_view(store, see_blocks, &seen));
    must(store_view(store, get_pair, &pair));
    assert_int_equal(seen.count, LEFT);
    assert_int_equal(seen.round, round);
    assert_int_equal(seen.size, 50000);
    assert_string_equal(pair.value, "value");
}

static off_t file_bytes(const char *folder)
{
    struct stat status;
    char *path = file_join(folder, "data.mdb");
    assert_int_equal(stat(path, &status), 0);
    mem_free(path);
    return status.st_size;
}

static void the_file_gets_smaller_and_holds_what_it_held(void **state)
{
    struct store *store = open_with_free_pages(*state);
    struct blocks put = {.count = LEFT, .size = 50000, .round = 9};
    off_t before = file_bytes(*state);
    uint64_t freed = 0;
    must(store_compact(&store, &freed));
    assert_null(store);
    assert_true(freed > DROPPED * 50000u);
    assert_int_equal(file_bytes(*state), before - (off_t)freed);
    store = open_at(*state, STORE_WRITE);
    assert_left(store, 7);
    must(store_update(store, put_blocks, &put));
    store_close(&store);
    store = open_at(*state, STORE_READ);
    assert_left(store, 9);
    store_close(&store);
}

/* In a child: reads until told to go; its exit says whether all was as it was. */
static int read_meanwhile(const char *path, int is_open, int may_go)
{
    struct store *store = NULL;
    struct store_cfg cfg = cfg_of(path, STORE_READ);
    struct blocks seen = {0};
    char byte = 1;
    if (store_open(&cfg, &store) != ERR_OK || write(is_open, &byte, 1) != 1 ||
        read(may_go, &byte, 1) < 0 || store_view(store, see_blocks, &seen) != ERR_OK)
        return 1;
    return seen.count == LEFT && seen.round == 7 ? 0 : 2;
}

static void somebody_who_has_it_open_is_named_and_nothing_is_done(void **state)
{
    struct store *store = open_with_free_pages(*state);
    int open_pipe[2], go_pipe[2], status = 0;
    char byte, pid[32];
    uint64_t freed = 0;
    store_close(&store); /* a store is not used across fork() */
    assert_int_equal(pipe(open_pipe) + pipe(go_pipe), 0);
    pid_t child = fork();
    if (child == 0) {
        close(go_pipe[1]);
        _exit(read_meanwhile(*state, open_pipe[1], go_pipe[0]));
    }
    assert_int_equal(read(open_pipe[0], &byte, 1), 1);
    off_t before = file_bytes(*state);
    store = open_at(*state, STORE_WRITE);
    assert_int_equal(store_compact(&store, &freed), ERR_AGAIN);
    snprintf(pid, sizeof pid, "process %ld", (long)child);
    assert_non_null(strstr(err_text(), pid));
    assert_null(store);
    assert_int_equal(file_bytes(*state), before);
    close(go_pipe[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    store = open_at(*state, STORE_WRITE);
    must(store_compact(&store, &freed));
    assert_true(freed > 0);
    close(open_pipe[0]), close(open_pipe[1]), close(go_pipe[0]);
}

/* 'S' while it waits for something, 'Z' once it has ended. */
static char state_of(pid_t pid)
{
    char path[64], line[512] = "", *end;
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *file = fopen(path, "r");
    if (!file || !fgets(line, sizeof line, file))
        fail_msg("cannot read %s", path);
    fclose(file);
    end = strrchr(line, ')');
    return end ? end[2] : '?';
}

static void nobody_opens_the_store_while_its_file_is_replaced(void **state)
{
    struct store *store = open_with_free_pages(*state);
    int *is_free =
        mmap(NULL, sizeof *is_free, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status = 0, gate = open(*state, O_RDONLY | O_DIRECTORY);
    store_close(&store);
    assert_true(is_free != MAP_FAILED);
    assert_int_equal(flock(gate, LOCK_EX), 0); /* what replacing does */
    pid_t child = fork();
    if (child == 0) {
        struct store_cfg cfg = cfg_of(*state, STORE_READ);
        close(gate);
        _exit(store_open(&cfg, &store) != ERR_OK ? 1 : *is_free ? 0 : 2);
    }
    for (char is = 'R'; is != 'S' && is != 'Z'; is = state_of(child))
        continue;
    *is_free = 1;
    assert_int_equal(flock(gate, LOCK_UN), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
    close(gate);
    munmap(is_free, sizeof *is_free);
}

static void compact_killed_at(const char *path, const char *fault)
{
    setenv("GLOWWORM_FAULT", fault, 1);
    fault_reset();
    struct store *store = NULL;
    struct store_cfg cfg = cfg_of(path, STORE_WRITE);
    uint64_t freed;
    if (store_open(&cfg, &store) == ERR_OK && store_compact(&store, &freed) == ERR_OK)
        _exit(0);
    _exit(1);
}

static void a_kill_in_the_middle_leaves_the_old_file_and_the_next_try_works(void **state)
{
    static const char *const faults[] = {"store.compact:1:kill", "store.replace:1:kill"};
    struct store *store = open_with_free_pages(*state);
    uint64_t freed = 0;
    int status;
    store_close(&store);
    for (size_t i = 0; i < 2; i++) {
        pid_t child = fork();
        if (child == 0)
            compact_killed_at(*state, faults[i]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        store = open_at(*state, STORE_READ);
        assert_left(store, 7);
        store_close(&store);
    }
    store = open_at(*state, STORE_WRITE);
    must(store_compact(&store, &freed));
    assert_true(freed > 0);
    char *copy = file_join(*state, "data.mdb.compacting");
    assert_false(file_exists(copy));
    mem_free(copy);
}

#define T(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_file_gets_smaller_and_holds_what_it_held),
        T(somebody_who_has_it_open_is_named_and_nothing_is_done),
        T(nobody_opens_the_store_while_its_file_is_replaced),
        T(a_kill_in_the_middle_leaves_the_old_file_and_the_next_try_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
