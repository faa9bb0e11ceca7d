/* The stages' keys: they change exactly with the knobs that change the result. */
#include "base/file.h"
#include "base/yaml/schema.h"
#include "tests/spec/made.h"
#include "tests/spec/spec_test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int find_stage(const struct made *made, const char *name)
{
    for (int i = 0; i < made->plan.stage_count; i++)
        if (strcmp(made->plan.stages[i].name, name) == 0)
            return i;
    fail_msg("there is no stage '%s'", name);
    return -1;
}

/* Every knob, a second value, and the stages whose key must change: the named ones and all that
 * depend on them. "" none. */
static const struct {
    const char *knob, *value, *first;
} changes[] = {
    {"campaign", "other", "report"},
    {"dataset.path", "data/elsewhere", ""},
    {"dataset.holdout", "4000", "teacher"},
    {"dataset.geometry", "stretch", "teacher"},
    {"dataset.augment.crop", "0.5", "teacher"},
    {"dataset.augment.flip", "no", "teacher"},
    {"dataset.augment.colour", "no", "teacher"},
    {"space", "firefly-small", "teacher"},
    {"width", "1.5", "teacher"},
    {"resolutions", "[24, 28]", "teacher"},
    {"seed", "2", "teacher"},
    {"batch.global", "512", "teacher"},
    {"batch.micro", "64", "teacher"},
    {"precision", "bf16", "teacher"},
    {"optimiser.momentum", "0.8", "teacher"},
    {"optimiser.decay", "1e-4", "teacher"},
    {"optimiser.matrix_decay", "3e-5", "kernel"}, /* the teacher has no smaller kernel */
    {"optimiser.smoothing", "0", "teacher"},
    {"optimiser.dropout", "0.2", "teacher"},
    {"teacher.from", NULL, NULL}, /* a_given_teacher_is_not_trained */
    {"teacher.epochs", "7", "teacher"},
    {"teacher.warmup", "1", "teacher"},
    {"teacher.rate", "0.3", "teacher"},
    {"shrink.schedule", NULL, NULL}, /* other stages altogether */
    {"shrink.epochs_scale", "0.5", "kernel"},
    {"shrink.rate_scale", "0.5", "kernel"},
    {"shrink.rows", "{width-1: {rate: 0.5}}", "width-1"},
    {"distil.ratio", "0.5", "kernel"},
    {"distil.loss", NULL, NULL}, /* retired */
    {"evaluate.calibration_images", "1000", "evaluate search"},
    {"evaluate.calibration_batch", "100", "evaluate search"},
    {"evaluate.every_epochs", "2", ""},
    {"checkpoint.every", "1s", ""},
    {"checkpoint.keep", "9", ""},
    {"checkpoint.publish", "9s", ""},
    {"record.tensorboard", "no", ""},
    {"search.evaluations", "99", "search"},
    {"search.population", "11", "search"},
    {"search.mutation", "0.2", "search"},
    {"search.targets", "[{name: small, device: firefly-dl-mono, macs: 2.9M}, {name: best}]",
     "search"},
    {"compile.formats", "[caffe]", "compile-small compile-best"},
    {"compile.converter", NULL, NULL}, /* of targets with a camera */
    {"check.images", "50", "check-small"},
    {"check.loss", "0.5", "check-small"},
    {"resources.launcher", "slurm", ""},
    {"resources.nodes", NULL, NULL}, /* one, for now */
    {"resources.memory", "3GiB", ""},
    {"resources.gpus_per_rank", "1", ""},
    {"resources.gangs", "4", ""},
    {"resources.gangs_per_node", "9", ""},
    {"resources.helper_jobs", NULL, NULL}, /* it needs resources.scratch */
    {"resources.ranks", "4", ""},
    {"resources.threads", "2", ""},
    {"resources.loader_threads", "3", ""},
    {"resources.image_cache", "1MiB", ""},
    {"resources.stall", "2m", ""},
    {"resources.device", "cpu", "teacher evaluate search"},
    {"resources.isa", "x86-64-v3", "teacher evaluate search"},
    {"resources.lineage", "same", ""},
    {"resources.scratch", "/tmp", ""},
    {"notify", "[mail-me, done]", ""},
    {"run_folder", "runs/x", ""},
};

