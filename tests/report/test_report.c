/* The report and the closing table of made-up results: what is said, and what is said to be
 * missing. */
#include "base/mem.h"
#include "cluster/report.h"
#include "cluster/run_table.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CAMERA "\"device\":\"cam\",\"latency\":{\"fixed_ms\":19.3,\"per_mmac_ms\":0.1}"
#define OTHER  "\"device\":\"cam2\",\"latency\":{\"fixed_ms\":1,\"per_mmac_ms\":2}"
#define NONE   "\"device\":\"any\",\"latency\":null,\"latency_ms\":null"
#define SMALL                                                                                      \
    "\"name\":\"small\",\"macs_max\":8e5,\"latency_ms_max\":0,\"candidate\":0,\"macs\":5e5"
#define BEST                                                                                       \
    "\"name\":\"best\",\"macs_max\":0,\"latency_ms_max\":19.45,\"candidate\":1,\"macs\":1000000"
#define CANDIDATES                                                                                 \
    "\"candidates\":[{\"macs\":500000,\"accuracy\":0.7,\"on_front\":true,\"subnet\":\"k=3\"},"     \
    "{\"macs\":1000000,\"accuracy\":0.8,\"on_front\":true,\"subnet\":\"k=5\"}]"

static json_t *parsed(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);
    if (!json)
        fail_msg("%s in %s", error.text, text);
    return json;
}

/* The page of a search's result; NULL: there is none. */
static struct text page_of(const char *search, int target_count)
{
    struct run_results results = {.target_count = target_count,
                                  .folder = mem_string("/nowhere"),
                                  .campaign = mem_string("campaign: made-up\n"),
                                  .search = search ? parsed(search) : NULL};
    struct text html;
    text_init(&html);
    report_write(&results, &html);
    run_results_fini(&results);
    return html;
}

static int count_of(const struct text *html, const char *words)
{
    int count = 0;
    for (const char *at = text_get(html); (at = strstr(at, words)); at++)
        count++;
    return count;
}

static void expect(const struct text *html, const char *words)
{
    if (count_of(html, words) == 0)
        fail_msg("the page does not say \"%s\"", words);
}

static void targets_of_one_device_have_a_front_over_latency_with_both_bounds(void **state)
{
    (void)state;
    struct text html =
        page_of("{\"targets\":[{" SMALL "," CAMERA "},{" BEST "," CAMERA
                "},{\"name\":\"free\",\"candidate\":1,\"macs\":1000000," NONE "}]," CANDIDATES "}",
                3);
    expect(&html, "predicted latency on cam;");
    expect(&html, ">19.4 ms<");
    expect(&html, ">0.8 M<");
    expect(&html, ">small: at most 0.8 M MACs<");
    expect(&html, ">best: at most 19.45 ms<");
    assert_int_equal(count_of(&html, "class=\"mark\""), 2);
    assert_int_equal(count_of(&html, "class=\"diamond"), 2); /* best and free share one */
    expect(&html, ">best, free<");
    text_fini(&html);
}

/* The axis is 0.4 to 1.6 million MACs over 908 units from x = 64: 0.8 M lies at a third of it. */
static void targets_of_two_devices_have_a_front_over_macs(void **state)
{
    (void)state;
    struct text html =
        page_of("{\"targets\":[{" SMALL "," OTHER "},{" BEST "," CAMERA "}]," CANDIDATES "}", 2);
    expect(&html, ">million multiply-accumulates per image<");
    assert_int_equal(count_of(&html, "predicted latency on"), 0);
    expect(&html, ">small: at most 0.8 M MACs<");
    expect(&html, ">best: at most 19.45 ms<");
    expect(&html, "class=\"mark\" d=\"M366.7 ");
    text_fini(&html);
}

static void a_bound_far_from_everything_is_named_at_the_edge(void **state)
{
    (void)state;
    struct text html = page_of("{\"targets\":[{\"name\":\"wide\",\"macs_max\":5e9,\"candidate\":1,"
                               "\"macs\":1000000," NONE "}]," CANDIDATES "}",
                               1);
    expect(&html, ">wide: at most 5e+03 M MACs (further right)<");
    text_fini(&html);
}

