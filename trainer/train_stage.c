#include "trainer/train_stage.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "kernels/memory.h"
#include "trainer/evaluate/grid_eval.h"
#include "trainer/input/sampler.h"
#include "trainer/record/summary.h"
#include "trainer/train/step.h"
#include <stdio.h>

/* What the ranks agree on once in every step. */
enum { FLAG_FAILED = 1, FLAG_STOP = 2, FLAG_SAVE = 4 };

struct training {
    struct workbench *bench;
    struct resume_cfg from;
    struct run_record record;
    int stage;
    const struct phase *phase;
    struct lr_schedule lr_schedule;
    struct resume resume; /* its step: how many are done */
    struct step *step;
    struct teacher *teacher; /* NULL: no distillation */
    struct sampler *sampler;
    struct grid_eval *grid_eval;
    struct event_log *events; /* rank 0 */
    struct resume_saving saving;
    bool is_sorted;      /* here: the weights are no longer the parent's */
    uint32_t flags;      /* agreed in the last step */
    bool is_evaluated;   /* this step's evaluation is on record: a resume does not repeat it */
    double saved_at;     /* clock, rank 0 */
    uint64_t told_saves; /* durable saves the observer has heard of, rank 0 */
    double started_at, step_at;
    uint64_t steps_here; /* done by this gang */
};

/* Durable saves become known behind the step that started them: told at the next boundary. */
static void tell_saved(struct training *training)
{
    struct checkpoint_saved saved;
    if (!training->bench->store || !checkpoint_saved(training->bench->store, &saved) ||
        saved.count == training->told_saves)
        return;
    training->told_saves = saved.count;
    reporter_saved(&training->bench->reporter, saved.position.step, &saved.content);
}

/* Rank 0: everything up to now, in the background. A checkpoint counts on the metrics. */
static enum err save(struct training *training, bool is_final)
{
    enum err err = ERR_OK;
    double start = clock_seconds();
    if (training->bench->comm->rank != 0)
        return ERR_OK;
    reporter_set_waiting(&training->bench->reporter, REPORTER_WAITS);
    TRY(event_log_check(training->events));
    TRY(resume_save(&training->saving, &training->resume, is_final));
    training->saved_at = clock_seconds();
    event_log_begin(training->events, "checkpoint", training->resume.step);
    event_log_number(training->events, "seconds", training->saved_at - start);
    event_log_end(training->events);
out:
    reporter_set_waiting(&training->bench->reporter, REPORTER_WORKS);
    return err;
}

/* Rank 0: what was measured on these weights is known by their checkpoint now. */
static void keep_evaluation(struct training *training)
{
    struct checkpoint_saved saved;
    if (training->bench->store && checkpoint_saved(training->bench->store, &saved))
        grid_eval_keep(training->grid_eval, training->resume.step, &saved.content);
}

static enum err save_and_wait(struct training *training, bool is_final)
{
    enum err err = save(training, is_final);
    reporter_set_waiting(&training->bench->reporter, REPORTER_WAITS);
    if (err == ERR_OK && training->bench->store)
        err = checkpoint_wait(training->bench->store);
    reporter_set_waiting(&training->bench->reporter, REPORTER_WORKS);
    if (err == ERR_OK) {
        tell_saved(training);
        keep_evaluation(training);
    }
    return comm_agree(training->bench->comm, err);
}

static enum err open_teacher(struct training *training)
{
    enum err err = ERR_OK;
    struct workbench *bench = training->bench;
    const struct space *space = &bench->blueprint.space;
    float *weights = NULL;
    if (!training->phase->has_distillation)
        return ERR_OK;
    err = memory_array(bench->device, bench->net->weight_count, sizeof(float), (void **)&weights);
    TRY(comm_agree(bench->comm, err));
    TRY(resume_load_teacher(&training->from, weights));
    err = teacher_create(bench->net, &weights, bench->blueprint.campaign->batch.micro,
                         space->resolutions[space->resolution_count - 1], &training->teacher);
    TRY(comm_agree(bench->comm, err));
out:
    memory_free(bench->device, weights);
    return err;
}

