#include "trainer/judge.h"
#include "base/log.h"
#include "base/mem.h"
#include "trainer/grid.h"
#include "trainer/results.h"
#include <stdlib.h>

#define KEEP_BYTES ((size_t)128 << 20) /* prepared images of one split */

struct judged { /* what was measured of a grid */
    uint64_t step;
    int count;
    struct {
        struct subnet subnet;
        struct score score; /* plain: owns nothing */
    } rows[GRID_MAX];
};

struct judge {
    struct workbench *bench;
    int stage;
    const struct phase *phase;
    const struct timetable *timetable;
    struct metrics *metrics;
    struct pass *pass;
    struct evaluate *evaluate; /* NULL until first needed */
    struct judged judged;      /* last */
};

static bool wants_stop(void *own)
{
    return workbench_wants_stop(own);
}

static void is_alive(void *own)
{
    workbench_is_alive(own);
}

enum err judge_open(struct workbench *bench, struct pass *pass, struct evaluate **evaluate)
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
                               .pass = pass,
                               .own = bench,
                               .wants_stop = wants_stop};
    if (bench->comm->rank == 0)
        log_info("calibration images=%u batch=%d batches=%d", set.images, set.batch, set.batches);
    enum err err = evaluate_create(&cfg, evaluate);
    return comm_agree(bench->comm, err);
}

struct judge *judge_create(struct workbench *bench, int stage, const struct timetable *timetable,
                           struct metrics *metrics, struct pass *pass)
{
    struct judge *judge = mem_alloc(sizeof *judge);
    *judge = (struct judge){.bench = bench,
                            .stage = stage,
                            .phase = &bench->schedule.phases[bench->plan.stages[stage].phase],
                            .timetable = timetable,
                            .metrics = metrics,
                            .pass = pass};
    return judge;
}

void judge_destroy(struct judge **pointer)
{
    struct judge *judge = *pointer;
    if (!judge)
        return;
    evaluate_destroy(&judge->evaluate);
    mem_free(judge);
    *pointer = NULL;
}

bool judge_is_due(const struct judge *judge, uint64_t step)
{
    double every = judge->bench->campaign->evaluate.every_epochs;
    bool has_start = judge->phase->has_distillation; /* fresh weights have nothing to show */
    if (judge->bench->holdout_count == 0)
        return false;
    return step == judge->timetable->steps || (step == 0 && has_start && every > 0) ||
           timetable_is_due(judge->timetable, every, step);
}

/* One row: calibrated, then measured. */
static enum err measure_row(struct judge *judge, const struct grid_row *row, json_t *list)
{
    enum err err = ERR_OK;
    struct evaluate_item item = {.split = SPLIT_HOLDOUT, .detail = SCORE_PLAIN};
    struct judged *judged = &judge->judged;
    TRY(evaluate_measure(judge->evaluate, &row->subnet, &item, 1));
    const struct score score = item.score;
    judged->rows[judged->count].subnet = row->subnet;
    judged->rows[judged->count++].score = score;
    json_t *json = results_subnet(&judge->bench->space, row->label, &row->subnet);
    json_object_set_new(json, "accuracy", json_real(score.accuracy));
    json_object_set_new(json, "loss", json_real(score.loss));
    json_array_append_new(list, json);
    if (judge->bench->comm->rank == 0)
        log_info("evaluated stage=%s subnet=\"%s\" accuracy=%.4f loss=%.4f", judge->phase->name,
                 row->label, score.accuracy, score.loss);
out:
    return err;
}

static void write_event(struct judge *judge, uint64_t step, const json_t *list)
{
    char *text = json_dumps(list, JSON_COMPACT | JSON_REAL_PRECISION(9));
    metrics_begin(judge->metrics, "evaluate", step);
    metrics_number(judge->metrics, "epoch",
                   (double)step / (double)judge->timetable->steps_per_epoch);
    metrics_text(judge->metrics, "split", "holdout");
    metrics_json(judge->metrics, "subnets", text);
    metrics_end(judge->metrics);
    free(text);
}

enum err judge_grid(struct judge *judge, uint64_t step, const struct hash *checkpoint)
{
    enum err err = ERR_OK;
    struct workbench *bench = judge->bench;
    const struct space *space = &bench->space;
    struct grid grid;
    json_t *list = json_array();
    if (!judge->evaluate)
        TRY(judge_open(bench, judge->pass, &judge->evaluate));
    evaluate_set_checkpoint(judge->evaluate, checkpoint);
    judge->judged = (struct judged){.step = step};
    grid_of(space, &judge->phase->open, space->resolutions[space->resolution_count - 1], &grid);
    for (int i = 0; i < grid.count; i++) {
        struct progress progress = {.step = step,
                                    .steps = judge->timetable->steps,
                                    .epoch =
                                        (double)step / (double)judge->timetable->steps_per_epoch,
                                    .accuracy = -1,
                                    .doing = "evaluating"};
        workbench_progress(bench, &progress);
        TRY(measure_row(judge, &grid.rows[i], list));
    }
    write_event(judge, step, list);
out:
    json_decref(list);
    return err;
}

void judge_keep(struct judge *judge, uint64_t step, const struct hash *checkpoint)
{
    const struct judged *judged = &judge->judged;
    if (judged->step != step || judged->count == 0)
        return;
    evaluate_set_checkpoint(judge->evaluate, checkpoint);
    for (int i = 0; i < judged->count; i++)
        evaluate_keep(judge->evaluate, &judged->rows[i].subnet, SPLIT_HOLDOUT,
                      &judged->rows[i].score);
}
