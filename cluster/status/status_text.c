#include "cluster/status/status_text.h"
#include "base/clock.h"
#include "cluster/progress.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define CELL 160

static void duration(double seconds, char text[32])
{
    if (isfinite(seconds))
        progress_duration(seconds > 0 ? seconds : 0, text);
    else
        snprintf(text, 32, "-");
}

static void time_of(int64_t ms, char text[32])
{
    time_t at = (time_t)(ms / 1000);
    struct tm parts;
    if (ms <= 0 || !localtime_r(&at, &parts) ||
        strftime(text, 32, "%Y-%m-%d %H:%M:%S", &parts) == 0)
        snprintf(text, 32, "-");
}

/* What is said of the run in one word or two. */
static const char *state_of(const struct found_status *found)
{
    if (found->runner == RUNNER_GONE)
        return "killed";
    if (found->runner == RUNNER_SILENT)
        return "silent";
    return run_state_name(found->status.state);
}

static bool is_under_way(const struct found_status *found)
{
    return found->runner == RUNNER_THERE || found->runner == RUNNER_SILENT;
}

static void add_age(const struct found_status *found, struct text *out)
{
    char age[32];
    duration(fabs(found->age_s), age);
    if (found->age_s < -1)
        text_add(out, "written %s from now: the clocks of this machine and of %s differ", age,
                 found->status.host);
    else
        text_add(out, "%s %s ago", found->runner == RUNNER_ENDED ? "ended" : "written", age);
}

static void add_runner(const struct found_status *found, struct text *out)
{
    const struct run_status *status = &found->status;
    char started[32];
    time_of(status->started_ms, started);
    if (found->is_from_journal) {
        text_add(out, "from its journal: its runner, of an earlier version, says nothing of now\n");
        return;
    }
    text_add(out, "process %lld on %s, since %s, ", (long long)status->pid, status->host, started);
    add_age(found, out);
    if (found->runner == RUNNER_GONE)
        text_add(out, "\nthat process is not there any more, and did not end in good order: what "
                      "is shown was so then, and \"glowworm run\" continues it");
    else if (found->runner == RUNNER_SILENT)
        text_add(out,
                 "\nit should be every two seconds: the runner was killed, its disk or "
                 "network hangs, or clocks differ; look on %s",
                 status->host);
    text_add(out, "\n");
}

/* The processor, as most runs compute on, is not. */
static bool is_worth_saying(const char *device)
{
    return device[0] && strcmp(device, "auto") != 0 && strcmp(device, "cpu") != 0;
}

void status_text_head(const struct found_status *found, const char *folder, struct text *out)
{
    const struct run_status *status = &found->status;
    char left[32];
    bool is_named = is_worth_saying(status->device);
    text_add(out, "%s in %s%s%s: %s, %d of %d stages done", status->campaign, folder,
             is_named ? " on " : "", is_named ? status->device : "", state_of(found),
             run_status_count(status, STAGE_STATE_DONE), status->stage_count);
    duration(status->eta_seconds, left);
    if (is_under_way(found) && isfinite(status->eta_seconds) && !run_state_is_end(status->state))
        text_add(out, ", about %s left", left);
    text_add(out, "\n");
    add_runner(found, out);
    if (status->excluded[0])
        text_add(out, "without %s (%s)\n", status->excluded, status->excluded_why);
    if (status->waits[0])
        text_add(out, "waits: %s; what runs goes on\n", status->waits);
    if (status->text[0] && run_state_is_end(status->state))
        text_add(out, "%s%s%s\n", status->error, status->error[0] ? ": " : "", status->text);
}

/* "120/640  19 %" */
static void progress_of(const struct stage_status *stage, char cell[CELL])
{
    cell[0] = '\0';
    if (stage->steps > 0)
        snprintf(cell, CELL, "%lld/%lld %3.0f %%", (long long)stage->step, (long long)stage->steps,
                 100.0 * (double)stage->step / (double)stage->steps);
}

static void number_of(double value, const char *format, char cell[CELL])
{
    cell[0] = '\0';
    if (isfinite(value))
        snprintf(cell, CELL, format, value);
}

/* Took, or is left. */
static void time_cell(const struct stage_status *stage, char cell[CELL])
{
    char text[32];
    bool is_done = stage->state == STAGE_STATE_DONE;
    double seconds = is_done ? stage->seconds : stage->eta_seconds;
    cell[0] = '\0';
    duration(seconds, text);
    if (isfinite(seconds) && stage->state != STAGE_STATE_FAILED)
        snprintf(cell, CELL, is_done ? "took %s" : "~%s left", text);
}

/* "4: 2 crash, 1 preempted" */
static void attempts_of(const struct stage_status *stage, char cell[CELL])
{
    int used = stage->attempts > 0 ? snprintf(cell, CELL, "%lld", (long long)stage->attempts) : 0;
    const char *between = ": ";
    cell[used] = '\0';
    for (int i = CAUSE_NONE + 1; i < CAUSE_COUNT && used < CELL; i++) {
        if (stage->causes[i] == 0)
            continue;
        used += snprintf(cell + used, (size_t)(CELL - used), "%s%d %s", between, stage->causes[i],
                         cause_name((enum cause)i));
        between = ", ";
    }
}

