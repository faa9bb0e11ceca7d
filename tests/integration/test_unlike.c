/* A gang whose ranks are on machines of two kinds: as if rank 1 were on an older one. */
#include "base/file.h"
#include "base/mem.h"
#include "tests/integration/scene.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static const char script[] = "#!/bin/sh\n"
                             "[ \"$OMPI_COMM_WORLD_RANK\" = 1 ] && export "
                             "GLOWWORM_ISA_LIMIT=x86-64-v2\n"
                             "exec \"$@\"\n";

/* The program that makes it so. */
static const char *make_wrapper(const struct scene *scene)
{
    static char path[400];
    snprintf(path, sizeof path, "%s/wrapper", scene->folder);
    assert_int_equal(file_write(path, script, sizeof script - 1), ERR_OK);
    assert_int_equal(chmod(path, 0755), 0);
    return path;
}

static void expect_end(struct scene *scene, const struct gang_cfg *cfg, int expected)
{
    int code = scene_run(scene, cfg);
    if (code != expected)
        fail_msg("%s ended with %d:\n%s", cfg->run, code, scene_log_end(scene));
}

static void expect_in_log(const struct scene *scene, const char *part)
{
    char *log = scene_log(scene);
    if (!strstr(log, part))
        fail_msg("\"%s\" is not in the log", part);
    mem_free(log);
}

static void it_computes_as_one_of_the_older_kind_would(void **state)
{
    struct scene *scene = *state;
    char unlike[HASH_HEX_BYTES], older[HASH_HEX_BYTES];
    struct gang_cfg mixed = {
        .run = "unlike", .ranks = 2, .stages = "teacher", .wrapper = make_wrapper(scene)};
    struct gang_cfg pinned = {
        .run = "older", .ranks = 1, .stages = "teacher", .sets = {"resources.isa=x86-64-v2"}};
    expect_end(scene, &mixed, 0);
    expect_in_log(scene, "the gang computes on x86-64-v2, since rank 1 on ");
    expect_in_log(scene, "device=\"cpu x86-64-v2 ");
    expect_end(scene, &pinned, 0);
    scene_content(scene, "unlike", "teacher/final", unlike);
    scene_content(scene, "older", "teacher/final", older);
    assert_string_equal(unlike, older);
}

static void what_the_older_one_lacks_is_refused(void **state)
{
    struct scene *scene = *state;
    struct gang_cfg cfg = {.run = "refused",
                           .ranks = 2,
                           .stages = "teacher",
                           .wrapper = make_wrapper(scene),
                           .sets = {"resources.isa=x86-64-v3"}};
    expect_end(scene, &cfg, 78);
    expect_in_log(scene, "resources.isa is x86-64-v3, but rank 1 on ");
    expect_in_log(scene, "set resources.isa: x86-64-v2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_computes_as_one_of_the_older_kind_would),
        cmocka_unit_test(what_the_older_one_lacks_is_refused),
    };
    return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
