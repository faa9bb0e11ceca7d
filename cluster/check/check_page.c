/* check.html: the page of a check, in the report's style. */
#include "base/clock.h"
#include "cluster/check/check_text.h"
#include "cluster/html_page.h"
#include "cluster/svg.h"
#include <math.h>
#include <stdio.h>

static void add_number(struct text *html, const char *format, double value)
{
    char cell[64];
    snprintf(cell, sizeof cell, format, value);
    text_add(html, "<td class=\"n\">%s</td>", isnan(value) ? "-" : cell);
}

static void add_sentences(struct text *html, const char *class, const json_t *sentences)
{
    size_t i = 0;
    json_t *sentence = NULL;
    json_array_foreach(sentences, i, sentence)
    {
        text_add(html, "<p class=\"%s\">", class);
        html_add(html, json_string_value(sentence));
        text_add(html, "</p>\n");
    }
}

static void add_verdict(const struct bundle_check *check, struct text *html)
{
    bool has_passed = json_array_size(check->failures) == 0;
    text_add(html, "<section id=\"verdict\"><h2>%s</h2><p>",
             has_passed ? "The bundle passes" : "The bundle does not pass");
    html_add(html, check->checked->files);
    text_add(html,
             " on %d %s images, of which %d have a label. Failing is: a file that answers "
             "differently, an overflow, or more than %.4g points of accuracy lost with sums in "
             "fp32. What the camera really computes is inferred, not known: docs/firefly.md.</p>\n",
             check->images.count, check->images.from, check->divergence.labelled,
             check->cfg.loss_max);
    add_sentences(html, "missing", check->failures);
    add_sentences(html, "warning", check->warnings);
    text_add(html, "</section>\n");
}

static void add_arithmetic(const struct bundle_check *check, enum arithmetic arithmetic,
                           struct text *html)
{
    const struct compared *of = &check->divergence.of[arithmetic];
    text_add(html, "<tr><td>%s</td>", arithmetic_names[arithmetic]);
    add_number(html, "%.2f %%", 100 * check_accuracy(check, arithmetic));
    add_number(html, "%.2f %%", 100.0 * of->agree / check->divergence.images);
    add_number(html, "%.4f", of->largest_confidence_difference);
    add_number(html, "%.3f %%", of->figures.largest);
    add_number(html, "%.3f %%", of->figures.mean);
    add_number(html, "%.2f %%", of->figures.far);
    add_number(html, "%.3f %%", of->figures.l2);
    text_add(html, "<td>%s</td></tr>\n", error_figures_pass(&of->figures) ? "yes" : "no");
}

static void add_arithmetics(const struct bundle_check *check, struct text *html)
{
    text_add(html,
             "<section id=\"arithmetics\"><h2>Answers</h2><p>The first number is of values, the "
             "second of sums. The four errors are those of the converter's own check: of the "
             "probabilities of the worst image, in percent of the largest.</p><div "
             "class=\"scroll\"><table class=\"rows\"><tr><th>arithmetic</th><th "
             "class=\"n\">accuracy</th><th "
             "class=\"n\">same answer as fp32</th><th class=\"n\">confidence off by up to</th><th "
             "class=\"n\">largest error</th><th class=\"n\">mean</th><th class=\"n\">further than "
             "2 %%</th><th class=\"n\">L2</th><th>within its bounds</th></tr>\n");
    for (int a = 0; a < ARITHMETICS; a++)
        add_arithmetic(check, (enum arithmetic)a, html);
    text_add(html, "</table></div></section>\n");
}

static void add_formats(const struct bundle_check *check, struct text *html)
{
    text_add(html,
             "<section id=\"formats\"><h2>Files</h2><p>Largest difference of logits in fp32 over "
             "%d samples, of the largest of them.</p><div "
             "class=\"scroll\"><table class=\"rows\"><tr><th>files</th><th class=\"n\">to the "
             "checked one</th><th "
             "class=\"n\">to the supernet</th></tr>\n",
             check->images.sample_count);
    for (int f = 0; f < CHECK_FORMATS; f++) {
        if (!check->formats[f].is_there)
            continue;
        text_add(html, "<tr><td><code>%s</code></td>", check->formats[f].files);
        add_number(html, "%.1e", check->formats[f].difference);
        add_number(html, "%.1e", check->formats[f].supernet_difference);
        text_add(html, "</tr>\n");
    }
    text_add(html, "</table></div>");
    if (check->frames > 0)
        text_add(html,
                 "<p>%d raw frames are answered within %.1e of the probabilities that samples.json "
                 "expects.</p>",
                 check->frames, check->frame_difference);
    text_add(html, "</section>\n");
}

