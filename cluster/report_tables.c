/* The tables of the report: targets, mistakes of each target's network, compiled bundles. */
#include "cluster/report.h"
#include "cluster/svg.h"
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void add_percent(struct text *html, double fraction)
{
    if (isfinite(fraction))
        text_add(html, "<td class=\"n\">%.2f %%</td>", 100 * fraction);
    else
        text_add(html, "<td class=\"n\">-</td>");
}

static void add_bound(struct text *html, const json_t *target)
{
    double macs = report_number(target, "macs_max", 0),
           latency = report_number(target, "latency_ms_max", 0);
    text_add(html, "<td class=\"n\">");
    if (macs > 0)
        text_add(html, "%.3g M MACs", macs / 1e6);
    text_add(html, "%s", macs > 0 && latency > 0 ? ", " : "");
    if (latency > 0)
        text_add(html, "%.4g ms", latency);
    text_add(html, "%s</td>", macs > 0 || latency > 0 ? "" : "none");
}

static void add_target_row(const json_t *target, struct text *html)
{
    text_add(html, "<tr><td><strong>");
    html_add(html, report_string(target, "name"));
    text_add(html, "</strong></td><td>");
    html_add(html, report_string(target, "device"));
    text_add(html, "</td>");
    add_bound(html, target);
    text_add(html,
             "<td class=\"n\">%.3f M</td><td class=\"n\">%.0f k</td><td class=\"n\">%.2f ms</td>",
             report_number(target, "macs", 0) / 1e6, report_number(target, "parameters", 0) / 1e3,
             report_number(target, "latency_ms", 0));
    add_percent(html, report_number(target, "holdout_accuracy", NAN));
    add_percent(html, report_number(json_object_get(target, "test"), "accuracy", NAN));
    text_add(html, "<td><code>");
    html_add(html, report_string(target, "subnet"));
    text_add(html, "</code></td></tr>\n");
}

static void add_reference_row(const json_t *subnet, struct text *html)
{
    text_add(html, "<tr><td>");
    html_add(html, report_string(subnet, "label"));
    text_add(html,
             " of the space</td><td></td><td></td><td class=\"n\">%.3f M</td><td class=\"n\">%.0f "
             "k</td><td></td>",
             report_number(subnet, "macs", 0) / 1e6, report_number(subnet, "parameters", 0) / 1e3);
    add_percent(html, report_number(json_object_get(subnet, "holdout"), "accuracy", NAN));
    add_percent(html, report_number(json_object_get(subnet, "test"), "accuracy", NAN));
    text_add(html, "<td><code>");
    html_add(html, report_string(subnet, "subnet"));
    text_add(html, "</code></td></tr>\n");
}

static bool is_end_of_space(const json_t *subnet)
{
    const char *label = report_string(subnet, "label");
    return strcmp(label, "biggest") == 0 || strcmp(label, "smallest") == 0;
}

void report_targets(const struct run_results *results, struct text *html)
{
    const json_t *targets = json_object_get(results->search, "targets"), *row = NULL;
    size_t i = 0;
    text_add(html, "<section><h2>Sub-networks for the targets</h2>");
    text_add(
        html,
        "<p>Latency is predicted from the device's model, not measured on it. Test images only "
        "measure, they chose "
        "nothing.</p>\n<div class=\"scroll\"><table><tr><th>target</th><th>device</th><th "
        "class=\"n\">bound"
        "</th><th class=\"n\">MACs</th><th class=\"n\">parameters</th><th class=\"n\">latency</th>"
        "<th class=\"n\">hold-out</th><th class=\"n\">test</th><th>architecture</th></tr>\n");
    json_array_foreach(targets, i, row) add_target_row(row, html);
    json_array_foreach(json_object_get(results->evaluate, "subnets"), i,
                       row) if (is_end_of_space(row)) add_reference_row(row, html);
    text_add(html, "</table></div></section>\n");
}

/* A cell darker the more images are in it; the diagonal in the page's accent, mistakes in red. */
static void add_confusion_cell(struct text *html, double count, double row_sum, bool is_right)
{
    double share = row_sum > 0 ? count / row_sum : 0, ink = sqrt(share);
    text_add(html, "<td style=\"background:rgba(%s,%.3f);color:%s\">",
             is_right ? "11,114,133" : "194,65,12", ink, ink > 0.6 ? "#fff" : "inherit");
    if (count > 0)
        text_add(html, "%.0f", count);
    text_add(html, "</td>");
}

static const char *class_name(const json_t *names, size_t index, char number[24])
{
    const char *name = json_string_value(json_array_get(names, index));
    snprintf(number, 24, "%zu", index);
    return name ? name : number;
}

