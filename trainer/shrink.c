#include "trainer/shrink.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "trainer/deal.h"
#include "trainer/judge.h"
#include "trainer/memory.h"
#include "trainer/step.h"
#include "trainer/summary.h"

/* What the ranks agree on once in every step. */
enum { FLAG_FAILED = 1, FLAG_STOP = 2, FLAG_SAVE = 4 };

struct shrink {
    struct workbench *bench;
    int stage;
    const struct phase *phase;
    struct timetable timetable;
    struct resume resume; /* its step: how many are done */
    struct step *step;
    struct distil *teacher; /* NULL: no distillation */
    struct deal *deal;
    struct judge *judge;
    struct metrics *metrics; /* rank 0 */
    struct resume_saving saving;
    bool is_sorted;      /* here: the weights are no longer the parent's */
    uint32_t flags;      /* agreed in the last step */
    bool is_judged;      /* this step's evaluation is on record: a resume does not repeat it */
    double saved_at;     /* clock, rank 0 */
    uint64_t told_saves; /* durable saves the observer has heard of, rank 0 */
    double started_at, step_at;
    uint64_t steps_here; /* done by this gang */
};

/* Durable saves become known behind the step that started them: told at the next boundary. */
static void tell_saved(struct shrink *shrink)
{
    struct checkpoint_saved saved;
    if (!shrink->bench->store || !checkpoint_saved(shrink->bench->store, &saved) ||
        saved.count == shrink->told_saves)
        return;
    shrink->told_saves = saved.count;
    workbench_saved(shrink->bench, saved.position.step, &saved.content);
}

/* Rank 0: everything up to now, in the background. A checkpoint counts on the metrics. */
static enum err save(struct shrink *shrink, bool is_final)
{
    enum err err = ERR_OK;
    double start = clock_seconds();
    if (shrink->bench->comm->rank != 0)
        return ERR_OK;
    TRY(metrics_check(shrink->metrics));
    TRY(resume_save(&shrink->saving, &shrink->resume, is_final));
    shrink->saved_at = clock_seconds();
    metrics_begin(shrink->metrics, "checkpoint", shrink->resume.step);
    metrics_number(shrink->metrics, "seconds", shrink->saved_at - start);
    metrics_end(shrink->metrics);
out:
    return err;
}

/* Rank 0: what was measured on these weights is known by their checkpoint now. */
static void keep_judgement(struct shrink *shrink)
{
    struct checkpoint_saved saved;
    if (shrink->bench->store && checkpoint_saved(shrink->bench->store, &saved))
        judge_keep(shrink->judge, shrink->resume.step, &saved.content);
}

static enum err save_and_wait(struct shrink *shrink, bool is_final)
{
    enum err err = save(shrink, is_final);
    if (err == ERR_OK && shrink->bench->store)
        err = checkpoint_wait(shrink->bench->store);
    if (err == ERR_OK) {
        tell_saved(shrink);
        keep_judgement(shrink);
    }
    return comm_agree(shrink->bench->comm, err);
}

static enum err open_teacher(struct shrink *shrink)
{
    enum err err = ERR_OK;
    struct workbench *bench = shrink->bench;
    const struct space *space = &bench->space;
    float *weights = NULL;
    if (!shrink->phase->has_distillation)
        return ERR_OK;
    err = memory_array(bench->device, bench->net->weight_count, sizeof(float), (void **)&weights);
    TRY(comm_agree(bench->comm, err));
    TRY(resume_load_teacher(bench, weights));
    err = distil_create(bench->net, &weights, bench->campaign->batch.micro,
                        space->resolutions[space->resolution_count - 1], &shrink->teacher);
    TRY(comm_agree(bench->comm, err));
out:
    memory_free(bench->device, weights);
    return err;
}

static enum err open_metrics(struct shrink *shrink)
{
    enum err err = ERR_OK;
    struct workbench *bench = shrink->bench;
    char *path = NULL;
    if (bench->comm->rank != 0)
        return ERR_OK;
    TRY(workbench_path(bench, "metrics", shrink->phase->name, ".jsonl", &path));
    TRY(metrics_open(path, shrink->resume.has_begun, shrink->resume.step, &shrink->metrics));
    metrics_begin(shrink->metrics, "start", shrink->resume.step);
    metrics_text(shrink->metrics, "stage", shrink->phase->name);
    metrics_number(shrink->metrics, "steps", (double)shrink->timetable.steps);
    metrics_number(shrink->metrics, "ranks", bench->comm->size);
    metrics_number(shrink->metrics, "threads", bench->campaign->resources.threads);
    metrics_text(shrink->metrics, "lineage", bench->lineage);
    metrics_end(shrink->metrics);
out:
    mem_free(path);
    return err;
}

