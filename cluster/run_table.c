#include "cluster/run_table.h"
#include "base/file.h"
#include "trainer/record/json_name.h"
#include <math.h>
#include <stdio.h>

static void bundle_of(const struct run_results *results, const char *target, char path[1024])
{
    snprintf(path, 1024, "%s/bundles/%s", results->folder, target);
    if (!file_exists(path))
        path[0] = '\0';
}

static void report_of(const struct run_results *results, char path[1024])
{
    snprintf(path, 1024, "%s/report.html", results->folder);
    if (!file_exists(path))
        path[0] = '\0';
}

static void add_number(struct text *out, const char *format, double value, int width)
{
    if (isfinite(value))
        text_add(out, format, value);
    else
        text_add(out, "%*s", width, "-");
}

static void add_row(const char *name, const json_t *row, double holdout, const char *bundle,
                    struct text *out)
{
    const json_t *test = json_object_get(row, "test");
    text_add(out, "%-12s", name);
    add_number(out, "  %8.3f M", report_number(row, "macs", NAN) / 1e6, 12);
    add_number(out, "  %7.2f ms", report_number(row, "latency_ms", NAN), 12);
    add_number(out, "  %7.2f %%", 100 * holdout, 11);
    add_number(out, "  %7.2f %%", 100 * report_number(test, "accuracy", NAN), 11);
    text_add(out, "  %s\n    %s\n", bundle[0] ? bundle : "-", report_string(row, "subnet"));
}

void run_table_write(const struct run_results *results, struct text *out)
{
    char path[1024];
    size_t i = 0;
    json_t *row = NULL;
    text_add(out, "%-12s  %10s  %10s  %9s  %9s  %s\n", "target", "MACs", "latency", "hold-out",
             "test", "bundle, architecture");
    json_array_foreach(json_object_get(results->search, "targets"), i, row)
    {
        bundle_of(results, report_string(row, "name"), path);
        add_row(report_string(row, "name"), row, report_number(row, "holdout_accuracy", NAN), path,
                out);
    }
    json_array_foreach(json_object_get(results->evaluate, "subnets"), i, row)
    {
        const json_t *holdout = json_object_get(row, "holdout");
        if (report_is_end(row))
            add_row(report_string(row, "label"), row, report_number(holdout, "accuracy", NAN), "",
                    out);
    }
    text_add(out, "latency: predicted from the device's model, not measured\n");
    report_of(results, path);
    if (path[0])
        text_add(out, "report: %s\n", path);
}

/* obj[key], null where it was not measured or cannot be predicted. */
static json_t *copied(const json_t *object, const char *key)
{
    double value = report_number(object, key, NAN);
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *row_json(const struct run_results *results, const json_t *row)
{
    char bundle[1024];
    const char *name = report_string(row, "name");
    bundle_of(results, name, bundle);
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "name", name, "subnet",
                     report_string(row, "subnet"), "macs", copied(row, "macs"), "latency_ms",
                     copied(row, "latency_ms"), "holdout_accuracy", copied(row, "holdout_accuracy"),
                     "test_accuracy", copied(json_object_get(row, "test"), "accuracy"), "bundle",
                     json_name(bundle));
}

json_t *run_table_json(const struct run_results *results)
{
    char path[1024];
    size_t i = 0;
    json_t *row = NULL, *targets = json_array();
    json_array_foreach(json_object_get(results->search, "targets"), i, row)
        json_array_append_new(targets, row_json(results, row));
    report_of(results, path);
    return json_pack("{s:o, s:o}", "targets", targets, "report", json_name(path));
}
