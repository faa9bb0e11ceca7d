#include "base/fault.h"
#include "tests/store/fixture.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h> /* needs the four above */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IS_SANITIZED = 1 };
#else
enum { IS_SANITIZED = 0 };
#endif

static int signal_or_exit(pid_t child)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static struct store *must_open(const char *path, enum store_mode mode)
{
    struct store *store = NULL;
    struct store_cfg cfg = cfg_of(path, mode);
    enum err err = store_open(&cfg, &store);
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
    return store;
}

/* All blocks are of one round: no transaction was torn. Returns the round. */
static int assert_whole(struct store *store, int count)
{
    struct blocks seen = {0};
    enum err err = store_view(store, see_blocks, &seen);
    if (err != ERR_OK || seen.count != count)
        fail_msg("%d of %d blocks; %s", seen.count, count, err_text());
    return seen.round;
}

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

static void every_fallible_call_may_fail_and_the_old_content_stays(void **state)
{
    struct store *store = must_open(*state, STORE_WRITE);
    struct blocks put = {.count = 5, .size = 10000, .round = 1};
    assert_int_equal(store_update(store, put_blocks, &put), ERR_OK);
    static const char *const points[] = {"store.put:%d", "store.commit:%d:full"};
    put.round = 2;
    for (int p = 0; p < 2; p++) {
        char rule[64];
        for (int k = 1;; k++) {
            snprintf(rule, sizeof rule, points[p], k);
            arm(rule);
            enum err err = store_update(store, put_blocks, &put);
            disarm();
            if (err == ERR_OK)
                break;
            assert_int_equal(assert_whole(store, 5), put.round - 1);
        }
        assert_int_equal(assert_whole(store, 5), put.round++);
    }
    store_close(&store);
}

static void a_map_that_cannot_grow_leaves_the_store_usable(void **state)
{
    struct store *store = NULL;
    struct store_cfg cfg = cfg_of(*state, STORE_WRITE);
    cfg.map_bytes = 1 << 20;
    assert_int_equal(store_open(&cfg, &store), ERR_OK);
    struct blocks small = {.count = 2, .size = 1000, .round = 1};
    struct blocks large = {.count = 2, .size = 2000000, .round = 2};
    assert_int_equal(store_update(store, put_blocks, &small), ERR_OK);
    arm("store.grow:1:full");
    assert_int_equal(store_update(store, put_blocks, &large), ERR_FULL);
    disarm();
    assert_int_equal(assert_whole(store, 2), 1);
    assert_int_equal(store_update(store, put_blocks, &large), ERR_OK);
    assert_int_equal(assert_whole(store, 2), 2);
    store_close(&store);
}

/* Leaves room for the pages of a transaction that fills the map, but not for a map twice as large.
 */
static bool limit_address_space(size_t more_bytes)
{
    long pages = 0;
    FILE *status = fopen("/proc/self/statm", "r");
    if (!status || fscanf(status, "%ld", &pages) != 1)
        return false;
    fclose(status);
    rlim_t most = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + more_bytes;
    return setrlimit(RLIMIT_AS, &(struct rlimit){.rlim_cur = most, .rlim_max = RLIM_INFINITY}) == 0;
}

/* In a child: the limit stays with it. */
static int grow_under_a_limit(const char *path)
{
    struct store *store = NULL;
    struct store_cfg cfg = cfg_of(path, STORE_WRITE);
    cfg.map_bytes = 16 << 20;
    struct blocks put = {.count = 2, .size = 1000, .round = 1}, seen = {0};
    struct blocks large = {.count = 20, .size = 1 << 20, .round = 2};
    if (store_open(&cfg, &store) != ERR_OK || store_update(store, put_blocks, &put) != ERR_OK)
        return 1;
    if (!limit_address_space(24 << 20))
        return 2;
    if (store_update(store, put_blocks, &large) != ERR_FULL || !strstr(err_text(), "ulimit"))
        return 3;
    if (store_view(store, see_blocks, &seen) != ERR_OK || seen.count != 2 || seen.round != 1)
        return 4;
    put.round = 3;
    if (store_update(store, put_blocks, &put) != ERR_OK)
        return 5;
    store_close(&store);
    return 0;
}

static void a_limit_on_address_space_is_named_and_survived(void **state)
{
    if (IS_SANITIZED)
        skip(); /* a sanitizer's shadow alone is larger than the limit */
    pid_t child = fork();
    if (child == 0)
        _exit(grow_under_a_limit(*state));
    assert_int_equal(signal_or_exit(child), 0);
}

/* Whoever made it was killed at once: readers find nothing, a writer begins. */
static void an_empty_file_is_no_store_yet(void **state)
{
    struct store *store = NULL;
    struct store_cfg cfg = cfg_of(*state, STORE_READ);
    char *path = file_join(*state, "data.mdb");
    assert_int_equal(close(open(path, O_WRONLY | O_CREAT, 0666)), 0);
    assert_int_equal(store_open(&cfg, &store), ERR_NOT_FOUND);
    assert_non_null(strstr(err_text(), "data.mdb is empty"));
    store = must_open(*state, STORE_WRITE);
    assert_int_equal(put_text(store, "key", "value"), ERR_OK);
    store_close(&store);
    store = must_open(*state, STORE_READ);
    store_close(&store);
    mem_free(path);
}

