#include "cluster/page/prometheus.h"
#include "base/mem.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

enum metric {
    READABLE,
    STATE,
    AGE,
    LEFT,
    GANGS,
    STAGES,
    STAGE_STEP,
    STAGE_STEPS,
    STAGE_SPEED,
    STAGE_LOSS,
    STAGE_ACCURACY,
    STAGE_GANGS,
    STAGE_SECONDS,
    STAGE_ATTEMPTS,
    STAGE_FAILURES,
    STAGE_ENDED,
    METRICS
};

static const struct {
    const char *name, *type, *help;
} metrics_told[METRICS] = {
    [READABLE] = {"glowworm_run_readable", "gauge", "Whether the run's folder could be read."},
    [STATE] = {"glowworm_run_state", "gauge", "1 for the state that the run is in."},
    [AGE] = {"glowworm_run_status_age_seconds", "gauge", "Time since the run wrote its status."},
    [LEFT] = {"glowworm_run_eta_seconds", "gauge", "How long the run will take, if known."},
    [GANGS] = {"glowworm_gangs", "gauge", "Gangs that work for the run."},
    [STAGES] = {"glowworm_stages", "gauge", "Stages of the run by their state."},
    [STAGE_STEP] = {"glowworm_stage_step", "gauge", "Steps, or measurements, that are done."},
    [STAGE_STEPS] = {"glowworm_stage_steps", "gauge",
                     "Steps, or measurements, of the whole stage."},
    [STAGE_SPEED] = {"glowworm_stage_images_per_second", "gauge", "Speed of a stage that runs."},
    [STAGE_LOSS] = {"glowworm_stage_loss", "gauge", "Loss of the last training batch (nats)."},
    [STAGE_ACCURACY] = {"glowworm_stage_accuracy_ratio", "gauge",
                        "Accuracy of the last training batch (0 to 1)."},
    [STAGE_GANGS] = {"glowworm_stage_gangs", "gauge", "Gangs that work for the stage."},
    [STAGE_SECONDS] = {"glowworm_stage_duration_seconds", "gauge",
                       "What the attempt took that made the stage."},
    [STAGE_ATTEMPTS] = {"glowworm_stage_attempts_total", "counter", "Attempts of the stage."},
    [STAGE_FAILURES] = {"glowworm_stage_failures", "gauge",
                        "Failed attempts that count against the stage's budget."},
    [STAGE_ENDED] = {"glowworm_stage_attempts_ended_total", "counter",
                     "Attempts of the stage by what ended them before it was done."}};

static const char *const run_words[] = {"starting", "running", "stopping", "done",
                                        "stopped",  "failed",  "killed",   "silent"};

struct prometheus {
    struct text samples[METRICS];
};

struct prometheus *prometheus_create(void)
{
    struct prometheus *metrics = mem_alloc(sizeof *metrics);
    for (int i = 0; i < METRICS; i++)
        text_init(&metrics->samples[i]);
    return metrics;
}

void prometheus_destroy(struct prometheus **metrics)
{
    if (!*metrics)
        return;
    for (int i = 0; i < METRICS; i++)
        text_fini(&(*metrics)->samples[i]);
    mem_free(*metrics);
    *metrics = NULL;
}