/* Is a stage one of the named, or does it depend on one? */
static bool is_expected(const struct plan *plan, int stage, const char *first)
{
    const char *name = plan->stages[stage].name, *found = strstr(first, name);
    if (found && (found == first || found[-1] == ' ') &&
        (found[strlen(name)] == 0 || found[strlen(name)] == ' '))
        return true;
    for (int d = 0; d < plan->stages[stage].dependency_count; d++)
        if (is_expected(plan, plan->stages[stage].dependencies[d], first))
            return true;
    return false;
}

static void check_change(const struct made *base, size_t c)
{
    struct made other;
    const struct campaign_override change[] = {{changes[c].knob, changes[c].value}};
    made_from(change, 1, &other);
    assert_int_equal(base->plan.stage_count, other.plan.stage_count);
    for (int i = 0; i < base->plan.stage_count; i++) {
        bool has_changed = !hash_equal(&base->keys[i], &other.keys[i]);
        if (has_changed != is_expected(&base->plan, i, changes[c].first))
            fail_msg("%s=%s: the key of %s %s", changes[c].knob, changes[c].value,
                     base->plan.stages[i].name, has_changed ? "changes" : "stays");
    }
}

static void keys_change_exactly_for_the_knobs_that_change_results(void **state)
{
    (void)state;
    struct made base;
    size_t count = sizeof changes / sizeof *changes;
    const struct schema *schema = campaign_schema();
    made_from(NULL, 0, &base);
    for (int k = 0; k < schema->knob_count; k++) {
        size_t c = 0;
        while (c < count && strcmp(changes[c].knob, schema->knobs[k].path) != 0)
            c++;
        if (c == count)
            fail_msg("knob '%s' has no row in this test", schema->knobs[k].path);
        if (changes[c].value)
            check_change(&base, c);
        if (changes[c].first && (changes[c].first[0] == 0) != (schema->knobs[k].affects == 0))
            fail_msg("knob '%s': its row says affects=%u, this test '%s'", schema->knobs[k].path,
                     schema->knobs[k].affects, changes[c].first);
    }
    assert_int_equal(count, schema->knob_count);
}

/* What a bundle, its README and its check are made of: an edited device file compiles anew. */
static void a_bundle_is_compiled_anew_for_a_device_that_was_edited(void **state)
{
    (void)state;
    struct made base, other;
    made_from(NULL, 0, &base);
    for (int edit = 0; edit < 4; edit++) {
        made_from(NULL, 0, &other);
        struct camera_device *device = &other.campaign.targets[0].device;
        device->sensor_width += edit == 0;
        device->sensor_height += edit == 1;
        device->arithmetic = edit == 2 ? DEVICE_ARITHMETIC_UNKNOWN : device->arithmetic;
        device->geometries[GEOMETRY_PAD] ^= edit == 3;
        made_key(&other, "dataset", "");
        for (int i = 0; i < base.plan.stage_count; i++) {
            bool has_changed = !hash_equal(&base.keys[i], &other.keys[i]);
            assert_int_equal(has_changed, is_expected(&base.plan, i, "compile-small"));
        }
    }
}

static void keys_are_the_same_every_time_and_follow_the_datasets_content(void **state)
{
    (void)state;
    struct made base, other;
    made_from(NULL, 0, &base);
    made_from(NULL, 0, &other);
    for (int i = 0; i < base.plan.stage_count; i++)
        assert_true(hash_equal(&base.keys[i], &other.keys[i]));
    made_key(&other, "another dataset", "");
    for (int i = 0; i < base.plan.stage_count; i++)
        assert_false(hash_equal(&base.keys[i], &other.keys[i]));
}

