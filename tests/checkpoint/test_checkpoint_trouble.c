#include "base/clock.h"
#include "base/fault.h"
#include "tests/checkpoint/fixture.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h> /* needs the four above */

enum { PAGE_BYTES = 4096 }; /* of LMDB */

static void assert_ok(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
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

/* The step of the loaded "latest", whose every tensor is that of the step; verifies everything. */
static uint64_t assert_whole(struct checkpoint_store *store)
{
    struct checkpoint loaded = {0};
    uint64_t read_bytes = 0;
    assert_ok(checkpoint_load(store, "latest", &loaded));
    const char *difference = find_difference(&loaded);
    uint64_t step = loaded.position.step;
    checkpoint_fini(&loaded);
    if (difference)
        fail_msg("%s", difference);
    assert_ok(checkpoint_verify(store, NULL, &read_bytes));
    return step;
}

static void every_fallible_call_may_fail_and_the_previous_one_stays(void **state)
{
    static const char *const points[] = {"checkpoint.blob:%d", "checkpoint.manifest:%d",
                                         "checkpoint.name:%d", "checkpoint.retention:%d",
                                         "store.put:%d",       "store.commit:%d"};
    struct checkpoint_store *store = NULL;
    uint64_t step = 1;
    assert_ok(open_at(*state, true, 1, &store));
    assert_ok(save_step(store, "teacher", step, true, NULL));
    for (int p = 0; p < 6; p++) {
        int failures = 0;
        for (;; failures++) {
            char rule[64];
            snprintf(rule, sizeof rule, points[p], failures + 1);
            arm(rule);
            enum err err = save_step(store, "teacher", step + 1, true, NULL);
            disarm();
            if (err == ERR_OK)
                break;
            assert_int_equal(err, ERR_IO);
            assert_non_null(strstr(err_text(), "was not saved"));
            assert_int_equal(assert_whole(store), step);
        }
        assert_true(failures > 0);
        assert_int_equal(assert_whole(store), ++step);
    }
    checkpoint_store_close(&store);
}

static void a_failed_save_is_told_once_by_the_next_call(void **state)
{
    struct checkpoint_store *store = NULL;
    struct checkpoint checkpoint;
    assert_ok(open_at(*state, true, 1, &store));
    make_checkpoint("teacher", 1, &checkpoint);
    arm("checkpoint.manifest:1:full");
    assert_ok(checkpoint_save(store, &checkpoint));
    assert_int_equal(checkpoint_save(store, &checkpoint), ERR_FULL);
    disarm();
    assert_ok(checkpoint_wait(store));
    assert_ok(checkpoint_save(store, &checkpoint));
    assert_ok(checkpoint_wait(store));
    assert_int_equal(assert_whole(store), 1);
    checkpoint_fini(&checkpoint);
    checkpoint_store_close(&store);
}

/* Turns one bit of the file over, in the middle of the bytes of a tensor's values. */
static void damage(const char *folder, const float *values, size_t size_bytes)
{
    char *path = file_join(folder, "data.mdb"), *bytes = NULL;
    size_t size = 0;
    assert_ok(file_read(path, (size_t)1 << 30, &bytes, &size));
    char *found = memmem(bytes, size, values, size_bytes);
    assert_non_null(found);
    int file = open(path, O_RDWR);
    char byte = (char)(found[size_bytes / 2] ^ 4);
    assert_int_equal(pwrite(file, &byte, 1, found - bytes + (off_t)(size_bytes / 2)), 1);
    close(file);
    mem_free(bytes);
    mem_free(path);
}

static void one_turned_bit_is_found_and_its_tensor_named(void **state)
{
    struct checkpoint_store *store = NULL;
    struct checkpoint checkpoint, loaded = {0};
    uint64_t read_bytes = 0;
    make_checkpoint("teacher", 1, &checkpoint);
    assert_ok(open_at(*state, true, 1, &store));
    assert_ok(save_step(store, "teacher", 1, false, NULL));
    checkpoint_store_close(&store);
    damage(*state, checkpoint.tensors[3].values + 400000, 4000);
    damage(*state, checkpoint.tensors[1].values, 400);
    checkpoint_fini(&checkpoint);
    assert_ok(open_at(*state, false, 1, &store));
    assert_int_equal(checkpoint_load(store, "latest", &loaded), ERR_DATA);
    assert_non_null(strstr(err_text(), "blocks.1.conv.weight"));
    assert_null(loaded.tensors);
    assert_int_equal(checkpoint_verify(store, "latest", &read_bytes), ERR_DATA);
    assert_non_null(strstr(err_text(), "blocks.1.conv.weight"));
    assert_non_null(strstr(err_text(), "blocks.3.conv.weight"));
    assert_null(strstr(err_text(), "blocks.2.conv.weight"));
    assert_int_equal(checkpoint_verify(store, NULL, &read_bytes), ERR_DATA);
    checkpoint_store_close(&store);
}

/* Writes a page of the file, NULL: nothing but zeros, as a lost sector leaves it. */
static void write_page(const char *path, off_t at, const char *page)
{
    static const char nothing[PAGE_BYTES];
    int file = open(path, O_RDWR);
    assert_int_equal(pwrite(file, page ? page : nothing, PAGE_BYTES, at), PAGE_BYTES);
    close(file);
}

/* Lines of what verify says of one checkpoint, or of all (name NULL). */
static int count_damage(struct checkpoint_store *store, const char *name)
{
    uint64_t read_bytes = 0;
    if (checkpoint_verify(store, name, &read_bytes) == ERR_OK)
        return 0;
    int lines = 1;
    if (strstr(err_text(), "MDB_BAD_TXN"))
        fail_msg("%s", err_text());
    for (const char *at = err_text(); (at = strchr(at, '\n')); at++)
        lines++;
    return lines;
}

/* Whether some of the checkpoints are damaged and others are not: then verifying all of them says
 * neither more nor less than verifying each. */
static bool is_some_damage_told(const char *folder)
{
    struct checkpoint_store *store = NULL;
    struct checkpoint_entry *entries = NULL;
    int count = 0, lines = 0, sound = 0;
    assert_ok(open_at(folder, false, 1, &store));
    if (checkpoint_list(store, &entries, &count) != ERR_OK) /* the page was of another table */
        count = 0;
    for (int i = 0; i < count; i++) {
        char hex[HASH_HEX_BYTES];
        hash_hex(&entries[i].content, hex);
        int of_one = count_damage(store, hex);
        sound += of_one == 0;
        lines += of_one;
    }
    bool is_told = lines > 1 && sound > 1;
    if (is_told && count_damage(store, NULL) != lines)
        fail_msg("%d lines: %s", lines, err_text());
    checkpoint_entries_free(entries, count);
    checkpoint_store_close(&store);
    return is_told;
}

/* LMDB leaves old copies of a page behind: each place where the values stand is tried. */
static void behind_a_lost_page_everything_is_looked_at(void **state)
{
    enum { STEPS = 24 };
    struct checkpoint_store *store = NULL;
    struct checkpoint checkpoint;
    char *path = file_join(*state, "data.mdb"), *bytes = NULL;
    size_t size = 0;
    bool is_told = false;
    assert_ok(open_at(*state, true, STEPS, &store));
    for (uint64_t step = 1; step <= STEPS; step++)
        assert_ok(save_step(store, "teacher", step, false, NULL));
    checkpoint_store_close(&store);
    make_checkpoint("teacher", 5, &checkpoint);
    assert_ok(file_read(path, (size_t)1 << 30, &bytes, &size));
    for (char *at = bytes;
         (at = memmem(at, size - (size_t)(at - bytes), checkpoint.tensors[1].values, 400)); at++) {
        off_t page = (at - bytes) / PAGE_BYTES * PAGE_BYTES;
        write_page(path, page, NULL);
        is_told |= is_some_damage_told(*state);
        write_page(path, page, bytes + page);
    }
    assert_true(is_told);
    checkpoint_fini(&checkpoint);
    mem_free(bytes);
    mem_free(path);
}

static void a_damaged_manifest_is_found(void **state)
{
    struct checkpoint_store *store = NULL;
    struct checkpoint loaded = {0};
    static const char name[] = "blocks.2.conv.weight";
    assert_ok(open_at(*state, true, 1, &store));
    assert_ok(save_step(store, "teacher", 1, false, NULL));
    checkpoint_store_close(&store);
    damage(*state, (const float *)(const void *)name, strlen(name));
    assert_ok(open_at(*state, false, 1, &store));
    assert_int_equal(checkpoint_load(store, "latest", &loaded), ERR_DATA);
    assert_non_null(strstr(err_text(), "manifest"));
    checkpoint_store_close(&store);
    assert_ok(open_at(*state, true, 1, &store)); /* a writer may make it again */
    assert_ok(save_step(store, "teacher", 1, false, NULL));
    assert_ok(checkpoint_load(store, "latest", &loaded));
    checkpoint_fini(&loaded);
    checkpoint_store_close(&store);
}

static void a_full_disk_keeps_the_previous_checkpoint(void **state)
{
    if (mount("none", *state, "tmpfs", 0, "size=16m") != 0) {
        print_message("no tmpfs here (%s): the disk is not filled\n", strerror(errno));
        skip();
    }
    struct checkpoint_store *store = NULL;
    struct checkpoint loaded = {0};
    enum err opened = open_at(*state, true, 9, &store), full = ERR_OK, load = opened;
    uint64_t step = 0;
    char text[200] = "";
    while (opened == ERR_OK && full == ERR_OK && step < 20)
        full = save_step(store, "teacher", step++, false, NULL);
    snprintf(text, sizeof text, "%s", err_text());
    if (opened == ERR_OK)
        load = checkpoint_load(store, "latest", &loaded);
    const char *difference = load == ERR_OK ? find_difference(&loaded) : NULL;
    uint64_t kept = loaded.position.step;
    checkpoint_fini(&loaded);
    checkpoint_store_close(&store);
    enum err again = open_at(*state, true, 1, &store); /* with fewer kept there is room */
    if (again == ERR_OK)
        again = save_step(store, "teacher", 30, false, NULL);
    char again_text[200];
    snprintf(again_text, sizeof again_text, "%s", again == ERR_OK ? "" : err_text());
    checkpoint_store_close(&store);
    assert_int_equal(umount2(*state, MNT_DETACH), 0); /* before anything can fail */
    assert_ok(opened);
    assert_int_equal(full, ERR_FULL);
    assert_non_null(strstr(text, "no space left"));
    assert_ok(load);
    assert_null(difference);
    assert_int_equal(kept, step - 2);
    assert_string_equal(again_text, "");
}

static int save_until_killed(const char *path, uint64_t step)
{
    struct checkpoint_store *store = NULL;
    if (open_at(path, true, 2, &store) != ERR_OK)
        return 1;
    for (;; step++)
        if (save_step(store, "teacher", step, false, NULL) != ERR_OK)
            return 2;
}

/* Forks a process that saves, kills it after so many seconds, returns the step it left behind. */
static uint64_t step_after_kill(const char *path, uint64_t step, double seconds)
{
    struct checkpoint_store *store = NULL;
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        _exit(save_until_killed(path, step + 1));
    nanosleep(&(struct timespec){.tv_sec = (time_t)seconds,
                                 .tv_nsec = (long)(1e9 * (seconds - floor(seconds)))},
              NULL);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status))
        fail_msg("the child ended by itself: %d", WEXITSTATUS(status));
    assert_ok(open_at(path, false, 2, &store));
    uint64_t found = assert_whole(store);
    checkpoint_store_close(&store);
    return found;
}