/* The run's folder may lie on a disk that does not answer now. */
static void write_event(struct training *training)
{
    reporter_set_waiting(&training->bench->reporter, REPORTER_WAITS);
    event_log_end(training->events);
    reporter_set_waiting(&training->bench->reporter, REPORTER_WORKS);
}

static enum err open_events(struct training *training)
{
    enum err err = ERR_OK;
    struct workbench *bench = training->bench;
    char *path = NULL, *tensorboard = NULL;
    if (bench->comm->rank != 0)
        return ERR_OK;
    TRY(run_record_path(&training->record, "metrics", training->phase->name, ".jsonl", &path));
    if (bench->blueprint.campaign->record.tensorboard)
        TRY(run_record_path(&training->record, "metrics/tensorboard", training->phase->name, "",
                            &tensorboard));
    struct event_log_cfg cfg = {.path = path,
                                .is_resume = training->resume.has_begun,
                                .step = training->resume.step,
                                .tensorboard = tensorboard,
                                .fence = {training->record.folder, training->record.claim},
                                .tensorboard_offset = training->lr_schedule.first_step};
    TRY(event_log_open(&cfg, &training->events));
    event_log_begin(training->events, "start", training->resume.step);
    event_log_text(training->events, "stage", training->phase->name);
    event_log_number(training->events, "steps", (double)training->lr_schedule.steps);
    event_log_number(training->events, "ranks", bench->comm->size);
    event_log_number(training->events, "threads", bench->blueprint.campaign->resources.threads);
    event_log_text(training->events, "lineage", bench->provenance.lineage);
    write_event(training);
out:
    mem_free(tensorboard);
    mem_free(path);
    return err;
}

/* Rank 0 */
static enum err open_saving(struct training *training)
{
    training->saving = (struct resume_saving){.of = &training->from,
                                              .stage = training->stage,
                                              .lr_schedule = &training->lr_schedule,
                                              .momentum = step_momentum(training->step),
                                              .events = training->events};
    return training->bench->store ? resume_prepare(&training->saving) : ERR_OK;
}

/* Fresh from the stage before: channels are put in order once, before the first step. The momentum
 * is zero then, as every stage begins with a new optimiser (as the reference does). */
static enum err prepare_weights(struct training *training)
{
    struct workbench *bench = training->bench;
    struct open_choices trained;
    schedule_trained_before(&bench->blueprint.schedule, &bench->blueprint.space, training->phase,
                            &trained);
    training->is_sorted = !training->resume.has_begun && training->phase->sorts_channels;
    if (!training->is_sorted)
        return ERR_OK;
    return supernet_sort_channels(bench->net, NULL, &trained.expansions,
                                  &bench->blueprint.schedule.before.expansions);
}

/* What is trained on, and what the stage is evaluated with. */
static enum err open_images(struct training *training)
{
    struct workbench *bench = training->bench;
    struct grid_eval_cfg grid_eval = {.parts = workbench_evaluate(bench),
                                      .phase = training->phase,
                                      .lr_schedule = &training->lr_schedule,
                                      .events = training->events,
                                      .arena = step_evaluation_arena(training->step)};
    training->grid_eval = grid_eval_create(&grid_eval);
    struct sampler_cfg sampler = {.campaign = bench->blueprint.campaign,
                                  .space = &bench->blueprint.space,
                                  .splits = &bench->splits,
                                  .device = bench->device,
                                  .rank = bench->comm->rank,
                                  .size = bench->comm->size,
                                  .lr_schedule = &training->lr_schedule,
                                  .first_step = training->resume.step,
                                  .work = reporter_work(&bench->reporter)};
    return sampler_create(&sampler, &training->sampler);
}

