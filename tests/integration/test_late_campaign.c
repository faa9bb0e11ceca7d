/* A whole small campaign on the device "late" (tests/support/late_device): whatever the trainer
 * does with device memory before it may shows here, and the result is the CPU device's to the last
 * bit. */
#include "base/mem.h"
#include "tests/integration/scene.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const names[] = {"teacher", "kernel",  "depth-1",
                                    "depth-2", "width-1", "width-2"};
enum { NAMES = 6 };

static void run(struct scene *scene, const char *folder, int ranks, const char *device,
                const char *stages)
{
    char set[64];
    snprintf(set, sizeof set, "resources.device=%s", device);
    struct gang_cfg cfg = {.run = folder, .ranks = ranks, .stages = stages, .sets = {set}};
    int code = scene_run(scene, &cfg);
    if (code != 0)
        fail_msg("%d ranks on %s ended with %d:\n%s", ranks, device, code, scene_log_end(scene));
}

static void compare_checkpoints(struct scene *scene, const char *folder)
{
    char wanted[HASH_HEX_BYTES], got[HASH_HEX_BYTES], name[64];
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "%s/final", names[i]);
        scene_content(scene, "cpu", name, wanted);
        scene_content(scene, folder, name, got);
        if (strcmp(wanted, got) != 0)
            fail_msg("%s on late is %s, on the CPU device %s", name, got, wanted);
    }
}

static void compare_results(struct scene *scene, const char *folder)
{
    static const char *const results[] = {"results/evaluate.json", "results/search.json"};
    for (int i = 0; i < 2; i++) {
        char *wanted = scene_read(scene, "cpu", results[i]);
        char *got = scene_read(scene, folder, results[i]);
        assert_true(strlen(wanted) > 500);
        assert_string_equal(got, wanted);
        mem_free(wanted);
        mem_free(got);
    }
}

static const char all[] = SCENE_STAGES ",evaluate,search";

static void one_rank_ends_with_the_cpu_device_s_hashes_and_results(void **state)
{
    struct scene *scene = *state;
    run(scene, "cpu", 1, "cpu", all);
    run(scene, "late-1", 1, "late", all);
    compare_checkpoints(scene, "late-1");
    compare_results(scene, "late-1");
}

static void three_ranks_do_too(void **state)
{
    struct scene *scene = *state;
    run(scene, "late-3", 3, "late", all);
    compare_checkpoints(scene, "late-3");
    compare_results(scene, "late-3");
}

static int train_teacher(struct scene *scene, const char *folder, int ranks, const char *device)
{
    char set[64];
    snprintf(set, sizeof set, "resources.device=%s", device);
    struct gang_cfg cfg = {.run = folder,
                           .ranks = ranks,
                           .stages = "teacher",
                           .sets = {set, "teacher.epochs=12", "checkpoint.every=0.1"}};
    return scene_run(scene, &cfg);
}

static void a_killed_stage_goes_on_to_the_same_hash(void **state)
{
    struct scene *scene = *state;
    char wanted[HASH_HEX_BYTES], got[HASH_HEX_BYTES];
    uint64_t *starts = NULL;
    assert_int_equal(train_teacher(scene, "whole", 1, "cpu"), 0);
    setenv("GLOWWORM_FAULT", "checkpoint.name:5:kill", 1);
    int code = train_teacher(scene, "killed", 1, "late");
    unsetenv("GLOWWORM_FAULT");
    assert_int_not_equal(code, 0);
    assert_int_equal(train_teacher(scene, "killed", 2, "late"), 0);
    char *metrics = scene_read(scene, "killed", "metrics/teacher.jsonl");
    int count = scene_events(metrics, "start", &starts);
    assert_true(count > 0 && starts[count - 1] > 0); /* not from the beginning */
    scene_content(scene, "whole", "teacher/final", wanted);
    scene_content(scene, "killed", "teacher/final", got);
    assert_string_equal(got, wanted);
    mem_free(starts);
    mem_free(metrics);
}

static void a_device_that_is_not_there_is_refused_by_every_rank(void **state)
{
    struct scene *scene = *state;
    struct gang_cfg cfg = {
        .run = "abacus", .ranks = 2, .stages = "teacher", .sets = {"resources.device=abacus"}};
    assert_int_equal(scene_run(scene, &cfg), 69);
    char *log = scene_log(scene);
    assert_non_null(strstr(log, "there is no device \"abacus\""));
    mem_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_rank_ends_with_the_cpu_device_s_hashes_and_results),
        cmocka_unit_test(three_ranks_do_too),
        cmocka_unit_test(a_killed_stage_goes_on_to_the_same_hash),
        cmocka_unit_test(a_device_that_is_not_there_is_refused_by_every_rank),
    };
    return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
