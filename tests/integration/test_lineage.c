/* A whole run that goes on where another device had begun, as a person sees it: on the run's
 * output, in its checkpoints, in its results and on its page. */
#include "base/mem.h"
#include "tests/integration/scene.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define OTHER "cpu x86-64-v2 oneDNN 0.1 on Abacus (1/2/3)"

/* Makes the run's teacher one that another machine has trained. */
static void doctor(const struct scene *scene)
{
    char path[400];
    struct checkpoint_store *store = NULL;
    struct checkpoint teacher = {0};
    snprintf(path, sizeof path, "%s/moved/checkpoints", scene->folder);
    struct checkpoint_store_cfg cfg = {.path = path, .is_writer = true, .keep = 2};
    if (checkpoint_store_open(&cfg, &store) != ERR_OK ||
        checkpoint_load(store, "teacher/final", &teacher) != ERR_OK)
        fail_msg("%s", err_text());
    mem_free(teacher.meta.lineage);
    teacher.meta.lineage = mem_string("0.1.0; " OTHER);
    if (checkpoint_save(store, &teacher) != ERR_OK || checkpoint_wait(store) != ERR_OK)
        fail_msg("%s", err_text());
    checkpoint_fini(&teacher);
    checkpoint_store_close(&store);
}

/* `glowworm` with these words; its exit code. What it says is in the scene's files. */
static int glowworm(struct scene *scene, const char *const *words)
{
    struct program program = program_start(words, scene->output, scene->log);
    return program_wait(&program, SCENE_WAIT_S);
}

static void expect_in_file(const struct scene *scene, const char *run, const char *name,
                           const char *part)
{
    char *bytes = scene_read(scene, run, name);
    if (!strstr(bytes, part))
        fail_msg("\"%s\" is not in %s", part, name);
    mem_free(bytes);
}

static void the_run_says_that_its_device_is_another_one(void **state)
{
    struct scene *scene = *state;
    char folder[400], last[440];
    struct gang_cfg teacher = {.run = "moved", .ranks = 1, .stages = "teacher"};
    snprintf(folder, sizeof folder, "%s/moved", scene->folder);
    snprintf(last, sizeof last, "%s@width-2/final", folder);
    assert_int_equal(scene_run(scene, &teacher), 0);
    doctor(scene);
    const char *same[] = {GLOWWORM, "run",   scene->campaign,          "--run-folder",
                          folder,   "--set", "resources.lineage=same", NULL};
    assert_int_equal(glowworm(scene, same), 78);
    expect_in_file(scene, "", "log", "resources.lineage is same");
    const char *any[] = {GLOWWORM, "run", scene->campaign, "--run-folder", folder, NULL};
    assert_int_equal(glowworm(scene, any), 0);
    expect_in_file(scene, "", "log", "teacher, warning: going on from stage teacher");
    expect_in_file(scene, "moved", "results/search.json", OTHER);
    expect_in_file(scene, "moved", "report.html", "Mixed: more than one kind of device");
    expect_in_file(scene, "moved", "report.html", "Computed on <code>" OTHER);
    const char *show[] = {GLOWWORM, "checkpoint", "show", last, NULL};
    assert_int_equal(glowworm(scene, show), 0);
    expect_in_file(scene, "", "output", "mixed with   " OTHER "\n");
    const char *json[] = {GLOWWORM, "checkpoint", "show", last, "--json", NULL};
    assert_int_equal(glowworm(scene, json), 0);
    expect_in_file(scene, "", "output", "\"mixed\": [\n    \"" OTHER "\"\n  ]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_run_says_that_its_device_is_another_one),
    };
    return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
