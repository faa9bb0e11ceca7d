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

/* Every item of this sub-network measured, and its score added. */
static enum err add_scores(struct workbench *bench, struct evaluate *evaluate,
                           const struct subnet *subnet, struct evaluate_item *items, int count,
                           json_t *json)
{
    enum err err = ERR_OK;
    int added = 0;
    TRY(evaluate_measure(evaluate, subnet, items, count));
    for (; added < count && err == ERR_OK; added++)
        err = add_score(bench, &items[added], json);
    for (int i = 0; i < count; i++)
        eval_metrics_fini(&items[i].metrics);
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

/* On the splits the data set has. */
static enum err evaluate_row(struct workbench *bench, struct evaluate *evaluate,
                             const struct grid_row *row, bool is_end, json_t *list)
{
    struct evaluate_item items[2];
    int count = 0;
    json_t *json = results_subnet(&bench->blueprint.space, row->label, &row->subnet);
    json_array_append_new(list, json); /* the list owns it from here on */
    if (bench->splits.holdout_count > 0)
        items[count++] = (struct evaluate_item){.split = SPLIT_HOLDOUT, .detail = EVAL_PLAIN};
    if (bench->splits.test_count > 0)
        items[count++] = (struct evaluate_item){.split = SPLIT_TEST, .detail = EVAL_PLAIN};
    for (int i = 0; i < count; i++)
        if (is_end && items[i].split == mistakes_split(bench))
            items[i].detail = EVAL_DETAILED;
    return add_scores(bench, evaluate, &row->subnet, items, count, json);
}

/* Rank 0. Takes json. */
static enum err write_results(const struct workbench *bench, const char *name, json_t *json)
{
    struct run_record record = workbench_record(bench);
    return results_write(&record, name, json);
}

static enum err run_evaluate(struct workbench *bench, int stage)
{
    enum err err = ERR_OK;
    const struct space *space = &bench->blueprint.space;
    struct open_choices open;
    struct evaluate *evaluate = NULL;
    struct grid grid;
    json_t *list = json_array();
    TRY(open_trained(bench, &evaluate));
    schedule_trained(&bench->blueprint.schedule, space, &open);
    grid_of(space, &open, space->resolutions[space->resolution_count - 1], &grid);
    for (int i = 0; i < grid.count; i++) {
        bool is_end = i == 0 || i == grid.count - 1; /* the biggest and the smallest */
        report(bench, evaluate, "evaluating", i, grid.count);
        TRY(evaluate_row(bench, evaluate, &grid.rows[i], is_end, list));
    }
    report(bench, evaluate, "evaluating", grid.count, grid.count);
    log_counts(bench, evaluate);
    if (bench->comm->rank == 0)
        err = write_results(bench, bench->blueprint.plan.stages[stage].name,
                            json_pack("{s:O, s:o}", "subnets", list, "class_names",
                                      results_class_names(bench->splits.dataset)));
    TRY(comm_agree(bench->comm, err));
out:
    json_decref(list);
    evaluate_destroy(&evaluate);
    return err;
}

struct searching { /* whom the search tells of its progress */
    struct workbench *bench;
    const struct evaluate *evaluate;
};

/* Behind the candidates come the targets' winners and their mistakes. */
static int count_measurements(const struct workbench *bench)
{
    return bench->blueprint.campaign->search.evaluations + bench->blueprint.campaign->target_count;
}

static void report_search(void *own, int measured)
{
    const struct searching *searching = own;
    report(searching->bench, searching->evaluate, "searching", measured,
           count_measurements(searching->bench));
}

/* Each target's winner and its mistakes, for the report: nothing is chosen by it. */
static enum err score_winners(struct workbench *bench, struct evaluate *evaluate,
                              const struct search_result *found, json_t *json)
{
    enum err err = ERR_OK;
    json_t *targets = json_object_get(json, "targets");
    int measured = found->candidate_count, all = count_measurements(bench);
    for (int i = 0; i < bench->blueprint.campaign->target_count; i++) {
        const struct subnet *subnet = &found->candidates[found->winners[i].candidate].subnet;
        json_t *target = json_array_get(targets, (size_t)i);
        struct evaluate_item item = {.split = mistakes_split(bench), .detail = EVAL_DETAILED};
        TRY(add_scores(bench, evaluate, subnet, &item, 1, target));
        report(bench, evaluate, "testing", ++measured, all);
    }
out:
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
    struct searching searching = {.bench = bench, .evaluate = evaluate};
    report_search(&searching, 0);
    TRY(search_run(&cfg, &evaluator, report_search, &searching, &found));
    json = search_json(&cfg, &found);
    json_object_set_new(json, "class_names", results_class_names(bench->splits.dataset));
    TRY(score_winners(bench, evaluate, &found, json));
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
    case STAGE_REPORT:
        break;
    }
    return err_set(ERR_NOT_FOUND, "stage %s does not run in a gang", name);
}
