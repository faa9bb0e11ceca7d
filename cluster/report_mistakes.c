/* What the report shows of each target's mistakes on the test images, or on the hold-out images of
 * a data set that has no others: the confusion matrix, or the worst classes where there are too
 * many to look at, and the worst images. */
#include "base/mem.h"
#include "cluster/report.h"
#include "cluster/svg.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_MATRIX = 40, WORST_CLASSES = 20, SMALL_SIDE = 64 };

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

/* Of the class that a worst image is of, or was taken for. */
static const char *class_of(const json_t *image, const char *key, const json_t *names,
                            char number[24])
{
    json_int_t class = json_integer_value(json_object_get(image, key));
    return class_name(names, class > 0 ? (size_t) class : 0, number);
}

/* NAN where 0 images were divided by 0. */
static double class_share(const json_t *score, const char *key, size_t index)
{
    const json_t *share = json_array_get(json_object_get(score, key), index);
    return json_is_number(share) ? json_number_value(share) : NAN;
}

static void add_share(struct text *html, double share)
{
    if (isfinite(share))
        text_add(html, "<td class=\"n\">%.1f %%</td>", 100 * share);
    else
        text_add(html, "<td class=\"n\">-</td>");
}

static void add_confusion(const json_t *score, const json_t *names, struct text *html)
{
    const json_t *rows = json_object_get(score, "confusion"), *row = NULL, *cell = NULL;
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
        add_share(html, class_share(score, "recall", r));
        add_share(html, class_share(score, "precision", r));
        text_add(html, "</tr>\n");
    }
    text_add(html, "</table></div>");
}

struct class_recall {
    double recall;
    size_t index;
};

static int compare_recalls(const void *left, const void *right)
{
    const struct class_recall *a = left, *b = right;
    if (a->recall < b->recall || a->recall > b->recall)
        return a->recall < b->recall ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

/* The classes that are found least; those without images are left out. */
static void add_worst_classes(const json_t *score, const json_t *names, struct text *html)
{
    size_t classes = json_array_size(json_object_get(score, "recall")), count = 0;
    struct class_recall *rows = mem_array(classes + 1, sizeof *rows);
    char number[24];
    for (size_t c = 0; c < classes; c++) {
        double recall = class_share(score, "recall", c);
        if (isfinite(recall))
            rows[count++] = (struct class_recall){recall, c};
    }
    qsort(rows, count, sizeof *rows, compare_recalls);
    text_add(html,
             "<p>The %d of %zu classes that are found least.</p><table class=\"classes\"><tr>"
             "<th>class</th><th class=\"n\">recall</th><th class=\"n\">precision</th></tr>\n",
             count < WORST_CLASSES ? (int)count : WORST_CLASSES, classes);
    for (size_t i = 0; i < count && i < WORST_CLASSES; i++) {
        text_add(html, "<tr><td>");
        html_add(html, class_name(names, rows[i].index, number));
        text_add(html, "</td>");
        add_share(html, rows[i].recall);
        add_share(html, class_share(score, "precision", rows[i].index));
        text_add(html, "</tr>\n");
    }
    text_add(html, "</table>");
    mem_free(rows);
}

/* Where little is wrong, the highest losses are of right answers, too. */
static bool is_mistake(const json_t *image)
{
    return report_number(image, "label", -1) != report_number(image, "predicted", -1);
}

static int count_mistakes(const json_t *score)
{
    const json_t *image = NULL;
    size_t i = 0;
    int count = 0;
    json_array_foreach(json_object_get(score, "worst"), i, image)
    {
        count += is_mistake(image);
    }
    return count;
}

static void add_worst(const json_t *score, const json_t *names, struct text *html)
{
    const json_t *image = NULL;
    size_t i = 0;
    char truth[24], guess[24];
    if (count_mistakes(score) == 0)
        return;
    text_add(html, "<h3>Worst images: highest loss</h3><div class=\"worst\">");
    json_array_foreach(json_object_get(score, "worst"), i, image)
    {
        if (!is_mistake(image))
            continue;
        bool is_small = report_number(image, "width", SMALL_SIDE) <= SMALL_SIDE &&
                        report_number(image, "height", SMALL_SIDE) <= SMALL_SIDE;
        text_add(html, "<figure><img alt=\"\"%s src=\"data:image/png;base64,",
                 is_small ? " class=\"small\"" : "");
        html_add(html, report_string(image, "png"));
        text_add(html, "\"><figcaption>");
        html_add(html, class_of(image, "label", names, truth));
        text_add(html, ", taken for ");
        html_add(html, class_of(image, "predicted", names, guess));
        text_add(html, ": ");
        html_add(html, report_string(image, "name"));
        text_add(html, "</figcaption></figure>");
    }
    text_add(html, "</div>");
}

/* The score that has the mistakes, and of which images it is; NULL: nothing was measured. */
static const json_t *find_score(const json_t *target, const char **split)
{
    const json_t *test = json_object_get(target, "test");
    *split = test ? "test" : "hold-out";
    return test ? test : json_object_get(target, "holdout");
}

static void add_target(const json_t *target, const json_t *names, struct text *html)
{
    const char *split = NULL;
    const json_t *score = find_score(target, &split);
    text_add(html, "<h3>");
    html_add(html, report_string(target, "name"));
    if (!score) {
        text_add(html,
                 "</h3><p class=\"missing\">Neither test nor hold-out images were measured.</p>");
        return;
    }
    text_add(html, ": %.2f %% of the %s images right</h3>\n",
             100 * report_number(score, "accuracy", 0), split);
    if (score != json_object_get(target, "test"))
        text_add(html,
                 "<p>The data set has no test images: these are hold-out images, the ones the "
                 "search chose by, so the share is a little too good.</p>\n");
    size_t classes = json_array_size(json_object_get(score, "confusion"));
    if (classes > 0 && classes <= MAX_MATRIX)
        add_confusion(score, names, html);
    else
        add_worst_classes(score, names, html);
    add_worst(score, names, html);
}

void report_mistakes(const struct run_results *results, struct text *html)
{
    const json_t *target = NULL, *names = json_object_get(results->search, "class_names");
    size_t i = 0;
    text_add(html,
             "<section id=\"mistakes\"><h2>What the targets' networks get wrong</h2><p>Rows of "
             "a matrix: the true class; columns: what the network says.</p>\n");
    json_array_foreach(json_object_get(results->search, "targets"), i, target)
    {
        add_target(target, names, html);
    }
    text_add(html, "</section>\n");
}
