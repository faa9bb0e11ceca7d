#include "trainer/stage.h"
#include "base/log.h"
#include "base/mem.h"
#include "trainer/evaluate/eval_metrics_json.h"
#include "trainer/evaluate/grid.h"
#include "trainer/record/results.h"
#include "trainer/search/search_json.h"
#include "trainer/train_stage.h"
#include <stdio.h>

/* What the evaluation and search stages share: the trained weights and how they are measured. */
static enum err open_trained(struct workbench *bench, struct evaluate **evaluate)
{
    enum err err = ERR_OK;
    struct hash content = {0}; /* rank 0's counts */
    struct resume_cfg from = workbench_resume(bench);
    struct evaluate_parts parts = workbench_evaluate(bench);
    parts.is_shared = true;
    TRY(workbench_prepare(bench, NULL, NULL));
    TRY(resume_load_trained(&from, &content));
    TRY(evaluate_open(&parts, NULL, evaluate));
    evaluate_set_checkpoint(*evaluate, &content);
out:
    return err;
}

/* The images whose mistakes are kept: nothing was chosen by the test images; a data set that has
 * none shows those of the hold-out. */
static enum split mistakes_split(const struct workbench *bench)
{
    return bench->splits.test_count > 0 ? SPLIT_TEST : SPLIT_HOLDOUT;
}

/* Adds "holdout" or "test" with the item's score. */
static enum err add_score(struct workbench *bench, const struct evaluate_item *item, json_t *json)
{
    enum err err = ERR_OK;
    const char *split = item->split == SPLIT_TEST ? "test" : "holdout";
    json_t *made = NULL;
    if (bench->comm->rank == 0) /* it reads pictures: what fails here fails on one rank only */
        err = eval_metrics_json(&item->metrics, bench->splits.dataset, &made);
    TRY(comm_agree(bench->comm, err));
    if (made)
        json_object_set_new(json, split, made);
    if (bench->comm->rank == 0)
        log_info("evaluated subnet=\"%s\" split=%s accuracy=%.4f loss=%.4f reused=%s",
                 json_string_value(json_object_get(json, "subnet")), split, item->metrics.accuracy,
                 item->metrics.loss, item->is_reused ? "yes" : "no");
out:
    return err;
}

static void report(struct workbench *bench, const struct evaluate *evaluate, const char *doing,
                   int done, int all)
{
    struct progress progress = {.step = (uint64_t)done,
                                .steps = (uint64_t)all,
                                .reused = (uint64_t)evaluate_counts(evaluate).reused,
                                .accuracy = -1,
                                .doing = doing};
    reporter_progress(&bench->reporter, &progress);
}

static void log_counts(const struct workbench *bench, const struct evaluate *evaluate)
{
    struct evaluate_counts counts = evaluate_counts(evaluate);
    if (bench->comm->rank == 0)
        log_info("measured=%d reused=%d", counts.measured, counts.reused);
}

/* What is wanted of every row of the grid: its scores on the splits the data set has; of the
 * biggest and the smallest the mistakes too. Returns how many; items has room for two a row. */
static int list_scores(const struct workbench *bench, const struct grid *grid,
                       struct evaluate_item *items)
{
    const bool has_split[] = {[SPLIT_HOLDOUT] = bench->splits.holdout_count > 0,
                              [SPLIT_TEST] = bench->splits.test_count > 0};
    int count = 0;
    for (int row = 0; row < grid->count; row++)
        for (enum split split = SPLIT_HOLDOUT; split <= SPLIT_TEST; split++) {
            bool is_end = row == 0 || row == grid->count - 1;
            if (!has_split[split])
                continue;
            items[count++] = (struct evaluate_item){
                .subnet = grid->rows[row].subnet,
                .split = split,
                .detail = is_end && split == mistakes_split(bench) ? EVAL_DETAILED : EVAL_PLAIN};
        }
    return count;
}

