/* validate.html: the page of a validation, in the report's style. */
#include "base/clock.h"
#include "base/mem.h"
#include "cluster/html_page.h"
#include "cluster/svg.h"
#include "cluster/validate/validation_text.h"
#include <math.h>
#include <stdio.h>

static void add_row(struct text *html, const char *what, const char *found, const char *asked)
{
    text_add(html, "<tr><td>%s</td><td class=\"n\">%s</td><td class=\"n\">%s</td></tr>\n", what,
             found, asked);
}

static void add_sentences(struct text *html, const char *class,
                          const char sentences[][PASS_SENTENCE], int count)
{
    for (int s = 0; s < count; s++) {
        text_add(html, "<p class=\"%s\">", class);
        html_add(html, sentences[s]);
        text_add(html, "</p>\n");
    }
}

static void add_verdict(const struct validation *validation, struct text *html)
{
    const struct pass_verdict *verdict = &validation->verdict;
    text_add(html, "<section id=\"verdict\"><h2>%s</h2>\n",
             verdict->failures ? "The network does not pass on the camera"
                               : "The network passes on the camera");
    add_sentences(html, "missing", verdict->failure, verdict->failures);
    add_sentences(html, "warning", verdict->warning, verdict->warnings);
    if (validation->cfg.is_simulated)
        text_add(html, "<p>The camera is simulated: its answers are the emulation's, its times are "
                       "drawn. This shows that the road works, and nothing of a camera.</p>\n");
    text_add(html, "</section>\n");
}

static void add_answers(const struct validation *validation, struct text *html)
{
    enum { CELL = 96 };
    const struct pass_figures *figures = &validation->figures;
    const struct measured *measured = &validation->measured;
    char found[CELL], asked[CELL];
    text_add(html,
             "<section id=\"answers\"><h2>Answers</h2><p>Each image was injected in the place of "
             "the sensor's, and compared with what the bundle's files give in the camera's "
             "arithmetic. Clear images: the best class is more than %.2g likelier than the second; "
             "certain: %.2g.</p><table><tr><th></th><th class=\"n\">found</th><th "
             "class=\"n\">asked for</th></tr>\n",
             PASS_CLEAR_MARGIN, PASS_CERTAIN_MARGIN);
    snprintf(found, CELL, "%d of %d", figures->agree, figures->images);
    add_row(html, "same answer, all images", found, "-");
    snprintf(found, CELL, "%d of %d", figures->clear_agree, figures->clear);
    snprintf(asked, CELL, "%.0f %%", 100 * PASS_CLEAR_AGREEMENT);
    add_row(html, "same answer, clear images", found, asked);
    snprintf(found, CELL, "%d of %d", figures->certain_agree, figures->certain);
    add_row(html, "same answer, certain images", found, "all");
    snprintf(found, CELL, "%.4f", figures->confidence_difference);
    snprintf(asked, CELL, "%.2f", PASS_CONFIDENCE);
    add_row(html, "confidence off by, median", found, asked);
    snprintf(found, CELL, "%.4f", figures->largest_confidence_difference);
    add_row(html, "confidence off by, largest", found, "-");
    if (figures->labelled > 0) {
        snprintf(found, CELL, "%.2f %%", 100.0 * figures->correct / figures->labelled);
        snprintf(asked, CELL, "%.2f %% less %.0f",
                 100.0 * figures->fp32_correct / figures->labelled, PASS_LOSS_POINTS);
        add_row(html, "accuracy", found, asked);
    }
    snprintf(found, CELL, "%d lost, %d of another frame, %d impossible", measured->lost,
             measured->strays, measured->garbled);
    add_row(html, "frames left out", found, "-");
    text_add(html, "</table></section>\n");
}