static void add_confusion(const json_t *test, const json_t *names, struct text *html)
{
    const json_t *rows = json_object_get(test, "confusion"), *row = NULL, *cell = NULL;
    size_t r = 0, c = 0;
    char number[24];
    text_add(html, "<div class=\"scroll\"><table class=\"confusion\"><tr><th></th>");
    json_array_foreach(rows, r, row)
    {
        text_add(html, "<th>");
        html_add(html, class_name(names, r, number));
        text_add(html, "</th>");
    }
    text_add(html, "<th>recall</th><th>precision</th></tr>\n");
    json_array_foreach(rows, r, row)
    {
        double sum = 0;
        json_array_foreach(row, c, cell) sum += json_number_value(cell);
        text_add(html, "<tr><th>");
        html_add(html, class_name(names, r, number));
        text_add(html, "</th>");
        json_array_foreach(row, c, cell)
            add_confusion_cell(html, json_number_value(cell), sum, r == c);
        text_add(html, "<td>%.1f %%</td><td>%.1f %%</td></tr>\n",
                 100 * json_number_value(json_array_get(json_object_get(test, "recall"), r)),
                 100 * json_number_value(json_array_get(json_object_get(test, "precision"), r)));
    }
    text_add(html, "</table></div>");
}

static void add_worst(const json_t *test, const json_t *names, struct text *html)
{
    const json_t *image = NULL;
    size_t i = 0;
    char truth[24], guess[24];
    text_add(html, "<h3>Worst images: highest loss</h3><div class=\"worst\">");
    json_array_foreach(json_object_get(test, "worst"), i, image)
    {
        text_add(html, "<figure><img alt=\"\" src=\"data:image/png;base64,%s\"><figcaption>",
                 report_string(image, "png"));
        html_add(html, class_name(names, (size_t)report_number(image, "label", 0), truth));
        text_add(html, ", taken for ");
        html_add(html, class_name(names, (size_t)report_number(image, "predicted", 0), guess));
        text_add(html, " (image %.0f)</figcaption></figure>", report_number(image, "record", 0));
    }
    text_add(html, "</div>");
}

void report_mistakes(const struct run_results *results, struct text *html)
{
    const json_t *target = NULL, *names = json_object_get(results->search, "class_names");
    size_t i = 0;
    text_add(html, "<section><h2>What the targets' networks get wrong</h2><p>Test images. Rows: "
                   "the true class; columns: "
                   "what the network says.</p>\n");
    json_array_foreach(json_object_get(results->search, "targets"), i, target)
    {
        const json_t *test = json_object_get(target, "test");
        text_add(html, "<h3>");
        html_add(html, report_string(target, "name"));
        if (!test) {
            text_add(html, "</h3><p class=\"missing\">The data set has no test images.</p>");
            continue;
        }
        text_add(html, ": %.2f %% of the test images right</h3>\n",
                 100 * report_number(test, "accuracy", 0));
        add_confusion(test, names, html);
        add_worst(test, names, html);
    }
    text_add(html, "</section>\n");
}

void report_bundles(const struct run_results *results, struct text *html)
{
    const json_t *bundle = NULL, *file = NULL, *refusal = NULL;
    size_t i = 0, j = 0;
    text_add(html, "<section><h2>What was compiled</h2>");
    if (json_array_size(results->bundles) == 0)
        text_add(html, "<p class=\"missing\">Nothing has been compiled yet.</p>");
    json_array_foreach(results->bundles, i, bundle)
    {
        text_add(html, "<h3>bundles/");
        html_add(html, report_string(bundle, "target"));
        text_add(html,
                 "</h3><p>The ONNX file's logits agree with the supernet's within %.1e of the "
                 "largest on %d %s images. "
                 "Not yet validated on a camera.</p><div "
                 "class=\"scroll\"><table><tr><th>file</th><th>what</th>"
                 "<th class=\"n\">bytes</th><th>BLAKE2b</th></tr>\n",
                 report_number(bundle, "worst_difference", NAN),
                 (int)report_number(bundle, "samples", 0),
                 strcmp(report_string(bundle, "sample_split"), "train") == 0 ? "training"
                                                                             : "hold-out");
        json_array_foreach(json_object_get(bundle, "files"), j, file)
        {
            text_add(html, "<tr><td><code>");
            html_add(html, report_string(file, "name"));
            text_add(html, "</code></td><td>");
            html_add(html, report_string(file, "what"));
            text_add(html, "</td><td class=\"n\">%.0f</td><td><code>%.16s</code></td></tr>\n",
                     report_number(file, "bytes", 0), report_string(file, "hash"));
        }
        json_array_foreach(json_object_get(bundle, "refused"), j, refusal)
        {
            text_add(
                html,
                "<tr><td><code>%s</code></td><td colspan=\"3\" class=\"missing\">not written: ",
                report_string(refusal, "format"));
            html_add(html, report_string(refusal, "reason"));
            text_add(html, "</td></tr>\n");
        }
        text_add(html, "</table></div>");
    }
    text_add(html, "</section>\n");
}
