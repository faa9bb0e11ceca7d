/* The front: accuracy of everything the search measured against predicted latency where the targets
 * have one device with a latency model, against MACs otherwise. */
#include "cluster/report.h"
#include "cluster/series.h"
#include "cluster/svg.h"
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct latency { /* a device's line: fixed_ms + per_mmac_ms x million MACs */
    const char *device;
    double fixed_ms, per_mmac_ms; /* per_mmac_ms 0: there is none */
};

static struct latency latency_of(const json_t *target)
{
    const json_t *line = json_object_get(target, "latency");
    return (struct latency){report_string(target, "device"), report_number(line, "fixed_ms", 0),
                            report_number(line, "per_mmac_ms", 0)};
}

/* The line of the one device that targets name; targets without a device do not count. */
static struct latency common_latency(const json_t *targets)
{
    struct latency common = {"", 0, 0};
    size_t i = 0;
    const json_t *target = NULL;
    json_array_foreach(targets, i, target)
    {
        struct latency mine = latency_of(target);
        if (!(mine.per_mmac_ms > 0))
            continue;
        if (common.device[0] && strcmp(common.device, mine.device) != 0)
            return (struct latency){"", 0, 0};
        common = mine;
    }
    return common;
}

/* Where so many MACs stand on the axis: milliseconds or million MACs. */
static double place_of(const struct latency *axis, double macs)
{
    double millions = macs / 1e6;
    return axis->per_mmac_ms > 0 ? axis->fixed_ms + axis->per_mmac_ms * millions : millions;
}

/* The tighter of a target's bounds in MACs, and how it reads; INFINITY without one. */
static double bound_of(const json_t *target, char label[128])
{
    double macs = report_number(target, "macs_max", 0);
    double ms = report_number(target, "latency_ms_max", 0);
    const char *name = report_string(target, "name");
    struct latency latency = latency_of(target);
    double bound = macs > 0 ? macs : INFINITY;
    snprintf(label, 128, "%s: at most %.3g M MACs", name, macs / 1e6);
    if (ms > 0 && latency.per_mmac_ms > 0 &&
        latency.per_mmac_ms * bound / 1e6 > ms - latency.fixed_ms) {
        bound = (ms - latency.fixed_ms) / latency.per_mmac_ms * 1e6;
        snprintf(label, 128, "%s: at most %.5g ms", name, ms);
    }
    return bound;
}

static void add_title(const json_t *candidate, const struct latency *axis, char title[640])
{
    double macs = report_number(candidate, "macs", 0);
    int size = snprintf(title, 640, "%.2f %% at %.3f M MACs",
                        100 * report_number(candidate, "accuracy", 0), macs / 1e6);
    if (axis->per_mmac_ms > 0)
        size += snprintf(title + size, 640 - (size_t)size, ", %.2f ms", place_of(axis, macs));
    snprintf(title + size, 640 - (size_t)size, ": %s", report_string(candidate, "subnet"));
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

static void add_points(const struct svg_plot *plot, const json_t *candidates,
                       const struct latency *axis)
{
    struct series front = {0};
    size_t i = 0;
    const json_t *candidate = NULL;
    json_array_foreach(candidates, i, candidate)
    {
        double x = place_of(axis, report_number(candidate, "macs", 0));
        double accuracy = 100 * report_number(candidate, "accuracy", 0);
        char title[640];
        add_title(candidate, axis, title);
        bool is_front = json_is_true(json_object_get(candidate, "on_front"));
        if (is_front)
            series_add(&front, x, accuracy);
        svg_dot(plot, x, accuracy, is_front ? "s0" : "grey", title);
    }
    sort_by_x(&front);
    svg_line(plot, front.x, front.y, front.count, "s0");
    series_fini(&front);
}

/* A bound right of everything measured would squeeze the points into a corner. */
static bool is_far(double bound_macs, double most_macs)
{
    return bound_macs > 2 * most_macs;
}

static double most_macs(const json_t *candidates)
{
    size_t i = 0;
    const json_t *candidate = NULL;
    double most = 0;
    json_array_foreach(candidates, i, candidate)
    {
        most = fmax(most, report_number(candidate, "macs", 0));
    }
    return most;
}

static void add_bounds(const struct svg_plot *plot, const json_t *targets, double most,
                       const struct latency *axis)
{
    size_t i = 0;
    int row = 0;
    const json_t *target = NULL;
    json_array_foreach(targets, i, target)
    {
        char label[128], further[160];
        double macs = bound_of(target, label);
        snprintf(further, sizeof further, "%s (further right)", label);
        if (isfinite(macs))
            svg_mark(plot, is_far(macs, most) ? plot->x.high : place_of(axis, macs), row++,
                     is_far(macs, most) ? further : label);
    }
}

/* Targets may share a winner: one diamond with all their names, made where the first one stands. */
static void add_winners(const struct svg_plot *plot, const json_t *targets,
                        const struct latency *axis)
{
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const json_t *target = json_array_get(targets, i);
        double candidate = report_number(target, "candidate", 0);
        bool is_first = true;
        struct text names;
        text_init(&names);
        for (size_t j = 0; j < json_array_size(targets); j++) {
            const json_t *other = json_array_get(targets, j);
            if (fabs(report_number(other, "candidate", 0) - candidate) > 0.5)
                continue;
            is_first = is_first && j >= i;
            text_add(&names, "%s%s", names.size ? ", " : "", report_string(other, "name"));
        }
        if (is_first)
            svg_diamond(plot, place_of(axis, report_number(target, "macs", 0)),
                        100 * report_number(target, "holdout_accuracy", 0), "s1", text_get(&names));
        text_fini(&names);
    }
}

