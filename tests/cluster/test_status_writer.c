/* What the loop tells reaches the file and its readers; a stop file reaches the runner it names;
 * neither a disk that fails nor a file from an enemy does harm. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"
#include "cluster/estimate.h"
#include "cluster/status/publisher.h"
#include "cluster/status/status_reader.h"
#include "cluster/status/status_text.h"
#include "cluster/status/status_writer.h"
#include "cluster/status/stop_file.h"
#include "tests/scratch.h"

static const char *folder;
static int stops;
static atomic_bool hangs; /* the disk */

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);

int __wrap_rename(const char *from, const char *to)
{
    while (atomic_load(&hangs))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return __real_rename(from, to);
}

static void count_stop(void)
{
    stops++;
}

/* teacher, kernel (of it), search and report (both of kernel). */
static struct graph graph = {
    .count = 4,
    .stages = {
        {.name = "teacher", .kind = STAGE_TRAIN},
        {.name = "kernel", .kind = STAGE_TRAIN, .dependency_count = 1},
        {.name = "search", .kind = STAGE_SEARCH, .dependency_count = 1, .dependencies = {1}},
        {.name = "report", .kind = STAGE_REPORT, .dependency_count = 1, .dependencies = {1}}}};
static struct gang gangs[4] = {{.stage = 0, .lease = {.name = "teacher", .attempt = 1}},
                               {.stage = 1, .lease = {.name = "kernel", .attempt = 1}},
                               {.stage = 2, .lease = {.name = "search", .attempt = 3}},
                               {.stage = 3, .lease = {.name = "report", .attempt = 1}}};
static struct survey survey;
static struct run_estimate estimate;

static struct status_writer *create(void)
{
    struct status_writer_cfg cfg = {.run_folder = folder,
                                    .campaign = "road",
                                    .device = "cuda",
                                    .command = "glowworm run road.yaml",
                                    .graph = &graph,
                                    .stop = count_stop};
    return status_writer_create(&cfg);
}

static struct status_writer *begin(void)
{
    struct status_writer *writer = create();
    status_writer_begin(writer, &survey, &estimate);
    return writer;
}