/* Why it waits, or what it does. */
static void about(const struct found_status *found, const struct stage_status *stage,
                  char cell[CELL])
{
    int first_line = (int)strcspn(stage->why, "\n");
    double pause = (double)(stage->retry_at_ms - clock_wall_ms()) / 1000.0;
    char text[32];
    duration(pause, text);
    cell[0] = '\0';
    if (stage->state == STAGE_STATE_BACKING_OFF && pause > 0 && found->runner == RUNNER_THERE)
        snprintf(cell, CELL, "again in %s: %.*s", text, first_line, stage->why);
    else if (stage->state == STAGE_STATE_FAILED)
        snprintf(cell, CELL, "%s: %.*s", stage->error, (int)strcspn(stage->error_text, "\n"),
                 stage->error_text);
    else if (stage->state == STAGE_STATE_RUNNING && stage->gangs > 1)
        snprintf(cell, CELL, "%s on %lld gangs", stage->doing, (long long)stage->gangs);
    else if (stage->state == STAGE_STATE_RUNNING)
        snprintf(cell, CELL, "%s", stage->doing);
    else if (stage->state != STAGE_STATE_DONE)
        snprintf(cell, CELL, "%.*s", first_line, stage->why);
}

/* A stage of a run whose runner was killed does not run. */
static const char *stage_state(const struct found_status *found, const struct stage_status *stage)
{
    bool is_over = found->runner == RUNNER_GONE && stage->state == STAGE_STATE_RUNNING;
    return is_over ? "was running" : stage_state_name(stage->state);
}

static void add_stage(const struct found_status *found, const struct stage_status *stage,
                      struct table *table)
{
    char progress[CELL], rate[CELL], loss[CELL], accuracy[CELL], time[CELL], attempts[CELL],
        words[CELL];
    progress_of(stage, progress);
    number_of(stage->images_per_second, "%.0f img/s", rate);
    number_of(stage->loss, "%.4f", loss);
    number_of(100 * stage->accuracy, "%.2f %%", accuracy);
    time_cell(stage, time);
    attempts_of(stage, attempts);
    about(found, stage, words);
    const char *cells[] = {
        stage->name, stage_state(found, stage), progress, rate, loss, accuracy, time, attempts,
        words};
    table_add(table, cells);
}

void status_text_stages(const struct found_status *found, struct table *table)
{
    static const struct table_column columns[] = {
        {"stage", TABLE_LEFT}, {"state", TABLE_LEFT},     {"progress", TABLE_RIGHT},
        {"rate", TABLE_RIGHT}, {"loss", TABLE_RIGHT},     {"accuracy", TABLE_RIGHT},
        {"time", TABLE_RIGHT}, {"attempts", TABLE_RIGHT}, {"", TABLE_LEFT}};
    table_init(table, columns, 9, 8);
    for (int i = 0; i < found->status.stage_count; i++)
        add_stage(found, &found->status.stages[i], table);
}

void status_text_begin_runs(struct table *table)
{
    static const struct table_column columns[] = {{"run", TABLE_LEFT},   {"campaign", TABLE_LEFT},
                                                  {"state", TABLE_LEFT}, {"done", TABLE_RIGHT},
                                                  {"left", TABLE_RIGHT}, {"written", TABLE_RIGHT},
                                                  {"now", TABLE_LEFT}};
    table_init(table, columns, 7, 6);
}

/* The stage that runs, else the one that keeps the run from going on. */
static void now_of(const struct found_status *found, char cell[CELL])
{
    const struct run_status *status = &found->status;
    char progress[CELL];
    const struct stage_status *running = run_status_first(status, STAGE_STATE_RUNNING);
    const struct stage_status *waits = run_status_first(status, STAGE_STATE_BACKING_OFF);
    cell[0] = '\0';
    if (run_state_is_end(status->state) && status->error[0] && status->state == RUN_STATE_FAILED) {
        snprintf(cell, CELL, "%s: %.*s", status->error, (int)strcspn(status->text, "\n"),
                 status->text);
    } else if (running) {
        progress_of(running, progress);
        snprintf(cell, CELL, "%s %s", running->name, progress);
    } else if (waits) {
        about(found, waits, progress);
        snprintf(cell, CELL, "%s: %.80s", waits->name, progress);
    }
}

void status_text_cells(const struct found_status *found, struct run_cells *cells)
{
    const struct run_status *status = &found->status;
    snprintf(cells->done, sizeof cells->done, "%d/%d", run_status_count(status, STAGE_STATE_DONE),
             status->stage_count);
    cells->left[0] = '\0';
    if (is_under_way(found) && isfinite(status->eta_seconds))
        duration(status->eta_seconds, cells->left);
    now_of(found, cells->now);
}

void status_text_add_run(const struct found_status *found, const char *folder, struct table *table)
{
    char age[32] = "";
    struct run_cells run;
    status_text_cells(found, &run);
    if (isfinite(found->age_s))
        duration(fabs(found->age_s), age);
    const char *cells[] = {folder, found->status.campaign, state_of(found), run.done, run.left, age,
                           run.now};
    table_add(table, cells);
}