static void kill_9_anywhere_leaves_a_loadable_latest(void **state)
{
    struct checkpoint_store *store = NULL;
    double start = clock_seconds();
    assert_ok(open_at(*state, true, 2, &store));
    assert_ok(save_step(store, "teacher", 1, false, NULL));
    checkpoint_store_close(&store);
    double one_save = clock_seconds() - start; /* however slow this machine is now */
    uint64_t step = 1;
    int advances = 0;
    /* From a tenth of a save to three: anywhere in opening, copying, hashing and committing. */
    for (int attempt = 0; attempt < 30 || (advances < 3 && attempt < 300); attempt++) {
        uint64_t found = step_after_kill(*state, step, one_save * (0.1 + 0.1 * (attempt % 30)));
        assert_true(found >= step);
        advances += found > step;
        step = found;
    }
    assert_true(advances >= 3); /* some saves came to their end */
}

static void kill_9_at_every_point_of_a_save_leaves_the_previous_one(void **state)
{
    static const char *const points[] = {"checkpoint.blob:2:kill", "checkpoint.manifest:1:kill",
                                         "checkpoint.name:2:kill", "checkpoint.retention:1:kill",
                                         "store.commit:2:kill",    "store.commit:3:kill"};
    struct checkpoint_store *store = NULL;
    assert_ok(open_at(*state, true, 1, &store));
    assert_ok(save_step(store, "teacher", 1, false, NULL));
    checkpoint_store_close(&store);
    for (int p = 0; p < 6; p++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            arm(points[p]);
            _exit(save_until_killed(*state, 2));
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_ok(open_at(*state, false, 1, &store));
        uint64_t found = assert_whole(store);
        checkpoint_store_close(&store);
        assert_int_equal(found, 1);
    }
}

