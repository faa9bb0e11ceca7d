/* Who owns a run that several machines may start. */
#include "cluster/scratch/beat.h"
#include "scheduler/process.h"
#include "tests/cluster/scratch_rig.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

enum { RACERS = 8, ROUNDS = 12 };

static struct claim_info somebody(const char *host)
{
    struct claim_info info = {.pid = 4711, .started_ticks = 1};
    snprintf(info.host, sizeof info.host, "%s", host);
    snprintf(info.place, sizeof info.place, "0000-boot-of %s", host);
    snprintf(info.made, sizeof info.made, "2026-11-30T00:00:00.000Z");
    return info;
}

static enum err take_within(const struct rig *rig, const struct claim_info *us,
                            enum claim_mode mode, double watch_s, struct claim **claim)
{
    struct claim_cfg cfg = {
        .run_folder = rig->run, .us = us, .mode = mode, .beat_s = 0.1, .watch_s = watch_s};
    return claim_take(&cfg, claim);
}

/* A beat is waited for generously: it ends the watch. */
static enum err take(const struct rig *rig, const struct claim_info *us, enum claim_mode mode,
                     struct claim **claim)
{
    return take_within(rig, us, mode, 30, claim);
}

/* Each takes one claim after the other by force, and writes down which. */
static int race(const struct rig *rig, int racer, int to)
{
    char host[32];
    snprintf(host, sizeof host, "node-%d", racer);
    const struct claim_info us = somebody(host);
    for (int i = 0; i < ROUNDS; i++) {
        struct claim *claim = NULL;
        if (take(rig, &us, CLAIM_TAKE_OVER, &claim) != ERR_OK)
            return 1;
        uint64_t number = claim_number(claim);
        claim_close(&claim, CLAIM_LOST);
        if (write(to, &number, sizeof number) != sizeof number)
            return 2;
    }
    return 0;
}

