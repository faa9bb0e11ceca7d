/* The report's training curves, and the accuracy of the sub-networks by phase. */
#include "cluster/report.h"
#include "cluster/series.h"
#include "cluster/svg.h"
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *colour_of(int number)
{
    static const char *const colours[] = {"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"};
    return colours[number % 8];
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

static void add_stage_curve(const struct series *steps, int stage, struct svg_plot plot)
{
    struct series curve = {0};
    smooth(steps, &curve);
    plot.x = svg_axis_of(curve.x, curve.count, "step", "%g");
    plot.y = svg_axis_of(curve.y, curve.count, plot.y.label, plot.y.tick_format);
    text_add(plot.html, "<div>");
    svg_begin(&plot);
    svg_line(&plot, curve.x, curve.y, curve.count, colour_of(stage));
    svg_end(&plot);
    text_add(plot.html, "</div>");
    series_fini(&curve);
}

void report_curves(const struct run_results *results, struct text *html)
{
    text_add(
        html,
        "<section id=\"curves\"><h2>Training curves</h2><p>Means over short windows of steps. In a "
        "distilled phase the loss is the cross entropy with the labels plus that with the "
        "teacher's soft labels, so it does not compare with the teacher's own.</p>\n");
    for (int s = 0; s < results->stage_count; s++) {
        if (results->stages[s].loss.count == 0)
            continue;
        text_add(html, "<h3>%s</h3><div class=\"two\">", results->stages[s].name);
        struct svg_plot plot = {.width = 520, .height = 230, .html = html};
        plot.y.label = "loss", plot.y.tick_format = "%g";
        add_stage_curve(&results->stages[s].loss, s, plot);
        plot.y.label = "training accuracy", plot.y.tick_format = "%g %%";
        add_stage_curve(&results->stages[s].accuracy, s, plot);
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
        json_array_foreach(json_object_get(results->stages[s].result, "after"), i, entry)
        {
            if (count < room)
                labels[count++] = report_string(entry, "label");
        }
    }
    return count;
}

static double find_accuracy(const json_t *grid, const char *label)
{
    size_t i = 0;
    const json_t *entry = NULL;
    json_array_foreach(grid, i, entry)
    {
        if (strcmp(report_string(entry, "label"), label) == 0)
            return 100 * report_number(entry, "accuracy", NAN);
    }
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
    plot.x = (struct svg_axis){.low = -0.2,
                               .high = results->stage_count - 0.5,
                               .label = "phase, in order",
                               .tick_format = ""};
    plot.y = svg_axis_of(all.y, all.count, "hold-out accuracy after the phase", "%g %%");
    svg_begin(&plot);
    for (int s = 0; s < results->stage_count; s++)
        svg_mark(&plot, s, 0, results->stages[s].name);
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

static bool has_ended(const struct run_results *results)
{
    for (int s = 0; s < results->stage_count; s++)
        if (results->stages[s].result)
            return true;
    return false;
}

void report_phases(const struct run_results *results, struct text *html)
{
    const char *labels[32];
    int label_count = collect_labels(results, labels, 32);
    text_add(html, "<section id=\"phases\"><h2>Accuracy of the sub-networks by phase</h2>");
    if (label_count == 0) {
        report_missing(html, has_ended(results) ? "Nothing was measured: dataset.holdout is 0."
                                                : "No phase has ended yet.");
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
