/* A run's status.json, as whoever shows it reads it. One that is taken is written and reads back as
 * itself, and what is printed of it holds no control character. */
#include "base/mem.h"
#include "cluster/json_file.h"
#include "cluster/page/prometheus.h"
#include "cluster/status/run_status.h"
#include "cluster/status/status_text.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

static void expect_same(const struct run_status *status)
{
    struct run_status *again = mem_alloc(sizeof *again);
    json_t *first = run_status_json(status);
    FUZZ_EXPECT(run_status_parse(first, again) == ERR_OK);
    json_t *second = run_status_json(again);
    FUZZ_EXPECT(json_equal(first, second));
    json_decref(first);
    json_decref(second);
    mem_free(again);
}

static void expect_printable(const struct text *said)
{
    for (const char *at = text_get(said); *at; at++)
        FUZZ_EXPECT((unsigned char)*at >= ' ' || *at == '\n');
}

static void expect_metrics(const struct found_status *found)
{
    struct prometheus *metrics = prometheus_create();
    struct text said;
    text_init(&said);
    prometheus_add(metrics, found, "runs/some");
    prometheus_write(metrics, &said);
    expect_printable(&said);
    text_fini(&said);
    prometheus_destroy(&metrics);
}

static void expect_table(struct table *table)
{
    struct text said;
    text_init(&said);
    table_write(table, 80, &said);
    expect_printable(&said);
    text_fini(&said);
    table_fini(table);
}

static void show(const struct found_status *found)
{
    struct text said;
    struct table stages, runs;
    text_init(&said);
    status_text_head(found, "runs/some", &said);
    expect_printable(&said);
    text_fini(&said);
    status_text_stages(found, &stages);
    expect_table(&stages);
    status_text_begin_runs(&runs);
    status_text_add_run(found, "runs/some", &runs);
    expect_table(&runs);
    expect_metrics(found);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    json_t *json = NULL;
    struct found_status *found = mem_alloc(sizeof *found);
    if (json_file_parse("status.json", (const char *)bytes, size, &json) == ERR_OK &&
        run_status_parse(json, &found->status) == ERR_OK) {
        expect_same(&found->status);
        show(found);
    }
    json_decref(json);
    mem_free(found);
    return 0;
}
