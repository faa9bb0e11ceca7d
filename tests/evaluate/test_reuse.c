/* Nothing is measured twice: stages of a gang of one on a small trained run, stopped, repeated and
 * edited. What was measured before is in a book that the test keeps for every run, as a scheduler
 * does in its journal; what was computed is counted by what comes into it. */
#include "base/mem.h"
#include "tests/integration/scene.h"
#include "tests/trainer/bench_parts.h"
#include "trainer/evaluate/exchange_memory.h"
#include "trainer/evaluate/grid.h"
#include "trainer/stage.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_RUNS = 16, MOST_RECORDS = 400 };
#define NEVER  (-1)
#define TARGET "{name: small, macs: 0.6M}"

struct book { /* of a run */
    char run[32];
    struct exchange exchange; /* counts what comes in, and passes everything on */
    struct exchange *memory;
    struct exchange_record records[MOST_RECORDS]; /* bytes are owned */
    int count;
};
static struct book *books[MOST_RUNS];

struct stand {
    struct campaign *campaign;
    struct comm comm;
    struct observer observer;
    struct workbench *bench;
    struct book *book;
    int known;       /* records before */
    int stop_at;     /* more of them before a stop is asked for */
    uint64_t reused; /* as progress said last */
};

static void must(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
}

static void keep(struct exchange *exchange, const struct exchange_record *record)
{
    struct book *book = exchange->own;
    assert_true(book->count < MOST_RECORDS);
    struct exchange_record *kept = &book->records[book->count++];
    void *copy = mem_alloc(record->size_bytes);
    memcpy(copy, record->bytes, record->size_bytes);
    *kept = *record;
    kept->bytes = copy;
    book->memory->keep(book->memory, kept);
}

static void want(struct exchange *exchange, enum exchange_aim aim,
                 const struct exchange_score *scores, int count)
{
    struct book *book = exchange->own;
    book->memory->want(book->memory, aim, scores, count);
}

static void be_ready(struct exchange *exchange)
{
    struct book *book = exchange->own;
    book->memory->ready(book->memory);
}

static enum err next(struct exchange *exchange, struct exchange_event *event)
{
    struct book *book = exchange->own;
    return book->memory->next(book->memory, event);
}

static void finish(struct exchange *exchange)
{
    struct book *book = exchange->own;
    book->memory->finish(book->memory);
}

static struct book *open_book(const char *run)
{
    int at = 0;
    for (; books[at]; at++)
        if (strcmp(books[at]->run, run) == 0)
            return books[at];
    assert_true(at < MOST_RUNS - 1);
    struct book *book = books[at] = mem_alloc(sizeof *book);
    snprintf(book->run, sizeof book->run, "%s", run);
    book->memory = exchange_memory_create();
    book->exchange = (struct exchange){
        .own = book, .want = want, .ready = be_ready, .next = next, .keep = keep, .finish = finish};
    return book;
}

static void close_books(void)
{
    for (int i = 0; books[i]; i++) {
        for (int j = 0; j < books[i]->count; j++)
            mem_free((void *)(uintptr_t)books[i]->records[j].bytes);
        exchange_memory_destroy(&books[i]->memory);
        mem_free(books[i]);
    }
}

static int count_measured(const struct stand *stand)
{
    return stand->book->count - stand->known;
}

static bool wants_stop(void *own)
{
    const struct stand *stand = own;
    return stand->stop_at != NEVER && count_measured(stand) >= stand->stop_at;
}

static void take_progress(void *own, const struct progress *progress)
{
    struct stand *stand = own;
    assert_true(progress->reused <= progress->step);
    stand->reused = progress->reused;
}

/* set: with what the campaign is edited, or NULL. */
static void open_stand(const struct scene *scene, const char *run,
                       const struct campaign_override *set, struct stand *stand)
{
    char folder[400];
    snprintf(folder, sizeof folder, "%s/%s", scene->folder, run);
    *stand = (struct stand){.campaign = mem_alloc(sizeof *stand->campaign), .stop_at = NEVER};
    must(campaign_load(scene->campaign, set, set ? 1 : 0, stand->campaign));
    comm_alone(&stand->comm);
    stand->book = open_book(run);
    stand->known = stand->book->count;
    stand->observer =
        (struct observer){.own = stand, .wants_stop = wants_stop, .progress = take_progress};
    struct workbench_cfg cfg = {.campaign = stand->campaign,
                                .folder = folder,
                                .comm = &stand->comm,
                                .observer = &stand->observer,
                                .exchange = &stand->book->exchange};
    must(workbench_open(&cfg, &stand->bench));
}

static void close_stand(struct stand *stand)
{
    workbench_close(&stand->bench);
    mem_free(stand->campaign);
}

struct ran { /* one attempt of a stage */
    enum err err;
    int measured, reused;
};

