/* Mutated campaigns through everything `plan` and `run` do before they start: the campaign, its
 * space, its devices, the data set, stages and keys, costs and hints. Whatever is written there, an
 * answer in words and no crash (run under the sanitizers to see the rest). */
#include "base/mem.h"
#include "base/yaml/schema.h"
#include "cluster/campaign_run.h"
#include "cluster/estimate.h"
#include "cluster/run_memory.h"
#include "tests/data/fixture.h"
#include "tests/spec/spec_test.h"
#include "tests/yaml/mutate.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 20200427 };
static int rounds = 1200; /* the quick suite's; the long one asks for more */

struct files { /* what a plan is read from; all in one scratch folder */
    struct scene *scene;
    char *campaign, *text[3], *path[3]; /* the campaign, its space, its device */
    struct campaign_options *options;
};

static const char *const names[] = {"campaign.yaml", "space.yaml", "device.yaml"};

static char *must_read(const char *path)
{
    char *bytes = NULL;
    size_t size = 0;
    assert_ok(file_read(path, MUTATE_ROOM / 2, &bytes, &size));
    return bytes;
}

/* Every kind of knob is written, so that every kind can be spoilt. */
static char *campaign_text(const struct scene *scene)
{
    struct text text;
    text_init(&text);
    text_add(&text,
             "campaign: fuzz\ndataset: {path: %s, holdout: 40, augment: {crop: 0.6, flip: no}}\n"
             "space: space.yaml\nwidth: 1\nresolutions: [20, 28]\nbatch: {global: 32, micro: 8}\n"
             "optimiser: {momentum: 0.9, decay: 3e-5}\n"
             "teacher:\n  epochs: 2\n  warmup: 1\n  rate: 0.1\n"
             "shrink:\n  schedule: ofa\n  epochs_scale: 0.02\n  rows:\n"
             "    kernel: {epochs: 1, subnets: 2}\n    width-2: {sort: no, expansions: [2, 4]}\n"
             "evaluate: {calibration_images: 64, every_epochs: 0.5}\n"
             "checkpoint: {every: 90s, keep: 2}\n"
             "search:\n  evaluations: 8\n  population: 4\n  targets:\n"
             "    - {name: small, device: device.yaml, macs: 3M}\n"
             "    - {name: best, device: device.yaml, latency_ms: 30}\n"
             "compile: {formats: [tensorflow, onnx]}\nresources: {ranks: 2, device: cpu}\n"
             "run_folder: %s/run\n",
             scene->destination, (char *)scene->folder);
    char *copy = mem_string(text_get(&text));
    text_fini(&text);
    return copy;
}

static int files_make(void **state)
{
    struct files *files = mem_alloc(sizeof *files);
    if (scene_make((void **)&files->scene) != 0)
        return -1;
    struct scene *scene = files->scene;
    write_idx(scene->source, 200, 20, 28, PLAIN);
    struct dataset *dataset = must_import(&scene->cfg);
    dataset_close(&dataset);
    files->text[0] = campaign_text(scene);
    files->text[1] = must_read("configs/spaces/firefly-tiny.yaml");
    files->text[2] = must_read("configs/devices/firefly-dl-mono.yaml");
    for (int i = 0; i < 3; i++) {
        files->path[i] = file_join(scene->folder, names[i]);
        write_file(scene->folder, names[i], files->text[i], strlen(files->text[i]));
    }
    files->options = mem_alloc(sizeof *files->options);
    files->options->path = files->path[0];
    *state = files;
    return 0;
}

static int files_remove(void **state)
{
    struct files *files = *state;
    for (int i = 0; i < 3; i++) {
        mem_free(files->text[i]);
        mem_free(files->path[i]);
    }
    mem_free(files->options);
    int status = scene_remove((void **)&files->scene);
    mem_free(files);
    return status;
}

