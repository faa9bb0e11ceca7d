#include "cluster/validate/fit_verdicts.h"
#include "base/file.h"
#include "base/mem.h"
#include "cluster/html_page.h"
#include "cluster/json_file.h"
#include "cluster/svg.h"
#include "cluster/table.h"
#include "cluster/validate/device_latency.h"
#include "trainer/spec/lookup.h"
#include "trainer/spec/target.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_VERDICT = 16 << 20, MOST_DEVICE = 1 << 20, MOST_PATH = 1024, ENOUGH = COST_KINDS + 1 };

struct fitting {
    const struct fit_cfg *cfg;
    struct latency_point *points; /* (cfg->count) */
    char device_name[256];
    bool is_simulated;
    char path[MOST_PATH]; /* of the device's file */
    struct latency_model known, fitted;
};

static enum err no_verdict(const char *what)
{
    return err_set(ERR_DATA,
                   "not a verdict of this version, for want of %s: validate the bundle "
                   "anew",
                   what);
}

enum err fit_take_verdict(const json_t *verdict, struct latency_point *point, const char **device,
                          bool *is_simulated)
{
    const json_t *work = json_object_get(verdict, "work");
    double total = 0;
    point->measured_ms =
        json_number_value(json_object_get(json_object_get(verdict, "latency"), "median_ms"));
    *device = json_string_value(json_object_get(json_object_get(verdict, "network"), "device"));
    *is_simulated = json_is_true(json_object_get(json_object_get(verdict, "camera"), "simulated"));
    for (int k = 0; k < COST_KINDS; k++) {
        const json_t *row = json_object_get(work, cost_kind_names[k]);
        point->mmac[k] = json_number_value(json_object_get(row, "mmac"));
        if (!(point->mmac[k] >= 0 && point->mmac[k] < 1e9))
            return no_verdict("work");
        total += point->mmac[k];
    }
    if (!(total > 0))
        return no_verdict("work");
    if (!(point->measured_ms > 0 && point->measured_ms < 1e6))
        return no_verdict("latency.median_ms");
    return *device ? ERR_OK : no_verdict("network.device");
}

static enum err read_verdict(struct fitting *fitting, int index)
{
    enum err err = ERR_OK;
    const char *path = fitting->cfg->paths[index], *device = NULL;
    bool is_simulated = false;
    json_t *verdict = NULL;
    TRY(json_file_read(path, MOST_VERDICT, &verdict));
    err = fit_take_verdict(verdict, &fitting->points[index], &device, &is_simulated);
    if (err != ERR_OK)
        TRY(err_prefix(err, "%s", path));
    if (index == 0) {
        snprintf(fitting->device_name, sizeof fitting->device_name, "%s", device);
        fitting->is_simulated = is_simulated;
    }
    if (strcmp(device, fitting->device_name) != 0 || is_simulated != fitting->is_simulated)
        TRY(err_set(ERR_DATA,
                    "%s is of %s %s, the first one of %s %s: fit one device's at a time, and no "
                    "simulated cameras among others",
                    path, is_simulated ? "a simulated" : "a", device,
                    fitting->is_simulated ? "a simulated" : "a", fitting->device_name));
out:
    json_decref(verdict);
    return err;
}

static enum err know_device(struct fitting *fitting)
{
    enum err err = ERR_OK;
    struct camera_device device;
    const char *name = fitting->cfg->device ? fitting->cfg->device : fitting->device_name;
    TRY(lookup_find(name, "devices", NULL, fitting->path, sizeof fitting->path));
    TRY(camera_device_load(fitting->path, &device));
    fitting->known.fixed_ms = device.latency_fixed_ms;
    for (int k = 0; k < COST_KINDS; k++)
        fitting->known.rate_ms[k] = camera_device_rate_ms(&device, (enum cost_kind)k);
out:
    return err;
}

static enum err write_device(const struct fitting *fitting)
{
    enum err err = ERR_OK;
    struct camera_device read_back;
    struct text made;
    char *yaml = NULL;
    size_t size = 0;
    text_init(&made);
    TRY(file_read(fitting->path, MOST_DEVICE, &yaml, &size));
    err = device_latency_replace(yaml, &fitting->fitted, &made);
    if (err != ERR_OK)
        TRY(err_prefix(err, "%s", fitting->path));
    TRY(file_write(fitting->cfg->to, text_get(&made), made.size));
    TRY(camera_device_load(fitting->cfg->to, &read_back));
out:
    mem_free(yaml);
    text_fini(&made);
    return err;
}

