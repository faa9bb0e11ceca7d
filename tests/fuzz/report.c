/* What stages left in a run's results, as the report and the closing table show it: one JSON object
 * with "search", "evaluate", "result", "bundles" and "steps", rows of step, loss and accuracy. */
#include "cluster/report.h"
#include "base/mem.h"
#include "cluster/json_file.h"
#include "cluster/run_table.h"
#include "tests/fuzz/fuzz.h"
#include <stdio.h>
#include <string.h>

static void add_steps(const json_t *json, struct run_stage *stage)
{
    const json_t *row = NULL;
    size_t i = 0;
    json_array_foreach(json_object_get(json, "steps"), i, row)
    {
        double step = json_number_value(json_array_get(row, 0));
        series_add(&stage->loss, step, json_number_value(json_array_get(row, 1)));
        series_add(&stage->accuracy, step, json_number_value(json_array_get(row, 2)));
    }
}

/* A name is text in the page, whatever is in it. */
static void expect_text(const struct text *html)
{
    FUZZ_EXPECT(!strstr(text_get(html), "<script") && !strstr(text_get(html), "\" onload="));
}

static void show(const struct run_results *results)
{
    struct text html, table;
    text_init(&html);
    text_init(&table);
    report_write(results, &html);
    expect_text(&html);
    run_table_write(results, &table);
    json_decref(run_table_json(results));
    text_fini(&table);
    text_fini(&html);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    json_t *json = NULL;
    struct run_results *results = mem_alloc(sizeof *results);
    if (json_file_parse("results", (const char *)bytes, size, &json) == ERR_OK) {
        *results = (struct run_results){.folder = mem_string("/nowhere"),
                                        .campaign = mem_string("campaign: made-up\n"),
                                        .stage_count = 1,
                                        .target_count = 1,
                                        .evaluate = json_incref(json_object_get(json, "evaluate")),
                                        .search = json_incref(json_object_get(json, "search")),
                                        .bundles = json_incref(json_object_get(json, "bundles"))};
        struct run_stage *stage = &results->stages[0];
        snprintf(stage->name, sizeof stage->name, "teacher");
        stage->result = json_incref(json_object_get(json, "result"));
        add_steps(json, stage);
        show(results);
        (void)run_results_choice(results->search, "small");
    }
    json_decref(json);
    run_results_fini(results);
    mem_free(results);
    return 0;
}
