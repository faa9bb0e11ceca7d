#include "tests/store/fixture.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h> /* needs the four above */

static struct store *must_open(const char *path, enum store_mode mode)
{
    struct store *store = NULL;
    struct store_cfg cfg = cfg_of(path, mode);
    enum err err = store_open(&cfg, &store);
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
    return store;
}

static void what_was_put_is_there_after_opening_again(void **state)
{
    struct pair pair = {.key = "latest"};
    struct store *store = must_open(*state, STORE_WRITE);
    assert_int_equal(put_text(store, "latest", "teacher"), ERR_OK);
    assert_int_equal(put_text(store, "latest", "kernel"), ERR_OK);
    store_close(&store);
    assert_null(store);
    store = must_open(*state, STORE_READ);
    assert_int_equal(store_view(store, get_pair, &pair), ERR_OK);
    assert_string_equal(pair.value, "kernel");
    pair.key = "late";
    assert_int_equal(store_view(store, get_pair, &pair), ERR_NOT_FOUND);
    store_close(&store);
    store_close(&store);
}

static enum err put_and_fail(struct store_txn *txn, void *argument)
{
    enum err err = put_pair(txn, argument);
    return err == ERR_OK ? err_set(ERR_FAILED, "on purpose") : err;
}

static void a_body_that_fails_changes_nothing(void **state)
{
    struct store *store = must_open(*state, STORE_WRITE);
    struct pair pair = {.key = "name", .value = "new"};
    assert_int_equal(put_text(store, "name", "old"), ERR_OK);
    assert_int_equal(store_update(store, put_and_fail, &pair), ERR_FAILED);
    assert_string_equal(err_text(), "on purpose");
    assert_int_equal(store_view(store, get_pair, &pair), ERR_OK);
    assert_string_equal(pair.value, "old");
    store_close(&store);
}

static enum err collect(struct store_bytes key, struct store_bytes value, void *argument)
{
    char *all = argument;
    snprintf(all + strlen(all), 200 - strlen(all), "%.*s=%.*s ", (int)key.size,
             (const char *)key.data, (int)value.size, (const char *)value.data);
    return value.size == 4 && memcmp(value.data, "stop", 4) == 0 ? ERR_INTERRUPTED : ERR_OK;
}

static enum err walk_prefix(struct store_txn *txn, void *argument)
{
    return store_each(txn, TABLE_A, store_text("b/"), collect, argument);
}

static enum err walk_from(struct store_txn *txn, void *argument)
{
    return store_each_from(txn, TABLE_A, store_text("b/2"), collect, argument);
}

static enum err walk_all(struct store_txn *txn, void *argument)
{
    return store_each(txn, TABLE_A, store_text(""), collect, argument);
}

static void walks_keep_to_prefix_order_and_start(void **state)
{
    struct store *store = must_open(*state, STORE_WRITE);
    static const char *const keys[] = {"b/2", "c", "a", "b/10", "b"};
    for (int i = 0; i < 5; i++)
        assert_int_equal(put_text(store, keys[i], "1"), ERR_OK);
    char prefix[200] = "", from[200] = "", all[200] = "";
    assert_int_equal(store_view(store, walk_prefix, prefix), ERR_OK);
    assert_string_equal(prefix, "b/10=1 b/2=1 ");
    assert_int_equal(store_view(store, walk_from, from), ERR_OK);
    assert_string_equal(from, "b/2=1 c=1 ");
    assert_int_equal(put_text(store, "b/10", "stop"), ERR_OK);
    assert_int_equal(store_view(store, walk_all, all), ERR_INTERRUPTED);
    assert_string_equal(all, "a=1 b=1 b/10=stop ");
    store_close(&store);
}

static enum err delete_twice_and_count(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    struct store_bytes key, value;
    TRY(store_delete(txn, TABLE_A, store_text("b")));
    TRY(store_delete(txn, TABLE_A, store_text("b")));
    TRY(store_count(txn, TABLE_A, argument));
    TRY(store_last(txn, TABLE_A, &key, &value));
    assert_memory_equal(key.data, "a", 1);
    assert_int_equal(store_last(txn, TABLE_B, &key, &value), ERR_NOT_FOUND);
out:
    return err;
}

static void deleting_counts_and_a_missing_key_is_fine(void **state)
{
    uint64_t count = 99;
    struct store *store = must_open(*state, STORE_WRITE);
    assert_int_equal(put_text(store, "a", "1"), ERR_OK);
    assert_int_equal(put_text(store, "b", "1"), ERR_OK);
    assert_int_equal(store_update(store, delete_twice_and_count, &count), ERR_OK);
    assert_int_equal(count, 1);
    store_close(&store);
}