/* Wide enough for the candidates and for the bounds near them. */
static struct svg_axis cost_axis(const json_t *candidates, const json_t *targets,
                                 const struct latency *axis, char label[160])
{
    struct series all = {0};
    size_t i = 0;
    const json_t *entry = NULL;
    double most = most_macs(candidates);
    json_array_foreach(candidates, i, entry)
        series_add(&all, place_of(axis, report_number(entry, "macs", 0)), 0);
    json_array_foreach(targets, i, entry)
    {
        char unused[128];
        double macs = bound_of(entry, unused);
        if (!is_far(macs, most))
            series_add(&all, place_of(axis, macs), 0);
    }
    snprintf(label, 160, "million multiply-accumulates per image");
    struct svg_axis made = svg_axis_of(all.x, all.count, label, "%g");
    if (axis->per_mmac_ms > 0) {
        snprintf(label, 160,
                 "predicted latency on %s; below it million multiply-accumulates per image",
                 axis->device);
        made.tick_format = "%g ms";
        made.second_format = "%g M";
        made.second_low = (made.low - axis->fixed_ms) / axis->per_mmac_ms;
        made.second_high = (made.high - axis->fixed_ms) / axis->per_mmac_ms;
    }
    series_fini(&all);
    return made;
}

static struct svg_axis accuracy_axis(const json_t *candidates)
{
    struct series all = {0};
    size_t i = 0;
    const json_t *candidate = NULL;
    json_array_foreach(candidates, i, candidate)
        series_add(&all, 0, 100 * report_number(candidate, "accuracy", 0));
    struct svg_axis made = svg_axis_of(all.y, all.count, "hold-out accuracy", "%g %%");
    series_fini(&all);
    return made;
}

void report_front(const struct run_results *results, struct text *html)
{
    const json_t *candidates = json_object_get(results->search, "candidates");
    const json_t *targets = json_object_get(results->search, "targets");
    struct latency axis = common_latency(targets);
    char label[160];
    text_add(html, "<section id=\"front\"><h2>Accuracy and %s of the sub-networks</h2>",
             axis.per_mmac_ms > 0 ? "latency" : "cost");
    if (json_array_size(candidates) == 0) {
        report_missing(html, results->target_count == 0
                                 ? "The campaign has no targets: nothing was searched for."
                                 : "The search has not run yet.");
        return;
    }
    text_add(html, "<p>Every sub-network the search measured on the hold-out images; the line "
                   "joins those that no other beats in both. Diamonds: the targets' choices; "
                   "dashed lines: their bounds. Point at a dot for its architecture.</p>\n");
    struct svg_plot plot = {.width = 1000, .height = 430, .html = html};
    plot.x = cost_axis(candidates, targets, &axis, label);
    plot.y = accuracy_axis(candidates);
    svg_begin(&plot);
    add_points(&plot, candidates, &axis);
    add_bounds(&plot, targets, most_macs(candidates), &axis);
    add_winners(&plot, targets, &axis);
    svg_end(&plot);
    text_add(html, "</section>\n");
}