static void inputs_name_the_knob_that_changed(void **state)
{
    (void)state;
    struct made made;
    struct text lines;
    text_init(&lines);
    made_from(NULL, 0, &made);
    campaign_stage_inputs(&made.campaign, &made.space, &made.schedule, &made.plan,
                          find_stage(&made, "kernel"), &lines);
    static const char *const expected[] = {"seed=1\n", "batch.global=256\n", "distil.ratio=1\n",
                                           "space.kernels=3,5,7\n", "phase.subnets=1\n"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        if (!strstr(text_get(&lines), expected[i]))
            fail_msg("not there: %s in\n%s", expected[i], text_get(&lines));
    text_fini(&lines);
}

/* Finished runs of programs that did not know these knobs stay finished. */
static void knobs_that_came_later_are_no_inputs_at_their_default(void **state)
{
    (void)state;
    struct made made, other;
    const struct campaign_override written[] = {{"resources.device", "auto"},
                                                {"precision", "fp32"}};
    const struct campaign_override set[] = {{"resources.device", "some-board"}};
    made_from(written, 2, &made);
    made_from(set, 1, &other);
    for (int i = 0; i < made.plan.stage_count; i++) {
        struct text lines;
        text_init(&lines);
        campaign_stage_inputs(&made.campaign, &made.space, &made.schedule, &made.plan, i, &lines);
        assert_null(strstr(text_get(&lines), "resources.device"));
        assert_null(strstr(text_get(&lines), "precision"));
        campaign_stage_inputs(&other.campaign, &other.space, &other.schedule, &other.plan, i,
                              &lines);
        bool is_input = strstr(text_get(&lines), "resources.device=some-board\n") != NULL;
        assert_int_equal(is_input, strstr(text_get(&lines), "resources.isa=auto\n") != NULL);
        text_fini(&lines);
    }
}

/* Whoever changes one of these gives up every run that is under way or done: see TRAINING_VERSION.
 */
static void finished_stages_of_earlier_programs_stay_finished(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "teacher a7a9e71d82493257",       "kernel 5f99591f198e94d8",
        "depth-1 8f71596ce60a0526",       "depth-2 0a6700fcb910087b",
        "width-1 921312e18fca563b",       "width-2 6f166a1bdc598adf",
        "evaluate 8ef109cf290dfec8",      "search 0fa46e1afcf279b2",
        "compile-small a0fc14d41196f8b0", "compile-best 6e02ab1b046bc479",
        "check-small 3d016d2487bd4647",   "report 88991e4514a52d72"};
    struct made made;
    made_from(NULL, 0, &made);
    assert_int_equal(made.plan.stage_count, sizeof keys / sizeof *keys);
    for (int i = 0; i < made.plan.stage_count; i++) {
        char hex[HASH_HEX_BYTES], key[96];
        hash_hex(&made.keys[i], hex);
        snprintf(key, sizeof key, "%s %.16s", made.plan.stages[i].name, hex);
        assert_string_equal(key, keys[i]);
    }
}

static void a_copy_of_the_space_under_another_name_changes_nothing(void **state)
{
    (void)state;
    struct made base, other;
    char *bytes = NULL, copy[80];
    size_t size = 0;
    assert_ok(file_read("configs/spaces/firefly-tiny.yaml", 65536, &bytes, &size));
    snprintf(copy, sizeof copy, "%s/copy.yaml", made_folder());
    assert_ok(file_write(copy, bytes, size));
    free(bytes);
    const struct campaign_override moved[] = {{"space", copy}};
    made_from(NULL, 0, &base);
    made_from(moved, 1, &other);
    for (int i = 0; i < base.plan.stage_count; i++)
        assert_true(hash_equal(&base.keys[i], &other.keys[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_change_exactly_for_the_knobs_that_change_results),
        cmocka_unit_test(a_bundle_is_compiled_anew_for_a_device_that_was_edited),
        cmocka_unit_test(keys_are_the_same_every_time_and_follow_the_datasets_content),
        cmocka_unit_test(inputs_name_the_knob_that_changed),
        cmocka_unit_test(knobs_that_came_later_are_no_inputs_at_their_default),
        cmocka_unit_test(finished_stages_of_earlier_programs_stay_finished),
        cmocka_unit_test(a_copy_of_the_space_under_another_name_changes_nothing),
    };
    return cmocka_run_group_tests(tests, made_setup, made_teardown);
}