static void a_full_disk_is_named_and_the_old_content_stays(void **state)
{
    if (mount("none", *state, "tmpfs", 0, "size=8m") != 0) {
        print_message("no tmpfs here (%s): the disk is not filled\n", strerror(errno));
        skip();
    }
    struct store *store = NULL;
    struct store_cfg cfg = cfg_of(*state, STORE_WRITE);
    enum err err = store_open(&cfg, &store);
    struct blocks put = {.count = 10, .size = 100000, .round = 1};
    struct blocks large = {.count = 30, .size = 1 << 20, .round = 2};
    enum err first = err == ERR_OK ? store_update(store, put_blocks, &put) : err;
    enum err full = err == ERR_OK ? store_update(store, put_blocks, &large) : err;
    char text[200];
    snprintf(text, sizeof text, "%s", err_text());
    struct blocks seen = {0}, again = {0};
    enum err view = err == ERR_OK ? store_view(store, see_blocks, &seen) : err;
    put.round = 3;
    enum err after = err == ERR_OK ? store_update(store, put_blocks, &put) : err;
    store_close(&store);
    enum err opened = store_open(&cfg, &store);
    enum err last = opened == ERR_OK ? store_view(store, see_blocks, &again) : opened;
    store_close(&store);
    assert_int_equal(umount2(*state, MNT_DETACH), 0); /* before anything can fail */
    assert_int_equal(first, ERR_OK);
    assert_int_equal(full, ERR_FULL);
    assert_non_null(strstr(text, "make room there"));
    assert_int_equal(view, ERR_OK);
    assert_int_equal(seen.count * 1000 + seen.round, 10001);
    assert_int_equal(after, ERR_OK); /* the pages of the failed attempt are free again */
    assert_int_equal(last, ERR_OK);
    assert_int_equal(again.count * 1000 + again.round, 10003);
}

static void write_until_killed(const char *path, int round)
{
    struct store *store = NULL;
    struct store_cfg cfg = cfg_of(path, STORE_WRITE);
    struct blocks put = {.count = 40, .size = 30000, .round = round};
    if (store_open(&cfg, &store) != ERR_OK)
        _exit(1);
    for (;; put.round++)
        if (store_update(store, put_blocks, &put) != ERR_OK)
            _exit(2);
}

static void a_writer_killed_anywhere_leaves_a_whole_transaction(void **state)
{
    struct store *store = must_open(*state, STORE_WRITE);
    struct blocks put = {.count = 40, .size = 30000, .round = 1};
    assert_int_equal(store_update(store, put_blocks, &put), ERR_OK);
    store_close(&store);
    for (int attempt = 0; attempt < 25; attempt++) {
        pid_t child = fork();
        if (child == 0)
            write_until_killed(*state, attempt);
        /* Anywhere in opening, writing or committing: 0 to 24 ms from now. */
        nanosleep(&(struct timespec){.tv_nsec = attempt * 1000000L}, NULL);
        kill(child, SIGKILL);
        assert_int_equal(signal_or_exit(child), SIGKILL);
        store = must_open(*state, STORE_READ);
        assert_whole(store, 40);
        store_close(&store);
    }
    store = must_open(*state, STORE_WRITE); /* the dead writer's lock is free */
    assert_whole(store, 40);
    store_close(&store);
}

static void a_writer_killed_before_its_commit_leaves_the_old_content(void **state)
{
    struct store *store = must_open(*state, STORE_WRITE);
    struct blocks put = {.count = 5, .size = 30000, .round = 1};
    assert_int_equal(store_update(store, put_blocks, &put), ERR_OK);
    store_close(&store);
    static const char *const points[] = {"store.put:3:kill", "store.commit:2:kill"};
    for (int i = 0; i < 2; i++) { /* the first commit is that of opening */
        pid_t child = fork();
        if (child == 0) {
            arm(points[i]);
            write_until_killed(*state, 9);
        }
        assert_int_equal(signal_or_exit(child), SIGKILL);
        store = must_open(*state, STORE_WRITE);
        int round = assert_whole(store, 5);
        store_close(&store);
        assert_int_equal(round, 1);
    }
}

static void a_second_writer_is_told_who_the_first_is(void **state)
{
    struct store *store = must_open(*state, STORE_WRITE);
    char expected[64];
    snprintf(expected, sizeof expected, "process %ld on ", (long)getpid());
    pid_t child = fork();
    if (child == 0) {
        struct store *second = NULL;
        struct store_cfg cfg = cfg_of(*state, STORE_WRITE);
        char *copy = mem_string(cfg.path);
        for (int fd = 3; fd < 64; fd++)
            close(fd); /* what exec does: the child is another process, not a copy */
        enum err err = store_open(&cfg, &second);
        bool is_named = strstr(err_text(), expected) && strstr(err_text(), copy);
        mem_free(copy);
        _exit(err == ERR_AGAIN && is_named ? 0 : 1);
    }
    assert_int_equal(signal_or_exit(child), 0);
    store_close(&store);
    store = must_open(*state, STORE_WRITE);
    store_close(&store);
}

