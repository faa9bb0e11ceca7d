/* Campaign files: what they mean, what is refused, and that they read back. */
#include "base/file.h"
#include "base/mem.h"
#include "base/yaml/schema.h"
#include "tests/spec/spec_test.h"
#include "trainer/spec/campaign.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[] = "/tmp/gw-campaign-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/campaign.yaml", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return file_remove_folder(folder) != ERR_OK;
}

static enum err load(const char *text, struct campaign *campaign)
{
    enum err err = file_write(path, text, strlen(text));
    return err == ERR_OK ? campaign_load(path, NULL, 0, campaign) : err;
}

/* A campaign of three lines and the text behind them. */
static enum err load_more(const char *more, struct campaign *campaign)
{
    char text[4096];
    snprintf(
        text, sizeof text,
        "campaign: own\ndataset: {path: data/own}\nspace: configs/spaces/firefly-tiny.yaml\n%s",
        more);
    return load(text, campaign);
}

static void three_lines_are_a_campaign(void **state)
{
    (void)state;
    struct campaign campaign;
    assert_ok(load_more("", &campaign));
    assert_string_equal(campaign.name, "own");
    assert_string_equal(campaign.run_folder, "runs/own");
    assert_int_equal(campaign.batch.global, 2048);
    assert_true(campaign.teacher.epochs == 180 && campaign.teacher.rate == 2.6);
    assert_true(campaign.teacher.warmup_epochs == 5);
    assert_int_equal(campaign.resolution_count, 3);
    assert_int_equal(campaign.resolutions[2], 28);
    assert_true(campaign.optimiser.dropout == 0);
    assert_true(campaign.checkpoint.every_seconds == 300);
    assert_string_equal(campaign.resources.device, "auto");
    assert_string_equal(campaign.precision, "fp32");
}

static void a_device_may_be_a_module_s(void **state)
{
    (void)state;
    struct campaign campaign;
    assert_ok(load_more("resources: {device: some-board}\n", &campaign));
    assert_string_equal(campaign.resources.device, "some-board");
}

static void units_and_words_mean_what_they_say(void **state)
{
    (void)state;
    struct campaign campaign;
    assert_ok(load_more("checkpoint: {every: 1.5h}\n", &campaign));
    assert_true(campaign.checkpoint.every_seconds == 5400);
    assert_ok(load_more("teacher: {epochs: 10ep, rate: 0.2}\n"
                        "search: {evaluations: 2k, targets: [{name: a, macs: 0.8M}]}\n"
                        "resolutions: [28, 20..24 step 2]\nseed: 18446744073709551615\n",
                        &campaign));
    assert_true(campaign.teacher.epochs == 10);
    assert_int_equal(campaign.search.evaluations, 2000);
    assert_true(campaign.targets[0].macs_max == 800000);
    assert_int_equal(campaign.resolution_count, 4);
    assert_int_equal(campaign.resolutions[1], 22);
    assert_true(campaign.seed == UINT64_MAX);
}

static void the_shipped_campaigns_load(void **state)
{
    (void)state;
    static const char *const names[] = {"configs/quickstart.yaml", "configs/fashion.yaml",
                                        "configs/own-images.yaml"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct campaign campaign;
        struct space space;
        assert_ok(campaign_load(names[i], NULL, 0, &campaign));
        assert_ok(campaign_check_images(&campaign, i == 2 ? 3 : 1)); /* parts are in colour */
        assert_refused(campaign_check_images(&campaign, i == 2 ? 1 : 3), ERR_CONFIG,
                       "key 'search.targets[1].device': target '");
        assert_ok(campaign_space(&campaign, 10, 1, &space));
        assert_true(campaign.target_count >= 2);
        assert_int_equal(strncmp(campaign.targets[0].device.name, "firefly-dl-", 11), 0);
    }
}

static void check_listed(const char *const *expected, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!strstr(err_text(), expected[i]))
            fail_msg("not listed: %s\nin:\n%s", expected[i], err_text());
}
#define LISTED(list) check_listed(list, sizeof(list) / sizeof *(list))

