/* A gang killed in the middle of a search: the next one measures the rest. */
#include "base/mem.h"
#include "tests/integration/scene.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KILLED_AT "18" /* this many are begun, one fewer measured */
enum { MEASURED = 17, MEASURED_LATE = 8, MAX_SETS = 4 };

static struct program start_run(struct scene *scene, const char *name, const char *const *sets)
{
    char folder[400];
    const char *words[7 + 2 * MAX_SETS + 1] = {
        GLOWWORM, "run", scene->campaign, "--run-folder", folder, "--set", "search.evaluations=24"};
    snprintf(folder, sizeof folder, "%s/%s", scene->folder, name);
    for (int i = 0; i < MAX_SETS && sets[i]; i++) {
        words[7 + 2 * i] = "--set";
        words[8 + 2 * i] = sets[i];
    }
    return program_start(words, scene->output, scene->log);
}

static void must_end(struct scene *scene, struct program *run)
{
    int code = program_wait(run, SCENE_WAIT_S);
    if (code != 0)
        fail_msg("the run ended with %d:\n%s", code, scene_log_end(scene));
}

static void must_run(struct scene *scene, const char *name, const char *const *sets)
{
    struct program run = start_run(scene, name, sets);
    must_end(scene, &run);
}

/* How many measurements of a stage its log says were reused, behind a number of others. */
static void read_counts(struct scene *scene, const char *run, const char *log, int *measured,
                        int *reused)
{
    static const char mark[] = " measured=";
    char *text = scene_read(scene, run, log), *last = NULL;
    for (char *at = text; (at = strstr(at, mark)); at++)
        last = at;
    if (!last)
        fail_msg("%s says nothing of what was measured:\n%s", log, text);
    *measured = (int)strtol(last + strlen(mark), NULL, 10);
    char *rest = strstr(last, " reused=");
    assert_non_null(rest);
    *reused = (int)strtol(rest + strlen(" reused="), NULL, 10);
    mem_free(text);
}

static void expect_same_file(struct scene *scene, const char *left, const char *right,
                             const char *name)
{
    char *wanted = scene_read(scene, left, name), *got = scene_read(scene, right, name);
    assert_true(strlen(wanted) > 500);
    assert_int_equal(strlen(got), strlen(wanted));
    assert_memory_equal(got, wanted, strlen(wanted));
    mem_free(wanted);
    mem_free(got);
}

static void expect_same_results(struct scene *scene, const char *left, const char *right)
{
    char wanted[HASH_HEX_BYTES], got[HASH_HEX_BYTES];
    scene_content(scene, left, "width-2/final", wanted);
    scene_content(scene, right, "width-2/final", got);
    assert_string_equal(got, wanted);
    expect_same_file(scene, left, right, "results/evaluate.json");
    expect_same_file(scene, left, right, "results/search.json");
}

static int make(void **state)
{
    static const char *const sets[] = {"resources.ranks=1", NULL};
    if (scene_make(state) != 0)
        return -1;
    must_run(*state, "whole", sets);
    return 0;
}

/* All but the last messages' worth is known to the gang that takes its place. */
static void a_killed_gang_s_measurements_are_not_made_again(void **state)
{
    static const char *const sets[] = {"resources.ranks=2", NULL};
    int whole = 0, known = 0, rest = 0, reused = 0;
    setenv("GLOWWORM_FAULT", "evaluate.measure:" KILLED_AT ":kill", 1);
    must_run(*state, "killed", sets);
    unsetenv("GLOWWORM_FAULT");
    read_counts(*state, "whole", "logs/search-1.log", &whole, &known);
    read_counts(*state, "killed", "logs/search-2.log", &rest, &reused);
    print_message("%d measured before the kill, %d of them behind it\n", MEASURED, reused - known);
    assert_int_equal(rest + reused, whole + known);
    assert_in_range(reused - known, MEASURED - MEASURED_LATE, MEASURED);
    expect_same_results(*state, "whole", "killed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_gang_s_measurements_are_not_made_again),
    };
    return cmocka_run_group_tests(tests, make, scene_remove);
}