static void numbers_sort_as_they_count(void **state)
{
    struct store *store = must_open(*state, STORE_WRITE);
    struct blocks put = {.count = 300, .size = 9, .round = 7}, seen = {0};
    assert_int_equal(store_update(store, put_blocks, &put), ERR_OK);
    assert_int_equal(store_view(store, see_blocks, &seen), ERR_OK); /* refuses another order */
    assert_int_equal(seen.count, 300);
    store_close(&store);
}

static void a_full_map_grows_and_the_body_runs_again(void **state)
{
    struct store *store = NULL;
    struct store_cfg cfg = cfg_of(*state, STORE_WRITE);
    cfg.map_bytes = 1 << 20;
    assert_int_equal(store_open(&cfg, &store), ERR_OK);
    struct store_info before, after;
    assert_int_equal(store_info(store, &before), ERR_OK);
    assert_int_equal(before.map_bytes, 1 << 20);
    struct blocks put = {.count = 100, .size = 100000, .round = 5}, seen = {0};
    assert_int_equal(store_update(store, put_blocks, &put), ERR_OK);
    assert_true(put.runs > 1);
    assert_int_equal(store_info(store, &after), ERR_OK);
    assert_true(after.map_bytes >= 10000000 && after.file_bytes >= 10000000);
    assert_int_equal(store_view(store, see_blocks, &seen), ERR_OK);
    assert_int_equal(seen.count, 100);
    assert_int_equal(seen.round, 5);
    store_close(&store);
}

struct talk { /* between the processes of a test */
    int to_child[2], to_parent[2];
};

static void tell(int pipe_end)
{
    assert_int_equal(write(pipe_end, "x", 1), 1);
}

static void hear(int pipe_end)
{
    char byte;
    assert_int_equal(read(pipe_end, &byte, 1), 1);
}

static int read_while_it_grows(const char *path, struct talk *talk)
{
    struct store *store = NULL;
    struct store_cfg cfg = cfg_of(path, STORE_READ);
    struct blocks first = {0}, second = {0};
    if (store_open(&cfg, &store) != ERR_OK || store_view(store, see_blocks, &first) != ERR_OK)
        return 1;
    tell(talk->to_parent[1]);
    hear(talk->to_child[0]);
    if (store_view(store, see_blocks, &second) != ERR_OK)
        return 2;
    store_close(&store);
    return first.count == 1 && second.count == 200 ? 0 : 3;
}