static void print_fit(const struct fitting *fitting)
{
    static const struct table_column columns[] = {{"verdict", TABLE_LEFT},
                                                  {"measured ms", TABLE_RIGHT},
                                                  {"predicted before", TABLE_RIGHT},
                                                  {"now", TABLE_RIGHT}};
    struct table table;
    struct text line;
    table_init(&table, columns, 4, 0);
    for (int i = 0; i < fitting->cfg->count; i++) {
        char cells[3][32];
        const struct latency_point *point = &fitting->points[i];
        const char *row[] = {fitting->cfg->paths[i], cells[0], cells[1], cells[2]};
        snprintf(cells[0], sizeof cells[0], "%.2f", point->measured_ms);
        snprintf(cells[1], sizeof cells[1], "%.2f", latency_model_ms(&fitting->known, point));
        snprintf(cells[2], sizeof cells[2], "%.2f", latency_model_ms(&fitting->fitted, point));
        table_add(&table, row);
    }
    table_print(&table);
    table_fini(&table);
    text_init(&line);
    device_latency_line(&fitting->fitted, &line);
    printf("\n%s%s is written: name it as a target's device, or put it in the place of %s\n",
           text_get(&line), fitting->cfg->to, fitting->path);
    text_fini(&line);
    if (fitting->is_simulated)
        printf("the camera was simulated: this is the simulation's latency, no camera's\n");
    if (fitting->cfg->count < ENOUGH)
        printf("%d verdicts are few: kinds of layers are told apart by %d networks or more that "
               "differ in depth, width and resolution\n",
               fitting->cfg->count, ENOUGH);
}

/* Predicted against measured: what is right lies on the line. */
static void add_plot(const struct fitting *fitting, struct text *html)
{
    int count = fitting->cfg->count;
    double *values = mem_array((size_t)(3 * count), sizeof *values);
    struct svg_plot plot = {.width = 900, .height = 420, .html = html};
    for (int i = 0; i < count; i++) {
        values[3 * i] = fitting->points[i].measured_ms;
        values[3 * i + 1] = latency_model_ms(&fitting->known, &fitting->points[i]);
        values[3 * i + 2] = latency_model_ms(&fitting->fitted, &fitting->points[i]);
    }
    plot.x = svg_axis_of(values, 3 * count, "predicted, milliseconds", "%g");
    plot.y = svg_axis_of(values, 3 * count, "measured, milliseconds", "%g");
    double ends[2] = {plot.x.low, plot.x.high};
    svg_begin(&plot);
    svg_line(&plot, ends, ends, 2, "grey");
    for (int i = 0; i < count; i++) {
        svg_dot(&plot, values[3 * i + 1], values[3 * i], "grey", fitting->cfg->paths[i]);
        svg_dot(&plot, values[3 * i + 2], values[3 * i], "s0", fitting->cfg->paths[i]);
    }
    svg_end(&plot);
    mem_free(values);
}

static enum err write_page(const struct fitting *fitting)
{
    struct text html, path;
    text_init(&html);
    text_init(&path);
    text_add(&path, "%s.html", fitting->cfg->to);
    html_page_begin(&html, fitting->device_name);
    text_add(&html,
             "<p>Latency fitted to %d verdicts%s.</p></header><section id=\"fit\"><h2>Predicted "
             "against measured</h2><p>A dot a network, on the line where the prediction is right: "
             "grey with what was known before, coloured with the fit.</p>\n",
             fitting->cfg->count, fitting->is_simulated ? " of a simulated camera" : "");
    add_plot(fitting, &html);
    text_add(&html, "<p><code>");
    device_latency_line(&fitting->fitted, &html);
    text_add(&html, "</code></p></section>\n");
    html_page_end(&html);
    enum err err = file_write(text_get(&path), text_get(&html), html.size);
    text_fini(&path);
    text_fini(&html);
    return err;
}

enum err fit_verdicts(const struct fit_cfg *cfg)
{
    enum err err = ERR_OK;
    struct fitting fitting = {.cfg = cfg};
    fitting.points = mem_array((size_t)cfg->count, sizeof *fitting.points);
    for (int i = 0; i < cfg->count; i++)
        TRY(read_verdict(&fitting, i));
    TRY(know_device(&fitting));
    latency_fit(fitting.points, cfg->count, &fitting.known, &fitting.fitted);
    TRY(write_device(&fitting));
    TRY(write_page(&fitting));
    print_fit(&fitting);
out:
    mem_free(fitting.points);
    return err;
}