static void every_class_of_mistake_is_listed_at_once(void **state)
{
    (void)state;
    struct campaign campaign;
    const char *text = "campaign: own\n"
                       "dataset: {pth: data/own, augment: {crop: 3}}\n"
                       "space: configs/spaces/firefly-tiny.yaml\n"
                       "batch: {global: 250, micro: 32, micro: 32}\n"
                       "seed: -1\n"
                       "epochs_scale: 2\n"
                       "checkpoint: {every: 5 parsecs, keep: 2.5}\n"
                       "distil: {loss: soft_cross_entrpy}\n"
                       "evaluate: 7\n"
                       "teacher:\n"
                       "shrink: {rows: {kernal: {epochs: 1}, depth-1: {rat: 1}}}\n"
                       "compile: {formats: [onyx]}\n"
                       "zzzzzzzz: 1\n"
                       "resources: {ranks: 0, isa: [a]}\n";
    static const char *const expected[] = {
        ":2:11: key 'dataset.pth': unknown; did you mean 'dataset.path'?",
        "key 'dataset.path': is missing",
        ":2:42: key 'dataset.augment.crop': 3 is out of range: 0.01 to 1",
        "key 'batch.micro': is there twice; keep one",
        "key 'batch.micro': 32 does not divide batch.global 250",
        ":5:7: key 'seed': '-1' is not a whole number",
        ":6:1: key 'epochs_scale': unknown; did you mean 'shrink.epochs_scale'?",
        ":7:21: key 'checkpoint.every': '5 parsecs' is not a duration such as 90s",
        "key 'checkpoint.keep': '2.5' is not a whole number",
        ("key 'distil.loss': 'soft_cross_entrpy': the knob is retired, it was always "
         "'soft_cross_entropy'; leave it out"),
        ":9:11: key 'evaluate': is a word; expected a map",
        "key 'teacher': has no value; expected a map",
        "key 'shrink.rows.kernal': schedule ofa has no such phase; it has kernel, depth-1, depth-2",
        "key 'shrink.rows.depth-1.rat': unknown; did you mean 'shrink.rows.depth-1.rate'?",
        "key 'compile.formats': 'onyx' is not one of tensorflow, caffe or onnx; did you",
        ":13:1: key 'zzzzzzzz': unknown; known here: campaign, dataset, space",
        "key 'resources.ranks': 0 is out of range: 1 to 65536",
        "key 'resources.isa': is a list; expected a single value"};
    assert_int_equal(load(text, &campaign), ERR_CONFIG);
    LISTED(expected);
}

static void impossible_combinations_are_errors_with_their_position(void **state)
{
    (void)state;
    static const struct {
        const char *more, *expected;
    } rows[] = {
        {"batch: {global: 64, micro: 48}", ":4:28: key 'batch.micro': 48 does not divide"},
        {"batch: {global: 64, micro: 32}\nresources: {ranks: 3}",
         ":5:20: key 'resources.ranks': 3 ranks, but batch.global 64 / batch.micro 32 leaves work "
         "for 2"},
        {"search: {targets: [{name: a, latency_ms: 30}]}",
         "key 'search.targets[0].latency_ms': needs a device"},
        {"search: {targets: [{name: a, device: firefly-dl-mono, latency_ms: 12}]}",
         "key 'search.targets[0].latency_ms': is not above the device's fixed time"},
        {"search: {targets: [{name: a}, {name: a}]}",
         "key 'search.targets[1].name': another target has this name"},
        {"search: {targets: [{name: ../a}]}", "key 'search.targets[0].name': it becomes a folder"},
        {"search: {targets: [{name: a, device: nikon}]}",
         "key 'search.targets[0].device': 'nikon' is not there; looked for "},
        {"search: {evaluations: 8, population: 9, targets: [{name: a}]}",
         ":4:38: key 'search.population': 9 is more than search.evaluations 8"},
        {"search: {evaluations: 2, targets: [{name: a}, {name: b}, {name: c}]}",
         ":4:23: key 'search.evaluations': 2 is fewer than the 3 targets"},
        {"search: {targets: [{name: a}]}\ncompile: {formats: []}",
         "key 'compile.formats': is empty"},
        {"teacher: {epochs: 0}", "key 'teacher.epochs': is 0"},
        {"teacher: {from: a@b, epochs: 3}", "key 'teacher.epochs': teacher.from is given"},
        {"shrink: {rows: {teacher: {epochs: 3}}}", "the teacher has a section of its own"},
        {"shrink: {rows: {width-1: {expansions: [6]}}}",
         "key 'shrink.rows.width-1.expansions': 6 is not one of the expansions of space"},
        {"shrink: {rows: {kernel: {epochs: 3}, kernel: {epochs: 4}}}", "'kernel' is there twice"},
        {"campaign: a/b", "is there twice"},
        {"precision: fp16", ":4:12: key 'precision': 'fp16' is not one of fp32 or bf16"},
        {"resources: {gangs: 4, gangs_per_node: 2}",
         ":4:39: key 'resources.gangs_per_node': gangs on other nodes read what the run publishes"},
        {"resources: {helper_jobs: 2}", ":4:26: key 'resources.helper_jobs': gangs on other nodes"},
        {"resources: {gangs: 2, gangs_per_node: 1, nodes: 2, ranks: 2, scratch: /tmp}",
         "key 'resources.gangs_per_node': 1: every gang is on 2 nodes already"},
        {"resources: {device: ../late}",
         ":4:21: key 'resources.device': '../late' is no device's name: use auto, cpu or the name"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct campaign campaign;
        assert_refused(load_more(rows[i].more, &campaign), ERR_CONFIG, rows[i].expected);
    }
}

static void a_space_the_camera_cannot_run_is_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *space, *formats, *expected;
    } rows[] = {
        {"mbv3", "onnx", "layer stem has h-swish: rule operations, inferred"},
        {"firefly", "caffe", "caffe takes spaces of relu without squeeze-excite only"},
        {"nowhere", "onnx",
         ":3:8: key 'space': 'nowhere' is not there; looked for configs/spaces/"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[512];
        struct campaign campaign;
        snprintf(
            text, sizeof text,
            "campaign: own\ndataset: {path: a}\nspace: %s\n"
            "search: {targets: [{name: a, device: firefly-dl-mono}]}\ncompile: {formats: [%s]}\n",
            rows[i].space, rows[i].formats);
        assert_refused(load(text, &campaign), ERR_CONFIG, rows[i].expected);
    }
}