static enum err open_parts(struct training *training, const struct stage_start *start)
{
    enum err err = ERR_OK;
    struct workbench *bench = training->bench;
    err = lr_schedule_of(
        &bench->blueprint.schedule, bench->blueprint.plan.stages[training->stage].phase,
        bench->splits.train_count, bench->blueprint.campaign->batch.global, &training->lr_schedule);
    TRY(comm_agree(bench->comm, err));
    TRY(workbench_prepare(bench, training->phase, NULL));
    TRY(open_teacher(training));
    struct step_cfg cfg = {
        .comm = bench->comm,
        .device_comm = bench->device_comm,
        .net = bench->net,
        .campaign = bench->blueprint.campaign,
        .phase = training->phase,
        .teacher = training->teacher,
        .evaluation_batch =
            campaign_calibration(bench->blueprint.campaign, bench->splits.train_count).batch,
        .trains_matrices = schedule_trains_matrices(&bench->blueprint.schedule,
                                                    &bench->blueprint.space, training->phase)};
    TRY(comm_agree(bench->comm, step_create(&cfg, &training->step)));
    TRY(resume_load(&training->from, training->stage, start, step_momentum(training->step),
                    &training->resume));
    if (training->resume.is_final)
        return ERR_OK;
    TRY(comm_agree(bench->comm, prepare_weights(training)));
    TRY(comm_agree(bench->comm, open_events(training)));
    TRY(comm_agree(bench->comm, open_saving(training)));
    TRY(comm_agree(bench->comm, open_images(training)));
out:
    return err;
}

static void close_parts(struct training *training)
{
    reporter_set_waiting(&training->bench->reporter, REPORTER_WAITS);
    if (training->bench->store)
        checkpoint_finish(training->bench->store); /* it looks at what is closed here */
    reporter_set_waiting(&training->bench->reporter, REPORTER_WORKS);
    resume_release(&training->saving);
    sampler_destroy(&training->sampler);
    grid_eval_destroy(&training->grid_eval);
    event_log_close(&training->events);
    step_destroy(&training->step);
    teacher_destroy(&training->teacher);
}

/* This rank's micro-batches. Nothing here speaks to the gang: an error is agreed on behind it. */
static enum err compute_leaves(struct training *training)
{
    enum err err = ERR_OK;
    struct prefetch *prefetch = sampler_prefetch(training->sampler);
    uint64_t schedule_step = training->lr_schedule.first_step + training->resume.step;
    for (int leaf = 0; leaf < sampler_leaves(training->sampler); leaf++) {
        struct prefetched prefetched;
        TRY(prefetch_take(prefetch, &prefetched));
        err = step_leaf(training->step, schedule_step, &prefetched);
        prefetch_release(prefetch, &prefetched);
        TRY(err);
        reporter_is_alive(&training->bench->reporter);
    }
    prefetch_ahead(prefetch); /* it crosses the bus while this step is computed */
out:
    return err;
}

/* A number of the step, and its curve in TensorBoard. */
static void add_curve(struct event_log *events, const char *name, double value)
{
    char tag[64];
    snprintf(tag, sizeof tag, "train/%s", name);
    event_log_number(events, name, value);
    event_log_scalar(events, tag, value);
}

static void report_step(struct training *training, double rate, const struct step_result *result)
{
    struct workbench *bench = training->bench;
    uint64_t done = training->resume.step;
    double now = clock_seconds(), seconds = now - training->step_at;
    double epoch = (double)done / (double)training->lr_schedule.steps_per_epoch;
    training->step_at = now;
    event_log_begin(training->events, "step", done);
    event_log_number(training->events, "epoch", epoch);
    add_curve(training->events, "loss", result->loss);
    add_curve(training->events, "distil", result->distil);
    add_curve(training->events, "accuracy", result->accuracy);
    add_curve(training->events, "rate", rate);
    event_log_number(training->events, "resolution",
                     lr_schedule_resolution(&bench->blueprint.space,
                                            bench->blueprint.campaign->seed,
                                            training->lr_schedule.first_step + done - 1));
    add_curve(training->events, "images_per_s", bench->blueprint.campaign->batch.global / seconds);
    event_log_number(training->events, "seconds", seconds);
    write_event(training);
    struct progress progress = {.step = done,
                                .steps = training->lr_schedule.steps,
                                .epoch = epoch,
                                .images_per_second = (double)training->steps_here *
                                                     bench->blueprint.campaign->batch.global /
                                                     (now - training->started_at),
                                .loss = result->loss,
                                .accuracy = result->accuracy,
                                .doing = "training"};
    reporter_progress(&bench->reporter, &progress);
}

