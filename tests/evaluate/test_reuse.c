/* Nothing is measured twice: stages of a gang of one on a small trained run, stopped, repeated and
 * edited. */
#include "base/mem.h"
#include "tests/evaluate/stand.h"
#include "trainer/evaluate/grid.h"
#include "trainer/stage.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TARGET "{name: small, macs: 0.6M}"

static void assert_same_file(const struct scene *scene, const char *left, const char *right,
                             const char *name)
{
    char *wanted = scene_read(scene, left, name), *got = scene_read(scene, right, name);
    assert_true(strlen(wanted) > 500);
    assert_int_equal(strlen(got), strlen(wanted));
    assert_memory_equal(got, wanted, strlen(wanted));
    mem_free(wanted);
    mem_free(got);
}

static void a_stopped_search_measures_only_the_rest(void **state)
{
    enum { DONE = 3 };
    stand_copy_trained(*state, "whole");
    stand_copy_trained(*state, "stopped");
    struct stand_ran whole = stand_run(*state, "whole", "search", STAND_NEVER);
    stand_must(whole.err);
    assert_true(whole.measured > DONE + 1); /* a corner may be known from the last phase's grid */
    assert_int_equal(stand_run(*state, "stopped", "search", DONE).err, ERR_INTERRUPTED);
    struct stand_ran rest = stand_run(*state, "stopped", "search", STAND_NEVER);
    stand_must(rest.err);
    assert_int_equal(rest.measured, whole.measured - DONE);
    assert_int_equal(rest.reused, whole.reused + DONE);
    assert_same_file(*state, "whole", "stopped", "results/search.json");
    struct stand_ran again = stand_run(*state, "stopped", "search", STAND_NEVER);
    stand_must(again.err);
    assert_int_equal(again.measured, 0);
    assert_int_equal(again.reused, whole.measured + whole.reused);
    assert_same_file(*state, "whole", "stopped", "results/search.json");
}

static json_t *load_search(const struct scene *scene, const char *run)
{
    char *text = scene_read(scene, run, "results/search.json");
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    mem_free(text);
    return json;
}

/* How many of these entries' sub-networks are among those. */
static int count_common(const json_t *search, const json_t *other, const char *list)
{
    int common = 0;
    size_t i, j;
    const json_t *mine, *theirs;
    json_array_foreach(json_object_get(search, list), i, mine) json_array_foreach(
        json_object_get(other, list), j,
        theirs) if (json_equal(json_object_get(mine, "subnet"), json_object_get(theirs, "subnet")))
    {
        common++;
        break;
    }
    return common;
}

static const struct campaign_override two_targets = {
    "search", "{evaluations: 16, population: 4, targets: [" TARGET ", {name: best, macs: 0.9M}]}"};
static const struct campaign_override one_target = {
    "search", "{evaluations: 16, population: 4, targets: [" TARGET "]}"};

static void a_target_more_measures_only_what_is_new(void **state)
{
    stand_copy_trained(*state, "grown");
    stand_copy_trained(*state, "both");
    stand_must(stand_run_edited(*state, "grown", "search", STAND_NEVER, &one_target).err);
    json_t *before = load_search(*state, "grown");
    struct stand_ran grown = stand_run_edited(*state, "grown", "search", STAND_NEVER, &two_targets);
    struct stand_ran both = stand_run_edited(*state, "both", "search", STAND_NEVER, &two_targets);
    stand_must(grown.err);
    stand_must(both.err);
    json_t *after = load_search(*state, "grown");
    int common = count_common(after, before, "candidates"); /* known corners among them */
    int tested = count_common(after, before, "targets");
    print_message("%d of %d measurements reused, %d candidates in common\n", grown.reused,
                  grown.measured + grown.reused, common);
    assert_true(common >= 8); /* two generations of the first target */
    assert_in_range(grown.reused, common + tested, common + tested + both.reused);
    assert_int_equal(grown.measured + grown.reused, both.measured + both.reused);
    assert_same_file(*state, "both", "grown", "results/search.json");
    json_decref(before);
    json_decref(after);
}

