/* What the report says of the devices that computed the run. */
#include "cluster/report.h"
#include "cluster/svg.h"
#include "trainer/checkpoint/lineage.h"
#include <stdio.h>
#include <string.h>

static void add_devices(const json_t *result, struct text *devices)
{
    const json_t *other = NULL;
    size_t i = 0;
    lineage_add(devices, "", lineage_device(report_string(result, "lineage")));
    json_array_foreach(json_object_get(result, "mixed"), i, other)
        lineage_add(devices, "", json_string_value(other) ? json_string_value(other) : "");
}

void report_lineage(const struct run_results *results, struct text *html)
{
    struct text devices;
    text_init(&devices);
    for (int i = 0; i < results->stage_count; i++)
        add_devices(results->stages[i].result, &devices);
    add_devices(results->evaluate, &devices);
    add_devices(results->search, &devices);
    bool is_mixed = strchr(text_get(&devices), '\n') != NULL;
    if (is_mixed)
        text_add(html,
                 "<p class=\"missing\">Mixed: more than one kind of device computed this run, "
                 "so none gives the same bits again.</p>");
    for (const char *at = text_get(&devices); *at; at += *at == '\n') {
        char device[512];
        size_t size = strcspn(at, "\n");
        snprintf(device, sizeof device, "%.*s", (int)size, at);
        text_add(html, "<p>Computed on <code>");
        html_add(html, device);
        text_add(html, "</code></p>");
        at += size;
    }
    text_fini(&devices);
}