/* One step, up to and with the update. Flags are agreed between computing and summing: whoever
 * failed to compute must not leave the others alone in the sum. */
static enum err take_step(struct training *training)
{
    enum err err = ERR_OK;
    struct workbench *bench = training->bench;
    struct step_result result;
    double rate = lr_schedule_rate(&training->lr_schedule, training->phase, training->resume.step);
    enum err mine = compute_leaves(training);
    bool is_time =
        bench->store && !checkpoint_is_busy(bench->store) && /* a step never waits */
        clock_seconds() - training->saved_at >= bench->blueprint.campaign->checkpoint.every_seconds;
    training->flags = (mine != ERR_OK ? FLAG_FAILED : 0u) |
                      (reporter_wants_stop(&bench->reporter) ? FLAG_STOP : 0u) |
                      (is_time ? FLAG_SAVE : 0u);
    TRY(bench->comm->any(bench->comm, &training->flags));
    if (training->flags & FLAG_FAILED)
        TRY(comm_agree(bench->comm, mine));
    TRY(step_update(training->step, rate, &result));
    training->resume.step++;
    training->steps_here++;
    if (bench->comm->rank == 0)
        report_step(training, rate, &result);
out:
    if (err != ERR_OK)
        err_prefix(err, "stage %s, step %llu", training->phase->name,
                   (unsigned long long)training->resume.step + 1);
    return err;
}

/* The checkpoint whose weights these are, or NULL: they are of none once a step was taken, or the
 * channels were sorted. */
static const struct hash *find_checkpoint(const struct training *training, struct hash *parent)
{
    if (training->steps_here > 0 || training->is_sorted)
        return NULL;
    if (training->resume.has_begun)
        return &training->resume.content;
    return hash_parse(training->resume.parent, parent) ? parent : NULL;
}

/* The grid, where it is due; *is_cut when a stop came in the middle: it is measured again on the
 * resume. */
static enum err evaluate_here(struct training *training, bool *is_cut)
{
    enum err err = ERR_OK;
    struct hash parent;
    uint64_t done = training->resume.step;
    if (grid_eval_is_due(training->grid_eval, done) && !training->is_evaluated) {
        err = grid_eval_run(training->grid_eval, done, find_checkpoint(training, &parent));
        *is_cut = err == ERR_INTERRUPTED;
        training->step_at = clock_seconds(); /* not the next step's time */
        if (*is_cut)
            err = ERR_OK;
        else if (err != ERR_OK)
            err_prefix(err, "stage %s, evaluation behind step %llu", training->phase->name,
                       (unsigned long long)done);
    }
    training->is_evaluated = false;
    return err;
}

/* Between two steps: what is due, and a stop. An evaluation comes before the checkpoint of the same
 * step, so that a checkpoint vouches for it. */
static enum err cross_boundary(struct training *training)
{
    enum err err = ERR_OK;
    bool is_cut = false, is_done = training->resume.step == training->lr_schedule.steps;
    tell_saved(training);
    TRY(evaluate_here(training, &is_cut));
    if (is_cut || (training->flags & FLAG_STOP && !is_done)) {
        TRY(save_and_wait(training, false));
        TRY(err_set(ERR_INTERRUPTED, "stage %s stopped behind step %llu of %llu",
                    training->phase->name, (unsigned long long)training->resume.step,
                    (unsigned long long)training->lr_schedule.steps));
    }
    if (training->flags & FLAG_SAVE && !is_done)
        TRY(comm_agree(training->bench->comm, save(training, false)));
out:
    return err;
}