/* The share of inferences that take no longer; latencies are in order. */
static void add_curve(const struct validation *validation, struct text *html)
{
    const struct measured *measured = &validation->measured;
    const struct pass_figures *figures = &validation->figures;
    int count = measured->latency_count, marks = 0;
    double *shares = NULL, ends[4] = {measured->latencies_ms[0], measured->latencies_ms[count - 1],
                                      figures->predicted_ms, figures->budget_ms};
    struct svg_plot plot = {.width = 900, .height = 300, .html = html};
    int places = figures->budget_ms > 0 ? 4 : figures->predicted_ms > 0 ? 3 : 2;
    if (figures->budget_ms > 0 && !(figures->predicted_ms > 0))
        ends[2] = ends[3];
    shares = mem_array((size_t)count, sizeof *shares);
    for (int i = 0; i < count; i++)
        shares[i] = 100.0 * (i + 1) / count;
    plot.x = svg_axis_of(ends, places, "milliseconds", "%g");
    plot.y = (struct svg_axis){.high = 100, .label = "inferences within", .tick_format = "%.0f %%"};
    svg_begin(&plot);
    svg_line(&plot, measured->latencies_ms, shares, count, "s0");
    if (figures->predicted_ms > 0)
        svg_mark(&plot, figures->predicted_ms, marks++, "predicted");
    if (figures->budget_ms > 0)
        svg_mark(&plot, figures->budget_ms, marks++, "budget");
    svg_end(&plot);
    mem_free(shares);
}

static void add_latency(const struct validation *validation, struct text *html)
{
    enum { CELL = 64 };
    const struct pass_figures *figures = &validation->figures;
    char found[CELL], asked[CELL] = "-";
    text_add(html,
             "<section id=\"latency\"><h2>Latency</h2><p>%d inferences behind %d warm-ups, by the "
             "camera's own InferenceTime, which includes preprocessing.</p>\n",
             figures->latencies, MEASURE_WARM_UPS);
    if (figures->latencies > 0)
        add_curve(validation, html);
    text_add(html, "<table><tr><th></th><th class=\"n\">found</th><th class=\"n\">asked "
                   "for</th></tr>\n");
    if (figures->budget_ms > 0)
        snprintf(asked, CELL, "%.2f ms", figures->budget_ms);
    snprintf(found, CELL, "%.2f ms", figures->latency_median_ms);
    add_row(html, "median", found, asked);
    snprintf(found, CELL, "%.2f ms", figures->latency_p95_ms);
    add_row(html, "95 of 100 within", found, "-");
    if (figures->predicted_ms > 0) {
        snprintf(found, CELL, "%.2f ms", figures->predicted_ms);
        add_row(html, "predicted", found, "-");
    }
    text_add(html, "</table></section>\n");
}

static void add_class(const struct validation *validation, int class, struct text *html)
{
    const struct opened_bundle *bundle = &validation->check.bundle;
    text_add(html, "<td>");
    if (class >= 0 && class < bundle->shape.classes)
        html_add(html, bundle->labels[class]);
    text_add(html, "</td>");
}

static void add_images(const struct validation *validation, struct text *html)
{
    text_add(html, "<section id=\"images\"><h2>Images</h2><div class=\"scroll\"><table "
                   "class=\"rows\"><tr><th class=\"n\">#</th><th>label</th><th>fp32</th><th "
                   "class=\"n\">margin</th><th>expected</th><th class=\"n\">confidence</th>"
                   "<th>camera</th><th class=\"n\">confidence</th></tr>\n");
    for (int i = 0; i < validation->check.images.count; i++) {
        const struct validated_image *image = &validation->images[i];
        text_add(html, "<tr%s><td class=\"n\">%d</td>",
                 image->found_class == image->expected_class ? "" : " class=\"missing\"", i);
        add_class(validation, image->label, html);
        add_class(validation, image->fp32_class, html);
        text_add(html, "<td class=\"n\">%.3f</td>", image->fp32_margin);
        add_class(validation, image->expected_class, html);
        text_add(html, "<td class=\"n\">%.4f</td>", image->expected_confidence);
        add_class(validation, image->found_class, html);
        text_add(html, "<td class=\"n\">%.4f</td></tr>\n", image->found_confidence);
    }
    text_add(html, "</table></div></section>\n");
}

static void add_header(const struct validation *validation, struct text *html)
{
    char now[32];
    const struct camera_identity *camera = &validation->camera;
    clock_wall_text(now);
    text_add(html, "<p>Validation on ");
    html_add(html, camera->model);
    text_add(html, ", serial number ");
    html_add(html, camera->serial);
    text_add(html, ", firmware ");
    html_add(html, camera->firmware);
    text_add(html, ", %.10s %.5s UTC; <code>%s</code></p></header>\n", now, now + 11,
             validation->file.name);
}

void validation_page(const struct validation *validation, struct text *html)
{
    const char *target = json_string_value(json_object_get(validation->check.list, "target"));
    html_page_begin(html, target ? target : "bundle");
    add_header(validation, html);
    add_verdict(validation, html);
    add_answers(validation, html);
    add_latency(validation, html);
    add_images(validation, html);
    html_page_end(html);
}