/* ,name="value" as the format asks for it. */
static void add_label(struct text *labels, const char *name, const char *value)
{
    struct text safe;
    text_init(&safe);
    text_add_safe(&safe, value, strlen(value));
    text_add(labels, "%s%s=\"", labels->size > 0 ? "," : "", name);
    for (const char *c = text_get(&safe); *c; c++)
        if (*c == '\n')
            text_add(labels, "\\n");
        else
            text_add(labels, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    text_add(labels, "\"");
    text_fini(&safe);
}

/* What is not known has no sample. */
static void add_sample(struct prometheus *metrics, enum metric metric, const struct text *labels,
                       double value)
{
    if (isfinite(value))
        text_add(&metrics->samples[metric], "%s{%s} %.9g\n", metrics_told[metric].name,
                 text_get(labels), value);
}

/* One sample with a label more. */
static void add_word(struct prometheus *metrics, enum metric metric, const struct text *labels,
                     const char *name, const char *word, double value)
{
    struct text more;
    text_init(&more);
    text_add(&more, "%s", text_get(labels));
    add_label(&more, name, word);
    add_sample(metrics, metric, &more, value);
    text_fini(&more);
}

static const char *state_of(const struct found_status *found)
{
    if (found->runner == RUNNER_GONE)
        return "killed";
    return found->runner == RUNNER_SILENT ? "silent" : run_state_name(found->status.state);
}

static void add_stage(struct prometheus *metrics, const struct text *run,
                      const struct stage_status *stage)
{
    struct text labels;
    bool is_running = stage->state == STAGE_STATE_RUNNING, has_steps = stage->steps > 0;
    text_init(&labels);
    text_add(&labels, "%s", text_get(run));
    add_label(&labels, "stage", stage->name);
    add_sample(metrics, STAGE_STEP, &labels, has_steps ? (double)stage->step : NAN);
    add_sample(metrics, STAGE_STEPS, &labels, has_steps ? (double)stage->steps : NAN);
    add_sample(metrics, STAGE_SPEED, &labels, is_running ? stage->images_per_second : NAN);
    add_sample(metrics, STAGE_LOSS, &labels, is_running ? stage->loss : NAN);
    add_sample(metrics, STAGE_ACCURACY, &labels, is_running ? stage->accuracy : NAN);
    add_sample(metrics, STAGE_GANGS, &labels, (double)stage->gangs);
    add_sample(metrics, STAGE_SECONDS, &labels, stage->seconds);
    add_sample(metrics, STAGE_ATTEMPTS, &labels, (double)stage->attempts);
    add_sample(metrics, STAGE_FAILURES, &labels, (double)stage->failures);
    for (int cause = 0; cause < CAUSE_COUNT; cause++)
        if (stage->causes[cause] > 0)
            add_word(metrics, STAGE_ENDED, &labels, "cause", cause_name(cause),
                     stage->causes[cause]);
    text_fini(&labels);
}

static void add_stages(struct prometheus *metrics, const struct text *labels,
                       const struct run_status *status)
{
    double gangs = 0;
    for (int i = 0; i < status->stage_count; i++) {
        add_stage(metrics, labels, &status->stages[i]);
        gangs += (double)status->stages[i].gangs;
    }
    add_sample(metrics, GANGS, labels, gangs);
    for (int state = STAGE_STATE_WAITING; state <= STAGE_STATE_FAILED; state++)
        add_word(metrics, STAGES, labels, "state", stage_state_name(state),
                 run_status_count(status, state));
}

void prometheus_add(struct prometheus *metrics, const struct found_status *found,
                    const char *folder)
{
    struct text labels;
    text_init(&labels);
    add_label(&labels, "run", folder);
    add_sample(metrics, READABLE, &labels, found != NULL);
    if (found) {
        add_label(&labels, "campaign", found->status.campaign);
        for (size_t i = 0; i < sizeof run_words / sizeof *run_words; i++)
            add_word(metrics, STATE, &labels, "state", run_words[i],
                     strcmp(run_words[i], state_of(found)) == 0);
        add_sample(metrics, AGE, &labels, found->age_s);
        add_sample(metrics, LEFT, &labels, found->status.eta_seconds);
        add_stages(metrics, &labels, &found->status);
    }
    text_fini(&labels);
}

void prometheus_write(const struct prometheus *metrics, struct text *out)
{
    for (int i = 0; i < METRICS; i++)
        text_add(out, "# HELP %s %s\n# TYPE %s %s\n%s", metrics_told[i].name, metrics_told[i].help,
                 metrics_told[i].name, metrics_told[i].type, text_get(&metrics->samples[i]));
}