/* How many micro-batches each rank computed, for the record: [a, b, ...]. */
static enum err write_end(struct training *training, const struct hash *content)
{
    enum err err = ERR_OK;
    struct comm *comm = training->bench->comm;
    size_t size = (size_t)comm->size;
    uint64_t mine = step_computed(training->step);
    uint64_t *all = mem_array(size, sizeof *all);
    char hex[HASH_HEX_BYTES];
    struct text list;
    text_init(&list);
    TRY(comm_gather_equal(comm, &mine, all, sizeof mine));
    for (size_t rank = 0; rank < size; rank++)
        text_add(&list, "%s%llu", rank > 0 ? "," : "[", (unsigned long long)all[rank]);
    text_add(&list, "]");
    hash_hex(content, hex);
    event_log_begin(training->events, "end", training->resume.step);
    event_log_text(training->events, "content", hex);
    event_log_number(training->events, "steps_here", (double)training->steps_here);
    event_log_json(training->events, "leaves_by_rank", text_get(&list));
    write_event(training);
out:
    text_fini(&list);
    mem_free(all);
    return err;
}

static enum err finish(struct training *training, struct hash *content)
{
    enum err err = ERR_OK;
    struct workbench *bench = training->bench;
    struct checkpoint_saved saved = {0};
    TRY(save_and_wait(training, true));
    if (bench->store && !checkpoint_saved(bench->store, &saved))
        BUG("a durable checkpoint that nobody knows of");
    TRY(write_end(training, &saved.content));
    *content = saved.content;
out:
    return err;
}

/* Tells all ranks whether the checkpoint vouches for this step's evaluation. */
static enum err recall_evaluation(struct training *training)
{
    training->is_evaluated = training->resume.has_begun &&
                             event_log_has(training->events, "evaluate", training->resume.step);
    return training->bench->comm->broadcast(training->bench->comm, &training->is_evaluated,
                                            sizeof training->is_evaluated);
}

static enum err take_steps(struct training *training, struct hash *content)
{
    enum err err = ERR_OK;
    TRY(recall_evaluation(training));
    training->started_at = training->step_at = training->saved_at = clock_seconds();
    for (;;) {
        TRY(cross_boundary(training));
        if (training->resume.step == training->lr_schedule.steps)
            break;
        TRY(take_step(training));
    }
    TRY(finish(training, content));
out:
    return err;
}

/* Rank 0 */
static enum err write_summary(const struct training *training, const struct hash *content)
{
    const struct workbench *bench = training->bench;
    struct summary_cfg cfg = {.stage = training->phase->name,
                              .key = &bench->provenance.keys[training->stage],
                              .content = content,
                              .global_batch = bench->blueprint.campaign->batch.global};
    return summary_write(&training->record, &cfg);
}

enum err train_stage_run(struct workbench *bench, int stage, const struct stage_start *start,
                         struct train_stage_result *result)
{
    enum err err = ERR_OK;
    struct training training = {.bench = bench,
                                .from = workbench_resume(bench),
                                .record = workbench_record(bench),
                                .stage = stage,
                                .phase = blueprint_phase(&bench->blueprint, stage)};
    *result = (struct train_stage_result){0};
    TRY(open_parts(&training, start));
    result->content = training.resume.content;
    if (!training.resume.is_final)
        TRY(take_steps(&training, &result->content));
    event_log_close(&training.events);
    if (bench->comm->rank == 0)
        err = write_summary(&training, &result->content);
    TRY(comm_agree(bench->comm, err));
out:
    result->step = training.resume.step;
    close_parts(&training);
    return err;
}