/* Turns a bit over in the record of the first candidate. */
static void damage_first(const struct scene *scene, const char *run)
{
    char hex[HASH_HEX_BYTES], key[400];
    struct stand_book *book = stand_book(run);
    json_t *search = load_search(scene, run);
    const json_t *first = json_array_get(json_object_get(search, "candidates"), 0);
    scene_content(scene, run, "width-2/final", hex);
    snprintf(key, sizeof key, "checkpoint=%s\nsubnet=%s\nsplit=holdout\n", hex,
             json_string_value(json_object_get(first, "subnet")));
    char *at = NULL;
    for (int i = 0; i < book->count && !at; i++) {
        const struct exchange_record *record = &book->records[i];
        at = memmem(record->bytes, record->size_bytes, key, strlen(key));
        if (at)
            *at ^= 1;
        if (at)
            book->memory->keep(book->memory, record);
    }
    assert_non_null(at);
    json_decref(search);
}

static void a_damaged_measurement_is_made_again(void **state)
{
    stand_copy_trained(*state, "damaged");
    struct stand_ran whole = stand_run(*state, "damaged", "search", STAND_NEVER);
    stand_must(whole.err);
    char *before = scene_read(*state, "damaged", "results/search.json");
    damage_first(*state, "damaged");
    struct stand_ran again = stand_run(*state, "damaged", "search", STAND_NEVER);
    stand_must(again.err);
    assert_int_equal(again.measured, 1);
    char *after = scene_read(*state, "damaged", "results/search.json");
    assert_string_equal(after, before);
    assert_int_equal(stand_run(*state, "damaged", "search", STAND_NEVER).measured, 0);
    mem_free(before);
    mem_free(after);
}

/* Its worst images, confusion and recall too. */
static void an_evaluation_is_repeated_from_the_table(void **state)
{
    stand_copy_trained(*state, "evaluated");
    struct stand_ran first = stand_run(*state, "evaluated", "evaluate", STAND_NEVER);
    stand_must(first.err);
    assert_true(first.measured > 0);
    char *before = scene_read(*state, "evaluated", "results/evaluate.json");
    assert_non_null(strstr(before, "\"confusion\""));
    struct stand_ran again = stand_run(*state, "evaluated", "evaluate", STAND_NEVER);
    stand_must(again.err);
    assert_int_equal(again.measured, 0);
    assert_int_equal(again.reused, first.measured + first.reused);
    char *after = scene_read(*state, "evaluated", "results/evaluate.json");
    assert_int_equal(strlen(after), strlen(before));
    assert_memory_equal(after, before, strlen(before));
    mem_free(before);
    mem_free(after);
}

static void other_settings_measure_anew(void **state)
{
    stand_copy_trained(*state, "other");
    struct stand_ran first = stand_run(*state, "other", "evaluate", STAND_NEVER);
    stand_must(first.err);
    const struct campaign_override set = {"evaluate.calibration_images", "48"};
    struct stand_ran edited = stand_run_edited(*state, "other", "evaluate", STAND_NEVER, &set);
    stand_must(edited.err);
    assert_int_equal(edited.measured, first.measured + first.reused);
    assert_int_equal(edited.reused, 0);
}

static void open_evaluate(struct stand *stand, bool is_known, struct evaluate **evaluate)
{
    struct hash content;
    stand_must(load_trained(stand->bench, &content));
    stand_must(open_evaluation(stand->bench, NULL, evaluate));
    evaluate_set_checkpoint(*evaluate, is_known ? &content : NULL);
}

static struct evaluate_item measure(struct evaluate *evaluate, const struct subnet *subnet,
                                    enum eval_detail detail)
{
    struct evaluate_item item = {.subnet = *subnet, .split = SPLIT_HOLDOUT, .detail = detail};
    const struct evaluate_batch batch = {.items = &item, .count = 1};
    stand_must(evaluate_measure(evaluate, &batch));
    eval_metrics_fini(&item.metrics); /* what is plain stays */
    return item;
}

