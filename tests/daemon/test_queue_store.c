/* What a scheduler must not forget: written, read, and what cannot be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"
#include "base/store/store.h"
#include "cluster/daemon/queue_store.h"
#include "tests/scratch.h"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static struct queue_store *open_store(const char *folder)
{
    struct queue_store *store = NULL;
    if (queue_store_open(folder, &store) != ERR_OK)
        fail_msg("%s", err_text());
    return store;
}

static struct submitted make(const char *name)
{
    char *words[] = {(char *)"/c.yaml", (char *)"--set", (char *)"seed=3"};
    struct submitted made = {.campaign_path = "/c.yaml",
                             .run_folder = "/runs/a\xff",
                             .work_folder = "/",
                             .by = "somebody@here",
                             .priority = -7,
                             .site = "/sites/mine.yaml",
                             .jobs = 4,
                             .may_have_job = true,
                             .cores = 12,
                             .memory_bytes = 1ull << 40,
                             .submitted_ms = 1,
                             .state = SUBMITTED_STOPPING,
                             .then = SUBMITTED_HELD,
                             .text = "why",
                             .pid = 4711,
                             .started_ticks = 1ull << 50,
                             .place = "boot host",
                             .exit_code = -1,
                             .starts = 3,
                             .losses = 2,
                             .progress = 1ll << 45,
                             .not_before_ms = 2,
                             .started_ms = 3,
                             .ended_ms = 4};
    snprintf(made.name, sizeof made.name, "%s", name);
    submitted_set_words(&made, 3, words);
    return made;
}

struct rows {
    int count;
    struct submitted list[8];
};

static enum err take_row(const struct submitted *submitted, void *own)
{
    struct rows *rows = own;
    rows->list[rows->count++] = *submitted;
    return ERR_OK;
}

static struct rows read_all(struct queue_store *store)
{
    struct rows rows = {0};
    if (queue_store_each(store, take_row, &rows) != ERR_OK)
        fail_msg("%s", err_text());
    return rows;
}

static void free_all(struct rows *rows)
{
    for (int i = 0; i < rows->count; i++)
        submitted_fini(&rows->list[i]);
}

static void a_row_is_read_as_it_was_written(void **state)
{
    struct queue_store *store = open_store(*state);
    struct submitted made = make("one");
    assert_int_equal(queue_store_add(store, &made), ERR_OK);
    assert_int_equal(made.id, 1);
    queue_store_close(&store);
    store = open_store(*state);
    struct rows rows = read_all(store);
    assert_int_equal(rows.count, 1);
    assert_int_equal(rows.list[0].word_count, 3);
    assert_string_equal(rows.list[0].words[2], "seed=3");
    submitted_fini(&rows.list[0]);
    rows.list[0].words = made.words;
    rows.list[0].word_count = made.word_count;
    assert_memory_equal(&rows.list[0], &made, sizeof made);
    submitted_fini(&made);
    queue_store_close(&store);
}

static void ids_are_never_given_again(void **state)
{
    struct queue_store *store = open_store(*state);
    struct submitted made = make("one");
    assert_int_equal(queue_store_add(store, &made), ERR_OK);
    assert_int_equal(queue_store_add(store, &made), ERR_OK);
    assert_int_equal(queue_store_forget(store, 2), ERR_OK);
    queue_store_close(&store);
    store = open_store(*state);
    assert_int_equal(queue_store_add(store, &made), ERR_OK);
    assert_int_equal(made.id, 3);
    made.priority = 5;
    assert_int_equal(queue_store_put(store, &made), ERR_OK);
    struct rows rows = read_all(store);
    assert_int_equal(rows.count, 2);
    assert_int_equal(rows.list[0].id, 1);
    assert_int_equal(rows.list[1].id, 3);
    assert_int_equal(rows.list[1].priority, 5);
    free_all(&rows);
    submitted_fini(&made);
    queue_store_close(&store);
}

static void two_processes_do_not_have_it(void **state)
{
    int opened[2];
    char pid[16], word;
    struct queue_store *store = NULL;
    assert_int_equal(pipe(opened), 0);
    pid_t child = fork();
    if (child == 0) {
        if (queue_store_open(*state, &store) != ERR_OK || write(opened[1], "", 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    close(opened[1]);
    assert_int_equal(read(opened[0], &word, 1), 1);
    snprintf(pid, sizeof pid, "%d", (int)child);
    enum err err = queue_store_open(*state, &store);
    bool is_named = strstr(err_text(), pid) != NULL;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(opened[0]);
    assert_int_equal(err, ERR_AGAIN);
    assert_true(is_named);
}

struct raw_row {
    const char *bytes;
    size_t size;
    uint64_t id;
};

static enum err put_raw(struct store_txn *txn, void *argument)
{
    const struct raw_row *row = argument;
    uint8_t room[8];
    return store_put(txn, 0, store_number(row->id, room),
                     (struct store_bytes){row->bytes, row->size});
}

static void write_raw(const char *folder, uint32_t version, struct raw_row *row)
{
    static const char *const tables[] = {"campaigns", "meta", NULL};
    struct store *store = NULL;
    char *path = file_join(folder, "store");
    struct store_cfg cfg = {.path = path,
                            .mode = STORE_WRITE,
                            .kind = "scheduler's queue",
                            .version = version,
                            .tables = tables};
    assert_int_equal(store_open(&cfg, &store), ERR_OK);
    assert_int_equal(store_update(store, put_raw, row), ERR_OK);
    store_close(&store);
    mem_free(path);
}

static void a_damaged_row_is_an_error_with_a_cure(void **state)
{
    static const struct raw_row rows[] = {{"\xff\xff\xff", 3, 1},      /* no message */
                                          {"", 0, 1},                  /* one without anything */
                                          {"\x08\x02\x60\x01", 4, 1}}; /* another's id */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct raw_row row = rows[i];
        struct rows read = {0};
        write_raw(*state, 1, &row);
        struct queue_store *store = open_store(*state);
        assert_int_equal(queue_store_each(store, take_row, &read), ERR_DATA);
        assert_non_null(strstr(err_text(), "damaged"));
        queue_store_close(&store);
    }
}

static void a_later_format_is_refused(void **state)
{
    struct raw_row row = {"x", 1, 1};
    struct queue_store *store = NULL;
    write_raw(*state, 2, &row);
    assert_int_equal(queue_store_open(*state, &store), ERR_DATA);
}

static void a_full_disk_changes_nothing(void **state)
{
    struct queue_store *store = open_store(*state);
    struct submitted made = make("one");
    assert_int_equal(queue_store_add(store, &made), ERR_OK);
    setenv("GLOWWORM_FAULT", "queue_store.put:1:full,queue_store.add:1:full", 1);
    fault_reset();
    made.priority = 99;
    assert_int_equal(queue_store_put(store, &made), ERR_FULL);
    assert_int_equal(queue_store_add(store, &made), ERR_FULL);
    unsetenv("GLOWWORM_FAULT");
    fault_reset();
    struct rows rows = read_all(store);
    assert_int_equal(rows.count, 1);
    assert_int_equal(rows.list[0].priority, -7);
    free_all(&rows);
    submitted_fini(&made);
    queue_store_close(&store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_row_is_read_as_it_was_written), TEST(ids_are_never_given_again),
        TEST(two_processes_do_not_have_it),    TEST(a_damaged_row_is_an_error_with_a_cure),
        TEST(a_later_format_is_refused),       TEST(a_full_disk_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