/* The rows with their scores, in order. */
static enum err list_rows(struct workbench *bench, const struct grid *grid,
                          const struct evaluate_item *items, int count, json_t *list)
{
    enum err err = ERR_OK;
    const struct evaluate_item *item = items, *end = items + count;
    for (int row = 0; row < grid->count; row++) {
        const struct grid_row *named = &grid->rows[row];
        json_t *json = results_subnet(&bench->blueprint.space, named->label, &named->subnet);
        json_array_append_new(list, json);
        for (int i = 0; i < count / grid->count && item < end; i++)
            TRY(add_score(bench, item++, json));
    }
out:
    return err;
}

/* Rank 0. Takes json. */
static enum err write_results(const struct workbench *bench, const char *name, json_t *json)
{
    struct run_record record = workbench_record(bench);
    return results_write(&record, name, json);
}

static void free_metrics(struct evaluate_item *items, int count)
{
    for (int i = 0; i < count; i++)
        eval_metrics_fini(&items[i].metrics);
}

struct listener { /* who is told how far a stage has got */
    struct workbench *bench;
    const struct evaluate *evaluate;
    const char *doing;
    int before, all; /* answers of earlier batches, and of the whole stage */
};

static void report_answers(void *own, int done)
{
    const struct listener *to = own;
    report(to->bench, to->evaluate, to->doing, to->before + done, to->all);
}

static enum err run_evaluate(struct workbench *bench, int stage)
{
    enum err err = ERR_OK;
    struct evaluate_item items[2 * GRID_MAX] = {0};
    struct listener listener = {.bench = bench, .doing = "evaluating"};
    struct evaluate_batch batch = {.items = items, .answered = report_answers, .own = &listener};
    const struct space *space = &bench->blueprint.space;
    struct open_choices open;
    struct evaluate *evaluate = NULL;
    struct grid grid;
    json_t *list = json_array();
    TRY(open_trained(bench, &evaluate));
    schedule_trained(&bench->blueprint.schedule, space, &open);
    grid_of(space, &open, space->resolutions[space->resolution_count - 1], &grid);
    batch.count = listener.all = list_scores(bench, &grid, items);
    listener.evaluate = evaluate;
    report_answers(&listener, 0);
    TRY(evaluate_measure(evaluate, &batch));
    log_counts(bench, evaluate);
    TRY(list_rows(bench, &grid, items, batch.count, list));
    if (bench->comm->rank == 0)
        err = write_results(bench, bench->blueprint.plan.stages[stage].name,
                            json_pack("{s:O, s:o}", "subnets", list, "class_names",
                                      results_class_names(bench->splits.dataset)));
    TRY(comm_agree(bench->comm, err));
out:
    free_metrics(items, batch.count);
    json_decref(list);
    evaluate_destroy(&evaluate);
    return err;
}

/* Behind the candidates come the targets' winners and their mistakes. */
static int count_measurements(const struct workbench *bench)
{
    return bench->blueprint.campaign->search.evaluations + bench->blueprint.campaign->target_count;
}

/* Each target's winner and its mistakes, for the report: nothing is chosen by it. */
static enum err score_winners(const struct listener *to, struct evaluate *evaluate,
                              const struct search_result *found, json_t *json)
{
    enum err err = ERR_OK;
    struct workbench *bench = to->bench;
    struct evaluate_item items[CAMPAIGN_MAX_TARGETS] = {0};
    struct listener listener = *to;
    struct evaluate_batch batch = {.items = items,
                                   .count = bench->blueprint.campaign->target_count,
                                   .answered = report_answers,
                                   .own = &listener};
    json_t *targets = json_object_get(json, "targets");
    listener.doing = "testing";
    listener.before = found->candidate_count;
    for (int i = 0; i < batch.count; i++)
        items[i] =
            (struct evaluate_item){.subnet = found->candidates[found->winners[i].candidate].subnet,
                                   .split = mistakes_split(bench),
                                   .detail = EVAL_DETAILED};
    TRY(evaluate_measure(evaluate, &batch));
    for (int i = 0; i < batch.count; i++)
        TRY(add_score(bench, &items[i], json_array_get(targets, (size_t)i)));
out:
    free_metrics(items, batch.count);
    return err;
}

