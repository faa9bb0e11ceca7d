/* Whole small trainings of spaces that no configs/spaces file has: widths that are no multiple of
 * 8, and zeros as TensorFlow puts them. */
#include "base/mem.h"
#include "tests/integration/scene.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void train(struct scene *scene, const char *run, int ranks, const char *space)
{
    char set[64];
    snprintf(set, sizeof set, "space=tests/spaces/%s.yaml", space);
    struct gang_cfg cfg = {.run = run,
                           .ranks = ranks,
                           .stages = SCENE_STAGES ",evaluate",
                           .sets = {set, "search.targets=[]"}};
    int code = scene_run(scene, &cfg);
    if (code != 0)
        fail_msg("%s on %d ranks ended with %d:\n%s", space, ranks, code, scene_log_end(scene));
}

static void expect_trained(struct scene *scene, const char *space)
{
    char one[64], three[64], wanted[HASH_HEX_BYTES], got[HASH_HEX_BYTES];
    snprintf(one, sizeof one, "%s-1", space);
    snprintf(three, sizeof three, "%s-3", space);
    train(scene, one, 1, space);
    train(scene, three, 3, space);
    scene_content(scene, one, "width-2/final", wanted);
    scene_content(scene, three, "width-2/final", got);
    assert_string_equal(got, wanted);
    char *results = scene_read(scene, one, "results/evaluate.json");
    assert_true(strlen(results) > 500);
    mem_free(results);
}

static void odd_widths_are_trained_calibrated_and_measured(void **state)
{
    expect_trained(*state, "odd");
    expect_trained(*state, "odd-gated");
}

static void tensorflow_s_padding_is_trained_calibrated_and_measured(void **state)
{
    expect_trained(*state, "tf");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_widths_are_trained_calibrated_and_measured),
        cmocka_unit_test(tensorflow_s_padding_is_trained_calibrated_and_measured),
    };
    return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
