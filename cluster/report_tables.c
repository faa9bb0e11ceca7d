/* The tables of the report: targets and compiled bundles. */
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
    text_add(html, "<td class=\"n\">%.3f M</td><td class=\"n\">%.0f k</td>",
             report_number(target, "macs", 0) / 1e6, report_number(target, "parameters", 0) / 1e3);
    double latency_ms = report_number(target, "latency_ms", NAN);
    if (isfinite(latency_ms))
        text_add(html, "<td class=\"n\">%.2f ms</td>", latency_ms);
    else
        text_add(html, "<td class=\"n\">-</td>");
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

void report_targets(const struct run_results *results, struct text *html)
{
    const json_t *targets = json_object_get(results->search, "targets"), *row = NULL;
    size_t i = 0;
    text_add(html, "<section id=\"targets\"><h2>Sub-networks for the targets</h2>");
    text_add(
        html,
        "<p>Latency is predicted from the device's model, not measured on it. Test images only "
        "measure, they chose "
        "nothing.</p>\n<div class=\"scroll\"><table><tr><th>target</th><th>device</th><th "
        "class=\"n\">bound"
        "</th><th class=\"n\">MACs</th><th class=\"n\">parameters</th><th class=\"n\">latency</th>"
        "<th class=\"n\">hold-out</th><th class=\"n\">test</th><th>architecture</th></tr>\n");
    json_array_foreach(targets, i, row)
    {
        add_target_row(row, html);
    }
    json_array_foreach(json_object_get(results->evaluate, "subnets"), i, row)
    {
        if (report_is_end(row))
            add_reference_row(row, html);
    }
    text_add(html, "</table></div></section>\n");
}

/* As much of a hash as tells it from others. */
static void add_start(struct text *html, const char *hash)
{
    char start[17];
    snprintf(start, sizeof start, "%s", hash);
    html_add(html, start);
}

/* Of a bundle without a verdict: one that the campaign checks should have one. */
static void add_missing_check(const struct run_results *results, const char *target,
                              struct text *html)
{
    size_t i = 0;
    json_t *name = NULL;
    json_array_foreach(results->checked, i, name)
    {
        if (strcmp(json_string_value(name), target) != 0)
            continue;
        text_add(html, "<p class=\"missing\">Not checked in the camera's arithmetic: stage check-");
        html_add(html, target);
        text_add(html, " has come to no verdict; its log says why.</p>\n");
    }
}

static void add_sentences(const json_t *sentences, struct text *html)
{
    const json_t *sentence = NULL;
    size_t i = 0;
    json_array_foreach(sentences, i, sentence)
    {
        text_add(html, "<p class=\"missing\">");
        html_add(html, json_is_string(sentence) ? json_string_value(sentence) : "");
        text_add(html, "</p>\n");
    }
}

/* What `glowworm check` wrote into the bundle, once it did. */
static void add_check(const struct run_results *results, const json_t *bundle, struct text *html)
{
    const json_t *check = json_object_get(bundle, "check");
    const json_t *fp16 = json_object_get(json_object_get(check, "arithmetics"), "fp16/fp32");
    if (!check) {
        add_missing_check(results, report_string(bundle, "target"), html);
        return;
    }
    text_add(html, "<p>Checked in the camera's arithmetic on %.0f images: %s; accuracy in fp16 ",
             report_number(check, "images", 0),
             json_is_true(json_object_get(check, "passed")) ? "passed" : "does not pass");
    text_add(html, "%.2f %%, the same answer as fp32 for %.0f (<a href=\"bundles/",
             100 * report_number(fp16, "accuracy", NAN), report_number(fp16, "same_answer", 0));
    html_add(html, report_string(bundle, "target"));
    text_add(html, "/check.html\">layer by layer</a>).</p>\n");
    add_sentences(json_object_get(check, "failures"), html);
}

/* What `glowworm validate` wrote into the bundle, once it did. */
static void add_validation(const json_t *bundle, struct text *html)
{
    const json_t *validation = json_object_get(bundle, "validation");
    const json_t *camera = json_object_get(validation, "camera");
    const json_t *latency = json_object_get(validation, "latency");
    if (!validation) {
        text_add(html, "<p>Not yet validated on a camera.</p>");
        return;
    }
    if (json_is_false(json_object_get(validation, "complete"))) {
        text_add(html, "<p class=\"missing\">The last validation on a camera came to no "
                       "verdict:</p>\n");
        add_sentences(json_object_get(validation, "failures"), html);
        return;
    }
    text_add(html, "<p>Validated on %s",
             json_is_true(json_object_get(camera, "simulated")) ? "a simulated " : "");
    html_add(html, report_string(camera, "model"));
    text_add(html, ", serial number ");
    html_add(html, report_string(camera, "serial"));
    text_add(html, ": %s; an inference takes %.2f ms (<a href=\"bundles/",
             json_is_true(json_object_get(validation, "passed")) ? "passed" : "does not pass",
             report_number(latency, "median_ms", NAN));
    html_add(html, report_string(bundle, "target"));
    text_add(html, "/validate.html\">image by image</a>).</p>\n");
    add_sentences(json_object_get(validation, "failures"), html);
}

void report_bundles(const struct run_results *results, struct text *html)
{
    const json_t *bundle = NULL, *file = NULL, *refusal = NULL;
    size_t i = 0, j = 0;
    text_add(html, "<section id=\"bundles\"><h2>What was compiled</h2>");
    if (json_array_size(results->bundles) == 0)
        text_add(html, "<p class=\"missing\">%s</p>",
                 results->target_count == 0 ? "The campaign has no targets: there is nothing to "
                                              "compile."
                                            : "Nothing has been compiled yet.");
    json_array_foreach(results->bundles, i, bundle)
    {
        text_add(html, "<h3>bundles/");
        html_add(html, report_string(bundle, "target"));
        text_add(
            html,
            "</h3><p>The ONNX file's logits agree with the supernet's within %.1e of the "
            "largest on %.0f %s images.</p>",
            report_number(bundle, "worst_difference", NAN), report_number(bundle, "samples", 0),
            strcmp(report_string(bundle, "sample_split"), "train") == 0 ? "training" : "hold-out");
        add_check(results, bundle, html);
        add_validation(bundle, html);
        text_add(html, "<div class=\"scroll\"><table><tr><th>file</th><th>what</th>"
                       "<th class=\"n\">bytes</th><th>BLAKE2b</th></tr>\n");
        json_array_foreach(json_object_get(bundle, "files"), j, file)
        {
            text_add(html, "<tr><td><code>");
            html_add(html, report_string(file, "name"));
            text_add(html, "</code></td><td>");
            html_add(html, report_string(file, "what"));
            text_add(html, "</td><td class=\"n\">%.0f</td><td><code>",
                     report_number(file, "bytes", 0));
            add_start(html, report_string(file, "hash"));
            text_add(html, "</code></td></tr>\n");
        }
        json_array_foreach(json_object_get(bundle, "refused"), j, refusal)
        {
            text_add(html, "<tr><td><code>");
            html_add(html, report_string(refusal, "format"));
            text_add(html, "</code></td><td colspan=\"3\" class=\"missing\">not written: ");
            html_add(html, report_string(refusal, "reason"));
            text_add(html, "</td></tr>\n");
        }
        text_add(html, "</table></div>");
    }
    text_add(html, "</section>\n");
}