static struct ran run_edited(const struct scene *scene, const char *run, const char *stage,
                             int stop_at, const struct campaign_override *set)
{
    struct stand stand;
    struct stage_start start = {0};
    struct stage_result result;
    open_stand(scene, run, set, &stand);
    stand.stop_at = stop_at;
    enum err err = stage_run(stand.bench, stage, &start, &result);
    struct ran ran = {err, count_measured(&stand), (int)stand.reused};
    close_stand(&stand);
    return ran;
}

static struct ran run_stage(const struct scene *scene, const char *run, const char *stage,
                            int stop_at)
{
    return run_edited(scene, run, stage, stop_at, NULL);
}

static void train(const struct scene *scene, const char *run, const char *stages)
{
    char *copy = mem_string(stages), *rest = copy;
    for (const char *stage; (stage = strsep(&rest, ","));)
        must(run_stage(scene, run, stage, NEVER).err);
    mem_free(copy);
}

/* A run of its own for a test, trained already. */
static void copy_trained(const struct scene *scene, const char *run)
{
    char from[400], to[400];
    snprintf(from, sizeof from, "%s/trained", scene->folder);
    snprintf(to, sizeof to, "%s/%s", scene->folder, run);
    const char *words[] = {"cp", "-r", from, to, NULL};
    struct program program = program_start(words, scene->output, scene->log);
    assert_int_equal(program_wait(&program, SCENE_WAIT_S), 0);
    const struct book *trained = open_book("trained");
    struct book *book = open_book(run);
    for (int i = 0; i < trained->count; i++)
        keep(&book->exchange, &trained->records[i]);
}

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
    enum { DONE = 4 };
    copy_trained(*state, "whole");
    copy_trained(*state, "stopped");
    struct ran whole = run_stage(*state, "whole", "search", NEVER);
    must(whole.err);
    assert_true(whole.measured > DONE + 1); /* a corner may be known from the last phase's grid */
    assert_int_equal(run_stage(*state, "stopped", "search", DONE).err, ERR_INTERRUPTED);
    struct ran rest = run_stage(*state, "stopped", "search", NEVER);
    must(rest.err);
    assert_int_equal(rest.measured, whole.measured - DONE);
    assert_int_equal(rest.reused, whole.reused + DONE);
    assert_same_file(*state, "whole", "stopped", "results/search.json");
    struct ran again = run_stage(*state, "stopped", "search", NEVER);
    must(again.err);
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
    copy_trained(*state, "grown");
    copy_trained(*state, "both");
    must(run_edited(*state, "grown", "search", NEVER, &one_target).err);
    json_t *before = load_search(*state, "grown");
    struct ran grown = run_edited(*state, "grown", "search", NEVER, &two_targets);
    struct ran both = run_edited(*state, "both", "search", NEVER, &two_targets);
    must(grown.err);
    must(both.err);
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
    struct book *book = open_book(run);
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
    copy_trained(*state, "damaged");
    struct ran whole = run_stage(*state, "damaged", "search", NEVER);
    must(whole.err);
    char *before = scene_read(*state, "damaged", "results/search.json");
    damage_first(*state, "damaged");
    struct ran again = run_stage(*state, "damaged", "search", NEVER);
    must(again.err);
    assert_int_equal(again.measured, 1);
    char *after = scene_read(*state, "damaged", "results/search.json");
    assert_string_equal(after, before);
    assert_int_equal(run_stage(*state, "damaged", "search", NEVER).measured, 0);
    mem_free(before);
    mem_free(after);
}

/* Its worst images, confusion and recall too. */
static void an_evaluation_is_repeated_from_the_table(void **state)
{
    copy_trained(*state, "evaluated");
    struct ran first = run_stage(*state, "evaluated", "evaluate", NEVER);
    must(first.err);
    assert_true(first.measured > 0);
    char *before = scene_read(*state, "evaluated", "results/evaluate.json");
    assert_non_null(strstr(before, "\"confusion\""));
    struct ran again = run_stage(*state, "evaluated", "evaluate", NEVER);
    must(again.err);
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
    copy_trained(*state, "other");
    struct ran first = run_stage(*state, "other", "evaluate", NEVER);
    must(first.err);
    const struct campaign_override set = {"evaluate.calibration_images", "48"};
    struct ran edited = run_edited(*state, "other", "evaluate", NEVER, &set);
    must(edited.err);
    assert_int_equal(edited.measured, first.measured + first.reused);
    assert_int_equal(edited.reused, 0);
}

static void open_evaluate(struct stand *stand, bool is_known, struct evaluate **evaluate)
{
    struct hash content;
    must(load_trained(stand->bench, &content));
    must(open_evaluation(stand->bench, NULL, evaluate));
    evaluate_set_checkpoint(*evaluate, is_known ? &content : NULL);
}

static struct evaluate_item measure(struct evaluate *evaluate, const struct subnet *subnet,
                                    enum eval_detail detail)
{
    struct evaluate_item item = {.subnet = *subnet, .split = SPLIT_HOLDOUT, .detail = detail};
    const struct evaluate_batch batch = {.items = &item, .count = 1};
    must(evaluate_measure(evaluate, &batch));
    eval_metrics_fini(&item.metrics); /* what is plain stays */
    return item;
}

