#include "trainer/stage.h"
#include "base/log.h"
#include "base/mem.h"
#include "trainer/grid.h"
#include "trainer/judge.h"
#include "trainer/results.h"
#include "trainer/search/search_json.h"
#include "trainer/shrink.h"
#include <stdio.h>

/* Adds "holdout" or "test" with this sub-network's score, where the data set has such images. */
static enum err add_score(struct workbench *bench, struct evaluate *evaluate,
                          const struct subnet *subnet, enum split split, enum score_detail detail,
                          json_t *json)
{
    enum err err = ERR_OK;
    struct score score = {0};
    json_t *made = NULL;
    if ((split == SPLIT_TEST ? bench->test_count : bench->holdout_count) == 0)
        return ERR_OK;
    TRY(evaluate_subnet(evaluate, subnet, split, detail, &score));
    if (bench->comm->rank == 0) /* it reads pictures: what fails here fails on one rank only */
        err = results_score(&score, bench->dataset, &made);
    TRY(comm_agree(bench->comm, err));
    if (made)
        json_object_set_new(json, split == SPLIT_TEST ? "test" : "holdout", made);
    if (bench->comm->rank == 0)
        log_info("evaluated subnet=\"%s\" split=%s accuracy=%.4f loss=%.4f",
                 json_string_value(json_object_get(json, "subnet")),
                 split == SPLIT_TEST ? "test" : "holdout", score.accuracy, score.loss);
out:
    score_fini(&score);
    return err;
}

/* The images whose mistakes are kept: nothing was chosen by the test images; a data set that has
 * none shows those of the hold-out. */
static enum split mistakes_split(const struct workbench *bench)
{
    return bench->test_count > 0 ? SPLIT_TEST : SPLIT_HOLDOUT;
}

static enum err evaluate_row(struct workbench *bench, struct evaluate *evaluate,
                             const struct grid_row *row, bool is_end, json_t *list)
{
    enum err err = ERR_OK;
    enum score_detail detail[] = {[SPLIT_HOLDOUT] = SCORE_PLAIN, [SPLIT_TEST] = SCORE_PLAIN};
    json_t *json = results_subnet(&bench->space, row->label, &row->subnet);
    json_array_append_new(list, json); /* the list owns it from here on */
    if (is_end)
        detail[mistakes_split(bench)] = SCORE_DETAILED;
    TRY(evaluate_calibrate(evaluate, &row->subnet));
    TRY(add_score(bench, evaluate, &row->subnet, SPLIT_HOLDOUT, detail[SPLIT_HOLDOUT], json));
    TRY(add_score(bench, evaluate, &row->subnet, SPLIT_TEST, detail[SPLIT_TEST], json));
out:
    return err;
}

static enum err run_evaluate(struct workbench *bench, int stage)
{
    enum err err = ERR_OK;
    const struct space *space = &bench->space;
    struct open_choices open;
    struct evaluate *evaluate = NULL;
    struct grid grid;
    json_t *list = json_array();
    TRY(resume_load_trained(bench, NULL));
    TRY(judge_open(bench, NULL, &evaluate));
    schedule_trained(&bench->schedule, space, &open);
    grid_of(space, &open, space->resolutions[space->resolution_count - 1], &grid);
    for (int i = 0; i < grid.count; i++) {
        bool is_end = i == 0 || i == grid.count - 1; /* the biggest and the smallest */
        struct progress progress = {.step = (uint64_t)i,
                                    .steps = (uint64_t)grid.count,
                                    .accuracy = -1,
                                    .doing = "evaluating"};
        workbench_progress(bench, &progress);
        TRY(evaluate_row(bench, evaluate, &grid.rows[i], is_end, list));
    }
    if (bench->comm->rank == 0)
        err = results_write(bench, bench->plan.stages[stage].name,
                            json_pack("{s:O, s:o}", "subnets", list, "class_names",
                                      results_class_names(bench->dataset)));
    TRY(comm_agree(bench->comm, err));
out:
    json_decref(list);
    evaluate_destroy(&evaluate);
    return err;
}

static void report_search(void *own, int measured)
{
    struct workbench *bench = own;
    struct progress progress = {.step = (uint64_t)measured,
                                .steps = (uint64_t)bench->campaign->search.evaluations,
                                .accuracy = -1,
                                .doing = "searching"};
    workbench_progress(bench, &progress);
}

/* Each target's winner and its mistakes, for the report: nothing is chosen by it. */
static enum err score_winners(struct workbench *bench, struct evaluate *evaluate,
                              const struct search_result *found, json_t *json)
{
    enum err err = ERR_OK;
    json_t *targets = json_object_get(json, "targets");
    for (int i = 0; i < bench->campaign->target_count; i++) {
        const struct subnet *subnet = &found->candidates[found->winners[i].candidate].subnet;
        json_t *target = json_array_get(targets, (size_t)i);
        struct progress progress = {.step = (uint64_t)i,
                                    .steps = (uint64_t)bench->campaign->target_count,
                                    .accuracy = -1,
                                    .doing = "testing"};
        workbench_progress(bench, &progress);
        TRY(evaluate_calibrate(evaluate, subnet));
        TRY(add_score(bench, evaluate, subnet, mistakes_split(bench), SCORE_DETAILED, target));
    }
out:
    return err;
}

static enum err run_search(struct workbench *bench, int stage)
{
    enum err err = ERR_OK;
    const struct campaign *campaign = bench->campaign;
    struct evaluate *evaluate = NULL;
    struct evaluator evaluator;
    struct search_result found = {0};
    struct search_cfg cfg = {.space = &bench->space,
                             .targets = campaign->targets,
                             .target_count = campaign->target_count,
                             .evaluations = campaign->search.evaluations,
                             .population = campaign->search.population,
                             .mutation = campaign->search.mutation,
                             .seed = campaign->seed};
    json_t *json = NULL;
    schedule_trained(&bench->schedule, &bench->space, &cfg.open);
    TRY(resume_load_trained(bench, NULL));
    TRY(judge_open(bench, NULL, &evaluate));
    evaluate_as_evaluator(evaluate, &evaluator);
    report_search(bench, 0);
    TRY(search_run(&cfg, &evaluator, report_search, bench, &found));
    json = search_json(&cfg, &found);
    json_object_set_new(json, "class_names", results_class_names(bench->dataset));
    TRY(score_winners(bench, evaluate, &found, json));
    if (bench->comm->rank == 0)
        err = results_write(bench, bench->plan.stages[stage].name, json_incref(json));
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
    struct shrink_result shrunk;
    enum err err = shrink_run(bench, stage, start, &shrunk);
    result->has_content = err == ERR_OK;
    result->content = shrunk.content;
    result->step = shrunk.step;
    return err;
}

enum err stage_run(struct workbench *bench, const char *name, const struct stage_start *start,
                   struct stage_result *result)
{
    int stage = workbench_find_stage(bench, name);
    *result = (struct stage_result){0};
    if (stage < 0)
        return err_set(ERR_NOT_FOUND, "the campaign %s has no stage %s", bench->campaign->name,
                       name);
    snprintf(result->results, sizeof result->results, "results/%s.json", name);
    switch (bench->plan.stages[stage].kind) {
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
