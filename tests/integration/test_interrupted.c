/* Stops, kills and numbers that go wrong: what is lost, and what is found again. */
#include "base/mem.h"
#include "base/rng.h"
#include "tests/integration/scene.h"
#include <regex.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* Long enough to be hit several times: about 400 steps a stage, a checkpoint every 0.2 s. */
#define LONG    "teacher.epochs=40", "shrink.epochs_scale=0.33", "checkpoint.every=0.2"
#define EVERY_S 0.2
#define WRITE_S 0.5 /* of a checkpoint that was under way when the kill came, on a busy machine */

static const char *const names[] = {"teacher", "kernel", "depth-2", "width-2"};
static const char *const between[] = {NULL, NULL, "depth-1", "width-1"}; /* in front of each */
#define NAMES 4

static void pause_ms(uint64_t ms)
{
    nanosleep(
        &(struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000},
        NULL);
}

static char *metrics_of(const struct scene *scene, const char *run, const char *stage)
{
    char name[64];
    snprintf(name, sizeof name, "metrics/%s.jsonl", stage);
    return scene_read(scene, run, name);
}

/* Waits until a stage has a durable checkpoint behind `step`; false: the program ended first. */
static bool wait_for_checkpoint(struct scene *scene, struct program *program, const char *run,
                                const char *stage, uint64_t step, uint64_t *found)
{
    char name[64];
    int code = 0;
    struct position position;
    struct hash content;
    snprintf(name, sizeof name, "%s/latest", stage);
    while (program_runs(program, &code)) {
        if (scene_peek(scene, run, name, &position, &content) && position.step > step &&
            !position.is_final) {
            *found = position.step;
            return true;
        }
        pause_ms(10);
    }
    return false;
}

/* Seconds of the steps behind `step`: what a resume from there computes again. */
static double repeated_seconds(const char *metrics, uint64_t step)
{
    double seconds = 0;
    static const char head[] = "{\"event\":\"step\",\"step\":", field[] = "\"seconds\":";
    for (const char *line = metrics; (line = strstr(line, head)); line++) {
        const char *value = strstr(line, field);
        if (value && strtoull(line + sizeof head - 1, NULL, 10) > step)
            seconds += strtod(value + sizeof field - 1, NULL);
    }
    return seconds;
}

/* The newest start: at a step above 0, at the checkpoint known to be durable or behind it, with no
 * more than an interval (and the write that was under way) computed again. */
static void check_resume(const char *before, const char *after, uint64_t durable, const char *stage)
{
    uint64_t *starts = NULL;
    int count = scene_events(after, "start", &starts);
    assert_true(count > 0);
    uint64_t resumed = starts[count - 1];
    mem_free(starts);
    if (resumed == 0 || resumed < durable)
        fail_msg("%s resumed at step %llu, the durable checkpoint was at %llu", stage,
                 (unsigned long long)resumed, (unsigned long long)durable);
    double again = repeated_seconds(before, resumed);
    if (again > EVERY_S + WRITE_S)
        fail_msg("%s repeats %.3f s of steps behind step %llu", stage, again,
                 (unsigned long long)resumed);
}

/* Waits until this program has said where it starts, the so many'th that does: a checkpoint that is
 * found before may be of the one that was killed. */
static bool wait_for_start(struct scene *scene, struct program *program, const char *stage, int nth)
{
    int code = 0;
    while (program_runs(program, &code)) {
        uint64_t *starts = NULL;
        char *metrics = metrics_of(scene, "killed", stage);
        int count = scene_events(metrics, "start", &starts);
        mem_free(starts);
        mem_free(metrics);
        if (count >= nth)
            return true;
        pause_ms(10);
    }
    return false;
}

/* kill -9 of one rank, a little behind a new durable checkpoint; false: the stage ended before. */
static bool kill_once(struct scene *scene, struct program *program, const char *stage, int nth,
                      uint64_t *durable, uint64_t seed)
{
    pid_t ranks[8];
    if (!wait_for_start(scene, program, stage, nth) ||
        !wait_for_checkpoint(scene, program, "killed", stage, *durable, durable))
        return false;
    pause_ms(rng_below(rng(seed, RNG_TEST, 0, 0, 0), 150));
    int count = program_children(program, ranks, 8);
    if (count == 0)
        return false;
    kill(ranks[rng_below(rng(seed, RNG_TEST, 1, 0, 0), (uint32_t)count)], SIGKILL);
    return program_wait(program, SCENE_WAIT_S) != 0;
}

/* Runs a stage to its end, with so many kills on the way; returns how many hit. */
static int kill_in_stage(struct scene *scene, const char *stage, int kills, uint64_t seed)
{
    struct gang_cfg cfg = {.run = "killed", .ranks = 2, .stages = stage, .sets = {LONG}};
    char *before = NULL;
    uint64_t durable = 0;
    for (int done = 0;; done++) {
        uint64_t known = durable;
        struct program program = scene_start(scene, &cfg);
        bool is_hit = done < kills &&
                      kill_once(scene, &program, stage, done + 1, &durable, seed + (uint64_t)done);
        int code = is_hit ? 0 : program_wait(&program, SCENE_WAIT_S);
        char *after = metrics_of(scene, "killed", stage);
        if (code != 0)
            fail_msg("%s ended with %d:\n%s", stage, code, scene_log_end(scene));
        if (before)
            check_resume(before, after, known, stage);
        mem_free(before);
        before = after;
        if (!is_hit) {
            mem_free(before);
            return done;
        }
    }
}

