/* A rank that is stopped (SIGSTOP) in a real gang: the scheduler names it and starts another gang,
 * and the result is that of an undisturbed run. */
#include "base/mem.h"
#include "tests/integration/scene.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define LONG "teacher.epochs=60", "checkpoint.every=0.2"

/* A rank of the gang that computes now; 0: none does, or the run has ended. */
static pid_t find_rank(struct program *run, int rank)
{
    struct program mpirun = {0};
    pid_t ranks[2];
    int code = 0;
    if (!program_runs(run, &code) || program_children(run, &mpirun.pid, 1) != 1 ||
        program_children(&mpirun, ranks, 2) != 2)
        return 0;
    return ranks[rank];
}

/* Waits until the teacher has a checkpoint behind *step, and stops a rank of its gang. */
static void stop_rank(struct scene *scene, struct program *run, int rank, uint64_t *step)
{
    struct position position = {0};
    struct hash content;
    int code = 0;
    pid_t pid = 0;
    while (program_runs(run, &code) && pid == 0) {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        if (scene_peek(scene, "stopped", "teacher/latest", &position, &content) &&
            position.step > *step && !position.is_final)
            pid = find_rank(run, rank);
    }
    if (pid == 0)
        fail_msg("the run ended before rank %d could be stopped:\n%s", rank, scene_log_end(scene));
    kill(pid, SIGSTOP);
    *step = position.step;
}

static void expect_named(const struct scene *scene, int rank)
{
    char words[64];
    char *log = scene_log(scene);
    snprintf(words, sizeof words, "ended by us: rank %d (process ", rank);
    const char *at = strstr(log, words);
    if (!at || !strstr(at, "has been silent for"))
        fail_msg("rank %d is not named:\n%s", rank, scene_log_end(scene));
    mem_free(log);
}

static void a_stopped_rank_is_named_and_its_gang_replaced(void **state)
{
    struct scene *scene = *state;
    static const char *const finals[] = {"teacher/final", "width-2/final"};
    char folder[400], wanted[HASH_HEX_BYTES], got[HASH_HEX_BYTES];
    struct gang_cfg whole = {.run = "whole", .ranks = 1, .stages = SCENE_STAGES, .sets = {LONG}};
    uint64_t step = 0;
    assert_int_equal(scene_run(scene, &whole), 0);
    snprintf(folder, sizeof folder, "%s/stopped", scene->folder);
    const char *sets[] = {LONG, "resources.ranks=2", "resources.stall=4s"};
    const char *words[5 + 2 * 4 + 1] = {GLOWWORM, "run", scene->campaign, "--run-folder", folder};
    for (int i = 0; i < 4; i++) {
        words[5 + 2 * i] = "--set";
        words[6 + 2 * i] = sets[i];
    }
    struct program run = program_start(words, scene->output, scene->log);
    stop_rank(scene, &run, 1, &step);
    stop_rank(scene, &run, 0, &step); /* of the gang that took its place */
    if (program_wait(&run, SCENE_WAIT_S) != 0)
        fail_msg("the run does not end well:\n%s", scene_log_end(scene));
    expect_named(scene, 0);
    expect_named(scene, 1);
    for (int i = 0; i < 2; i++) {
        scene_content(scene, "whole", finals[i], wanted);
        scene_content(scene, "stopped", finals[i], got);
        assert_string_equal(got, wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stopped_rank_is_named_and_its_gang_replaced),
    };
    return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