static void each_number_is_won_by_exactly_one(void **state)
{
    const struct rig *rig = *state;
    int ends[2], seen[RACERS * ROUNDS + 1] = {0};
    assert_int_equal(pipe(ends), 0);
    pid_t children[RACERS];
    for (int i = 0; i < RACERS; i++)
        if ((children[i] = fork()) == 0)
            _exit(race(rig, i, ends[1]));
    for (int i = 0; i < RACERS * ROUNDS; i++) {
        uint64_t number = 0;
        assert_int_equal(read(ends[0], &number, sizeof number), (ssize_t)sizeof number);
        assert_in_range(number, 1, RACERS * ROUNDS);
        assert_int_equal(seen[number]++, 0);
    }
    for (int i = 0; i < RACERS; i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(claim_highest(rig->run), RACERS * ROUNDS);
    close(ends[0]), close(ends[1]);
}

static void one_that_lives_elsewhere_is_named(void **state)
{
    const struct rig *rig = *state;
    struct claim *first = NULL, *second = NULL;
    struct claim_info there = somebody("node-7"), here = somebody("node-8");
    snprintf(there.job, sizeof there.job, "1234");
    must(take(rig, &there, CLAIM_IF_FREE, &first));
    assert_int_equal(take(rig, &here, CLAIM_IF_FREE, &second), ERR_AGAIN);
    assert_non_null(strstr(err_text(), "node-7"));
    assert_non_null(strstr(err_text(), "job 1234"));
    assert_non_null(strstr(err_text(), "glowworm cancel"));
    assert_non_null(strstr(err_text(), "--take-over"));
    must(claim_check(first));
    claim_close(&first, CLAIM_LOST);
}

static void one_that_fell_silent_is_followed(void **state)
{
    const struct rig *rig = *state;
    struct claim *first = NULL, *second = NULL;
    const struct claim_info there = somebody("node-7"), here = somebody("node-8");
    must(take(rig, &there, CLAIM_IF_FREE, &first));
    claim_close(&first, CLAIM_LOST); /* no word, no beat: as one that was killed */
    must(take_within(rig, &here, CLAIM_IF_FREE, 1, &second));
    assert_int_equal(claim_number(second), 2);
    claim_close(&second, CLAIM_LOST);
}

/* Without a watch: the watch would find a beat, since a process keeps it up. */
static void keep_beating(const struct rig *rig, const struct claim_info *us, int ready)
{
    struct claim *claim = NULL;
    char byte = take(rig, us, CLAIM_TAKE_OVER, &claim) == ERR_OK;
    if (write(ready, &byte, 1) == 1)
        for (;;)
            pause();
    _exit(1);
}

static pid_t start_owner(const struct rig *rig, const struct claim_info *us)
{
    int ends[2];
    char byte = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0)
        keep_beating(rig, us, ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(byte, 1);
    close(ends[0]), close(ends[1]);
    return child;
}

static void end_owner(pid_t owner)
{
    kill(owner, SIGKILL);
    assert_int_equal(waitpid(owner, NULL, 0), owner);
}

static void a_job_that_was_queued_again_follows_itself_at_once(void **state)
{
    const struct rig *rig = *state;
    struct claim *claim = NULL;
    struct claim_info ghost = somebody("node-7"), again = somebody("node-8");
    snprintf(ghost.job, sizeof ghost.job, "99");
    snprintf(again.job, sizeof again.job, "99");
    pid_t owner = start_owner(rig, &ghost);
    assert_int_equal(take(rig, &again, CLAIM_IF_FREE, &claim),
                     ERR_AGAIN); /* beside it in one job */
    again.restart = 1;
    must(take(rig, &again, CLAIM_IF_FREE, &claim));
    assert_int_equal(claim_number(claim), 2);
    claim_close(&claim, CLAIM_LOST);
    end_owner(owner);
}

static void a_process_of_this_machine_is_asked_of_the_machine(void **state)
{
    const struct rig *rig = *state;
    struct claim *claim = NULL;
    struct claim_info us, dead;
    claim_info_of_us(&us);
    dead = us;
    dead.started_ticks = us.started_ticks + 1; /* an older one of our number */
    pid_t owner = start_owner(rig, &dead);
    must(take(rig, &us, CLAIM_IF_FREE, &claim));
    claim_close(&claim, CLAIM_LOST);
    end_owner(owner);
    owner = start_owner(rig, &us);
    assert_int_equal(take(rig, &us, CLAIM_IF_FREE, &claim), ERR_AGAIN);
    end_owner(owner);
}

/* A laptop is called otherwise in another network. */
static void this_machine_is_known_by_another_name(void **state)
{
    const struct rig *rig = *state;
    struct claim *claim = NULL;
    struct claim_info us, renamed;
    claim_info_of_us(&us);
    renamed = us;
    snprintf(strrchr(renamed.place, ' '), 16, " another-name");
    pid_t owner = start_owner(rig, &renamed);
    assert_int_equal(kill(owner, SIGSTOP), 0);
    assert_int_equal(take_within(rig, &us, CLAIM_IF_FREE, 1, &claim), ERR_AGAIN);
    end_owner(owner);
    renamed.started_ticks = us.started_ticks + 1;
    owner = start_owner(rig, &renamed);
    must(take(rig, &us, CLAIM_IF_FREE, &claim));
    claim_close(&claim, CLAIM_LOST);
    end_owner(owner);
}

/* Its numbers are other processes' here. */
static void a_container_of_this_machine_is_watched(void **state)
{
    const struct rig *rig = *state;
    struct claim *claim = NULL;
    struct claim_info us, inside;
    claim_info_of_us(&us);
    inside = us;
    inside.started_ticks = us.started_ticks + 1;
    snprintf(inside.place + strcspn(us.place, "/"), 32, "/7 container");
    pid_t owner = start_owner(rig, &inside);
    assert_int_equal(take(rig, &us, CLAIM_IF_FREE, &claim), ERR_AGAIN); /* its beat is there */
    end_owner(owner);
}

/* Ctrl-Z, or a debugger: its beat stands still, and it will go on. */
static void one_of_this_machine_that_only_pauses_is_not_replaced(void **state)
{
    const struct rig *rig = *state;
    int status = 0;
    struct claim *claim = NULL;
    struct claim_info us;
    claim_info_of_us(&us);
    pid_t owner = start_owner(rig, &us);
    assert_int_equal(kill(owner, SIGSTOP), 0);
    assert_int_equal(waitpid(owner, &status, WUNTRACED), owner);
    assert_true(WIFSTOPPED(status));
    enum err refused = take_within(rig, &us, CLAIM_IF_FREE, 1, &claim);
    uint64_t highest = claim_highest(rig->run);
    end_owner(owner);
    assert_int_equal(refused, ERR_AGAIN);
    assert_non_null(strstr(err_text(), "--take-over"));
    assert_int_equal(highest, 1);
}

static void who_ended_in_good_order_is_followed_at_once(void **state)
{
    const struct rig *rig = *state;
    struct claim *claim = NULL;
    const struct claim_info there = somebody("node-7"), here = somebody("node-8");
    static const enum claim_end ends[] = {CLAIM_PUBLISHED, CLAIM_ENDED};
    for (int i = 0; i < 2; i++) {
        must(take(rig, &there, CLAIM_TAKE_OVER, &claim));
        uint64_t number = claim_number(claim);
        claim_close(&claim, ends[i]);
        assert_int_equal(claim_ending(rig->run, number), ends[i]);
        struct claim_cfg cfg = {.run_folder = rig->run, .us = &here, .watch_s = 1e6};
        must(claim_take(&cfg, &claim)); /* a watch would take a week */
        claim_close(&claim, CLAIM_LOST);
    }
}

static void an_owner_that_was_replaced_learns_it_and_leaves_no_word(void **state)
{
    const struct rig *rig = *state;
    struct claim *first = NULL, *second = NULL;
    const struct claim_info there = somebody("node-7"), here = somebody("node-8");
    must(take(rig, &there, CLAIM_IF_FREE, &first));
    must(take(rig, &here, CLAIM_TAKE_OVER, &second));
    const struct fence fence = {rig->run, claim_number(first)};
    assert_int_equal(fence_check(&fence), ERR_AGAIN);
    for (int i = 0; i < 600 && claim_check(first) == ERR_OK;
         i++) /* its thread looks now and then */
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    assert_int_equal(claim_check(first), ERR_AGAIN);
    claim_close(&first, CLAIM_PUBLISHED);
    assert_int_equal(claim_ending(rig->run, 1), CLAIM_LOST);
    must(claim_check(second));
    claim_close(&second, CLAIM_LOST);
}

static void a_stop_ends_a_watch(void **state)
{
    const struct rig *rig = *state;
    struct claim *claim = NULL;
    volatile sig_atomic_t stops = 1;
    const struct claim_info there = somebody("node-7"), here = somebody("node-8");
    must(take(rig, &there, CLAIM_IF_FREE, &claim));
    claim_close(&claim, CLAIM_LOST);
    struct claim_cfg cfg = {
        .run_folder = rig->run, .us = &here, .watch_s = 1e6, .stop_asked = &stops};
    assert_int_equal(claim_take(&cfg, &claim), ERR_INTERRUPTED);
    assert_int_equal(claim_highest(rig->run), 1);
}

static void a_damaged_claim_is_watched_like_any_other(void **state)
{
    const struct rig *rig = *state;
    struct claim *claim = NULL;
    struct claim_info read;
    const struct claim_info here = somebody("node-8");
    write_text(rig->run, "published/claim-5", "nonsense\npid x\n");
    write_text(rig->run, "published/claim-5x", "");
    write_text(rig->run, "published/claim-05", "");
    assert_int_equal(claim_read(rig->run, 5, &read), ERR_DATA);
    must(take_within(rig, &here, CLAIM_IF_FREE, 1, &claim));
    assert_int_equal(claim_number(claim), 6);
    must(claim_read(rig->run, 6, &read));
    assert_string_equal(read.host, "node-8");
    assert_int_equal(read.pid, 4711);
    claim_close(&claim, CLAIM_LOST);
}

static void the_stores_of_the_newest_owner_that_had_some_are_known(void **state)
{
    const struct rig *rig = *state;
    char id[CLAIM_ID];
    uint64_t number = 1;
    claim_newest_stores(rig->run, &number, id);
    assert_int_equal(number, 0);
    for (int i = 1; i < 5; i++) {
        char name[64];
        snprintf(name, sizeof name, "published/claim-%d", i);
        write_text(rig->run, name, "");
    }
    must(claim_tell_stores(rig->run, 2, ID_A));
    claim_newest_stores(rig->run, &number, id);
    assert_int_equal(number, 2);
    assert_string_equal(id, ID_A);
}

static int mkdir_published(const char *run)
{
    char path[256];
    snprintf(path, sizeof path, "%s/published", run);
    return mkdir(path, 0700);
}

/* Takes every byte that becomes free. */
static pid_t keep_full(const char *folder)
{
    char path[256];
    static const char zeros[4096];
    pid_t filler = fork();
    if (filler != 0)
        return filler;
    snprintf(path, sizeof path, "%s/filler", folder);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    for (;;)
        if (write(file, zeros, sizeof zeros) < 0 && errno != ENOSPC)
            _exit(1);
}

static void a_full_disk_stops_no_beat(void **state)
{
    const struct rig *rig = *state;
    struct beat *beat = NULL;
    bool lives = true;
    if (mount("none", rig->run, "tmpfs", 0, "size=1m") != 0)
        skip();
    assert_int_equal(mkdir_published(rig->run), 0);
    enum err err = beat_start(rig->run, 1, 0.0005, &beat);
    pid_t filler = keep_full(rig->run);
    for (int i = 0; err == ERR_OK && lives && i < 20; i++)
        err = beat_watch(rig->run, 1, 5, NULL, &lives);
    kill(filler, SIGKILL);
    waitpid(filler, NULL, 0);
    beat_stop(&beat);
    umount2(rig->run, MNT_DETACH); /* before anything can fail */
    assert_int_equal(err, ERR_OK);
    assert_true(lives);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define A_TEST(name) cmocka_unit_test_setup_teardown(name, rig_make, rig_remove)
        A_TEST(each_number_is_won_by_exactly_one),
        A_TEST(one_that_lives_elsewhere_is_named),
        A_TEST(one_that_fell_silent_is_followed),
        A_TEST(a_job_that_was_queued_again_follows_itself_at_once),
        A_TEST(a_process_of_this_machine_is_asked_of_the_machine),
        A_TEST(this_machine_is_known_by_another_name),
        A_TEST(a_container_of_this_machine_is_watched),
        A_TEST(one_of_this_machine_that_only_pauses_is_not_replaced),
        A_TEST(who_ended_in_good_order_is_followed_at_once),
        A_TEST(an_owner_that_was_replaced_learns_it_and_leaves_no_word),
        A_TEST(a_stop_ends_a_watch),
        A_TEST(a_damaged_claim_is_watched_like_any_other),
        A_TEST(the_stores_of_the_newest_owner_that_had_some_are_known),
        A_TEST(a_full_disk_stops_no_beat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