struct reading {
    struct checkpoint_store *store;
    atomic_bool *is_over;
    int loads;
    char trouble[200];
};

static void *read_on(void *argument)
{
    struct reading *reading = argument;
    while (!*reading->is_over && reading->trouble[0] == '\0') {
        struct checkpoint loaded = {0};
        if (checkpoint_load(reading->store, "latest", &loaded) != ERR_OK)
            snprintf(reading->trouble, sizeof reading->trouble, "%s", err_text());
        else if (find_difference(&loaded))
            snprintf(reading->trouble, sizeof reading->trouble, "%s", find_difference(&loaded));
        checkpoint_fini(&loaded);
        reading->loads++;
    }
    return NULL;
}

static void readers_load_while_a_writer_saves_and_drops(void **state)
{
    atomic_bool is_over = false;
    struct checkpoint_store *store = NULL;
    assert_ok(open_at(*state, true, 1, &store));
    assert_ok(save_step(store, "teacher", 0, false, NULL));
    struct reading reading = {.store = store, .is_over = &is_over};
    pthread_t thread;
    pthread_create(&thread, NULL, read_on, &reading);
    enum err err = ERR_OK;
    for (uint64_t step = 1; step < 40 && err == ERR_OK; step++)
        err = save_step(store, "teacher", step, false, NULL);
    is_over = true;
    pthread_join(thread, NULL);
    assert_ok(err);
    assert_string_equal(reading.trouble, "");
    assert_true(reading.loads > 1);
    checkpoint_store_close(&store);
}

#define T(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(every_fallible_call_may_fail_and_the_previous_one_stays),
        T(a_failed_save_is_told_once_by_the_next_call),
        T(one_turned_bit_is_found_and_its_tensor_named),
        T(behind_a_lost_page_everything_is_looked_at),
        T(a_damaged_manifest_is_found),
        T(a_full_disk_keeps_the_previous_checkpoint),
        T(kill_9_anywhere_leaves_a_loadable_latest),
        T(kill_9_at_every_point_of_a_save_leaves_the_previous_one),
        T(readers_load_while_a_writer_saves_and_drops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