static enum err run_search(struct workbench *bench, int stage)
{
    enum err err = ERR_OK;
    const struct campaign *campaign = bench->blueprint.campaign;
    struct evaluate *evaluate = NULL;
    struct evaluator evaluator;
    struct search_result found = {0};
    struct search_cfg cfg = {.space = &bench->blueprint.space,
                             .targets = campaign->targets,
                             .target_count = campaign->target_count,
                             .evaluations = campaign->search.evaluations,
                             .population = campaign->search.population,
                             .mutation = campaign->search.mutation,
                             .seed = campaign->seed};
    json_t *json = NULL;
    schedule_trained(&bench->blueprint.schedule, &bench->blueprint.space, &cfg.open);
    TRY(open_trained(bench, &evaluate));
    evaluate_as_evaluator(evaluate, &evaluator);
    struct listener listener = {.bench = bench,
                                .evaluate = evaluate,
                                .doing = "searching",
                                .all = count_measurements(bench)};
    report_answers(&listener, 0);
    TRY(search_run(&cfg, &evaluator, report_answers, &listener, &found));
    json = search_json(&cfg, &found);
    json_object_set_new(json, "class_names", results_class_names(bench->splits.dataset));
    TRY(score_winners(&listener, evaluate, &found, json));
    log_counts(bench, evaluate);
    if (bench->comm->rank == 0)
        err = write_results(bench, bench->blueprint.plan.stages[stage].name, json_incref(json));
    TRY(comm_agree(bench->comm, err));
out:
    json_decref(json);
    search_result_fini(&found);
    evaluate_destroy(&evaluate);
    return err;
}

static enum err run_training(struct workbench *bench, int stage, const struct stage_start *start,
                             struct stage_result *result)
{
    struct train_stage_result shrunk;
    enum err err = train_stage_run(bench, stage, start, &shrunk);
    result->has_content = err == ERR_OK;
    result->content = shrunk.content;
    result->step = shrunk.step;
    return err;
}

enum err stage_run(struct workbench *bench, const char *name, const struct stage_start *start,
                   struct stage_result *result)
{
    int stage = blueprint_find_stage(&bench->blueprint, name);
    *result = (struct stage_result){0};
    if (stage < 0)
        return err_set(ERR_NOT_FOUND, "the campaign %s has no stage %s",
                       bench->blueprint.campaign->name, name);
    snprintf(result->results, sizeof result->results, "results/%s.json", name);
    switch (bench->blueprint.plan.stages[stage].kind) {
    case STAGE_TRAIN:
        return run_training(bench, stage, start, result);
    case STAGE_EVALUATE:
        return run_evaluate(bench, stage);
    case STAGE_SEARCH:
        return run_search(bench, stage);
    case STAGE_COMPILE:
    case STAGE_CHECK:
    case STAGE_VALIDATE:
    case STAGE_REPORT:
        break;
    }
    return err_set(ERR_NOT_FOUND, "stage %s does not run in a gang", name);
}

enum err stage_help(struct workbench *bench, const char *name)
{
    enum err err = ERR_OK;
    const struct plan *plan = &bench->blueprint.plan;
    int stage = blueprint_find_stage(&bench->blueprint, name);
    struct evaluate *evaluate = NULL;
    if (stage < 0 ||
        (plan->stages[stage].kind != STAGE_EVALUATE && plan->stages[stage].kind != STAGE_SEARCH))
        TRY(err_set(ERR_NOT_FOUND, "there is nothing to measure in a stage %s", name));
    TRY(open_trained(bench, &evaluate));
    TRY(evaluate_help(evaluate));
out:
    evaluate_destroy(&evaluate);
    return err;
}
