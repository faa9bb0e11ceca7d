/* A gang killed in the middle of a search: the next one measures the rest. */
#include "base/mem.h"
#include "tests/integration/scene.h"
#include "trainer/checkpoint/measurement.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KILLED_AT "18" /* this many are begun, one fewer measured */
enum { MEASURED = 17 };

/* What the newest search on record said in the end. */
static void read_counts(struct scene *scene, int *measured, int *reused)
{
    static const char mark[] = " measured=";
    char *log = scene_log(scene), *last = NULL;
    for (char *at = log; (at = strstr(at, mark)); at++)
        last = at;
    assert_non_null(last);
    *measured = (int)strtol(last + strlen(mark), NULL, 10);
    char *rest = strstr(last, " reused=");
    assert_non_null(rest);
    *reused = (int)strtol(rest + strlen(" reused="), NULL, 10);
    mem_free(log);
}

static int run(struct scene *scene, const char *folder, int ranks, const char *stages)
{
    struct gang_cfg cfg = {
        .run = folder, .ranks = ranks, .stages = stages, .sets = {"search.evaluations=24"}};
    return scene_run(scene, &cfg);
}

static void must_run(struct scene *scene, const char *folder, int ranks, const char *stages)
{
    int code = run(scene, folder, ranks, stages);
    if (code != 0)
        fail_msg("%s on %d ranks ended with %d:\n%s", stages, ranks, code, scene_log_end(scene));
}

static void a_killed_search_measures_the_rest_on_another_number_of_ranks(void **state)
{
    struct scene *scene = *state;
    int whole = 0, known = 0, rest = 0, reused = 0;
    must_run(scene, "whole", 1, SCENE_STAGES);
    must_run(scene, "whole", 1, "search");
    read_counts(scene, &whole, &known);
    must_run(scene, "killed", 2, SCENE_STAGES);
    setenv("GLOWWORM_FAULT", "evaluate.measure:" KILLED_AT ":kill", 1);
    int code = run(scene, "killed", 2, "search");
    unsetenv("GLOWWORM_FAULT");
    assert_int_not_equal(code, 0);
    char *none = scene_read(scene, "killed", "results/search.json");
    assert_string_equal(none, "");
    must_run(scene, "killed", 3, "search");
    read_counts(scene, &rest, &reused);
    print_message("%d measured before the kill, %d of them behind it\n", MEASURED, reused - known);
    assert_int_equal(rest + reused, whole + known);
    assert_in_range(reused - known, MEASURED - MEASUREMENT_BATCH, MEASURED);
    char *wanted = scene_read(scene, "whole", "results/search.json");
    char *got = scene_read(scene, "killed", "results/search.json");
    assert_true(strlen(wanted) > 500);
    assert_int_equal(strlen(got), strlen(wanted));
    assert_memory_equal(got, wanted, strlen(wanted));
    mem_free(none);
    mem_free(wanted);
    mem_free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_search_measures_the_rest_on_another_number_of_ranks),
    };
    return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
