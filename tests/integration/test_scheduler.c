/* glowworm-scheduler with real campaigns: submitted by the command, trained, stopped for others,
 * and killed with its runners, to the same weights. */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cluster/status/status_reader.h"
#include "scheduler/process.h"
#include "tests/integration/scene.h"
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define FINAL "width-2/final"

struct bench { /* a scene with a scheduler */
    struct scene *scene;
    char folder[300];
    struct program scheduler;
};

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
}

static void start_scheduler(struct bench *bench)
{
    const char *words[] = {SCHEDULER, "--folder", bench->folder, "--cores", "1", NULL};
    bench->scheduler = program_start(words, bench->scene->output, bench->scene->log);
}

static int ask(struct bench *bench, const char *const *words)
{
    struct program program = program_start(words, bench->scene->output, bench->scene->log);
    return program_wait(&program, SCENE_WAIT_S);
}

/* As soon as it listens. */
static void submit(struct bench *bench, const char *run, const char *priority)
{
    char folder[600];
    const char *words[] = {GLOWWORM,
                           "submit",
                           bench->scene->campaign,
                           "--folder",
                           bench->folder,
                           "--run-folder",
                           folder,
                           "--priority",
                           priority,
                           "--set",
                           "resources.threads=1",
                           NULL};
    snprintf(folder, sizeof folder, "%s/%s", bench->scene->folder, run);
    double end_s = clock_seconds() + SCENE_WAIT_S;
    int code = ask(bench, words);
    for (; code == 69 && clock_seconds() < end_s; nap())
        code = ask(bench, words);
    if (code != 0)
        fail_msg("submit ended with %d:\n%s", code, scene_log_end(bench->scene));
}

/* The listing; NULL: nobody answers. Returns owned. */
static json_t *list(struct bench *bench)
{
    char output[400];
    const char *words[] = {GLOWWORM, "queue", "--json", "--folder", bench->folder, NULL};
    snprintf(output, sizeof output, "%s/listing", bench->scene->folder);
    unlink(output);
    struct program program = program_start(words, output, bench->scene->log);
    if (program_wait(&program, SCENE_WAIT_S) != 0)
        return NULL;
    json_t *json = json_load_file(output, 0, NULL);
    assert_non_null(json);
    return json;
}

struct seen {
    char state[16];
    int64_t pid;
    int starts;
};

static bool look(struct bench *bench, int id, struct seen *seen)
{
    json_t *json = list(bench);
    const json_t *one = json_array_get(json_object_get(json, "campaigns"), (size_t)id - 1);
    if (one) {
        snprintf(seen->state, sizeof seen->state, "%s",
                 json_string_value(json_object_get(one, "state")));
        seen->pid = json_integer_value(json_object_get(one, "pid"));
        seen->starts = (int)json_integer_value(json_object_get(one, "starts"));
    }
    json_decref(json);
    return one != NULL;
}

static void await(struct bench *bench, int id, const char *state)
{
    struct seen seen = {0};
    for (double end_s = clock_seconds() + SCENE_WAIT_S; strcmp(seen.state, state) != 0; nap()) {
        if (clock_seconds() > end_s || strcmp(seen.state, "failed") == 0)
            fail_msg("campaign %d is %s, not %s:\n%s", id, seen.state, state,
                     scene_log_end(bench->scene));
        look(bench, id, &seen);
    }
}

/* A stage of it trains: what is stopped then has to go on in the middle. */
static void await_training(struct bench *bench, const char *run)
{
    double end_s = clock_seconds() + SCENE_WAIT_S;
    for (int count = 0; count < 2; nap()) {
        uint64_t *steps = NULL;
        char *metrics = scene_read(bench->scene, run, "metrics/teacher.jsonl");
        count = scene_events(metrics, "step", &steps);
        mem_free(steps);
        mem_free(metrics);
        if (clock_seconds() > end_s)
            fail_msg("%s does not train:\n%s", run, scene_log_end(bench->scene));
    }
}

static int set_up(void **state)
{
    struct bench *bench = mem_alloc(sizeof *bench);
    void *scene = NULL;
    if (scene_make(&scene) != 0)
        return -1;
    bench->scene = scene;
    snprintf(bench->folder, sizeof bench->folder, "%s/scheduler", bench->scene->folder);
    start_scheduler(bench);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    void *scene = bench->scene;
    int code = 0;
    if (program_runs(&bench->scheduler, &code))
        kill(bench->scheduler.pid, SIGTERM);
    program_wait(&bench->scheduler, SCENE_WAIT_S);
    mem_free(bench);
    return scene_remove(&scene);
}

