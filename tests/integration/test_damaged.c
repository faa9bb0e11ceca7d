/* Damage to checkpoints: a stage goes on from the newest sound one, and ends with the same bits. */
#include "base/mem.h"
#include "tests/checkpoint/damage.h"
#include "tests/integration/scene.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Several checkpoints a stage, and all of them kept. */
#define SETS                                                                                       \
    "teacher.epochs=12", "shrink.epochs_scale=0.1", "checkpoint.every=0.1", "checkpoint.keep=50"

static void run_stage(struct scene *scene, const char *stage)
{
    struct gang_cfg cfg = {.run = "run", .ranks = 2, .stages = stage, .sets = {SETS}};
    if (scene_run(scene, &cfg) != 0)
        fail_msg("%s:\n%s", stage, scene_log_end(scene));
}

static void damage(const struct scene *scene, const char *name, enum damage kind)
{
    char folder[400];
    snprintf(folder, sizeof folder, "%s/run/checkpoints", scene->folder);
    damage_checkpoint(folder, name, kind);
}

/* Where the stage's newest life began. Every step is on record once, and none behind the last. */
static uint64_t expect_whole_metrics(const struct scene *scene, const char *stage, uint64_t last)
{
    char name[64];
    uint64_t *starts = NULL, *steps = NULL;
    snprintf(name, sizeof name, "metrics/%s.jsonl", stage);
    char *metrics = scene_read(scene, "run", name);
    int count = scene_events(metrics, "step", &steps);
    assert_int_equal(count, last);
    for (int i = 0; i < count; i++)
        assert_int_equal(steps[i], i + 1);
    int lives = scene_events(metrics, "start", &starts);
    assert_true(lives > 0);
    uint64_t start = starts[lives - 1];
    mem_free(steps);
    mem_free(starts);
    mem_free(metrics);
    return start;
}

/* The stage runs again behind damage to its final checkpoint: it goes on in the middle, says so,
 * and ends with the content it had. */
static void expect_goes_on(struct scene *scene, const char *stage, enum damage kind)
{
    char name[64], wanted[HASH_HEX_BYTES], got[HASH_HEX_BYTES];
    struct position position;
    struct hash content;
    snprintf(name, sizeof name, "%s/final", stage);
    scene_content(scene, "run", name, wanted);
    assert_true(scene_peek(scene, "run", name, &position, &content));
    damage(scene, wanted, kind);
    run_stage(scene, stage);
    scene_content(scene, "run", name, got);
    assert_string_equal(got, wanted);
    uint64_t start = expect_whole_metrics(scene, stage, position.step);
    if (start == 0 || start >= position.step)
        fail_msg("damage %d: %s began at step %llu of %llu", kind, stage, (unsigned long long)start,
                 (unsigned long long)position.step);
    char *log = scene_log(scene);
    if (!strstr(log, "damage among its checkpoints") ||
        !strstr(log, "goes on from the newest sound one"))
        fail_msg("damage %d is not said:\n%s", kind, scene_log_end(scene));
    mem_free(log);
}

static void a_damaged_final_checkpoint_is_made_again_from_a_sound_one(void **state)
{
    struct scene *scene = *state;
    run_stage(scene, "teacher");
    for (enum damage kind = DAMAGE_BLOB; kind <= DAMAGE_NO_MANIFEST; kind++)
        expect_goes_on(scene, "teacher", kind);
    run_stage(scene, "kernel"); /* and what follows finds it sound */
}

static void damage_stage(const struct scene *scene, const char *stage)
{
    char path[400], hex[HASH_HEX_BYTES];
    struct checkpoint_store *store = NULL;
    struct checkpoint_entry *entries = NULL;
    int count = 0;
    snprintf(path, sizeof path, "%s/run/checkpoints", scene->folder);
    struct checkpoint_store_cfg cfg = {.path = path, .keep = 1};
    assert_int_equal(checkpoint_store_open(&cfg, &store), ERR_OK);
    assert_int_equal(checkpoint_list(store, &entries, &count), ERR_OK);
    checkpoint_store_close(&store);
    for (int i = 0; i < count; i++)
        if (strcmp(entries[i].position.stage, stage) == 0) {
            hash_hex(&entries[i].content, hex);
            damage(scene, hex, DAMAGE_NO_BLOB);
        }
    checkpoint_entries_free(entries, count);
}

static void a_stage_whose_checkpoints_are_all_damaged_starts_over(void **state)
{
    struct scene *scene = *state;
    char wanted[HASH_HEX_BYTES], got[HASH_HEX_BYTES];
    struct position position;
    struct hash content;
    run_stage(scene, "teacher,kernel");
    scene_content(scene, "run", "kernel/final", wanted);
    assert_true(scene_peek(scene, "run", "kernel/final", &position, &content));
    damage_stage(scene, "kernel");
    run_stage(scene, "kernel");
    scene_content(scene, "run", "kernel/final", got);
    assert_string_equal(got, wanted);
    assert_int_equal(expect_whole_metrics(scene, "kernel", position.step), 0);
    char *log = scene_log(scene);
    assert_non_null(strstr(log, "it starts over"));
    mem_free(log);
}

static void a_damaged_start_names_the_stage_to_run_again(void **state)
{
    struct scene *scene = *state;
    char teacher[HASH_HEX_BYTES];
    struct gang_cfg kernel = {.run = "run", .ranks = 2, .stages = "kernel", .sets = {SETS}};
    run_stage(scene, "teacher,kernel");
    scene_content(scene, "run", "teacher/final", teacher);
    damage_stage(scene, "kernel");
    damage(scene, teacher, DAMAGE_BLOB);
    assert_int_equal(scene_run(scene, &kernel), 65);
    char *log = scene_log(scene);
    assert_non_null(strstr(log, "the final checkpoint of stage teacher is damaged"));
    assert_non_null(strstr(log, "run that stage again"));
    mem_free(log);
    run_stage(scene, "teacher,kernel");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_final_checkpoint_is_made_again_from_a_sound_one),
        cmocka_unit_test(a_stage_whose_checkpoints_are_all_damaged_starts_over),
        cmocka_unit_test(a_damaged_start_names_the_stage_to_run_again),
    };
    return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