/* Rank 0 */
static enum err open_saving(struct shrink *shrink)
{
    shrink->saving = (struct resume_saving){.bench = shrink->bench,
                                            .stage = shrink->stage,
                                            .timetable = &shrink->timetable,
                                            .momentum = step_momentum(shrink->step),
                                            .metrics = shrink->metrics};
    return shrink->bench->store ? resume_prepare(&shrink->saving) : ERR_OK;
}

/* Fresh from the stage before: channels are put in order once, before the first step. The momentum
 * is zero then, as every stage begins with a new optimiser (as the reference does). */
static enum err prepare_weights(struct shrink *shrink)
{
    struct workbench *bench = shrink->bench;
    struct open_choices trained;
    schedule_trained_before(&bench->schedule, &bench->space, shrink->phase, &trained);
    shrink->is_sorted = !shrink->resume.has_begun && shrink->phase->sorts_channels;
    if (!shrink->is_sorted)
        return ERR_OK;
    return elastic_sort_channels(bench->net, NULL, &trained.expansions,
                                 &bench->schedule.before.expansions);
}

static enum err open_parts(struct shrink *shrink, const struct stage_start *start)
{
    enum err err = ERR_OK;
    struct workbench *bench = shrink->bench;
    err = timetable_of(&bench->schedule, bench->plan.stages[shrink->stage].phase,
                       bench->train_count, bench->campaign->batch.global, &shrink->timetable);
    TRY(comm_agree(bench->comm, err));
    TRY(open_teacher(shrink));
    struct step_cfg cfg = {
        .comm = bench->comm,
        .device_comm = bench->device_comm,
        .net = bench->net,
        .campaign = bench->campaign,
        .phase = shrink->phase,
        .teacher = shrink->teacher,
        .evaluation_batch = campaign_calibration(bench->campaign, bench->train_count).batch,
        .trains_matrices =
            schedule_trains_matrices(&bench->schedule, &bench->space, shrink->phase)};
    TRY(comm_agree(bench->comm, step_create(&cfg, &shrink->step)));
    TRY(resume_load(bench, shrink->stage, start, step_momentum(shrink->step), &shrink->resume));
    if (shrink->resume.is_final)
        return ERR_OK;
    TRY(comm_agree(bench->comm, prepare_weights(shrink)));
    TRY(comm_agree(bench->comm, open_metrics(shrink)));
    TRY(comm_agree(bench->comm, open_saving(shrink)));
    shrink->judge = judge_create(bench, shrink->stage, &shrink->timetable, shrink->metrics,
                                 step_evaluation_pass(shrink->step));
    err = deal_create(bench, &shrink->timetable, shrink->resume.step, &shrink->deal);
    TRY(comm_agree(bench->comm, err));
out:
    return err;
}

static void close_parts(struct shrink *shrink)
{
    if (shrink->bench->store)
        checkpoint_finish(shrink->bench->store); /* it looks at what is closed here */
    deal_destroy(&shrink->deal);
    judge_destroy(&shrink->judge);
    metrics_close(&shrink->metrics);
    step_destroy(&shrink->step);
    distil_destroy(&shrink->teacher);
}

/* This rank's micro-batches. Nothing here speaks to the gang: an error is agreed on behind it. */
static enum err compute_leaves(struct shrink *shrink)
{
    enum err err = ERR_OK;
    struct feed *feed = deal_feed(shrink->deal);
    uint64_t schedule_step = shrink->timetable.first_step + shrink->resume.step;
    for (int leaf = 0; leaf < deal_leaves(shrink->deal); leaf++) {
        struct fed fed;
        TRY(feed_take(feed, &fed));
        err = step_leaf(shrink->step, schedule_step, &fed);
        feed_release(feed, &fed);
        TRY(err);
        workbench_is_alive(shrink->bench);
    }
out:
    return err;
}

