/* The disk of the journal has no room for a while: nothing is lost, no gang that lives is replaced,
 * and the run goes on by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "tests/scheduler/stage_set.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

static void arm(const char *fault)
{
    setenv("GLOWWORM_FAULT", fault, 1);
    fault_reset();
}

static void disarm(void)
{
    unsetenv("GLOWWORM_FAULT");
    fault_reset();
}

static int attempts_of(struct stage_set *set, enum set_stage stage)
{
    return set->survey.stages[stage].record.attempts;
}

static int count(const char *text, const char *part)
{
    int found = 0;
    for (const char *at = text; (at = strstr(at, part)); at++)
        found++;
    return found;
}

/* Every gang lives through it. */
static void expect_one_attempt_each(struct stage_set *set)
{
    for (int i = 0; i < SET_COUNT; i++)
        if (attempts_of(set, (enum set_stage)i) != 1)
            fail_msg("%s had %d attempts:\n%s", set->graph.stages[i].name,
                     attempts_of(set, (enum set_stage)i), text_get(&set->told));
    for (int step = 1; step <= 20; step++)
        if (set_count_steps(set, "kernel", step) != 1)
            fail_msg("step %d was computed %d times:\n%s", step,
                     set_count_steps(set, "kernel", step), text_get(&set->told));
}

/* The k-th write finds no room, k = 1, 2, ..., later every third, until there are not so many. */
static void any_write_that_finds_no_room_is_made_later(void **state)
{
    int refused = 0, waited = 0;
    bool is_met = true;
    for (int k = 1; is_met; k += k < 8 ? 1 : 3) {
        struct stage_set *set = *state;
        char fault[64];
        setenv("FAKE_STEP_MS", "1", 1);
        snprintf(fault, sizeof fault, "store.commit:%d:full", k);
        arm(fault);
        enum err err = set_run(set);
        disarm();
        refused += err == ERR_FULL; /* before anything runs: said at once */
        if (err != ERR_OK && (err != ERR_FULL || waited > 0))
            fail_msg("write %d: the run ended with %s: %s", k, err_name(err), err_text());
        if (err == ERR_OK) {
            int told = count(text_get(&set->told), "no room: ");
            waited += told;
            if (count(text_get(&set->told), "room again\n") != told)
                fail_msg("write %d:\n%s", k, text_get(&set->told));
            set_expect_done(set);
            /* a lease for which no process could be written down was given in vain */
            bool is_in_vain = strstr(text_get(&set->told), "failed ") != NULL;
            if (!is_in_vain)
                expect_one_attempt_each(set);
            is_met = told > 0 || is_in_vain;
        }
        tear_down(state);
        set_up(state);
    }
    assert_in_range(refused, 1, 4);
    assert_true(waited > 8);
}

/* ---- a disk of its own, and what is filled when */

struct disk {
    struct stage_set *set;
    char folder[160], filler[192];
    const char *stage;                  /* whose... */
    int step;                           /* ...progress this is when the disk is filled... */
    double until_s;                     /* ...until then... */
    bool (*is_over)(struct disk *disk); /* ...or when this says so */
    bool is_full, was_full;
    struct loop_view view, inner;
    const struct gang *gang;
};

static struct disk disk;