/* The last phase's grid was measured before its checkpoint was written. */
static void the_grid_of_a_phase_serves_what_follows_with_the_same_bits(void **state)
{
    struct stand stand;
    struct evaluate *known = NULL, *unknown = NULL;
    struct subnet biggest;
    copy_trained(*state, "grid");
    open_stand(*state, "grid", NULL, &stand);
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
    close_stand(&stand);
}

/* Which rank's processor computed which leaf decides the last bits. */
static void what_a_gang_of_several_models_measures_is_no_pure_gangs(void **state)
{
    struct stand stand;
    struct evaluate *pure = NULL, *mixed = NULL, *like = NULL;
    struct subnet biggest;
    char little[DEVICE_LINEAGE];
    copy_trained(*state, "models");
    open_stand(*state, "models", NULL, &stand);
    subnet_biggest(&stand.bench->blueprint.space, 20, &biggest);
    open_evaluate(&stand, true, &pure);
    assert_true(measure(pure, &biggest, EVAL_PLAIN).is_reused); /* the last phase's grid */
    write_little(stand.bench, little);
    must(mix_with(stand.bench, little));
    open_evaluate(&stand, true, &mixed);
    assert_false(measure(mixed, &biggest, EVAL_PLAIN).is_reused);
    assert_true(measure(mixed, &biggest, EVAL_PLAIN).is_reused);
    must(mix_with(stand.bench, stand.bench->device->lineage));
    open_evaluate(&stand, true, &like);
    assert_true(measure(like, &biggest, EVAL_PLAIN).is_reused); /* two of the first model */
    evaluate_destroy(&pure);
    evaluate_destroy(&mixed);
    evaluate_destroy(&like);
    close_stand(&stand);
}

/* Every row of the grid in detail, as other stages ask for some of them. */
static void measure_grid_in_detail(const struct scene *scene, const char *run)
{
    struct stand stand;
    struct open_choices open;
    struct grid grid;
    struct evaluate *evaluate = NULL;
    open_stand(scene, run, NULL, &stand);
    const struct space *space = &stand.bench->blueprint.space;
    schedule_trained(&stand.bench->blueprint.schedule, space, &open);
    grid_of(space, &open, space->resolutions[space->resolution_count - 1], &grid);
    open_evaluate(&stand, true, &evaluate);
    for (int i = 0; i < grid.count; i++) {
        struct evaluate_item items[2] = {{.split = SPLIT_HOLDOUT}, {.split = SPLIT_TEST}};
        items[0].subnet = items[1].subnet = grid.rows[i].subnet;
        items[0].detail = items[1].detail = EVAL_DETAILED;
        const struct evaluate_batch batch = {.items = items, .count = 2};
        must(evaluate_measure(evaluate, &batch));
        eval_metrics_fini(&items[0].metrics);
        eval_metrics_fini(&items[1].metrics);
    }
    evaluate_destroy(&evaluate);
    close_stand(&stand);
}

static void results_are_the_same_where_more_was_measured_before(void **state)
{
    copy_trained(*state, "fresh");
    copy_trained(*state, "detailed");
    measure_grid_in_detail(*state, "detailed");
    must(run_stage(*state, "fresh", "evaluate", NEVER).err);
    struct ran reused = run_stage(*state, "detailed", "evaluate", NEVER);
    must(reused.err);
    assert_int_equal(reused.measured, 0);
    assert_same_file(*state, "fresh", "detailed", "results/evaluate.json");
}

/* depth-2 opens four corners: two were measured at the end of depth-1, on the same weights. The
 * stop comes behind the third; then one is left, and the next stop is of a step. */
static void a_stop_in_the_middle_of_a_grid_loses_no_row(void **state)
{
    const struct campaign_override set = {"evaluate.every_epochs", "1"};
    train(*state, "cut", "teacher,kernel,depth-1");
    struct ran cut = run_edited(*state, "cut", "depth-2", 1, &set);
    assert_int_equal(cut.err, ERR_INTERRUPTED);
    assert_non_null(strstr(err_text(), "behind step 0 of"));
    struct ran next = run_edited(*state, "cut", "depth-2", 1, &set);
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
    train(*state, "sorted", "teacher,kernel,depth-1,depth-2");
    must(run_edited(*state, "sorted", "width-1", NEVER, &set).err);
    scene_content(*state, "sorted", "depth-2/final", hex);
    assert_true(hash_parse(hex, &before));
    open_stand(*state, "sorted", NULL, &stand);
    const struct blueprint *blueprint = &stand.bench->blueprint;
    const struct phase *phase =
        blueprint_phase(blueprint, blueprint_find_stage(blueprint, "width-1"));
    grid_of(&blueprint->space, &phase->open, 20, &grid);
    must(open_evaluation(stand.bench, NULL, &evaluate));
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
    close_stand(&stand);
}

static int make(void **state)
{
    if (scene_make(state) != 0)
        return -1;
    train(*state, "trained", SCENE_STAGES);
    return 0;
}

static int remove_all(void **state)
{
    close_books();
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