/* The resolved file says the same as the one it came from. */
static enum err check_resolved(const struct files *files, const struct campaign *campaign)
{
    enum err err = ERR_OK;
    struct campaign *again = mem_alloc(sizeof *again);
    struct text first, second;
    text_init(&first);
    text_init(&second);
    campaign_write(campaign, &first);
    write_file(files->scene->folder, "resolved.yaml", text_get(&first), first.size);
    char *path = file_join(files->scene->folder, "resolved.yaml");
    TRY(campaign_load(path, NULL, 0, again));
    campaign_write(again, &second);
    if (strcmp(text_get(&first), text_get(&second)) != 0)
        fail_msg("the resolved file reads back differently:\n%s\n%s", text_get(&first),
                 text_get(&second));
out:
    mem_free(path);
    mem_free(again);
    text_fini(&first);
    text_fini(&second);
    return err;
}

/* As cmd_plan does, but for the printing. */
static enum err plan(const struct files *files)
{
    enum err err = ERR_OK;
    struct campaign_run *run = NULL;
    struct survey survey = {0};
    struct run_estimate *estimate = mem_alloc(sizeof *estimate);
    struct machine_memory machine;
    struct run_memory memory;
    struct text hints;
    text_init(&hints);
    TRY(campaign_run_open(files->options, &run));
    TRY(campaign_run_survey(run, NULL, &survey));
    TRY(run_memory_survey(run, &survey, &machine, &memory));
    TRY(estimate_run(run, &survey, estimate));
    campaign_hints(&run->campaign, &run->space, &run->schedule, run->image_side, &hints);
    TRY(check_resolved(files, &run->campaign));
out:
    text_fini(&hints);
    mem_free(estimate);
    survey_fini(&survey);
    campaign_run_close(&run);
    return err;
}

static bool is_planned(const struct files *files, const char *what, uint64_t round)
{
    err_set(ERR_OK, "%s", "");
    enum err err = plan(files);
    bool is_told = err == ERR_OK || err == ERR_CONFIG || err == ERR_USAGE || err == ERR_NOT_FOUND ||
                   err == ERR_DATA || err == ERR_IO;
    if (!is_told || (err != ERR_OK && err_text()[0] == 0))
        fail_msg("seed %d, round %llu, %s: %s: %s", SEED, (unsigned long long)round, what,
                 err_name(err), err_text());
    return err == ERR_OK;
}

static void a_plan_of_mutated_files_is_answered_in_words(void **state)
{
    struct files *files = *state;
    char *bytes = mem_alloc(MUTATE_ROOM);
    int planned = 0;
    assert_ok(plan(files));
    for (uint64_t round = 0; round < (uint64_t)rounds; round++) {
        uint64_t which = round % 3;
        size_t size = strlen(files->text[which]);
        memcpy(bytes, files->text[which], size);
        size = round / 3 % 2 ? mutate_bytes(SEED, round, bytes, size)
                             : mutate_value(SEED, round, bytes, size);
        write_file(files->scene->folder, names[which], bytes, size);
        planned += is_planned(files, names[which], round);
        write_file(files->scene->folder, names[which], files->text[which],
                   strlen(files->text[which]));
    }
    mem_free(bytes);
    /* Both answers must occur, or the mutation tests nothing. */
    if (planned < rounds / 50 || planned > rounds / 2)
        fail_msg("seed %d: %d of %d planned", SEED, planned, rounds);
}

static void every_knob_takes_odd_values_or_refuses_them(void **state)
{
    struct files *files = *state;
    const struct schema *schema = campaign_schema();
    int planned = 0, refused = 0;
    files->options->override_count = 1;
    for (int k = 0; k < schema->knob_count; k++)
        for (int v = 0; v < mutate_value_count; v++) {
            const char *key = schema->knobs[k].path;
            files->options->overrides[0] = (struct campaign_override){key, mutate_values[v]};
            *(is_planned(files, key, (uint64_t)v) ? &planned : &refused) += 1;
        }
    files->options->override_count = 0;
    assert_in_range(planned, schema->knob_count, schema->knob_count * mutate_value_count / 2);
    assert_true(refused > schema->knob_count);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, files_make, files_remove)

int main(int argc, char **argv) /* [ROUNDS] */
{
    if (argc > 1)
        rounds = (int)strtol(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        TEST(a_plan_of_mutated_files_is_answered_in_words),
        TEST(every_knob_takes_odd_values_or_refuses_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