static void a_space_without_kernel_3_cannot_serve_the_camera(void **state)
{
    (void)state;
    char *bytes = NULL, space[80], text[512];
    size_t size = 0;
    struct campaign campaign;
    assert_ok(file_read("configs/spaces/firefly-tiny.yaml", 65536, &bytes, &size));
    memcpy(strstr(bytes, "[3, 5, 7]"), "[5, 7]   ", 9);
    snprintf(space, sizeof space, "%s/large.yaml", folder);
    assert_ok(file_write(space, bytes, size));
    mem_free(bytes);
    snprintf(text, sizeof text,
             "campaign: own\ndataset: {path: a}\nspace: large.yaml\n" /* beside the campaign */
             "search: {targets: [{name: a, device: firefly-dl-mono}]}\n");
    assert_refused(
        load(text, &campaign), ERR_CONFIG,
        ":4:38: key 'search.targets[0].device': device firefly-dl-mono: layer "
        "block1_depthwise is a depthwise convolution of 5x5: rule depthwise-kernels, documented (");
}

static void budgets_nothing_fits_name_the_smallest_possible(void **state)
{
    (void)state;
    struct campaign campaign;
    struct space space;
    assert_ok(load_more("search: {targets: [{name: a, macs: 0.8M}, {name: b, macs: 100k},\n"
                        "  {name: c, device: firefly-dl-mono, macs: 3M, latency_ms: 19.301}]}",
                        &campaign));
    assert_int_equal(campaign_space(&campaign, 10, 1, &space), ERR_CONFIG);
    static const char *const expected[] = {
        ":4:43: key 'search.targets[1].macs': target 'b': nothing fits: the smallest sub-network "
        "for device any (20 px) has ",
        ":5:3: key 'search.targets[2].latency_ms': target 'c': nothing fits: "};
    LISTED(expected);
}

static void check_same(const struct campaign *left, const struct campaign *right)
{
    struct text a, b;
    struct campaign moved = *right;
    text_init(&a);
    text_init(&b);
    campaign_write(left, &a);
    campaign_write(right, &b);
    assert_string_equal(text_get(&a), text_get(&b));
    memcpy(moved.path, left->path, sizeof moved.path);
    for (int i = 0; i < moved.target_count; i++) {
        moved.targets[i].line = left->targets[i].line;
        moved.targets[i].column = left->targets[i].column;
    }
    if (memcmp(left, &moved, sizeof moved) != 0)
        fail_msg("the fields differ although the text is the same:\n%s", text_get(&a));
    text_fini(&a);
    text_fini(&b);
}