static void add_layer(const struct bundle_check *check, int l, struct text *html)
{
    const struct exported_layer *layer = &check->checked->net.layers[l];
    double ms = check_layer_ms(check, l), bytes = check_layer_bytes(check, l);
    const struct compared_layer *sum16 = &check->divergence.of[ARITHMETIC_FP16].layers[l];
    const struct compared_layer *sum32 = &check->divergence.of[ARITHMETIC_FP16_SUM32].layers[l];
    text_add(html, "<tr><td class=\"n\">%d</td><td><code>", l);
    html_add(html, layer->name);
    text_add(html, "</code></td><td>%s</td><td class=\"n\">%d x %d x %d</td>",
             check_layer_kind(layer), layer->out.H, layer->out.W, layer->out.C);
    add_number(html, "%.3f", 2e-6 * (double)exported_macs(layer));
    add_number(html, "%.3f", 1e-6 * bytes);
    add_number(html, "%.3f", ms);
    add_number(html, "%.2e", sum32->worst_error);
    add_number(html, "%.2e", sum16->worst_error);
    add_number(html, "%.4g", (double)sum16->counts.largest);
    add_number(html, "%.0f", (double)(sum32->counts.overflows + sum32->weights.overflows));
    add_number(html, "%.0f", (double)(sum16->counts.overflows + sum16->weights.overflows));
    add_number(html, "%.0f", (double)(sum16->counts.subnormals + sum16->weights.subnormals));
    add_number(html, "%.1f %%",
               100.0 * (double)sum32->counts.saturated / (double)sum32->counts.values);
    text_add(html, "</tr>\n");
}

static void add_layers(const struct bundle_check *check, struct text *html)
{
    double ms = check_total_ms(check);
    text_add(html,
             "<section id=\"layers\"><h2>Layers</h2><p>As the converter's profile lists them. MB: "
             "weights and maps in fp16. Errors: the largest difference to fp32 in any image, of "
             "the layer's largest value there. Saturated: held at the clip's upper end.");
    if (isfinite(ms) && ms > 0)
        text_add(html,
                 " Milliseconds are predicted from the device's model by multiply-adds alone; with "
                 "%.4g ms for every network, %.2f in all.",
                 check->device.latency_fixed_ms, ms);
    text_add(html,
             "</p><div class=\"scroll\"><table class=\"rows\"><tr><th "
             "class=\"n\">#</th><th>layer</th><th>kind</th>"
             "<th class=\"n\">output</th><th class=\"n\">MFLOPs</th><th class=\"n\">MB</th><th "
             "class=\"n\">ms</th><th class=\"n\">error fp16/fp32</th><th class=\"n\">error "
             "fp16/fp16</th><th class=\"n\">largest value</th><th class=\"n\">overflows "
             "fp16/fp32</th><th class=\"n\">fp16/fp16</th><th class=\"n\">subnormals</th><th "
             "class=\"n\">saturated</th></tr>\n");
    for (int l = 0; l < check->checked->net.count; l++)
        add_layer(check, l, html);
    text_add(html, "</table></div></section>\n");
}

void check_page(const struct bundle_check *check, struct text *html)
{
    char now[32];
    const char *target = json_string_value(json_object_get(check->list, "target"));
    clock_wall_text(now);
    html_page_begin(html, target ? target : "bundle");
    text_add(html, "<p>Check of a camera bundle, written %.10s %.5s UTC; sub-network <code>", now,
             now + 11);
    const char *subnet = json_string_value(json_object_get(check->list, "subnet"));
    html_add(html, subnet ? subnet : "");
    text_add(html, "</code></p></header>\n");
    add_verdict(check, html);
    add_arithmetics(check, html);
    add_layers(check, html);
    add_formats(check, html);
    html_page_end(html);
}
