/* A runner that was killed, and nobody starts another one: its gang stops by itself, and no step of
 * it is lost. */
#include "base/mem.h"
#include "scheduler/process.h"
#include "tests/integration/scene.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* More than can be done in the 30 s of silence. */
#define ENDLESS "teacher.epochs=100000"

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

static struct program start_run(struct scene *scene, char folder[400])
{
    const char *words[] = {GLOWWORM, "run",   scene->campaign,       "--run-folder",
                           folder,   "--set", "resources.ranks=2",   "--set",
                           ENDLESS,  "--set", "checkpoint.every=60", NULL};
    snprintf(folder, 400, "%s/lost", scene->folder);
    return program_start(words, scene->output, scene->log);
}

static char *await_metrics(struct scene *scene, struct program *run, const char *event, int count)
{
    for (int code = 0;; nap()) {
        uint64_t *steps = NULL;
        char *metrics = scene_read(scene, "lost", "metrics/teacher.jsonl");
        int found = scene_events(metrics, event, &steps);
        mem_free(steps);
        if (found >= count)
            return metrics;
        mem_free(metrics);
        if (!program_runs(run, &code))
            fail_msg("the run ended with %d:\n%s", code, scene_log_end(scene));
    }
}

static uint64_t last_of(const char *metrics, const char *event)
{
    uint64_t *steps = NULL;
    int count = scene_events(metrics, event, &steps);
    assert_true(count > 0);
    uint64_t last = steps[count - 1];
    mem_free(steps);
    return last;
}

static void kill_runner(struct scene *scene, struct program *run)
{
    mem_free(await_metrics(scene, run, "step", 5));
    kill(run->pid, SIGKILL);
    assert_int_equal(program_wait(run, SCENE_WAIT_S), 128 + SIGKILL);
}

static void a_gang_whose_runner_stays_away_saves_and_ends(void **state)
{
    struct scene *scene = *state;
    char folder[400], mark[64];
    struct position position;
    struct hash content;
    snprintf(mark, sizeof mark, "GW_TEST_LOST=%d", getpid());
    assert_int_equal(setenv("GW_TEST_LOST", mark + strlen("GW_TEST_LOST="), 1), 0);
    struct program run = start_run(scene, folder);
    kill_runner(scene, &run);
    assert_true(process_count_marked(mark) > 0);
    while (process_count_marked(mark) > 0) /* the suite's time limit ends it */
        nap();
    char *log = scene_read(scene, "lost", "logs/teacher-1.log");
    if (!strstr(log, "nothing heard from the scheduler for 30 s; stopping"))
        fail_msg("the gang does not say why it ended:\n%s", log);
    char *before = scene_read(scene, "lost", "metrics/teacher.jsonl");
    assert_true(scene_peek(scene, "lost", "teacher/latest", &position, &content));
    assert_int_equal(position.step, last_of(before, "step"));
    run = start_run(scene, folder);
    char *after = await_metrics(scene, &run, "start", 2);
    assert_int_equal(last_of(after, "start"), position.step);
    kill(run.pid, SIGINT);
    assert_int_equal(program_wait(&run, SCENE_WAIT_S), 130);
    assert_int_equal(process_count_marked(mark), 0);
    mem_free(after);
    mem_free(before);
    mem_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gang_whose_runner_stays_away_saves_and_ends),
    };
    return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