/* The last phase's grid was measured before its checkpoint was written. */
static void the_grid_of_a_phase_serves_what_follows_with_the_same_bits(void **state)
{
    struct stand stand;
    struct evaluate *known = NULL, *unknown = NULL;
    struct subnet biggest;
    stand_copy_trained(*state, "grid");
    stand_open(*state, "grid", NULL, &stand);
    subnet_biggest(&stand.bench->blueprint.space, 20, &biggest);
    open_evaluate(&stand, true, &known);
    open_evaluate(&stand, false, &unknown);
    struct evaluate_item first = measure(known, &biggest, EVAL_PLAIN);
    struct evaluate_item second = measure(unknown, &biggest, EVAL_PLAIN);
    assert_true(first.is_reused);
    assert_false(second.is_reused);
    assert_memory_equal(&first.metrics, &second.metrics, sizeof first.metrics);
    assert_false(measure(known, &biggest, EVAL_DETAILED).is_reused); /* that was a plain one */
    assert_true(measure(known, &biggest, EVAL_DETAILED).is_reused);
    assert_true(measure(known, &biggest, EVAL_PLAIN).is_reused);
    assert_int_equal(evaluate_counts(known).reused, 3);
    assert_int_equal(evaluate_counts(known).measured, 1);
    evaluate_destroy(&known);
    evaluate_destroy(&unknown);
    stand_close(&stand);
}

/* Which rank's processor computed which leaf decides the last bits. */
static void what_a_gang_of_several_models_measures_is_no_pure_gangs(void **state)
{
    struct stand stand;
    struct evaluate *pure = NULL, *mixed = NULL, *like = NULL;
    struct subnet biggest;
    char little[DEVICE_LINEAGE];
    stand_copy_trained(*state, "models");
    stand_open(*state, "models", NULL, &stand);
    subnet_biggest(&stand.bench->blueprint.space, 20, &biggest);
    open_evaluate(&stand, true, &pure);
    assert_true(measure(pure, &biggest, EVAL_PLAIN).is_reused); /* the last phase's grid */
    write_little(stand.bench, little);
    stand_must(mix_with(stand.bench, little));
    open_evaluate(&stand, true, &mixed);
    assert_false(measure(mixed, &biggest, EVAL_PLAIN).is_reused);
    assert_true(measure(mixed, &biggest, EVAL_PLAIN).is_reused);
    stand_must(mix_with(stand.bench, stand.bench->device->lineage));
    open_evaluate(&stand, true, &like);
    assert_true(measure(like, &biggest, EVAL_PLAIN).is_reused); /* two of the first model */
    evaluate_destroy(&pure);
    evaluate_destroy(&mixed);
    evaluate_destroy(&like);
    stand_close(&stand);
}

/* Every row of the grid in detail, as other stages ask for some of them. */
static void measure_grid_in_detail(const struct scene *scene, const char *run)
{
    struct stand stand;
    struct open_choices open;
    struct grid grid;
    struct evaluate *evaluate = NULL;
    stand_open(scene, run, NULL, &stand);
    const struct space *space = &stand.bench->blueprint.space;
    schedule_trained(&stand.bench->blueprint.schedule, space, &open);
    grid_of(space, &open, space->resolutions[space->resolution_count - 1], &grid);
    open_evaluate(&stand, true, &evaluate);
    for (int i = 0; i < grid.count; i++) {
        struct evaluate_item items[2] = {{.split = SPLIT_HOLDOUT}, {.split = SPLIT_TEST}};
        items[0].subnet = items[1].subnet = grid.rows[i].subnet;
        items[0].detail = items[1].detail = EVAL_DETAILED;
        const struct evaluate_batch batch = {.items = items, .count = 2};
        stand_must(evaluate_measure(evaluate, &batch));
        eval_metrics_fini(&items[0].metrics);
        eval_metrics_fini(&items[1].metrics);
    }
    evaluate_destroy(&evaluate);
    stand_close(&stand);
}

static void results_are_the_same_where_more_was_measured_before(void **state)
{
    stand_copy_trained(*state, "fresh");
    stand_copy_trained(*state, "detailed");
    measure_grid_in_detail(*state, "detailed");
    stand_must(stand_run(*state, "fresh", "evaluate", STAND_NEVER).err);
    struct stand_ran reused = stand_run(*state, "detailed", "evaluate", STAND_NEVER);
    stand_must(reused.err);
    assert_int_equal(reused.measured, 0);
    assert_same_file(*state, "fresh", "detailed", "results/evaluate.json");
}

