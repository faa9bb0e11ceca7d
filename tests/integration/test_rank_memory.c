/* What a whole rank takes: the loader, the tree of gradients, the teacher, an evaluation and a
 * checkpoint beside the training pass that tests/supernet/test_memory.c measures alone. */
#include "base/mem.h"
#include "tests/integration/scene.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define MOST_BYTES 1.4e9

/* Anonymous memory of a process now; 0 when it is gone. */
static double anonymous_bytes(pid_t pid)
{
    char path[64], line[256];
    double kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "RssAnon:", 8) == 0)
            kib = strtod(line + 8, NULL);
    if (file)
        fclose(file);
    return 1024 * kib;
}

/* The most that any rank took while the stages ran. */
static double peak_of(struct scene *scene, const struct gang_cfg *cfg)
{
    struct program program = scene_start(scene, cfg);
    pid_t ranks[4];
    double peak = 0;
    int code = 0;
    while (program_runs(&program, &code)) {
        int count = program_children(&program, ranks, 4);
        for (int i = 0; i < count; i++) {
            double bytes = anonymous_bytes(ranks[i]);
            peak = bytes > peak ? bytes : peak;
        }
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    if (code != 0)
        fail_msg("ended with %d:\n%s", code, scene_log(scene));
    return peak;
}

static void a_rank_of_mbv3_stays_below_its_limit(void **state)
{
    struct scene *scene = *state;
    struct gang_cfg cfg = {.run = "mbv3",
                           .ranks = 1,
                           .stages = "teacher,kernel",
                           .sets = {"space=configs/spaces/mbv3.yaml", "resolutions=[128]",
                                    "batch.global=192", "batch.micro=64", "dataset.holdout=64",
                                    "search.targets=[]", "shrink.epochs_scale=0.001"}};
    double peak = peak_of(scene, &cfg);
    print_message("%.0f MB of anonymous memory at most\n", peak / 1e6);
    assert_true(peak > 5e8); /* or nothing was looked at */
    assert_true(peak < MOST_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_rank_of_mbv3_stays_below_its_limit)};
    return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