/* A short stage that is not hit. */
static void run_whole(struct scene *scene, const char *stage)
{
    struct gang_cfg cfg = {.run = "killed", .ranks = 2, .stages = stage, .sets = {LONG}};
    if (stage && scene_run(scene, &cfg) != 0)
        fail_msg("%s does not end:\n%s", stage, scene_log_end(scene));
}

static void kills_in_every_stage_change_no_bit(void **state)
{
    struct scene *scene = *state;
    struct gang_cfg whole = {.run = "whole", .ranks = 1, .stages = SCENE_STAGES, .sets = {LONG}};
    char wanted[HASH_HEX_BYTES], got[HASH_HEX_BYTES];
    int kills = 0;
    if (scene_run(scene, &whole) != 0)
        fail_msg("%s", scene_log_end(scene));
    for (int i = 0; i < NAMES; i++) {
        run_whole(scene, between[i]);
        int hit = kill_in_stage(scene, names[i], 2, 40 + (uint64_t)i);
        if (hit == 0)
            fail_msg("stage %s ended before it could be killed", names[i]);
        kills += hit;
    }
    assert_true(kills >= 5);
    scene_content(scene, "whole", "width-2/final", wanted);
    scene_content(scene, "killed", "width-2/final", got);
    assert_string_equal(got, wanted);
}

static void a_stop_by_signal_loses_no_step(void **state)
{
    struct scene *scene = *state;
    struct gang_cfg cfg = {.run = "stopped", .ranks = 2, .stages = "teacher", .sets = {LONG}};
    struct program program = scene_start(scene, &cfg);
    uint64_t durable = 0, *steps = NULL;
    pid_t ranks[8];
    assert_true(wait_for_checkpoint(scene, &program, "stopped", "teacher", 0, &durable));
    assert_int_equal(program_children(&program, ranks, 8), 2);
    kill(ranks[1], SIGTERM); /* one rank hears it, all stop */
    int code = program_wait(&program, SCENE_WAIT_S);
    if (code != 130) {
        char *log = scene_read(scene, ".", "log"); /* whole: longer than cmocka's messages */
        fprintf(stderr, "%s\n", log);
        fail_msg("a stop ended with %d (mpirun itself: signal %d)", code, program.signal);
    }
    struct position position;
    struct hash content;
    char *metrics = metrics_of(scene, "stopped", "teacher");
    int count = scene_events(metrics, "step", &steps);
    assert_true(scene_peek(scene, "stopped", "teacher/latest", &position, &content));
    assert_int_equal(position.step, steps[count - 1]);
    mem_free(steps);
    mem_free(metrics);
    assert_int_equal(scene_run(scene, &cfg), 0);
    metrics = metrics_of(scene, "stopped", "teacher");
    count = scene_events(metrics, "step", &steps);
    for (int i = 0; i < count; i++) /* each step once: none lost, none repeated */
        assert_int_equal(steps[i], i + 1);
    assert_true(scene_peek(scene, "stopped", "teacher/final", &position, &content));
    assert_int_equal(count, position.step);
    mem_free(steps);
    mem_free(metrics);
}

static void numbers_that_explode_stop_the_stage_and_spare_the_checkpoint(void **state)
{
    struct scene *scene = *state;
    /* steps long enough for a checkpoint in front of the explosion */
    struct gang_cfg teacher = {.run = "exploded",
                               .ranks = 2,
                               .stages = "teacher",
                               .sets = {"resolutions=[96]", "search.targets=[]"}};
    struct gang_cfg kernel = {.run = "exploded",
                              .ranks = 2,
                              .stages = "kernel",
                              .sets = {"resolutions=[96]", "search.targets=[]",
                                       "shrink.rate_scale=1000", "shrink.epochs_scale=0.1",
                                       "evaluate.every_epochs=100", "checkpoint.every=0.1"}};
    static const char where[] = "stage kernel, step ([0-9]+): .*(first at|gradient of|weight of|"
                                "momentum of) (the teacher's )?(blocks|first_conv|final_expand|"
                                "feature_mix|classifier)";
    struct position position;
    struct hash content;
    regex_t regex;
    regmatch_t found[2];
    assert_int_equal(scene_run(scene, &teacher), 0);
    assert_int_equal(scene_run(scene, &kernel), 65);
    char *log = scene_log(scene);
    assert_int_equal(regcomp(&regex, where, REG_EXTENDED | REG_NEWLINE), 0);
    if (regexec(&regex, log, 2, found, 0) != 0)
        fail_msg("the log names no step and layer:\n%s", scene_log_end(scene));
    assert_true(scene_peek(scene, "exploded", "kernel/latest", &position, &content));
    assert_false(position.is_final);
    assert_in_range(position.step, 1, strtoull(log + found[1].rm_so, NULL, 10) - 1);
    assert_int_equal(scene_run(scene, &kernel), 65); /* it is whole: the stage goes on from it */
    char *metrics = metrics_of(scene, "exploded", "kernel");
    uint64_t *starts = NULL;
    int count = scene_events(metrics, "start", &starts);
    assert_true(count > 0 && starts[count - 1] >= position.step);
    regfree(&regex);
    mem_free(starts);
    mem_free(metrics);
    mem_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_by_signal_loses_no_step),
        cmocka_unit_test(numbers_that_explode_stop_the_stage_and_spare_the_checkpoint),
        cmocka_unit_test(kills_in_every_stage_change_no_bit),
    };
    return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