static void one_process_opens_a_store_once(void **state)
{
    struct store *store = must_open(*state, STORE_WRITE), *second = NULL;
    struct store_cfg cfg = cfg_of(*state, STORE_READ);
    assert_int_equal(store_open(&cfg, &second), ERR_AGAIN);
    assert_null(second);
    store_close(&store);
    store = must_open(*state, STORE_READ);
    store_close(&store);
}

static void a_file_cut_short_or_overwritten_is_refused(void **state)
{
    struct store *store = must_open(*state, STORE_WRITE);
    struct blocks put = {.count = 100, .size = 10000, .round = 1};
    assert_int_equal(store_update(store, put_blocks, &put), ERR_OK);
    store_close(&store);
    char *file = file_join(*state, "data.mdb");
    struct store_cfg cfg = cfg_of(*state, STORE_READ);
    assert_int_equal(truncate(file, 500000), 0);
    assert_int_equal(store_open(&cfg, &store), ERR_DATA);
    assert_non_null(strstr(err_text(), "cut short"));
    assert_int_equal(file_write(file, "this is no store at all, only a text of some length", 51),
                     ERR_OK);
    assert_int_equal(store_open(&cfg, &store), ERR_DATA);
    mem_free(file);
}

/* What somebody who may read the folder but not write the table of readers gets; in a child, since
 * a process opens a store once and root may write everything. */
static int read_as_nobody(const char *path)
{
    struct store *store = NULL;
    struct store_cfg cfg = cfg_of(path, STORE_READ);
    for (int fd = 3; fd < 64; fd++)
        close(fd); /* what exec does: the child is another process, not a copy */
    if (geteuid() == 0 && seteuid(65534) != 0)
        return 1;
    if (store_open(&cfg, &store) != ERR_IO)
        return 2;
    bool is_named = strstr(err_text(), "lock.mdb") && strstr(err_text(), "Permission denied");
    return is_named && strstr(err_text(), "chmod") ? 0 : 3;
}

static void a_reader_without_the_table_of_readers_is_refused(void **state)
{
    struct store *store = must_open(*state, STORE_WRITE); /* a live writer */
    struct blocks put = {.count = 5, .size = 100, .round = 1};
    assert_int_equal(store_update(store, put_blocks, &put), ERR_OK);
    char *lock = file_join(*state, "lock.mdb");
    assert_int_equal(chmod(lock, 0444), 0);
    assert_int_equal(chmod(*state, 0555), 0);
    for (int is_missing = 0; is_missing < 2; is_missing++) {
        pid_t child = fork();
        if (child == 0)
            _exit(read_as_nobody(*state));
        assert_int_equal(signal_or_exit(child), 0);
        assert_int_equal(chmod(*state, 0755), 0);
        assert_true(is_missing || unlink(lock) == 0);
        assert_int_equal(chmod(*state, is_missing ? 0755 : 0555), 0);
    }
    mem_free(lock);
    store_close(&store);
}

static void a_read_only_file_system_is_read_without_a_table_of_readers(void **state)
{
    struct store *store = must_open(*state, STORE_WRITE);
    struct blocks put = {.count = 5, .size = 100, .round = 1}, seen = {0};
    assert_int_equal(store_update(store, put_blocks, &put), ERR_OK);
    store_close(&store);
    if (mount(*state, *state, NULL, MS_BIND, NULL) != 0) {
        print_message("no mounting here (%s): nothing is read-only\n", strerror(errno));
        skip();
    }
    int sealed = mount(NULL, *state, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL);
    struct store_cfg cfg = cfg_of(*state, STORE_READ);
    enum err opened = store_open(&cfg, &store);
    enum err viewed = opened == ERR_OK ? store_view(store, see_blocks, &seen) : opened;
    store_close(&store);
    assert_int_equal(umount2(*state, MNT_DETACH), 0); /* before anything can fail */
    assert_int_equal(sealed, 0);
    assert_int_equal(opened, ERR_OK);
    assert_int_equal(viewed, ERR_OK);
    assert_int_equal(seen.count, 5);
}

#define T(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(every_fallible_call_may_fail_and_the_old_content_stays),
        T(a_map_that_cannot_grow_leaves_the_store_usable),
        T(a_limit_on_address_space_is_named_and_survived),
        T(an_empty_file_is_no_store_yet),
        T(a_full_disk_is_named_and_the_old_content_stays),
        T(a_writer_killed_anywhere_leaves_a_whole_transaction),
        T(a_writer_killed_before_its_commit_leaves_the_old_content),
        T(a_second_writer_is_told_who_the_first_is),
        T(one_process_opens_a_store_once),
        T(a_file_cut_short_or_overwritten_is_refused),
        T(a_reader_without_the_table_of_readers_is_refused),
        T(a_read_only_file_system_is_read_without_a_table_of_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
