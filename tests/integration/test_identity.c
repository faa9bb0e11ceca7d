/* The answer does not depend on how many machines, threads or loaders computed it (DESIGN sec. 3).
 */
#include "base/mem.h"
#include "tests/integration/scene.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const names[] = {"teacher", "kernel",  "depth-1",
                                    "depth-2", "width-1", "width-2"};
#define NAMES 6

static void train(struct scene *scene, const char *run, int ranks, const char *threads,
                  const char *loaders)
{
    char compute[64], load[64];
    snprintf(compute, sizeof compute, "resources.threads=%s", threads);
    snprintf(load, sizeof load, "resources.loader_threads=%s", loaders);
    struct gang_cfg cfg = {
        .run = run, .ranks = ranks, .stages = SCENE_STAGES, .sets = {compute, load}};
    int code = scene_run(scene, &cfg);
    if (code != 0)
        fail_msg("%d ranks ended with %d:\n%s", ranks, code, scene_log_end(scene));
}

static void compare(struct scene *scene, const char *left, const char *right)
{
    char wanted[HASH_HEX_BYTES], got[HASH_HEX_BYTES], name[64];
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "%s/final", names[i]);
        scene_content(scene, left, name, wanted);
        scene_content(scene, right, name, got);
        if (strcmp(wanted, got) != 0)
            fail_msg("%s of %s is %s, of %s it is %s", name, left, wanted, right, got);
    }
}

/* Every step's micro-batches: 6 leaves, each by exactly one rank. */
static void check_leaves(struct scene *scene, const char *run, int ranks)
{
    for (int i = 0; i < NAMES; i++) {
        char name[64];
        uint64_t *steps = NULL;
        snprintf(name, sizeof name, "metrics/%s.jsonl", names[i]);
        char *metrics = scene_read(scene, run, name);
        int count = scene_events(metrics, "step", &steps), found = 0;
        const char *list = strstr(metrics, "\"leaves_by_rank\":[");
        long sum = 0;
        assert_non_null(list);
        for (char *end = (char *)strchr(list, '['); *end != ']'; found++) {
            long leaves = strtol(end + 1, &end, 10);
            assert_in_range(leaves, 6 / ranks * count, (6 + ranks - 1) / ranks * count);
            sum += leaves;
        }
        assert_int_equal(found, ranks);
        if (sum != 6L * count)
            fail_msg("%s on %d ranks: %ld micro-batches in %d steps of 6", names[i], ranks, sum,
                     count);
        mem_free(steps);
        mem_free(metrics);
    }
}

static void one_to_four_ranks_make_the_same_checkpoints(void **state)
{
    struct scene *scene = *state;
    train(scene, "alone", 1, "1", "1");
    check_leaves(scene, "alone", 1);
    for (int ranks = 2; ranks <= 4; ranks++) {
        char run[16];
        snprintf(run, sizeof run, "ranks-%d", ranks);
        train(scene, run, ranks, "1", "1");
        compare(scene, "alone", run);
        check_leaves(scene, run, ranks);
    }
}

static void compute_and_loader_threads_leave_no_trace(void **state)
{
    struct scene *scene = *state;
    train(scene, "threads-2", 1, "2", "3");
    compare(scene, "alone", "threads-2");
    train(scene, "threads-3", 2, "3", "2");
    compare(scene, "alone", "threads-3");
}

static void evaluation_and_search_give_every_gang_the_same_numbers(void **state)
{
    struct scene *scene = *state;
    static const char *const results[] = {"results/evaluate.json", "results/search.json"};
    struct gang_cfg one = {.run = "alone", .ranks = 1, .stages = "evaluate,search"};
    struct gang_cfg three = {.run = "ranks-3", .ranks = 3, .stages = "evaluate,search"};
    assert_int_equal(scene_run(scene, &one), 0);
    assert_int_equal(scene_run(scene, &three), 0);
    for (int i = 0; i < 2; i++) {
        char *left = scene_read(scene, "alone", results[i]);
        char *right = scene_read(scene, "ranks-3", results[i]);
        assert_true(strlen(left) > 500);
        assert_string_equal(left, right);
        mem_free(left);
        mem_free(right);
    }
}

/* The last evaluation that the width-2 stage wrote: its list of sub-networks. */
static json_t *last_grid(const struct scene *scene, const char *run)
{
    char *metrics = scene_read(scene, run, "metrics/width-2.jsonl");
    const char *last = NULL;
    for (char *at = metrics; (at = strstr(at, "{\"event\":\"evaluate\"")); at++)
        last = at;
    assert_non_null(last);
    json_t *event = json_loads(last, JSON_DISABLE_EOF_CHECK, NULL);
    json_t *list = json_incref(json_object_get(event, "subnets"));
    json_decref(event);
    mem_free(metrics);
    return list;
}

/* Training's own evaluation, in the step's memory, and the stage's: the same calibration. */
static void training_and_the_stage_behind_it_measure_the_same(void **state)
{
    struct scene *scene = *state;
    size_t i = 0;
    json_t *row = NULL, *grid = last_grid(scene, "ranks-3");
    char *text = scene_read(scene, "alone", "results/evaluate.json");
    json_t *results = json_loads(text, 0, NULL), *rows = json_object_get(results, "subnets");
    assert_int_equal(json_array_size(grid), 8);
    assert_int_equal(json_array_size(rows), 8);
    json_array_foreach(grid, i, row)
    {
        const json_t *other = json_array_get(rows, i), *score = json_object_get(other, "holdout");
        assert_string_equal(json_string_value(json_object_get(row, "subnet")),
                            json_string_value(json_object_get(other, "subnet")));
        assert_float_equal(json_real_value(json_object_get(row, "loss")),
                           json_real_value(json_object_get(score, "loss")), 1e-8);
        assert_float_equal(json_real_value(json_object_get(row, "accuracy")),
                           json_real_value(json_object_get(score, "accuracy")), 1e-8);
    }
    json_decref(grid);
    json_decref(results);
    mem_free(text);
}

static void a_stage_that_is_done_is_not_done_again(void **state)
{
    struct scene *scene = *state;
    char before[HASH_HEX_BYTES], after[HASH_HEX_BYTES];
    char *metrics = scene_read(scene, "alone", "metrics/kernel.jsonl");
    scene_content(scene, "alone", "kernel/final", before);
    struct gang_cfg cfg = {.run = "alone", .ranks = 2, .stages = "kernel"};
    assert_int_equal(scene_run(scene, &cfg), 0);
    scene_content(scene, "alone", "kernel/final", after);
    assert_string_equal(before, after);
    char *again = scene_read(scene, "alone", "metrics/kernel.jsonl");
    assert_string_equal(metrics, again);
    mem_free(metrics);
    mem_free(again);
}

static void more_ranks_than_micro_batches_are_refused(void **state)
{
    struct scene *scene = *state;
    struct gang_cfg cfg = {.run = "crowd", .ranks = 7, .stages = "teacher"};
    assert_int_equal(scene_run(scene, &cfg), 78);
    char *log = scene_log(scene);
    assert_non_null(strstr(log, "7 ranks for 6 micro-batches"));
    mem_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_to_four_ranks_make_the_same_checkpoints),
        cmocka_unit_test(compute_and_loader_threads_leave_no_trace),
        cmocka_unit_test(evaluation_and_search_give_every_gang_the_same_numbers),
        cmocka_unit_test(training_and_the_stage_behind_it_measure_the_same),
        cmocka_unit_test(a_stage_that_is_done_is_not_done_again),
        cmocka_unit_test(more_ranks_than_micro_batches_are_refused),
    };
    return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