/* Ticks as the loop does, until the file has what is looked for. */
static void expect(struct status_writer *writer, struct found_status *found,
                   bool (*is_right)(const struct found_status *found))
{
    const struct loop_view *view = status_writer_view(writer);
    for (int i = 0; i < 6000; i++) {
        view->tick(view->own);
        if (status_read_published(folder, found) == ERR_OK && is_right(found))
            return;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    fail_msg("the file never said it; the last state: %s", run_state_name(found->status.state));
}

static void go_on(const struct loop_view *view, int gang, uint64_t step)
{
    gangs[gang].progress =
        (struct gang_progress){.step = step, .steps = 10, .loss = 0.5, .accuracy = -1};
    view->progress(view->own, &gangs[gang]);
}

static bool is_kernel_at_4(const struct found_status *found)
{
    return found->status.stages[1].step == 4;
}

static void expect_head(const struct found_status *found, const char *begins)
{
    struct text head;
    text_init(&head);
    status_text_head(found, "runs/road", &head);
    if (strncmp(text_get(&head), begins, strlen(begins)) != 0)
        fail_msg("not \"%s\" but %s", begins, text_get(&head));
    text_fini(&head);
}

static void stages_are_told_with_why_they_wait(void **unused)
{
    (void)unused;
    struct found_status *found = mem_alloc(sizeof *found);
    struct status_writer *writer = begin();
    const struct loop_view *view = status_writer_view(writer);
    view->started(view->own, &gangs[0], false, 0);
    go_on(view, 0, 10);
    view->done(view->own, &gangs[0], 2.5);
    gangs[1].process.pid = 4711;
    gangs[1].helpers = 2;
    view->started(view->own, &gangs[1], true, 3);
    go_on(view, 1, 3);
    go_on(view, 1, 4);
    expect(writer, found, is_kernel_at_4);
    const struct stage_status *stages = found->status.stages;
    assert_int_equal(found->runner, RUNNER_THERE);
    assert_int_equal(found->status.state, RUN_STATE_RUNNING);
    assert_int_equal(found->status.pid, getpid());
    assert_int_equal(stages[0].state, STAGE_STATE_DONE);
    assert_true(stages[0].seconds == 2.5);
    assert_int_equal(stages[1].state, STAGE_STATE_RUNNING);
    assert_int_equal(stages[1].pid, 4711);
    assert_int_equal(stages[1].gangs, 3);
    assert_string_equal(stages[1].host, found->status.host);
    assert_true(stages[1].loss == 0.5 && isnan(stages[1].accuracy));
    assert_true(stages[1].eta_seconds >= 0);
    assert_int_equal(stages[2].state, STAGE_STATE_WAITING);
    assert_string_equal(stages[2].needs, "kernel");
    assert_string_equal(stages[2].why, "needs kernel");
    expect_head(found, "road in runs/road on cuda: running, 1 of 4 stages done");
    snprintf(found->status.device, sizeof found->status.device, "auto");
    expect_head(found, "road in runs/road: running, 1 of 4 stages done");
    status_writer_end(writer, ERR_OK);
    status_writer_destroy(&writer);
    mem_free(found);
}

static bool is_backing_off(const struct found_status *found)
{
    return found->status.stages[2].state == STAGE_STATE_BACKING_OFF;
}

static bool is_failed(const struct found_status *found)
{
    return found->status.stages[2].state == STAGE_STATE_FAILED;
}

static void failures_say_when_it_is_tried_again_and_when_not(void **unused)
{
    (void)unused;
    struct found_status *found = mem_alloc(sizeof *found);
    struct status_writer *writer = begin();
    const struct loop_view *view = status_writer_view(writer);
    view->started(view->own, &gangs[2], false, 0);
    gangs[2].failures = 1;
    gangs[2].cause = CAUSE_LOST;
    view->failed(view->own, &gangs[2], ERR_PEER, "rank 1 was killed\nmore", "", 8);
    expect(writer, found, is_backing_off);
    const struct stage_status *search = &found->status.stages[2];
    assert_int_equal(search->attempts, 3);
    assert_int_equal(search->failures, 1);
    assert_string_equal(search->why, "rank 1 was killed");
    assert_true(search->retry_at_ms > clock_wall_ms());
    view->started(view->own, &gangs[2], false, 0);
    gangs[2].failures = 2;
    gangs[2].cause = CAUSE_INPUT;
    view->failed(view->own, &gangs[2], ERR_DATA, "a bad image", "", -1);
    expect(writer, found, is_failed);
    assert_int_equal(search->failures, 2);
    assert_string_equal(search->error, "data");
    assert_string_equal(search->cause, "bad input");
    assert_int_equal(search->causes[CAUSE_LOST], 1);
    assert_int_equal(search->causes[CAUSE_INPUT], 1);
    err_set(ERR_DATA, "stage search failed: a bad image");
    status_writer_end(writer, ERR_DATA);
    assert_string_equal(err_text(), "stage search failed: a bad image");
    status_writer_destroy(&writer);
    assert_int_equal(status_read(folder, found), ERR_OK);
    assert_int_equal(found->runner, RUNNER_ENDED);
    assert_int_equal(found->status.state, RUN_STATE_FAILED);
    assert_string_equal(found->status.text, "stage search failed: a bad image");
    mem_free(found);
}

static bool is_told(const struct found_status *found)
{
    (void)found;
    return stops > 0;
}

static void a_stop_file_reaches_the_runner_it_names_and_no_other(void **unused)
{
    (void)unused;
    struct found_status *found = mem_alloc(sizeof *found);
    enum stop_asked asked = STOP_ASKED_NOW;
    char *stop = file_join(folder, "published/stop");
    struct status_writer *writer = create();
    assert_int_equal(status_read(folder, found), ERR_OK);
    struct run_status *former = mem_alloc(sizeof *former);
    *former = found->status;
    former->started_ticks += 1;
    assert_int_equal(stop_file_leave(folder, former, &asked), ERR_OK);
    assert_int_equal(asked, STOP_ASKED_NOW);
    stops = 0;
    status_writer_begin(writer, &survey, NULL);
    const struct loop_view *view = status_writer_view(writer);
    for (int i = 0; file_exists(stop) && i < 6000; i++) {
        view->tick(view->own);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    view->tick(view->own);
    assert_false(file_exists(stop));
    assert_int_equal(stops, 0);
    assert_int_equal(stop_file_leave(folder, &found->status, &asked), ERR_OK);
    expect(writer, found, is_told);
    assert_int_equal(stops, 1);
    assert_false(file_exists(stop));
    err_set(ERR_INTERRUPTED, "stopped");
    status_writer_end(writer, ERR_INTERRUPTED);
    status_writer_destroy(&writer);
    mem_free(former);
    mem_free(found);
    mem_free(stop);
}

static void a_stop_file_is_whole_private_and_replaces_one_for_a_runner_that_is_gone(void **unused)
{
    (void)unused;
    struct stat status;
    enum stop_asked asked = STOP_ASKED_NOW;
    struct run_status *now = mem_alloc(sizeof *now), *former = mem_alloc(sizeof *former);
    char *stop = file_join(folder, "published/stop");
    now->pid = 12, former->pid = 11;
    assert_int_equal(stop_file_leave(folder, former, &asked), ERR_OK);
    assert_int_equal(stop_file_leave(folder, now, &asked), ERR_OK);
    assert_int_equal(asked, STOP_ASKED_NOW);
    assert_int_equal(stop_file_leave(folder, now, &asked), ERR_OK);
    assert_int_equal(asked, STOP_ASKED_BEFORE);
    assert_int_equal(stat(stop, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_true(stop_file_take(folder, now));
    assert_false(stop_file_take(folder, now));
    assert_int_equal(symlink("/etc/passwd", stop), 0);
    assert_false(stop_file_take(folder, now));
    assert_false(file_exists(stop));
    mem_free(stop);
    mem_free(former);
    mem_free(now);
}

static void a_disk_that_is_full_ends_nothing(void **unused)
{
    (void)unused;
    setenv("GLOWWORM_FAULT", "status.write:3:full", 1);
    fault_reset();
    struct found_status *found = mem_alloc(sizeof *found);
    struct status_writer *writer = begin();
    const struct loop_view *view = status_writer_view(writer);
    view->started(view->own, &gangs[1], true, 3);
    go_on(view, 1, 4);
    expect(writer, found, is_kernel_at_4); /* the next one is there */
    status_writer_end(writer, ERR_OK);
    status_writer_destroy(&writer);
    unsetenv("GLOWWORM_FAULT");
    fault_reset();
    mem_free(found);
}

static bool is_running(const struct found_status *found)
{
    return found->status.state == RUN_STATE_RUNNING;
}

static void a_disk_that_hangs_holds_up_neither_the_loop_nor_the_end(void **unused)
{
    (void)unused;
    struct found_status *found = mem_alloc(sizeof *found);
    struct status_writer *writer = begin();
    const struct loop_view *view = status_writer_view(writer);
    expect(writer, found, is_running);
    atomic_store(&hangs, true);
    view->started(view->own, &gangs[1], true, 3);
    for (int i = 0; i < 100; i++) {
        go_on(view, 1, 4);
        view->started(view->own, &gangs[1], true, 3);
        view->tick(view->own);
    }
    status_writer_end(writer, ERR_OK);
    status_writer_destroy(&writer);
    assert_true(atomic_load(&hangs)); /* all this came to an end meanwhile */
    assert_int_equal(status_read(folder, found), ERR_OK);
    assert_int_equal(found->status.state, RUN_STATE_RUNNING);
    atomic_store(&hangs, false);
    for (int i = 0; i < 6000 && found->status.state != RUN_STATE_DONE; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        assert_int_equal(status_read(folder, found), ERR_OK);
    }
    assert_int_equal(found->status.state, RUN_STATE_DONE);
    mem_free(found);
}

/* A child writes a status and dies, as a runner that is killed. */
static void a_runner_that_was_killed_is_seen_to_be_gone(void **unused)
{
    (void)unused;
    struct found_status *found = mem_alloc(sizeof *found);
    pid_t child = fork();
    if (child == 0) {
        (void)begin();
        for (;;)
            pause();
    }
    assert_true(child > 0);
    for (int i = 0; i < 6000; i++) {
        if (status_read(folder, found) == ERR_OK && found->status.pid == child &&
            found->status.state == RUN_STATE_RUNNING)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    assert_int_equal(found->runner, RUNNER_THERE);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    for (int i = 0; i < 6000 && found->runner == RUNNER_THERE; i++) {
        assert_int_equal(status_read(folder, found), ERR_OK);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    assert_int_equal(found->runner, RUNNER_GONE);
    mem_free(found);
}

/* As another runner would have written it, so long ago: one of our number, begun when we were plus
 * so many ticks. */
static enum runner_state judged_of(const char *place, enum run_state state, double age_s,
                                   int64_t ticks)
{
    struct found_status *found = mem_alloc(sizeof *found);
    struct run_status *status = mem_alloc(sizeof *status);
    run_status_init(status);
    snprintf(status->place, sizeof status->place, "%s", place);
    status->state = (int)state;
    status->pid = getpid();
    status->started_ticks = (int64_t)process_started_ticks(getpid()) + ticks;
    status->written_ms = clock_wall_ms() - (int64_t)(1000 * age_s);
    json_t *json = run_status_json(status);
    char *text = json_dumps(json, 0);
    assert_int_equal(publisher_write(folder, 0, text), ERR_OK);
    assert_int_equal(status_read(folder, found), ERR_OK);
    enum runner_state runner = found->runner;
    free(text);
    json_decref(json);
    mem_free(status);
    mem_free(found);
    return runner;
}

static enum runner_state judged(const char *place, enum run_state state, double age_s)
{
    return judged_of(place, state, age_s, 0);
}

static void an_old_status_says_nothing_of_now(void **unused)
{
    (void)unused;
    char here[192], restarted[192], renamed[256], contained[256];
    process_place(here, sizeof here);
    int named = (int)(strrchr(here, ' ') - here), boot = (int)strcspn(here, "/");
    snprintf(renamed, sizeof renamed, "%.*s another-name", named, here);
    snprintf(contained, sizeof contained, "%.*s/7 another-name", boot, here);
    snprintf(restarted, sizeof restarted, "another-boot%s", strrchr(here, ' '));
    assert_int_equal(judged("boot elsewhere", RUN_STATE_RUNNING, 1), RUNNER_THERE);
    assert_int_equal(judged("boot elsewhere", RUN_STATE_RUNNING, 60), RUNNER_SILENT);
    assert_int_equal(judged("boot elsewhere", RUN_STATE_RUNNING, -60), RUNNER_SILENT);
    assert_int_equal(judged("boot elsewhere", RUN_STATE_STOPPED, 60), RUNNER_ENDED);
    assert_int_equal(judged(here, RUN_STATE_RUNNING, 60), RUNNER_SILENT); /* we live: a hung disk */
    assert_int_equal(judged(restarted, RUN_STATE_RUNNING, 60), RUNNER_GONE);
    assert_int_equal(judged(restarted, RUN_STATE_RUNNING, 1), RUNNER_THERE);
    assert_int_equal(judged(renamed, RUN_STATE_RUNNING, 60), RUNNER_SILENT);
    assert_int_equal(judged_of(renamed, RUN_STATE_RUNNING, 60, 7), RUNNER_GONE);
    assert_int_equal(judged_of(contained, RUN_STATE_RUNNING, 60, 7), RUNNER_SILENT);
}

static void put(const char *name, const char *text)
{
    char *path = file_join(folder, name);
    unlink(path);
    if (text)
        assert_int_equal(file_write(path, text, strlen(text)), ERR_OK);
    mem_free(path);
}

static void expect_error(enum err code, const char *part)
{
    struct found_status *found = mem_alloc(sizeof *found);
    enum err err = status_read(folder, found);
    if (err != code || !strstr(err_text(), part))
        fail_msg("\"%s\" (%s) does not say \"%s\"", err_text(), err_name(err), part);
    mem_free(found);
}

static void a_hostile_file_is_refused_with_its_name(void **unused)
{
    (void)unused;
    char *path = file_join(folder, "published/status.json");
    size_t size = (size_t)5 << 20;
    char *huge = mem_alloc(size + 1);
    put("published/status.json", "{\"format\":1,\"state\":\"runn");
    expect_error(ERR_DATA, "status.json:1: ");
    put("published/status.json", "");
    expect_error(ERR_DATA, "status.json");
    put("published/status.json", "{\"format\":1,\"state\":\"running\",\"stages\":\"all\"}");
    expect_error(ERR_DATA, "status.json: \"stages\"");
    memset(huge, ' ', size);
    put("published/status.json", huge);
    expect_error(ERR_DATA, "larger than");
    put("published/status.json", NULL);
    assert_int_equal(symlink("/etc/hostname", path), 0);
    expect_error(ERR_DATA, "is a link");
    put("published/status.json", NULL);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_error(ERR_DATA, "a FIFO, not a regular file");
    put("published/status.json", NULL);
    expect_error(ERR_NOT_FOUND, "is not a run's folder");
    mem_free(huge);
    mem_free(path);
}

static int setup(void **state)
{
    int failure = scratch_make(state);
    folder = *state;
    survey.count = graph.count;
    for (int i = 0; i < graph.count; i++)
        survey.stages[i].verdict = SURVEY_NEW;
    estimate.macs_per_second = 1e9;
    char *published = file_join(folder, "published");
    failure = failure ? failure : mkdir(published, 0700);
    mem_free(published);
    return failure;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(stages_are_told_with_why_they_wait),
        TEST(failures_say_when_it_is_tried_again_and_when_not),
        TEST(a_stop_file_reaches_the_runner_it_names_and_no_other),
        TEST(a_stop_file_is_whole_private_and_replaces_one_for_a_runner_that_is_gone),
        TEST(a_disk_that_is_full_ends_nothing),
        TEST(a_disk_that_hangs_holds_up_neither_the_loop_nor_the_end),
        TEST(a_runner_that_was_killed_is_seen_to_be_gone),
        TEST(an_old_status_says_nothing_of_now),
        TEST(a_hostile_file_is_refused_with_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
