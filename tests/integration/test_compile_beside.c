/* Compiling reads the checkpoints: it goes on beside their writer, whoever that is. */
#include "tests/integration/scene.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <fcntl.h>

#define FILES 256

/* What LMDB opens here is not for the programs we start. */
static void keep_files_here(void)
{
    for (int file = 3; file < FILES; file++)
        fcntl(file, F_SETFD, FD_CLOEXEC);
}

static int glowworm(struct scene *scene, const char *const *words)
{
    struct program program = program_start(words, scene->output, scene->log);
    return program_wait(&program, SCENE_WAIT_S);
}

static void a_target_is_compiled_while_another_process_writes_checkpoints(void **state)
{
    struct scene *scene = *state;
    char folder[400], path[440];
    struct checkpoint_store *store = NULL;
    snprintf(folder, sizeof folder, "%s/run", scene->folder);
    snprintf(path, sizeof path, "%s/checkpoints", folder);
    const char *run[] = {GLOWWORM, "run", scene->campaign, "--run-folder", folder, NULL};
    const char *compile[] = {GLOWWORM, "compile", folder, "--target", "small", NULL};
    if (glowworm(scene, run) != 0)
        fail_msg("%s", scene_log_end(scene));
    struct checkpoint_store_cfg cfg = {.path = path, .is_writer = true, .keep = 2};
    assert_int_equal(checkpoint_store_open(&cfg, &store), ERR_OK);
    keep_files_here();
    int code = glowworm(scene, compile);
    checkpoint_store_close(&store);
    if (code != 0)
        fail_msg("exit code %d:\n%s", code, scene_log_end(scene));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_is_compiled_while_another_process_writes_checkpoints),
    };
    return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