static void report_step(struct shrink *shrink, double rate, const struct step_result *result)
{
    struct workbench *bench = shrink->bench;
    uint64_t done = shrink->resume.step;
    double now = clock_seconds(), seconds = now - shrink->step_at;
    double epoch = (double)done / (double)shrink->timetable.steps_per_epoch;
    shrink->step_at = now;
    metrics_begin(shrink->metrics, "step", done);
    metrics_number(shrink->metrics, "epoch", epoch);
    metrics_number(shrink->metrics, "loss", result->loss);
    metrics_number(shrink->metrics, "distil", result->distil);
    metrics_number(shrink->metrics, "accuracy", result->accuracy);
    metrics_number(shrink->metrics, "rate", rate);
    metrics_number(shrink->metrics, "resolution",
                   timetable_resolution(&bench->space, bench->campaign->seed,
                                        shrink->timetable.first_step + done - 1));
    metrics_number(shrink->metrics, "images_per_s", bench->campaign->batch.global / seconds);
    metrics_number(shrink->metrics, "seconds", seconds);
    metrics_end(shrink->metrics);
    struct progress progress = {.step = done,
                                .steps = shrink->timetable.steps,
                                .epoch = epoch,
                                .images_per_second = (double)shrink->steps_here *
                                                     bench->campaign->batch.global /
                                                     (now - shrink->started_at),
                                .loss = result->loss,
                                .accuracy = result->accuracy,
                                .doing = "training"};
    workbench_progress(bench, &progress);
}

/* One step, up to and with the update. Flags are agreed between computing and summing: whoever
 * failed to compute must not leave the others alone in the sum. */
static enum err take_step(struct shrink *shrink)
{
    enum err err = ERR_OK;
    struct workbench *bench = shrink->bench;
    struct step_result result;
    double rate = timetable_rate(&shrink->timetable, shrink->phase, shrink->resume.step);
    enum err mine = compute_leaves(shrink);
    bool is_time = bench->store && !checkpoint_is_busy(bench->store) && /* a step never waits */
                   clock_seconds() - shrink->saved_at >= bench->campaign->checkpoint.every_seconds;
    shrink->flags = (mine != ERR_OK ? FLAG_FAILED : 0u) |
                    (workbench_wants_stop(bench) ? FLAG_STOP : 0u) | (is_time ? FLAG_SAVE : 0u);
    TRY(bench->comm->any(bench->comm, &shrink->flags));
    if (shrink->flags & FLAG_FAILED)
        TRY(comm_agree(bench->comm, mine));
    TRY(step_update(shrink->step, rate, &result));
    shrink->resume.step++;
    shrink->steps_here++;
    if (bench->comm->rank == 0)
        report_step(shrink, rate, &result);
out:
    if (err != ERR_OK)
        err_prefix(err, "stage %s, step %llu", shrink->phase->name,
                   (unsigned long long)shrink->resume.step + 1);
    return err;
}

/* The checkpoint whose weights these are, or NULL: they are of none once a step was taken, or the
 * channels were sorted. */
static const struct hash *find_checkpoint(const struct shrink *shrink, struct hash *parent)
{
    if (shrink->steps_here > 0 || shrink->is_sorted)
        return NULL;
    if (shrink->resume.has_begun)
        return &shrink->resume.content;
    return hash_parse(shrink->resume.parent, parent) ? parent : NULL;
}

/* The grid, where it is due; *is_cut when a stop came in the middle: it is measured again on the
 * resume. */
static enum err judge_here(struct shrink *shrink, bool *is_cut)
{
    enum err err = ERR_OK;
    struct hash parent;
    uint64_t done = shrink->resume.step;
    if (judge_is_due(shrink->judge, done) && !shrink->is_judged) {
        err = judge_grid(shrink->judge, done, find_checkpoint(shrink, &parent));
        *is_cut = err == ERR_INTERRUPTED;
        shrink->step_at = clock_seconds(); /* not the next step's time */
        if (*is_cut)
            err = ERR_OK;
        else if (err != ERR_OK)
            err_prefix(err, "stage %s, evaluation behind step %llu", shrink->phase->name,
                       (unsigned long long)done);
    }
    shrink->is_judged = false;
    return err;
}

