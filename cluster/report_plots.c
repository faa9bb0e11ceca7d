/* The plots of the report: the front, the training curves, accuracy of the sub-networks by phase.
 */
#include "base/mem.h"
#include "cluster/report.h"
#include "cluster/svg.h"
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct series { /* growing lists of points */
    double *x, *y;
    int count, room;
};

static void series_add(struct series *series, double x, double y)
{
    if (series->count == series->room) {
        int room = series->room ? 2 * series->room : 256;
        size_t old = (size_t)series->room * sizeof(double), bytes = (size_t)room * sizeof(double);
        series->x = mem_grow(series->x, old, bytes);
        series->y = mem_grow(series->y, old, bytes);
        series->room = room;
    }
    series->x[series->count] = x;
    series->y[series->count++] = y;
}

static void series_fini(struct series *series)
{
    mem_free(series->x);
    mem_free(series->y);
}

static void add_missing(struct text *html, const char *what)
{
    text_add(html, "<p class=\"missing\">%s</p></section>\n", what);
}

static const char *colour_of(int number)
{
    static const char *const colours[] = {"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"};
    return colours[number % 8];
}

/* Cheapest first: the front's line needs an order. */
static void sort_by_x(struct series *series)
{
    for (int i = 1; i < series->count; i++)
        for (int j = i; j > 0 && series->x[j - 1] > series->x[j]; j--) {
            double x = series->x[j], y = series->y[j];
            series->x[j] = series->x[j - 1], series->y[j] = series->y[j - 1];
            series->x[j - 1] = x, series->y[j - 1] = y;
        }
}

static void add_front_points(const struct svg_plot *plot, const json_t *candidates)
{
    struct series front = {0};
    size_t i = 0;
    const json_t *candidate = NULL;
    json_array_foreach(candidates, i, candidate)
    {
        double macs = report_number(candidate, "macs", 0) / 1e6;
        double accuracy = 100 * report_number(candidate, "accuracy", 0);
        char title[640];
        snprintf(title, sizeof title, "%.2f %% at %.3f M MACs: %s", accuracy, macs,
                 report_string(candidate, "subnet"));
        bool is_front = json_is_true(json_object_get(candidate, "on_front"));
        if (is_front)
            series_add(&front, macs, accuracy);
        svg_dot(plot, macs, accuracy, is_front ? "s0" : "grey", title);
    }
    sort_by_x(&front);
    svg_line(plot, front.x, front.y, front.count, "s0");
    series_fini(&front);
}

static void add_front_targets(const struct svg_plot *plot, const json_t *targets)
{
    size_t i = 0;
    const json_t *target = NULL;
    json_array_foreach(targets, i, target)
    {
        double bound = report_number(target, "macs_max", 0) / 1e6;
        char label[128];
        if (bound > plot->x.low && bound < plot->x.high) {
            snprintf(label, sizeof label, "%s: %.3g M", report_string(target, "name"), bound);
            svg_mark(plot, bound, label);
        }
        svg_diamond(plot, report_number(target, "macs", 0) / 1e6,
                    100 * report_number(target, "holdout_accuracy", 0), "s1",
                    report_string(target, "name"));
    }
}

void report_front(const struct run_results *results, struct text *html)
{
    const json_t *candidates = json_object_get(results->search, "candidates");
    text_add(html, "<section><h2>Accuracy and cost of the sub-networks</h2>");
    if (json_array_size(candidates) == 0) {
        add_missing(html, "The search has not run yet.");
        return;
    }
    text_add(html, "<p>Every sub-network the search measured on the hold-out images; the line "
                   "joins those that no other "
                   "beats in both. Diamonds: the targets' choices. Point at a dot for its "
                   "architecture.</p>\n");
    struct series all = {0};
    size_t i = 0;
    const json_t *candidate = NULL;
    json_array_foreach(candidates, i, candidate)
        series_add(&all, report_number(candidate, "macs", 0) / 1e6,
                   100 * report_number(candidate, "accuracy", 0));
    struct svg_plot plot = {.width = 1000, .height = 420, .html = html};
    plot.x = svg_axis_of(all.x, all.count, "million multiply-accumulates per image", "%g");
    plot.y = svg_axis_of(all.y, all.count, "hold-out accuracy", "%g %%");
    svg_begin(&plot);
    add_front_points(&plot, candidates);
    add_front_targets(&plot, json_object_get(results->search, "targets"));
    svg_end(&plot);
    series_fini(&all);
    text_add(html, "</section>\n");
}

/* Mean over windows of n / 200 values: a curve of some 200 points whatever the number of steps. */
static void smooth(const struct series *from, struct series *to)
{
    int window = from->count / 200 + 1;
    for (int i = 0; i < from->count; i += window) {
        double x = 0, y = 0;
        int n = from->count - i < window ? from->count - i : window;
        for (int j = i; j < i + n; j++)
            x += from->x[j] / n, y += from->y[j] / n;
        series_add(to, x, y);
    }
}

static void collect_steps(const json_t *events, const char *key, double scale,
                          struct series *series)
{
    size_t i = 0;
    const json_t *event = NULL;
    json_array_foreach(events, i, event)
    {
        double value = report_number(event, key, NAN);
        if (strcmp(report_string(event, "event"), "step") == 0 && isfinite(value))
            series_add(series, report_number(event, "step", 0), scale * value);
    }
}

