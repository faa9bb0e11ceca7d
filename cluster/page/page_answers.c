#include "cluster/page/page_answers.h"
#include "base/file.h"
#include "base/mem.h"
#include "cluster/json_file.h"
#include "cluster/report.h"
#include "cluster/slurm/job_news.h"
#include "trainer/record/json_name.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_RESULT ((size_t)64 << 20)

enum err page_status(struct page_runs *runs, int run)
{
    return runs->source == PAGE_OWN_RUN ? status_read_published(runs->folders[run], runs->found)
                                        : status_read(runs->folders[run], runs->found);
}

static json_t *trouble(void)
{
    json_t *json = json_object();
    json_object_set_new(json, "trouble", json_name(err_text()));
    return json;
}

/* Of one that has not begun it is said where it waits in Slurm. */
static json_t *no_status(const char *run_folder, enum err why)
{
    struct job_news news;
    char text[JOB_NEWS_TEXT];
    json_t *json = trouble();
    if (why != ERR_NOT_FOUND || !job_news_read(run_folder, &news))
        return json;
    job_news_text(&news, text);
    json_object_set_new(json, "trouble", json_sprintf("the run has not begun: %s", text));
    return json;
}

static json_t *number_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *running_json(const struct run_status *status)
{
    json_t *list = json_array();
    for (int i = 0; i < status->stage_count; i++)
        if (status->stages[i].state == STAGE_STATE_RUNNING)
            json_array_append_new(list, json_string(status->stages[i].name));
    return list;
}

static json_t *line_json(struct page_runs *runs, int run)
{
    const struct run_status *status = &runs->found->status;
    enum err err = page_status(runs, run);
    json_t *json = err == ERR_OK ? json_object() : no_status(runs->folders[run], err);
    json_object_set_new(json, "folder", json_name(runs->folders[run]));
    if (json_object_get(json, "trouble"))
        return json;
    json_object_set_new(json, "campaign", json_string(status->campaign));
    json_object_set_new(json, "state", json_string(run_state_name(status->state)));
    json_object_set_new(json, "runner", json_string(runner_state_name(runs->found->runner)));
    json_object_set_new(json, "stages", json_integer(status->stage_count));
    json_object_set_new(json, "done", json_integer(run_status_count(status, STAGE_STATE_DONE)));
    json_object_set_new(json, "failed", json_integer(run_status_count(status, STAGE_STATE_FAILED)));
    json_object_set_new(json, "running", running_json(status));
    json_object_set_new(json, "eta_seconds", number_or_null(status->eta_seconds));
    return json;
}

json_t *page_runs_json(struct page_runs *runs)
{
    json_t *json = json_object(), *list = json_array();
    for (int run = 0; run < runs->count; run++)
        json_array_append_new(list, line_json(runs, run));
    json_object_set_new(json, "grows", json_boolean(runs->grows));
    json_object_set_new(json, "runs", list);
    return json;
}

json_t *page_status_json(struct page_runs *runs, int run)
{
    enum err err = page_status(runs, run);
    return err == ERR_OK ? status_json(runs->found, runs->folders[run])
                         : no_status(runs->folders[run], err);
}

/* Names become paths: only those of the run's own training stages, and none that leaves the folder.
 */
static enum err find_curves(struct page_runs *runs, int run, const char *stage,
                            struct curves **curves)
{
    enum err err = ERR_OK;
    char name[128];
    TRY(page_status(runs, run));
    const struct stage_status *found = run_status_stage(&runs->found->status, stage);
    if (!found || strcmp(found->kind, "train") != 0 || !file_is_name(found->name))
        TRY(err_set(ERR_NOT_FOUND, "that is no training stage of the run"));
    snprintf(name, sizeof name, "metrics/%s.jsonl", found->name);
    char *path = file_join(runs->folders[run], name);
    *curves = curve_cache_get(runs->curves, path);
    mem_free(path);
out:
    return err;
}

json_t *page_curves_json(struct page_runs *runs, int run, const char *stage, int64_t from)
{
    struct curves *curves = NULL;
    bool is_all = false;
    if (find_curves(runs, run, stage, &curves) != ERR_OK || curves_read(curves, &is_all) != ERR_OK)
        return trouble();
    bool is_same = curves_version(curves) == from;
    json_t *json = is_same ? json_object() : curves_json(curves);
    json_object_set_new(json, "same", json_boolean(is_same));
    json_object_set_new(json, "version", json_integer(curves_version(curves)));
    json_object_set_new(json, "more", json_boolean(!is_all));
    return json;
}

static json_t *target_json(const json_t *target)
{
    static const char *const texts[] = {"name", "device", "subnet"};
    static const char *const numbers[] = {"macs", "parameters", "latency_ms", "holdout_accuracy"};
    json_t *json = json_object();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        json_object_set_new(json, texts[i], json_string(report_string(target, texts[i])));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        json_object_set_new(json, numbers[i],
                            number_or_null(report_number(target, numbers[i], NAN)));
    json_object_set_new(
        json, "test_accuracy",
        number_or_null(report_number(json_object_get(target, "test"), "accuracy", NAN)));
    return json;
}

json_t *page_results_json(struct page_runs *runs, int run)
{
    json_t *json = json_object(), *targets = json_array(), *search = NULL, *target = NULL;
    char *path = file_join(runs->folders[run], "results/search.json");
    char *report = file_join(runs->folders[run], "report.html");
    size_t i = 0;
    if (json_file_read(path, MAX_RESULT, &search) == ERR_OK)
        json_array_foreach(json_object_get(search, "targets"), i, target)
            json_array_append_new(targets, target_json(target));
    json_object_set_new(json, "targets", targets);
    json_object_set_new(json, "report", json_boolean(file_exists(report)));
    json_decref(search);
    mem_free(report);
    mem_free(path);
    return json;
}

enum err page_report(struct page_runs *runs, int run, int *file, size_t *size_bytes)
{
    enum err err = ERR_OK;
    struct stat status;
    int opened = -1;
    char *path = file_join(runs->folders[run], "report.html");
    TRY(file_open_plain(path, &opened));
    if (fstat(opened, &status) != 0)
        TRY(err_set(ERR_IO, "cannot read %s", path));
    *file = opened;
    *size_bytes = (size_t)status.st_size;
    opened = -1;
out:
    if (opened >= 0)
        close(opened);
    mem_free(path);
    return err;
}
