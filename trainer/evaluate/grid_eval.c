#include "trainer/evaluate/grid_eval.h"
#include "base/log.h"
#include "base/mem.h"
#include "trainer/evaluate/grid.h"
#include "trainer/record/results.h"
#include <stdlib.h>

#define KEEP_BYTES ((size_t)128 << 20) /* prepared images of one split */

struct evaluated { /* what was measured of a grid */
    uint64_t step;
    int count;
    struct {
        struct subnet subnet;
        struct eval_metrics metrics; /* plain: owns nothing */
    } rows[GRID_MAX];
};

struct grid_eval {
    struct workbench *bench;
    int stage;
    const struct phase *phase;
    const struct lr_schedule *lr_schedule;
    struct event_log *events;
    struct activation_arena *arena;
    struct evaluate *evaluate;  /* NULL until first needed */
    struct evaluated evaluated; /* last */
};

static bool wants_stop(void *own)
{
    return workbench_wants_stop(own);
}

static void is_alive(void *own)
{
    workbench_is_alive(own);
}

enum err grid_eval_open(struct workbench *bench, struct activation_arena *arena,
                        struct evaluate **evaluate)
{
    const struct campaign *campaign = bench->campaign;
    struct calibration_set set = campaign_calibration(campaign, bench->train_count);
    struct evaluate_cfg cfg = {.calibrate = {.comm = bench->comm,
                                             .device_comm = bench->device_comm,
                                             .net = bench->net,
                                             .dataset = bench->dataset,
                                             .train = bench->train,
                                             .train_count = bench->train_count,
                                             .set = set,
                                             .seed = campaign->seed,
                                             .augment = &bench->augment,
                                             .loader_threads = campaign->resources.loader_threads,
                                             .keep_bytes = KEEP_BYTES,
                                             .own = bench,
                                             .is_alive = is_alive},
                               .holdout = bench->holdout,
                               .holdout_count = bench->holdout_count,
                               .test = bench->test,
                               .test_count = bench->test_count,
                               .store = bench->store,
                               .micro = campaign->batch.micro,
                               .precision = campaign->precision,
                               .arena = arena,
                               .own = bench,
                               .wants_stop = wants_stop};
    if (bench->comm->rank == 0)
        log_info("calibration images=%u batch=%d batches=%d", set.images, set.batch, set.batches);
    enum err err = evaluate_create(&cfg, evaluate);
    return comm_agree(bench->comm, err);
}

struct grid_eval *grid_eval_create(struct workbench *bench, int stage,
                                   const struct lr_schedule *lr_schedule, struct event_log *events,
                                   struct activation_arena *arena)
{
    struct grid_eval *grid_eval = mem_alloc(sizeof *grid_eval);
    *grid_eval =
        (struct grid_eval){.bench = bench,
                           .stage = stage,
                           .phase = &bench->schedule.phases[bench->plan.stages[stage].phase],
                           .lr_schedule = lr_schedule,
                           .events = events,
                           .arena = arena};
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
    double every = grid_eval->bench->campaign->evaluate.every_epochs;
    bool has_start = grid_eval->phase->has_distillation; /* fresh weights have nothing to show */
    if (grid_eval->bench->holdout_count == 0)
        return false;
    return step == grid_eval->lr_schedule->steps || (step == 0 && has_start && every > 0) ||
           lr_schedule_is_due(grid_eval->lr_schedule, every, step);
}

/* One row: calibrated, then measured. */
static enum err measure_row(struct grid_eval *grid_eval, const struct grid_row *row, json_t *list)
{
    enum err err = ERR_OK;
    struct evaluate_item item = {.split = SPLIT_HOLDOUT, .detail = EVAL_PLAIN};
    struct evaluated *evaluated = &grid_eval->evaluated;
    TRY(evaluate_measure(grid_eval->evaluate, &row->subnet, &item, 1));
    const struct eval_metrics metrics = item.metrics;
    evaluated->rows[evaluated->count].subnet = row->subnet;
    evaluated->rows[evaluated->count++].metrics = metrics;
    json_t *json = results_subnet(&grid_eval->bench->space, row->label, &row->subnet);
    json_object_set_new(json, "accuracy", json_real(metrics.accuracy));
    json_object_set_new(json, "loss", json_real(metrics.loss));
    json_array_append_new(list, json);
    if (grid_eval->bench->comm->rank == 0)
        log_info("evaluated stage=%s subnet=\"%s\" accuracy=%.4f loss=%.4f", grid_eval->phase->name,
                 row->label, metrics.accuracy, metrics.loss);
out:
    return err;
}

static void write_event(struct grid_eval *grid_eval, uint64_t step, const json_t *list)
{
    char *text = json_dumps(list, JSON_COMPACT | JSON_REAL_PRECISION(9));
    event_log_begin(grid_eval->events, "evaluate", step);
    event_log_number(grid_eval->events, "epoch",
                     (double)step / (double)grid_eval->lr_schedule->steps_per_epoch);
    event_log_text(grid_eval->events, "split", "holdout");
    event_log_json(grid_eval->events, "subnets", text);
    event_log_end(grid_eval->events);
    free(text);
}

enum err grid_eval_run(struct grid_eval *grid_eval, uint64_t step, const struct hash *checkpoint)
{
    enum err err = ERR_OK;
    struct workbench *bench = grid_eval->bench;
    const struct space *space = &bench->space;
    struct grid grid;
    json_t *list = json_array();
    if (!grid_eval->evaluate)
        TRY(grid_eval_open(bench, grid_eval->arena, &grid_eval->evaluate));
    evaluate_set_checkpoint(grid_eval->evaluate, checkpoint);
    grid_eval->evaluated = (struct evaluated){.step = step};
    grid_of(space, &grid_eval->phase->open, space->resolutions[space->resolution_count - 1], &grid);
    for (int i = 0; i < grid.count; i++) {
        struct progress progress = {.step = step,
                                    .steps = grid_eval->lr_schedule->steps,
                                    .epoch = (double)step /
                                             (double)grid_eval->lr_schedule->steps_per_epoch,
                                    .accuracy = -1,
                                    .doing = "evaluating"};
        workbench_progress(bench, &progress);
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