static void a_reader_in_another_process_follows_the_growth(void **state)
{
    struct talk talk;
    struct store *store = NULL;
    struct store_cfg cfg = cfg_of(*state, STORE_WRITE);
    cfg.map_bytes = 1 << 20;
    assert_int_equal(pipe(talk.to_child) | pipe(talk.to_parent), 0);
    assert_int_equal(store_open(&cfg, &store), ERR_OK);
    struct blocks one = {.count = 1, .size = 10, .round = 1};
    assert_int_equal(store_update(store, put_blocks, &one), ERR_OK);
    store_close(&store); /* not used across fork() */
    pid_t child = fork();
    if (child == 0)
        _exit(read_while_it_grows(*state, &talk));
    hear(talk.to_parent[0]);
    assert_int_equal(store_open(&cfg, &store), ERR_OK);
    struct blocks many = {.count = 200, .size = 100000, .round = 2};
    assert_int_equal(store_update(store, put_blocks, &many), ERR_OK);
    tell(talk.to_child[1]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    store_close(&store);
}

struct watch {
    struct store *store;
    int failures, rounds;
    atomic_bool *is_over;
};

static void *watch_blocks(void *argument)
{
    struct watch *watch = argument;
    while (!*watch->is_over) {
        struct blocks seen = {0};
        watch->failures += store_view(watch->store, see_blocks, &seen) != ERR_OK;
        watch->failures += seen.count != 8;
        watch->rounds++;
    }
    return NULL;
}

static void readers_see_whole_transactions_while_a_writer_writes_and_grows(void **state)
{
    atomic_bool is_over = false;
    struct store *store = NULL;
    struct store_cfg cfg = cfg_of(*state, STORE_WRITE);
    cfg.map_bytes = 1 << 18;
    assert_int_equal(store_open(&cfg, &store), ERR_OK);
    struct blocks put = {.count = 8, .size = 5000, .round = 0};
    assert_int_equal(store_update(store, put_blocks, &put), ERR_OK);
    struct watch watch[3];
    pthread_t thread[3];
    for (int i = 0; i < 3; i++) {
        watch[i] = (struct watch){.store = store, .is_over = &is_over};
        pthread_create(&thread[i], NULL, watch_blocks, &watch[i]);
    }
    for (put.round = 1; put.round < 60; put.round++, put.size += 1000)
        assert_int_equal(store_update(store, put_blocks, &put), ERR_OK);
    is_over = true;
    for (int i = 0; i < 3; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(watch[i].failures, 0);
        assert_true(watch[i].rounds > 0);
    }
    store_close(&store);
}

static void another_kind_or_version_is_refused(void **state)
{
    struct store *store = must_open(*state, STORE_WRITE);
    store_close(&store);
    struct store_cfg cfg = cfg_of(*state, STORE_READ);
    cfg.version = 2;
    assert_int_equal(store_open(&cfg, &store), ERR_DATA);
    assert_non_null(strstr(err_text(), "\"glowworm tests 1\""));
    assert_non_null(strstr(err_text(), "\"glowworm tests 2\""));
    cfg = cfg_of(*state, STORE_WRITE);
    cfg.kind = "journal";
    assert_int_equal(store_open(&cfg, &store), ERR_DATA);
    static const char *const more[] = {"a", "missing", NULL};
    cfg = cfg_of(*state, STORE_READ);
    cfg.tables = more;
    assert_int_equal(store_open(&cfg, &store), ERR_DATA);
    assert_non_null(strstr(err_text(), "missing"));
    assert_null(store);
}

static enum err look_into_missing(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    char all[200] = "";
    struct store_bytes key = store_text("a"), value;
    uint64_t count = 9;
    enum { LATER = 2 };
    TRY(store_count(txn, LATER, &count));
    assert_int_equal(count, 0);
    assert_int_equal(store_get(txn, LATER, key, &value), ERR_NOT_FOUND);
    assert_int_equal(store_last(txn, LATER, &key, &value), ERR_NOT_FOUND);
    TRY(store_each(txn, LATER, store_text(""), collect, all));
    assert_string_equal(all, "");
    TRY(store_count(txn, TABLE_A, argument));
out:
    return err;
}

static void a_table_that_came_later_is_empty_for_readers_of_older_stores(void **state)
{
    static const char *const more[] = {"a", "b", "later", NULL};
    uint64_t count = 0;
    struct store *store = must_open(*state, STORE_WRITE);
    assert_int_equal(put_text(store, "a", "1"), ERR_OK);
    store_close(&store);
    struct store_cfg cfg = cfg_of(*state, STORE_READ);
    cfg.tables = more;
    cfg.first_added = 2;
    assert_int_equal(store_open(&cfg, &store), ERR_OK);
    assert_int_equal(store_view(store, look_into_missing, &count), ERR_OK);
    assert_int_equal(count, 1);
    store_close(&store);
    cfg.first_added = 3; /* and no table of the first days may be missing */
    assert_int_equal(store_open(&cfg, &store), ERR_DATA);
    cfg.mode = STORE_WRITE;
    assert_int_equal(store_open(&cfg, &store), ERR_OK); /* makes it */
    store_close(&store);
    cfg.mode = STORE_READ;
    assert_int_equal(store_open(&cfg, &store), ERR_OK);
    store_close(&store);
}

static void a_missing_store_is_not_made_by_reading(void **state)
{
    struct store *store = NULL;
    char *path = file_join(*state, "none");
    struct store_cfg cfg = cfg_of(path, STORE_READ);
    assert_int_equal(store_open(&cfg, &store), ERR_NOT_FOUND);
    assert_false(file_exists(path));
    assert_int_equal(file_make_folders(path), ERR_OK);
    assert_int_equal(store_open(&cfg, &store), ERR_NOT_FOUND);
    mem_free(path);
}

#define T(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_was_put_is_there_after_opening_again),
        T(a_body_that_fails_changes_nothing),
        T(walks_keep_to_prefix_order_and_start),
        T(deleting_counts_and_a_missing_key_is_fine),
        T(numbers_sort_as_they_count),
        T(a_full_map_grows_and_the_body_runs_again),
        T(a_reader_in_another_process_follows_the_growth),
        T(readers_see_whole_transactions_while_a_writer_writes_and_grows),
        T(another_kind_or_version_is_refused),
        T(a_table_that_came_later_is_empty_for_readers_of_older_stores),
        T(a_missing_store_is_not_made_by_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