static void add_stage_curve(const struct run_results *results, int stage, const char *key,
                            double scale, struct svg_plot plot)
{
    struct series raw = {0}, curve = {0};
    collect_steps(results->stages[stage].metrics, key, scale, &raw);
    smooth(&raw, &curve);
    plot.x = svg_axis_of(curve.x, curve.count, "step", "%g");
    plot.y = svg_axis_of(curve.y, curve.count, plot.y.label, plot.y.tick_format);
    text_add(plot.html, "<div>");
    svg_begin(&plot);
    svg_line(&plot, curve.x, curve.y, curve.count, colour_of(stage));
    svg_end(&plot);
    text_add(plot.html, "</div>");
    series_fini(&raw);
    series_fini(&curve);
}

void report_curves(const struct run_results *results, struct text *html)
{
    text_add(html,
             "<section><h2>Training curves</h2><p>Means over short windows of steps. In a "
             "distilled phase the loss is the cross entropy with the labels plus that with the "
             "teacher's soft labels, so it does not compare with the teacher's own.</p>\n");
    for (int s = 0; s < results->stage_count; s++) {
        if (json_array_size(results->stages[s].metrics) == 0)
            continue;
        text_add(html, "<h3>%s</h3><div class=\"two\">", results->stages[s].name);
        struct svg_plot plot = {.width = 520, .height = 230, .html = html};
        plot.y.label = "loss", plot.y.tick_format = "%g";
        add_stage_curve(results, s, "loss", 1, plot);
        plot.y.label = "training accuracy", plot.y.tick_format = "%g %%";
        add_stage_curve(results, s, "accuracy", 100, plot);
        text_add(html, "</div>");
    }
    text_add(html, "</section>\n");
}

/* The sub-networks that the last finished phase measured: those that can be followed to the end. */
static int collect_labels(const struct run_results *results, const char **labels, int room)
{
    int count = 0;
    for (int s = results->stage_count - 1; s >= 0 && count == 0; s--) {
        size_t i = 0;
        const json_t *entry = NULL;
        json_array_foreach(json_object_get(results->stages[s].result, "after"), i,
                           entry) if (count < room) labels[count++] = report_string(entry, "label");
    }
    return count;
}

static double find_accuracy(const json_t *grid, const char *label)
{
    size_t i = 0;
    const json_t *entry = NULL;
    json_array_foreach(grid, i,
                       entry) if (strcmp(report_string(entry, "label"), label) == 0) return 100 *
        report_number(entry, "accuracy", NAN);
    return NAN;
}

static void add_phase_lines(const struct svg_plot *plot, const struct run_results *results,
                            const char **labels, int label_count)
{
    for (int l = 0; l < label_count; l++) {
        struct series series = {0};
        for (int s = 0; s < results->stage_count; s++) {
            double accuracy =
                find_accuracy(json_object_get(results->stages[s].result, "after"), labels[l]);
            if (isfinite(accuracy))
                series_add(&series, s, accuracy);
        }
        svg_line(plot, series.x, series.y, series.count, colour_of(l));
        for (int i = 0; i < series.count; i++)
            svg_dot(plot, series.x[i], series.y[i], colour_of(l), labels[l]);
        series_fini(&series);
    }
}

static void add_phase_plot(const struct run_results *results, const char **labels, int label_count,
                           struct text *html)
{
    struct series all = {0};
    for (int s = 0; s < results->stage_count; s++)
        for (int l = 0; l < label_count; l++) {
            double accuracy =
                find_accuracy(json_object_get(results->stages[s].result, "after"), labels[l]);
            if (isfinite(accuracy))
                series_add(&all, s, accuracy);
        }
    struct svg_plot plot = {.width = 1000, .height = 320, .html = html};
    plot.x = (struct svg_axis){-0.2, results->stage_count - 0.5, "phase, in order", ""};
    plot.y = svg_axis_of(all.y, all.count, "hold-out accuracy after the phase", "%g %%");
    svg_begin(&plot);
    for (int s = 0; s < results->stage_count; s++)
        svg_mark(&plot, s, results->stages[s].name);
    add_phase_lines(&plot, results, labels, label_count);
    svg_end(&plot);
    text_add(html, "<p>");
    for (int l = 0; l < label_count; l++) {
        text_add(html, "<span class=\"key %s\"></span>", colour_of(l));
        html_add(html, labels[l]);
    }
    text_add(html, "</p>\n");
    series_fini(&all);
}

static void add_phase_row(const char *stage, const json_t *result, const char *label,
                          struct text *html)
{
    double before = find_accuracy(json_object_get(result, "before"), label);
    double after = find_accuracy(json_object_get(result, "after"), label);
    if (!isfinite(after))
        return;
    text_add(html, "<tr><td>%s</td><td>", stage);
    html_add(html, label);
    if (isfinite(before))
        text_add(html, "</td><td class=\"n\">%.2f %%</td>", before);
    else
        text_add(html, "</td><td class=\"n\">-</td>");
    text_add(html, "<td class=\"n\">%.2f %%</td></tr>\n", after);
}

void report_phases(const struct run_results *results, struct text *html)
{
    const char *labels[32];
    int label_count = collect_labels(results, labels, 32);
    text_add(html, "<section><h2>Accuracy of the sub-networks by phase</h2>");
    if (label_count == 0) {
        add_missing(html, "No phase has ended yet.");
        return;
    }
    text_add(html, "<p>Each sub-network with its own batch-norm calibration, on the hold-out "
                   "images. Before: when the "
                   "phase began; after: when it ended.</p>\n");
    add_phase_plot(results, labels, label_count, html);
    text_add(html,
             "<details><summary>Before and after each phase, in "
             "numbers</summary><table><tr><th>phase</th>"
             "<th>sub-network</th><th class=\"n\">before</th><th class=\"n\">after</th></tr>\n");
    for (int s = 0; s < results->stage_count; s++)
        for (int l = 0; l < label_count; l++)
            add_phase_row(results->stages[s].name, results->stages[s].result, labels[l], html);
    text_add(html, "</table></details></section>\n");
}