static void fill(void)
{
    static const char zeros[65536];
    int file = open(disk.filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    for (size_t size = sizeof zeros; size > 0; size = size > 1 ? size / 2 : 0)
        while (write(file, zeros, size) > 0)
            continue;
    close(file);
    disk.is_full = disk.was_full = true;
}

static void on_progress(void *own, const struct gang *gang)
{
    if (!disk.was_full && strcmp(gang->lease.name, disk.stage) == 0 &&
        gang->progress.step >= (uint64_t)disk.step) {
        disk.gang = gang;
        fill();
    }
    disk.inner.progress(own, gang);
}

static void on_tick(void *own)
{
    (void)own;
    if (disk.is_full && clock_seconds() > disk.until_s)
        fail_msg("nothing happened on a full disk:\n%s", text_get(&disk.set->told));
    if (!disk.is_full || !disk.is_over(&disk))
        return;
    assert_int_equal(unlink(disk.filler), 0);
    disk.is_full = false;
}

/* The folder of the run, or one in it, is a small file system. */
static void mount_disk(struct stage_set *set, const char *name, bool (*is_over)(struct disk *))
{
    disk = (struct disk){.set = set,
                         .stage = "teacher",
                         .step = 7,
                         .until_s = clock_seconds() + 60,
                         .is_over = is_over,
                         .inner = set->view};
    snprintf(disk.folder, sizeof disk.folder, "%s/%s", set->folder, name);
    snprintf(disk.filler, sizeof disk.filler, "%s/filler", disk.folder);
    assert_int_equal(file_make_folders(disk.folder), ERR_OK);
    if (mount("none", disk.folder, "tmpfs", 0, "size=4m") != 0) {
        print_message("no tmpfs here (%s): the disk is not filled\n", strerror(errno));
        skip();
    }
    set->view.progress = on_progress;
    set->view.tick = on_tick;
}

static void unmount_disk(void)
{
    assert_int_equal(umount2(disk.folder, MNT_DETACH), 0);
}

static int tear_down_disk(void **state)
{
    umount2(disk.folder, MNT_DETACH);
    return tear_down(state);
}

/* The gang has done its steps, and the runner waits. */
static bool are_steps_done(struct disk *full)
{
    return strstr(text_get(&full->set->told), "no room: ") &&
           set_count_steps(full->set, full->stage, 20) > 0;
}

static void expect_waited_once(struct stage_set *set)
{
    const char *told = text_get(&set->told);
    assert_int_equal(count(told, "no room: "), 1);
    assert_int_equal(count(told, "room again\n"), 1);
    expect_in(told, "no ");
    expect_in(told, "/journal");
}

static void a_run_waits_on_a_full_disk_and_goes_on(void **state)
{
    struct stage_set *set = *state;
    mount_disk(set, "journal", are_steps_done);
    expect_run(set, ERR_OK);
    set_expect_done(set);
    expect_one_attempt_each(set);
    expect_waited_once(set);
    unmount_disk();
}

static bool is_killed(struct disk *full)
{
    static int turns;
    if (set_count_steps(full->set, full->stage, 10) > 0 && full->gang->process.pid > 0 &&
        full->gang->gone_s == 0)
        kill((pid_t)full->gang->process.pid, SIGKILL);
    turns = full->gang->gone_s > 0 ? turns + 1 : 0;
    return turns > 20; /* it is not tried again meanwhile */
}

static void the_end_of_a_gang_is_kept_until_it_can_be_written(void **state)
{
    struct stage_set *set = *state;
    setenv("FAKE_STEP_MS", "20", 1);
    set->cfg.limits.silence_s = 1; /* of one that is gone it is no news */
    mount_disk(set, "journal", is_killed);
    expect_run(set, ERR_OK);
    set_expect_done(set);
    assert_int_equal(attempts_of(set, SET_TEACHER), 2);
    assert_int_equal(set->survey.stages[SET_TEACHER].record.ends[CAUSE_CRASH], 1);
    expect_in(text_get(&set->told), "failed teacher peer: ended by signal 9");
    unmount_disk();
}

static bool is_stop_asked(struct disk *full)
{
    if (are_steps_done(full))
        full->set->stop = 1;
    return false;
}

static void a_stop_does_not_wait_for_room(void **state)
{
    struct stage_set *set = *state;
    char content[HASH_HEX_BYTES];
    mount_disk(set, "journal", is_stop_asked);
    expect_run(set, ERR_FULL);
    expect_in(err_text(), "stopped, but the disk of ");
    expect_in(err_text(), "the same command continues");
    assert_int_equal(set_count_processes(), 0);
    expect_run(set, ERR_FULL); /* at once */
    assert_int_equal(unlink(disk.filler), 0);
    disk.is_full = false;
    expect_run(set, ERR_OK);
    set_expect_done(set);
    set_final_content(set, SET_TEACHER, content);
    assert_int_equal(set->survey.stages[SET_TEACHER].record.ends[CAUSE_RUNNER], 1);
    unmount_disk();
}

/* The gang waits for an answer to its score before it says that it is done. */
static void a_stop_does_not_wait_for_room_for_scores(void **state)
{
    struct stage_set *set = *state;
    setenv("FAKE_STEP_MS", "50", 1);
    setenv("FAKE_FAULT", "teacher:score:19:1", 1);
    mount_disk(set, "journal", is_stop_asked);
    disk.step = 1;
    expect_run(set, ERR_FULL);
    assert_int_equal(set_count_processes(), 0);
    expect_in(text_get(&set->told), "no room: ");
    assert_int_equal(unlink(disk.filler), 0);
    disk.is_full = false;
    expect_run(set, ERR_OK);
    set_expect_done(set);
    unmount_disk();
}

/* ---- a write that fails once, where it is not found out by filling a disk */

static struct trap {
    struct stage_set *set;
    check_checkpoint *check;
    bool is_damaged, is_set;
} trap;

static void damage_teacher(struct stage_set *set, const struct gang *gang)
{
    char content[HASH_HEX_BYTES];
    if (gang->stage != SET_KERNEL || trap.is_damaged)
        return;
    set_final_content(set, SET_TEACHER, content);
    set_damage(set, content);
    trap.is_damaged = true;
}

/* That the stage has failed is written down by now. */
static enum err check_and_fill(void *own, const char *content)
{
    enum err err = trap.check(own, content);
    if (err == ERR_DATA && !trap.is_set)
        arm("store.commit:1:full");
    trap.is_set = trap.is_set || err == ERR_DATA;
    return err;
}

static void fill_at_damage(struct stage_set *set)
{
    trap = (struct trap){.set = set, .check = set->cfg.check};
    set->on_start = damage_teacher;
    set->cfg.check = check_and_fill;
}

static void a_damaged_source_is_made_again_when_there_is_room(void **state)
{
    struct stage_set *set = *state;
    fill_at_damage(set);
    expect_run(set, ERR_OK);
    disarm();
    set_expect_done(set);
    assert_int_equal(attempts_of(set, SET_TEACHER), 2);
    assert_int_equal(attempts_of(set, SET_KERNEL), 2);
    assert_int_equal(count(text_get(&set->told), "no room: "), 1);
}

static void stop_on_full(void *own, const char *text)
{
    trap.set->stop += text != NULL;
    text_add(&((struct stage_set *)own)->told, "%s\n", text ? text : "");
}

static void a_stop_does_not_wait_for_room_for_a_damaged_source(void **state)
{
    struct stage_set *set = *state;
    fill_at_damage(set);
    set->view.full = stop_on_full;
    set->cfg.look_for_room_s = 1000;
    expect_run(set, ERR_FULL);
    disarm();
    expect_run(set, ERR_OK);
    set_expect_done(set);
    assert_int_equal(attempts_of(set, SET_TEACHER), 2);
}

static void fill_and_preempt(void *own, const struct gang *gang)
{
    struct stage_set *set = own;
    if (gang->progress.step >= 2 && gang->lease.attempt == 2) {
        arm("store.commit:1:full");
        set->stop = 1;
    }
}

static enum cause is_preempted(void)
{
    return CAUSE_PREEMPTED;
}

/* Its next job goes on with what is left, as behind every end of a job. */
static void a_job_that_ends_on_a_full_disk_gives_no_new_budget(void **state)
{
    struct stage_set *set = *state;
    bool was_stopped = false;
    setenv("FAKE_FAULT", "teacher:kill:1:1", 1);
    setenv("FAKE_STEP_MS", "50", 1);
    setenv("FAKE_EVERY", "100", 1);
    set->cfg.why_stopped = is_preempted;
    set->cfg.was_stopped = &was_stopped;
    set->cfg.look_for_room_s = 1000;
    set->view.progress = fill_and_preempt;
    expect_run(set, ERR_FULL);
    disarm();
    assert_true(was_stopped);
    set_survey(set);
    assert_int_equal(set->survey.stages[SET_TEACHER].record.budget.spent[CAUSE_CRASH], 1);
}

/* Its checkpoints are on the disk that is full. */
static void a_gang_that_finds_no_room_is_started_again_however_often(void **state)
{
    struct stage_set *set = *state;
    setenv("FAKE_FAULT", "kernel:full:7:8", 1);
    expect_run(set, ERR_OK);
    set_expect_done(set);
    assert_int_equal(attempts_of(set, SET_KERNEL), 9);
    assert_int_equal(set->survey.stages[SET_KERNEL].record.ends[CAUSE_FULL], 8);
    expect_in(text_get(&set->told), "failed kernel full: no room for the checkpoint");
}

static bool has_told(struct disk *full)
{
    return strstr(text_get(&full->set->told), "no room: ") != NULL;
}

/* A host stage ends with exit code 74 then. */
static void a_host_stage_that_finds_no_room_is_started_again(void **state)
{
    struct stage_set *set = *state;
    set_script(set, "best",
               "[ -e once ] || { touch once; head -c 9m /dev/zero >journal/filler || exit 74; }\n");
    mount_disk(set, "journal", has_told);
    disk.stage = "";
    disk.is_full = true; /* by the stage itself */
    expect_run(set, ERR_OK);
    set_expect_done(set);
    assert_int_equal(set->survey.stages[SET_COMPILE].record.ends[CAUSE_FULL], 1);
    unmount_disk();
}

#define TEST(name)      cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define DISK_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(any_write_that_finds_no_room_is_made_later),
        DISK_TEST(a_run_waits_on_a_full_disk_and_goes_on),
        DISK_TEST(the_end_of_a_gang_is_kept_until_it_can_be_written),
        DISK_TEST(a_stop_does_not_wait_for_room),
        DISK_TEST(a_stop_does_not_wait_for_room_for_scores),
        TEST(a_damaged_source_is_made_again_when_there_is_room),
        TEST(a_stop_does_not_wait_for_room_for_a_damaged_source),
        TEST(a_job_that_ends_on_a_full_disk_gives_no_new_budget),
        TEST(a_gang_that_finds_no_room_is_started_again_however_often),
        DISK_TEST(a_host_stage_that_finds_no_room_is_started_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
