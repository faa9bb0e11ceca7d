#include "trainer/record/summary.h"
#include "base/mem.h"
#include "trainer/record/event_log.h"
#include "trainer/record/results.h"
#include <string.h>

struct summary {
    uint64_t steps; /* the last */
    double seconds; /* of training: every step counts once, whoever did it */
    uint64_t timed;
    json_t *before, *after; /* evaluation grids, or NULL */
};

static void take_event(void *own, json_t *event)
{
    struct summary *summary = own;
    const char *name = json_string_value(json_object_get(event, "event"));
    uint64_t step = (uint64_t)json_integer_value(json_object_get(event, "step"));
    json_t *subnets = json_object_get(event, "subnets");
    if (!name)
        return;
    if (strcmp(name, "step") == 0) {
        summary->steps = step;
        summary->seconds += json_number_value(json_object_get(event, "seconds"));
        summary->timed++;
    } else if (strcmp(name, "evaluate") == 0 && subnets) {
        json_t **place = step == 0 ? &summary->before : &summary->after;
        json_decref(*place);
        *place = json_incref(subnets);
    }
}

static enum err read_events(const struct run_record *record, const char *stage,
                            struct summary *summary)
{
    enum err err = ERR_OK;
    char *path = NULL;
    TRY(run_record_path(record, "metrics", stage, ".jsonl", &path));
    TRY(event_log_read(path, take_event, summary));
out:
    mem_free(path);
    return err;
}

enum err summary_write(const struct run_record *record, const struct summary_cfg *cfg)
{
    enum err err = ERR_OK;
    struct summary summary = {0};
    char hex[HASH_HEX_BYTES], key[HASH_HEX_BYTES];
    TRY(read_events(record, cfg->stage, &summary));
    double images = (double)summary.timed * cfg->global_batch;
    hash_hex(cfg->content, hex);
    hash_hex(cfg->key, key);
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:I, s:f, s:f}", "stage", cfg->stage, "key", key, "content", hex,
                  "steps", (json_int_t)summary.steps, "seconds", summary.seconds, "images_per_s",
                  summary.seconds > 0 ? images / summary.seconds : 0.0);
    json_object_set_new(json, "before",
                        summary.before ? json_incref(summary.before) : json_array());
    json_object_set_new(json, "after", summary.after ? json_incref(summary.after) : json_array());
    TRY(results_write(record, cfg->stage, json));
out:
    json_decref(summary.before);
    json_decref(summary.after);
    return err;
}