/* depth-2 opens four corners: two were measured at the end of depth-1, on the same weights. The
 * stop comes behind the third; then one is left, and the next stop is of a step. */
static void a_stop_in_the_middle_of_a_grid_loses_no_row(void **state)
{
    const struct campaign_override set = {"evaluate.every_epochs", "1"};
    stand_train(*state, "cut", "teacher,kernel,depth-1");
    struct stand_ran cut = stand_run_edited(*state, "cut", "depth-2", 1, &set);
    assert_int_equal(cut.err, ERR_INTERRUPTED);
    assert_non_null(strstr(err_text(), "behind step 0 of"));
    struct stand_ran next = stand_run_edited(*state, "cut", "depth-2", 1, &set);
    assert_int_equal(next.err, ERR_INTERRUPTED);
    if (!strstr(err_text(), "behind step 1 of"))
        fail_msg("%s", err_text());
}

/* width-1 sorts channels before it measures: what the narrower sub-networks score then is no score
 * of the checkpoint that it starts from. Those of full width compute what they did. */
static void sorted_weights_are_of_no_checkpoint(void **state)
{
    const struct campaign_override set = {"evaluate.every_epochs", "1"};
    char hex[HASH_HEX_BYTES];
    struct hash before;
    struct stand stand;
    struct evaluate *evaluate = NULL;
    struct grid grid;
    int known = 0, narrow = 0;
    stand_train(*state, "sorted", "teacher,kernel,depth-1,depth-2");
    stand_must(stand_run_edited(*state, "sorted", "width-1", STAND_NEVER, &set).err);
    scene_content(*state, "sorted", "depth-2/final", hex);
    assert_true(hash_parse(hex, &before));
    stand_open(*state, "sorted", NULL, &stand);
    const struct blueprint *blueprint = &stand.bench->blueprint;
    const struct phase *phase =
        blueprint_phase(blueprint, blueprint_find_stage(blueprint, "width-1"));
    grid_of(&blueprint->space, &phase->open, 20, &grid);
    stand_must(open_evaluation(stand.bench, NULL, &evaluate));
    evaluate_set_checkpoint(evaluate, &before);
    for (int i = 0; i < grid.count; i++) {
        const struct subnet *subnet = &grid.rows[i].subnet;
        bool is_narrow = subnet->expansion[0] < choices_max(&blueprint->space.expansions);
        bool is_known = measure(evaluate, subnet, EVAL_PLAIN).is_reused;
        if (is_narrow && is_known)
            fail_msg("%s was measured on %s", grid.rows[i].label, hex);
        narrow += is_narrow;
        known += is_known;
    }
    assert_true(narrow > 0);
    assert_true(known > 0);
    evaluate_destroy(&evaluate);
    stand_close(&stand);
}

static int make(void **state)
{
    if (scene_make(state) != 0)
        return -1;
    stand_train(*state, "trained", SCENE_STAGES);
    return 0;
}

static int remove_all(void **state)
{
    stand_close_books();
    return scene_remove(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stopped_search_measures_only_the_rest),
        cmocka_unit_test(a_target_more_measures_only_what_is_new),
        cmocka_unit_test(a_damaged_measurement_is_made_again),
        cmocka_unit_test(an_evaluation_is_repeated_from_the_table),
        cmocka_unit_test(other_settings_measure_anew),
        cmocka_unit_test(the_grid_of_a_phase_serves_what_follows_with_the_same_bits),
        cmocka_unit_test(what_a_gang_of_several_models_measures_is_no_pure_gangs),
        cmocka_unit_test(results_are_the_same_where_more_was_measured_before),
        cmocka_unit_test(a_stop_in_the_middle_of_a_grid_loses_no_row),
        cmocka_unit_test(sorted_weights_are_of_no_checkpoint),
    };
    return cmocka_run_group_tests(tests, make, remove_all);
}