static void what_nobody_predicts_or_measures_is_not_shown_as_zero(void **state)
{
    (void)state;
    static const char search[] =
        "{\"targets\":[{\"name\":\"free\",\"candidate\":1,\"macs\":1000000,\"holdout_accuracy\":"
        "0.55," NONE "}]," CANDIDATES "}";
    struct text html = page_of(search, 1), table;
    assert_int_equal(count_of(&html, "0.00 ms"), 0);
    expect(&html, "Neither test nor hold-out images were measured.");
    struct run_results results = {.folder = mem_string("/nowhere"), .search = parsed(search)};
    text_init(&table);
    run_table_write(&results, &table);
    assert_int_equal(count_of(&table, "0.00"), 0);
    json_t *json = run_table_json(&results);
    const json_t *row = json_array_get(json_object_get(json, "targets"), 0);
    assert_true(json_is_null(json_object_get(row, "latency_ms")));
    assert_true(json_is_null(json_object_get(row, "test_accuracy")));
    assert_float_equal(report_number(row, "holdout_accuracy", 0), 0.55, 0);
    json_decref(json);
    run_results_fini(&results);
    text_fini(&table);
    text_fini(&html);
}

static void a_thousand_classes_are_a_short_table(void **state)
{
    (void)state;
    struct text search;
    text_init(&search);
    text_add(&search, "{\"targets\":[{" SMALL "," NONE ",\"test\":{\"accuracy\":0.9,\"recall\":[");
    for (int c = 0; c < 1000; c++)
        text_add(&search, "%s%s", c ? "," : "", c == 5 ? "null" : c == 700 ? "0.125" : "0.9");
    text_add(&search, "],\"precision\":[");
    for (int c = 0; c < 1000; c++)
        text_add(&search, "%s%s", c ? "," : "", c == 700 ? "null" : "0.9");
    text_add(&search, "]}}]," CANDIDATES "}");
    struct text html = page_of(text_get(&search), 1);
    expect(&html, "The 20 of 1000 classes that are found least.");
    expect(&html, "<td>700</td><td class=\"n\">12.5 %</td><td class=\"n\">-</td>");
    assert_int_equal(count_of(&html, "<td>5</td>"), 0); /* has no test images */
    assert_true(html.size < 50000);
    text_fini(&html);
    text_fini(&search);
}

static void without_test_images_the_mistakes_on_the_holdout_are_shown_and_named(void **state)
{
    (void)state;
    static const char scores[] =
        "{\"accuracy\":0.75,\"confusion\":[[2,1],[0,1]],\"recall\":[0.67,1],\"precision\":[1,0.5],"
        "\"worst\":[{\"label\":0,\"predicted\":1,\"name\":\"a.png\"},"
        "{\"label\":1,\"predicted\":1,\"name\":\"b.png\"}]}";
    char search[1024];
    snprintf(search, sizeof search, "{\"targets\":[{" SMALL "," NONE ",\"%s\":%s}]," CANDIDATES "}",
             "holdout", scores);
    struct text html = page_of(search, 1);
    expect(&html, "small: 75.00 % of the hold-out images right");
    expect(&html, "The data set has no test images: these are hold-out images");
    assert_int_equal(count_of(&html, "<table class=\"confusion\">"), 1);
    expect(&html, "0, taken for 1: a.png");
    assert_int_equal(count_of(&html, "<figure>"), 1); /* the other was answered right */
    text_fini(&html);
    snprintf(search, sizeof search, "{\"targets\":[{" SMALL "," NONE ",\"%s\":%s}]," CANDIDATES "}",
             "test", scores);
    html = page_of(search, 1);
    expect(&html, "small: 75.00 % of the test images right");
    assert_int_equal(count_of(&html, "these are hold-out images"), 0);
    text_fini(&html);
}

#define BIG    "cpu x86-64-v3 oneDNN 2.6.3 on Big (6/1/1)"
#define LITTLE "cpu x86-64-v3 oneDNN 2.6.3 on <Little> (6/2/1)"

static void the_devices_are_named_and_a_mix_is_said(void **state)
{
    (void)state;
    struct run_results results = {.stage_count = 2};
    struct text html;
    results.stages[0].result = parsed("{\"lineage\":\"0.1.0; " BIG "\",\"mixed\":[]}");
    text_init(&html);
    report_lineage(&results, &html);
    assert_string_equal(text_get(&html), "<p>Computed on <code>" BIG "</code></p>");
    text_fini(&html);
    results.stages[1].result =
        parsed("{\"lineage\":\"0.1.0; " BIG "\",\"mixed\":[\"" LITTLE "\"]}");
    text_init(&html);
    report_lineage(&results, &html);
    expect(&html, "class=\"missing\">Mixed: more than one kind of device computed this run");
    expect(&html, "<code>" BIG "</code>");
    expect(&html, "on &lt;Little&gt; (6/2/1)</code>");
    assert_int_equal(count_of(&html, "Computed on"), 2);
    text_fini(&html);
    run_results_fini(&results);
}

