#include "trainer/evaluate/grid_eval.h"
#include "base/log.h"
#include "base/mem.h"
#include "trainer/evaluate/grid.h"
#include "trainer/record/results.h"
#include <stdlib.h>

struct evaluated { /* what was measured of a grid */
    uint64_t step;
    int count;
    struct {
        struct subnet subnet;
        struct eval_metrics metrics; /* plain: owns nothing */
    } rows[GRID_MAX];
};

struct grid_eval {
    struct grid_eval_cfg cfg;
    struct evaluate *evaluate;  /* NULL until first needed */
    struct evaluated evaluated; /* last */
};

struct grid_eval *grid_eval_create(const struct grid_eval_cfg *cfg)
{
    struct grid_eval *grid_eval = mem_alloc(sizeof *grid_eval);
    *grid_eval = (struct grid_eval){.cfg = *cfg};
    return grid_eval;
}

void grid_eval_destroy(struct grid_eval **pointer)
{
    struct grid_eval *grid_eval = *pointer;
    if (!grid_eval)
        return;
    evaluate_destroy(&grid_eval->evaluate);
    mem_free(grid_eval);
    *pointer = NULL;
}

bool grid_eval_is_due(const struct grid_eval *grid_eval, uint64_t step)
{
    double every = grid_eval->cfg.parts.campaign->evaluate.every_epochs;
    bool has_start =
        grid_eval->cfg.phase->has_distillation; /* fresh weights have nothing to show */
    if (grid_eval->cfg.parts.splits->holdout_count == 0)
        return false;
    return step == grid_eval->cfg.lr_schedule->steps || (step == 0 && has_start && every > 0) ||
           lr_schedule_is_due(grid_eval->cfg.lr_schedule, every, step);
}

/* One row: calibrated, then measured. */
static enum err measure_row(struct grid_eval *grid_eval, const struct grid_row *row, json_t *list)
{
    enum err err = ERR_OK;
    struct evaluate_item item = {
        .subnet = row->subnet, .split = SPLIT_HOLDOUT, .detail = EVAL_PLAIN};
    const struct evaluate_batch batch = {.items = &item, .count = 1};
    struct evaluated *evaluated = &grid_eval->evaluated;
    TRY(evaluate_measure(grid_eval->evaluate, &batch));
    const struct eval_metrics metrics = item.metrics;
    evaluated->rows[evaluated->count].subnet = row->subnet;
    evaluated->rows[evaluated->count++].metrics = metrics;
    json_t *json = results_subnet(grid_eval->cfg.parts.net->space, row->label, &row->subnet);
    json_object_set_new(json, "accuracy", json_real(metrics.accuracy));
    json_object_set_new(json, "loss", json_real(metrics.loss));
    json_array_append_new(list, json);
    if (grid_eval->cfg.parts.comm->rank == 0)
        log_info("evaluated stage=%s subnet=\"%s\" accuracy=%.4f loss=%.4f",
                 grid_eval->cfg.phase->name, row->label, metrics.accuracy, metrics.loss);
out:
    return err;
}

/* For TensorBoard: a curve of every sub-network. */
static void add_scalars(struct event_log *events, const json_t *list)
{
    size_t i = 0;
    const json_t *row = NULL;
    json_array_foreach(list, i, row)
    {
        const char *label = json_string_value(json_object_get(row, "label"));
        char tag[80];
        snprintf(tag, sizeof tag, "holdout_accuracy/%s", label);
        event_log_scalar(events, tag, json_number_value(json_object_get(row, "accuracy")));
        snprintf(tag, sizeof tag, "holdout_loss/%s", label);
        event_log_scalar(events, tag, json_number_value(json_object_get(row, "loss")));
    }
}

static void write_event(struct grid_eval *grid_eval, uint64_t step, const json_t *list)
{
    char *text = json_dumps(list, JSON_COMPACT | JSON_REAL_PRECISION(9));
    event_log_begin(grid_eval->cfg.events, "evaluate", step);
    event_log_number(grid_eval->cfg.events, "epoch",
                     (double)step / (double)grid_eval->cfg.lr_schedule->steps_per_epoch);
    event_log_text(grid_eval->cfg.events, "split", "holdout");
    event_log_json(grid_eval->cfg.events, "subnets", text);
    add_scalars(grid_eval->cfg.events, list);
    reporter_set_waiting(grid_eval->cfg.parts.reporter, REPORTER_WAITS); /* for the disk */
    event_log_end(grid_eval->cfg.events);
    reporter_set_waiting(grid_eval->cfg.parts.reporter, REPORTER_WORKS);
    free(text);
}

enum err grid_eval_run(struct grid_eval *grid_eval, uint64_t step, const struct hash *checkpoint)
{
    enum err err = ERR_OK;
    const struct grid_eval_cfg *cfg = &grid_eval->cfg;
    const struct space *space = cfg->parts.net->space;
    struct grid grid;
    json_t *list = json_array();
    if (!grid_eval->evaluate)
        TRY(evaluate_open(&cfg->parts, cfg->arena, &grid_eval->evaluate));
    evaluate_set_checkpoint(grid_eval->evaluate, checkpoint);
    grid_eval->evaluated = (struct evaluated){.step = step};
    grid_of(space, &grid_eval->cfg.phase->open, space->resolutions[space->resolution_count - 1],
            &grid);
    for (int i = 0; i < grid.count; i++) {
        struct progress progress = {.step = step,
                                    .steps = grid_eval->cfg.lr_schedule->steps,
                                    .epoch = (double)step /
                                             (double)grid_eval->cfg.lr_schedule->steps_per_epoch,
                                    .accuracy = -1,
                                    .doing = "evaluating"};
        reporter_progress(cfg->parts.reporter, &progress);
        TRY(measure_row(grid_eval, &grid.rows[i], list));
    }
    write_event(grid_eval, step, list);
out:
    json_decref(list);
    return err;
}

void grid_eval_keep(struct grid_eval *grid_eval, uint64_t step, const struct hash *checkpoint)
{
    const struct evaluated *evaluated = &grid_eval->evaluated;
    if (evaluated->step != step || evaluated->count == 0)
        return;
    evaluate_set_checkpoint(grid_eval->evaluate, checkpoint);
    for (int i = 0; i < evaluated->count; i++)
        evaluate_keep(grid_eval->evaluate, &evaluated->rows[i].subnet, SPLIT_HOLDOUT,
                      &evaluated->rows[i].metrics);
}