/* Between two steps: what is due, and a stop. An evaluation comes before the checkpoint of the same
 * step, so that a checkpoint vouches for it. */
static enum err cross_boundary(struct shrink *shrink)
{
    enum err err = ERR_OK;
    bool is_cut = false, is_done = shrink->resume.step == shrink->timetable.steps;
    tell_saved(shrink);
    TRY(judge_here(shrink, &is_cut));
    if (is_cut || (shrink->flags & FLAG_STOP && !is_done)) {
        TRY(save_and_wait(shrink, false));
        TRY(err_set(ERR_INTERRUPTED, "stage %s stopped behind step %llu of %llu",
                    shrink->phase->name, (unsigned long long)shrink->resume.step,
                    (unsigned long long)shrink->timetable.steps));
    }
    if (shrink->flags & FLAG_SAVE && !is_done)
        TRY(comm_agree(shrink->bench->comm, save(shrink, false)));
out:
    return err;
}

/* How many micro-batches each rank computed, for the record: [a, b, ...]. */
static enum err write_end(struct shrink *shrink, const struct hash *content)
{
    enum err err = ERR_OK;
    struct comm *comm = shrink->bench->comm;
    size_t size = (size_t)comm->size;
    uint64_t mine = step_computed(shrink->step);
    uint64_t *all = mem_array(size, sizeof *all);
    char hex[HASH_HEX_BYTES];
    struct text list;
    text_init(&list);
    TRY(comm_gather_equal(comm, &mine, all, sizeof mine));
    for (size_t rank = 0; rank < size; rank++)
        text_add(&list, "%s%llu", rank > 0 ? "," : "[", (unsigned long long)all[rank]);
    text_add(&list, "]");
    hash_hex(content, hex);
    metrics_begin(shrink->metrics, "end", shrink->resume.step);
    metrics_text(shrink->metrics, "content", hex);
    metrics_number(shrink->metrics, "steps_here", (double)shrink->steps_here);
    metrics_json(shrink->metrics, "leaves_by_rank", text_get(&list));
    metrics_end(shrink->metrics);
out:
    text_fini(&list);
    mem_free(all);
    return err;
}

static enum err finish(struct shrink *shrink, struct hash *content)
{
    enum err err = ERR_OK;
    struct workbench *bench = shrink->bench;
    struct checkpoint_saved saved = {0};
    TRY(save_and_wait(shrink, true));
    if (bench->store && !checkpoint_saved(bench->store, &saved))
        BUG("a durable checkpoint that nobody knows of");
    TRY(write_end(shrink, &saved.content));
    *content = saved.content;
out:
    return err;
}

/* Tells all ranks whether the checkpoint vouches for this step's evaluation. */
static enum err recall_judgement(struct shrink *shrink)
{
    shrink->is_judged =
        shrink->resume.has_begun && metrics_has(shrink->metrics, "evaluate", shrink->resume.step);
    return shrink->bench->comm->broadcast(shrink->bench->comm, &shrink->is_judged,
                                          sizeof shrink->is_judged);
}

static enum err train(struct shrink *shrink, struct hash *content)
{
    enum err err = ERR_OK;
    TRY(recall_judgement(shrink));
    shrink->started_at = shrink->step_at = shrink->saved_at = clock_seconds();
    for (;;) {
        TRY(cross_boundary(shrink));
        if (shrink->resume.step == shrink->timetable.steps)
            break;
        TRY(take_step(shrink));
    }
    TRY(finish(shrink, content));
out:
    return err;
}

enum err shrink_run(struct workbench *bench, int stage, const struct stage_start *start,
                    struct shrink_result *result)
{
    enum err err = ERR_OK;
    struct shrink shrink = {.bench = bench,
                            .stage = stage,
                            .phase = &bench->schedule.phases[bench->plan.stages[stage].phase]};
    *result = (struct shrink_result){0};
    TRY(open_parts(&shrink, start));
    result->content = shrink.resume.content;
    if (!shrink.resume.is_final)
        TRY(train(&shrink, &result->content));
    metrics_close(&shrink.metrics);
    if (bench->comm->rank == 0)
        err = summary_write(bench, stage, &result->content);
    TRY(comm_agree(bench->comm, err));
out:
    result->step = shrink.resume.step;
    close_parts(&shrink);
    return err;
}
