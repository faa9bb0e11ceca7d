/* A whole tiny campaign on the GPU that the host emulates (tests/support/cuda), by the real worker:
 * every operation in its place, at rates that move the weights. What it gives is not the CPU
 * device's to the last bit, so that losses are held to limits; ranks, how they exchange, and a
 * kill, change no bit. Two cards, and a stand-in for NCCL (tests/support/nccl): CMakeLists.txt. */
#include "base/mem.h"
#include "tests/integration/scene.h"
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const names[] = {"teacher", "kernel", "depth-2", "width-2"};
enum { NAMES = 4 };
#define TRAINING "teacher,kernel,depth-2,width-2"

struct way { /* in which a campaign is run */
    const char *folder;
    int ranks;
    const char *device, *precision, *stages;
    const char *teacher; /* "teacher.epochs=N"; NULL: two steps of it, as of the others */
};

static int run(struct scene *scene, const struct way *way)
{
    char device[64], precision[64];
    snprintf(device, sizeof device, "resources.device=%s", way->device);
    snprintf(precision, sizeof precision, "precision=%s", way->precision);
    /* two steps of three micro-batches in each phase */
    struct gang_cfg cfg = {
        .run = way->folder,
        .ranks = way->ranks,
        .stages = way->stages,
        .sets = {device, precision, "space=tests/spaces/tiny.yaml", "resolutions=[12]",
                 "batch.micro=16", way->teacher ? way->teacher : "teacher.epochs=1",
                 "shrink.epochs_scale=0.01", "search.targets=[]", "checkpoint.every=0.1"}};
    return scene_run(scene, &cfg);
}

static void must_run(struct scene *scene, const struct way *way)
{
    int code = run(scene, way);
    if (code != 0)
        fail_msg("%d ranks on %s in %s ended with %d:\n%s", way->ranks, way->device, way->precision,
                 code, scene_log_end(scene));
}

/* The losses of a stage's steps; how many. */
static int losses(struct scene *scene, const char *folder, const char *stage, double *loss,
                  int room)
{
    char name[64];
    int count = 0;
    snprintf(name, sizeof name, "metrics/%s.jsonl", stage);
    char *metrics = scene_read(scene, folder, name);
    for (char *line = metrics, *end; (end = strchr(line, '\n')); line = end + 1) {
        json_t *event = json_loadb(line, (size_t)(end - line), 0, NULL);
        const char *kind = json_string_value(json_object_get(event, "event"));
        if (kind && strcmp(kind, "step") == 0 && count < room)
            loss[count++] = json_number_value(json_object_get(event, "loss"));
        json_decref(event);
    }
    mem_free(metrics);
    return count;
}

/* Every step's loss within `limit` of the CPU device's: what rounding does to a loss of the first
 * steps, before anything is learnt. */
static void compare_losses(struct scene *scene, const char *cpu, const char *gpu, double limit)
{
    enum { ROOM = 16 };
    double most = 0;
    for (int i = 0; i < NAMES; i++) {
        double wanted[ROOM], got[ROOM];
        int count = losses(scene, cpu, names[i], wanted, ROOM);
        assert_in_range(count, 1, ROOM);
        assert_int_equal(losses(scene, gpu, names[i], got, ROOM), count);
        for (int step = 0; step < count; step++) {
            double off = fabs(got[step] / wanted[step] - 1);
            most = fmax(most, off);
            if (!(off <= limit))
                fail_msg("%s, step %d: the loss is %.9g, on the CPU device %.9g", names[i],
                         step + 1, got[step], wanted[step]);
        }
    }
    print_message("losses off by up to %.2g\n", most);
}

static void compare_contents(struct scene *scene, const char *left, const char *right,
                             int stage_count)
{
    char wanted[HASH_HEX_BYTES], got[HASH_HEX_BYTES], name[64];
    for (int i = 0; i < stage_count; i++) {
        snprintf(name, sizeof name, "%s/final", names[i]);
        scene_content(scene, left, name, wanted);
        scene_content(scene, right, name, got);
        if (strcmp(wanted, got) != 0)
            fail_msg("%s of %s is %s, of %s it is %s", name, left, wanted, right, got);
    }
}

static void one_rank_of_fp32_has_the_cpu_device_s_losses(void **state)
{
    struct scene *scene = *state;
    must_run(scene, &(struct way){"cpu", 1, "cpu", "fp32", TRAINING ",evaluate", NULL});
    must_run(scene, &(struct way){"gpu", 1, "cuda-emulated", "fp32", TRAINING ",evaluate", NULL});
    compare_losses(scene, "cpu", "gpu", 1e-4);
    char *results = scene_read(scene, "gpu", "results/evaluate.json");
    assert_true(strlen(results) > 500);
    mem_free(results);
}

static void must_have_said(struct scene *scene, const char *words)
{
    char *log = scene_log(scene);
    if (!strstr(log, words))
        fail_msg("\"%s\" was not said, but:\n%s", words, scene_log_end(scene));
    mem_free(log);
}

static void two_ranks_of_bf16_do_too_and_are_one_rank_s_to_the_last_bit(void **state)
{
    struct scene *scene = *state;
    must_run(scene, &(struct way){"cpu-bf16", 1, "cpu", "bf16", TRAINING, NULL});
    must_run(scene, &(struct way){"gpu-bf16-2", 2, "cuda-emulated", "bf16", TRAINING, NULL});
    must_have_said(scene, "ranks exchange by NCCL");
    compare_losses(scene, "cpu-bf16", "gpu-bf16-2", 3e-3);
    must_run(scene, &(struct way){"gpu-bf16-1", 1, "cuda-emulated", "bf16", TRAINING, NULL});
    compare_contents(scene, "gpu-bf16-2", "gpu-bf16-1", NAMES);
}

static void run_through_the_host(struct scene *scene, const struct way *way)
{
    char *library = mem_string(getenv("GLOWWORM_NCCL"));
    setenv("GLOWWORM_NCCL", "none", 1);
    must_run(scene, way);
    setenv("GLOWWORM_NCCL", library, 1);
    mem_free(library);
    must_have_said(scene, "ranks exchange through the host");
}

/* One rank, killed where a checkpoint in the middle gets its name; two go on, through the host. Who
 * was not killed exchanged by NCCL. */
static void a_killed_stage_goes_on_to_the_same_hash(void **state)
{
    struct scene *scene = *state;
    uint64_t *starts = NULL;
    struct way way = {"whole", 2, "cuda-emulated", "fp32", "teacher", "teacher.epochs=8"};
    must_run(scene, &way);
    must_have_said(scene, "ranks exchange by NCCL");
    way.folder = "killed";
    way.ranks = 1;
    setenv("GLOWWORM_FAULT", "checkpoint.name:3:kill", 1);
    int code = run(scene, &way);
    unsetenv("GLOWWORM_FAULT");
    assert_int_not_equal(code, 0);
    way.ranks = 2;
    run_through_the_host(scene, &way);
    char *metrics = scene_read(scene, "killed", "metrics/teacher.jsonl");
    int count = scene_events(metrics, "start", &starts);
    assert_true(count > 0 && starts[count - 1] > 0); /* not from the beginning */
    compare_contents(scene, "whole", "killed", 1);
    mem_free(starts);
    mem_free(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_rank_of_fp32_has_the_cpu_device_s_losses),
        cmocka_unit_test(two_ranks_of_bf16_do_too_and_are_one_rank_s_to_the_last_bit),
        cmocka_unit_test(a_killed_stage_goes_on_to_the_same_hash),
    };
    return cmocka_run_group_tests(tests, scene_make_tiny, scene_remove);
}