static void what_is_missing_is_said_with_its_reason(void **state)
{
    (void)state;
    struct text html = page_of(NULL, 1);
    expect(&html, "The search has not run yet.");
    expect(&html, "No phase has ended yet.");
    expect(&html, "Nothing has been compiled yet.");
    text_fini(&html);
    html = page_of(NULL, 0);
    expect(&html, "The campaign has no targets: nothing was searched for.");
    expect(&html, "The campaign has no targets: there is nothing to compile.");
    text_fini(&html);
    struct run_results results = {.stage_count = 1};
    results.stages[0].result = parsed("{\"after\":[]}");
    text_init(&html);
    report_phases(&results, &html);
    expect(&html, "Nothing was measured: dataset.holdout is 0.");
    run_results_fini(&results);
    text_fini(&html);
}

static void names_from_outside_are_text_not_markup(void **state)
{
    (void)state;
    struct text html = page_of("{\"class_names\":[\"<b>&\"],\"targets\":[{" SMALL "," NONE
                               ",\"test\":{\"confusion\":[[3]],\"recall\":[1],\"precision\":[1],"
                               "\"worst\":[{\"label\":0,\"predicted\":1,\"name\":\"<i>.png\"}]}}]"
                               "," CANDIDATES "}",
                               1);
    expect(&html, "&lt;b&gt;&amp;");
    expect(&html, "&lt;i&gt;.png");
    assert_int_equal(count_of(&html, "<b>"), 0);
    assert_int_equal(count_of(&html, "<i>"), 0);
    text_fini(&html);
}

static void a_bundle_that_was_checked_says_what_came_of_it(void **state)
{
    (void)state;
    struct run_results results = {.target_count = 1,
                                  .folder = mem_string("/nowhere"),
                                  .campaign = mem_string("campaign: made-up\n")};
    struct text html;
    results.bundles = parsed(
        "[{\"target\":\"small\",\"files\":[],\"check\":{\"passed\":false,\"images\":500,"
        "\"failures\":[\"layer <b> overflows\"],\"arithmetics\":{\"fp16/fp32\":{\"accuracy\":0.5,"
        "\"same_answer\":450}}}}, "
        "{\"target\":\"other\",\"files\":[],\"validation\":{\"passed\":false,"
        "\"complete\":false,\"failures\":[\"the camera <b> went away\"]}}, "
        "{\"target\":\"late\",\"files\":[]}]");
    results.checked = parsed("[\"small\", \"late\"]");
    text_init(&html);
    report_write(&results, &html);
    expect(&html, "on 500 images: does not pass; accuracy in fp16 50.00 %, the same answer as fp32 "
                  "for 450 (<a href=\"bundles/small/check.html\">");
    expect(&html, "<p class=\"missing\">layer &lt;b&gt; overflows</p>");
    assert_int_equal(count_of(&html, "Checked in the camera"), 1);
    expect(&html, "stage check-late has come to no verdict");
    assert_int_equal(count_of(&html, "has come to no verdict"), 1);
    expect(&html, "The last validation on a camera came to no verdict:</p>\n"
                  "<p class=\"missing\">the camera &lt;b&gt; went away</p>");
    text_fini(&html);
    run_results_fini(&results);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_of_one_device_have_a_front_over_latency_with_both_bounds),
        cmocka_unit_test(targets_of_two_devices_have_a_front_over_macs),
        cmocka_unit_test(a_bound_far_from_everything_is_named_at_the_edge),
        cmocka_unit_test(what_nobody_predicts_or_measures_is_not_shown_as_zero),
        cmocka_unit_test(a_thousand_classes_are_a_short_table),
        cmocka_unit_test(without_test_images_the_mistakes_on_the_holdout_are_shown_and_named),
        cmocka_unit_test(the_devices_are_named_and_a_mix_is_said),
        cmocka_unit_test(what_is_missing_is_said_with_its_reason),
        cmocka_unit_test(names_from_outside_are_text_not_markup),
        cmocka_unit_test(a_bundle_that_was_checked_says_what_came_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