static void expect_equal(struct bench *bench, const char *run, const char *undisturbed)
{
    char left[HASH_HEX_BYTES], right[HASH_HEX_BYTES];
    scene_content(bench->scene, run, FINAL, left);
    scene_content(bench->scene, undisturbed, FINAL, right);
    assert_string_equal(left, right);
}

/* The one core there is goes to the urgent one in the middle of the other's training. */
static void one_that_gave_way_ends_with_the_weights_of_an_undisturbed_one(void **state)
{
    struct bench *bench = *state;
    struct seen seen;
    submit(bench, "patient", "0");
    await_training(bench, "patient");
    submit(bench, "urgent", "7");
    await(bench, 2, "running");
    await(bench, 1, "waiting");
    await(bench, 2, "done");
    await(bench, 1, "done");
    assert_true(look(bench, 1, &seen));
    assert_int_equal(seen.starts, 2);
    expect_equal(bench, "patient", "urgent");
}

static int attempts_of(struct bench *bench, const char *run)
{
    char folder[600];
    int most = 0;
    struct found_status *found = mem_alloc(sizeof *found);
    snprintf(folder, sizeof folder, "%s/%s", bench->scene->folder, run);
    assert_int_equal(status_read_published(folder, found), ERR_OK);
    for (int i = 0; i < found->status.stage_count; i++)
        if (found->status.stages[i].attempts > most)
            most = (int)found->status.stages[i].attempts;
    mem_free(found);
    return most;
}

static void kill_scheduler(struct bench *bench)
{
    kill(bench->scheduler.pid, SIGKILL);
    assert_int_equal(program_wait(&bench->scheduler, SCENE_WAIT_S), 128 + SIGKILL);
}

static void a_scheduler_that_is_killed_costs_no_step(void **state)
{
    struct bench *bench = *state;
    struct seen first, seen;
    submit(bench, "one", "0");
    submit(bench, "two", "0");
    await(bench, 1, "running");
    assert_true(look(bench, 1, &first));
    for (uint64_t i = 0; i < 5; i++) {
        for (uint64_t naps = rng_below(rng(5, RNG_TEST, i, 0, 0), 10); naps > 0; naps--)
            nap();
        kill_scheduler(bench);
        start_scheduler(bench);
        double end_s = clock_seconds() + SCENE_WAIT_S;
        while (!look(bench, 1, &seen) && clock_seconds() < end_s)
            nap();
        if (strcmp(seen.state, "running") == 0)
            assert_int_equal(seen.pid, first.pid);
    }
    await(bench, 2, "done");
    for (int id = 1; id <= 2; id++) {
        assert_true(look(bench, id, &seen));
        assert_string_equal(seen.state, "done");
        assert_int_equal(seen.starts, 1);
    }
    assert_int_equal(attempts_of(bench, "one"), 1);
    assert_int_equal(attempts_of(bench, "two"), 1);
    expect_equal(bench, "one", "two");
}

static void a_runner_that_is_killed_goes_on(void **state)
{
    struct bench *bench = *state;
    struct seen seen;
    submit(bench, "one", "0");
    await_training(bench, "one");
    assert_true(look(bench, 1, &seen));
    kill((pid_t)seen.pid, SIGKILL);
    await(bench, 1, "done");
    assert_true(look(bench, 1, &seen));
    assert_int_equal(seen.starts, 2);
}

static void a_cancelled_run_stays_so_and_a_wrong_campaign_is_refused_at_once(void **state)
{
    struct bench *bench = *state;
    char folder[600], run[600];
    const char *cancel[] = {GLOWWORM, "cancel", run, "--wait", NULL};
    const char *wrong[] = {
        GLOWWORM, "submit", bench->scene->campaign, "--folder", bench->folder, "--run-folder",
        folder,   "--set",  "batch.micro=7",        NULL};
    snprintf(run, sizeof run, "%s/one", bench->scene->folder);
    snprintf(folder, sizeof folder, "%s/wrong", bench->scene->folder);
    submit(bench, "one", "0");
    assert_int_equal(ask(bench, wrong), 78);
    await_training(bench, "one");
    assert_int_equal(ask(bench, cancel), 0);
    await(bench, 1, "cancelled");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_that_gave_way_ends_with_the_weights_of_an_undisturbed_one),
        TEST(a_scheduler_that_is_killed_costs_no_step),
        TEST(a_runner_that_is_killed_goes_on),
        TEST(a_cancelled_run_stays_so_and_a_wrong_campaign_is_refused_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