static void the_resolved_file_loads_back_to_the_same_campaign(void **state)
{
    (void)state;
    static const char *const mores[] = {
        "", "teacher: {from: \"runs/other/checkpoints@teacher/final\"}",
        "seed: 12345678901234567890\nwidth: 0.7\nbatch: {global: 96, micro: 32}\n"
        "shrink: {epochs_scale: 0.1, rows: {kernel: {epochs: 2, rate: 0.1, subnets: 2, distil: "
        "no}, "
        "width-2: {sort: no, expansions: [2, 4]}}}\n"
        "optimiser: {decay: 1.2345678901234567e-5, dropout: 0.2}\n"
        "dataset: {path: 'a b: #c', holdout: 7, augment: {crop: no, flip: no}}",
        "search: {targets: [{name: a, device: firefly-dl-mono, latency_ms: 19.4}, {name: b}]}"};
    for (size_t i = 0; i < sizeof mores / sizeof *mores; i++) {
        struct campaign first, again;
        struct text yaml;
        char text[2048];
        text_init(&yaml);
        snprintf(text, sizeof text, "campaign: own\n%s%s\nspace: firefly-tiny\n",
                 strstr(mores[i], "dataset:") ? "" : "dataset: {path: data/own}\n", mores[i]);
        assert_ok(load(text, &first));
        campaign_write(&first, &yaml);
        assert_ok(load(text_get(&yaml), &again));
        check_same(&first, &again);
        text_fini(&yaml);
    }
}

/* The folder of an earlier program's run: its resolved file names the knob. */
static void a_retired_knob_is_read_and_not_written(void **state)
{
    (void)state;
    struct campaign old, now;
    struct text yaml;
    assert_ok(load_more("distil: {ratio: 0.5}\n", &now));
    assert_ok(load_more("distil: {ratio: 0.5, loss: soft_cross_entropy}\n", &old));
    check_same(&old, &now);
    text_init(&yaml);
    campaign_write(&old, &yaml);
    assert_non_null(strstr(text_get(&yaml), "distil:\n  ratio: 0.5\nevaluate:\n"));
    text_fini(&yaml);
}

static void overrides_win_and_are_checked_like_the_file(void **state)
{
    (void)state;
    struct campaign campaign;
    const struct campaign_override good[] = {{"teacher.epochs", "3"},
                                             {"shrink.rows.kernel", "{epochs: 1.5}"},
                                             {"batch.micro", "128"},
                                             {"teacher.epochs", "4"}};
    const struct campaign_override bad[] = {{"teacher.epoch", "3"}, {"batch.micro", "100"}};
    assert_ok(load_more("batch: {micro: 32}\n", &campaign));
    assert_ok(campaign_load(path, good, 4, &campaign));
    assert_true(campaign.teacher.epochs == 4);
    assert_int_equal(campaign.batch.micro, 128);
    assert_true(campaign.rows[0].epochs == 1.5);
    assert_int_equal(campaign_load(path, bad, 2, &campaign), ERR_CONFIG);
    static const char *const expected[] = {
        "--set teacher.epoch=3: key 'teacher.epoch': unknown; did you mean 'teacher.epochs'?",
        "--set batch.micro=100: key 'batch.micro': 100 does not divide batch.global 2048"};
    LISTED(expected);
}

static void malformed_overrides_are_usage_errors(void **state)
{
    (void)state;
    struct campaign campaign;
    const struct campaign_override bad[] = {
        {"", "3"}, {"batch..micro", "3"}, {"campaign.name", "3"}, {"seed", "[1"}, {"seed.", "1"}};
    assert_ok(load_more("", &campaign));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_refused(campaign_load(path, &bad[i], 1, &campaign), ERR_USAGE, "--set ");
}

static void the_help_names_every_knob(void **state)
{
    (void)state;
    struct text help;
    text_init(&help);
    campaign_help(&help);
    const struct schema *schema = campaign_schema();
    for (int i = 0; i < schema->knob_count; i++) {
        bool is_retired = schema->knobs[i].type == KNOB_RETIRED;
        assert_int_equal(!strstr(text_get(&help), schema->knobs[i].path), is_retired);
        assert_int_equal(!strstr(text_get(&help), schema->knobs[i].help), is_retired);
    }
    text_fini(&help);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_lines_are_a_campaign),
        cmocka_unit_test(a_device_may_be_a_module_s),
        cmocka_unit_test(units_and_words_mean_what_they_say),
        cmocka_unit_test(the_shipped_campaigns_load),
        cmocka_unit_test(every_class_of_mistake_is_listed_at_once),
        cmocka_unit_test(impossible_combinations_are_errors_with_their_position),
        cmocka_unit_test(a_space_the_camera_cannot_run_is_refused_with_the_reason),
        cmocka_unit_test(a_space_without_kernel_3_cannot_serve_the_camera),
        cmocka_unit_test(budgets_nothing_fits_name_the_smallest_possible),
        cmocka_unit_test(the_resolved_file_loads_back_to_the_same_campaign),
        cmocka_unit_test(a_retired_knob_is_read_and_not_written),
        cmocka_unit_test(overrides_win_and_are_checked_like_the_file),
        cmocka_unit_test(malformed_overrides_are_usage_errors),
        cmocka_unit_test(the_help_names_every_knob),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
