/* Reads a run's folder for the report and the closing table. */
#include "base/file.h"
#include "base/mem.h"
#include "cluster/json_file.h"
#include "cluster/report.h"
#include "trainer/record/event_log.h"
#include "trainer/spec/campaign.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_CAMPAIGN = 16 * 1024 * 1024, MAX_RESULT = 256 * 1024 * 1024 };

/* A JSON file; a missing one leaves *json NULL. */
static enum err load_json(const char *folder, const char *name, json_t **json)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!file_exists(path))
        return ERR_OK;
    return json_file_read(path, MAX_RESULT, json);
}

static void take_step(void *own, json_t *event)
{
    struct run_stage *stage = own;
    double step = report_number(event, "step", 0), loss = report_number(event, "loss", NAN);
    double accuracy = report_number(event, "accuracy", NAN);
    if (strcmp(report_string(event, "event"), "step") != 0)
        return;
    if (isfinite(loss))
        series_add(&stage->loss, step, loss);
    if (isfinite(accuracy))
        series_add(&stage->accuracy, step, 100 * accuracy);
}

/* The stage may not have begun yet. */
static enum err load_steps(const char *folder, struct run_stage *stage)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/metrics/%s.jsonl", folder, stage->name);
    return file_exists(path) ? event_log_read(path, take_step, stage) : ERR_OK;
}

static enum err load_bundles(const struct run_results *results, json_t **bundles)
{
    enum err err = ERR_OK;
    size_t i = 0;
    json_t *target = NULL;
    *bundles = json_array();
    json_array_foreach(json_object_get(results->search, "targets"), i, target)
    {
        char name[256];
        json_t *bundle = NULL, *check = NULL, *validation = NULL;
        snprintf(name, sizeof name, "bundles/%s/bundle.json", report_string(target, "name"));
        TRY(load_json(results->folder, name, &bundle));
        if (!bundle)
            continue;
        json_array_append_new(*bundles, bundle);
        snprintf(name, sizeof name, "bundles/%s/check.json", report_string(target, "name"));
        TRY(load_json(results->folder, name, &check));
        if (check)
            json_object_set_new(bundle, "check", check);
        snprintf(name, sizeof name, "bundles/%s/validate.json", report_string(target, "name"));
        TRY(load_json(results->folder, name, &validation));
        if (validation)
            json_object_set_new(bundle, "validation", validation);
    }
out:
    return err;
}

static void note_checked(const struct campaign *campaign, struct run_results *results)
{
    results->checked = json_array();
    for (int t = 0; t < campaign->target_count; t++)
        if (campaign->targets[t].device.arithmetic != DEVICE_ARITHMETIC_UNKNOWN)
            json_array_append_new(results->checked, json_string(campaign->targets[t].name));
}

/* The training stages are the campaign's own, in its order. */
static enum err load_stages(struct run_results *results, const char *campaign_path)
{
    enum err err = ERR_OK;
    struct campaign *campaign = mem_alloc(sizeof *campaign);
    struct space *space = mem_alloc(sizeof *space);
    struct schedule *schedule = mem_alloc(sizeof *schedule);
    TRY(campaign_load(campaign_path, NULL, 0, campaign));
    TRY(campaign_space(campaign, 2, 1,
                       space)); /* the schedule does not depend on classes or channels */
    campaign_schedule(campaign, space, schedule);
    for (int p = 0; p < schedule->phase_count; p++) {
        struct run_stage *stage = &results->stages[p];
        char name[128];
        snprintf(stage->name, sizeof stage->name, "%s", schedule->phases[p].name);
        snprintf(name, sizeof name, "results/%s.json", stage->name);
        results->stage_count++;
        TRY(load_json(results->folder, name, &stage->result));
        TRY(load_steps(results->folder, stage));
    }
    results->target_count = campaign->target_count;
    note_checked(campaign, results);
out:
    mem_free(schedule);
    mem_free(space);
    mem_free(campaign);
    return err;
}

enum err run_results_load(const char *folder, struct run_results *results)
{
    enum err err = ERR_OK;
    size_t size = 0;
    memset(results, 0, sizeof *results);
    results->folder = mem_string(folder);
    char *path = file_join(folder, "campaign.yaml");
    if (!file_exists(path))
        TRY(err_set(ERR_NOT_FOUND, "%s is not a run's folder: it has no campaign.yaml", folder));
    TRY(file_read(path, MAX_CAMPAIGN, &results->campaign, &size));
    TRY(load_stages(results, path));
    TRY(load_json(folder, "results/evaluate.json", &results->evaluate));
    TRY(load_json(folder, "results/search.json", &results->search));
    TRY(load_bundles(results, &results->bundles));
out:
    mem_free(path);
    if (err != ERR_OK)
        run_results_fini(results);
    return err;
}

void run_results_fini(struct run_results *results)
{
    for (int i = 0; i < results->stage_count; i++) {
        series_fini(&results->stages[i].loss);
        series_fini(&results->stages[i].accuracy);
        json_decref(results->stages[i].result);
    }
    json_decref(results->evaluate);
    json_decref(results->search);
    json_decref(results->bundles);
    json_decref(results->checked);
    mem_free(results->campaign);
    mem_free(results->folder);
    memset(results, 0, sizeof *results);
}

const char *run_results_choice(const json_t *search, const char *target)
{
    size_t i = 0;
    json_t *row = NULL;
    json_array_foreach(json_object_get(search, "targets"), i, row)
    {
        if (strcmp(report_string(row, "name"), target) == 0)
            return json_string_value(json_object_get(row, "subnet"));
    }
    return NULL;
}

double report_number(const json_t *object, const char *key, double missing)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : missing;
}

const char *report_string(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

bool report_is_end(const json_t *subnet)
{
    const char *label = report_string(subnet, "label");
    return strcmp(label, "biggest") == 0 || strcmp(label, "smallest") == 0;
}
