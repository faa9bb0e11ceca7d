#include "trainer/search/search_json.h"
#include "base/mem.h"
#include "base/text.h"
#include "trainer/spec/cost.h"

static json_t *subnet_json(const struct space *space, const struct subnet *subnet)
{
    struct text text;
    text_init(&text);
    subnet_format(space, subnet, &text);
    json_t *json = json_string(text_get(&text));
    text_fini(&text);
    return json;
}

static json_t *candidate_json(const struct space *space, const struct candidate *candidate)
{
    return json_pack("{s:o, s:I, s:f, s:f}", "subnet", subnet_json(space, &candidate->subnet),
                     "macs", (json_int_t)candidate->macs, "accuracy", candidate->accuracy, "loss",
                     candidate->loss);
}

/* The device's line from MACs to milliseconds; null without one, and where kinds differ. */
static json_t *latency_json(const struct camera_device *device)
{
    if (!camera_device_has_latency(device) || !camera_device_is_line(device))
        return json_null();
    return json_pack("{s:f, s:f}", "fixed_ms", device->latency_fixed_ms, "per_mmac_ms",
                     device->latency_ms_per_mmac);
}

static json_t *target_json(const struct space *space, const struct target *target,
                           const struct search_winner *winner, const struct candidate *candidate)
{
    int64_t parameters = cost_of(space, &candidate->subnet).parameters;
    json_t *latency_ms =
        camera_device_has_latency(&target->device) ? json_real(winner->latency_ms) : json_null();
    return json_pack("{s:s, s:s, s:o, s:f, s:f, s:o, s:i, s:I, s:I, s:o, s:f, s:f}", "name",
                     target->name, "device", target->device.name, "latency",
                     latency_json(&target->device), "macs_max", target->macs_max, "latency_ms_max",
                     target->latency_ms_max, "subnet", subnet_json(space, &candidate->subnet),
                     "candidate", winner->candidate, "macs", (json_int_t)candidate->macs,
                     "parameters", (json_int_t)parameters, "latency_ms", latency_ms,
                     "holdout_accuracy", candidate->accuracy, "holdout_loss", candidate->loss);
}

json_t *search_json(const struct search_cfg *cfg, const struct search_result *result)
{
    json_t *targets = json_array(), *candidates = json_array();
    bool *on_front = mem_array((size_t)result->candidate_count + 1, sizeof *on_front);
    search_front(result, on_front);
    for (int t = 0; t < cfg->target_count; t++) {
        const struct search_winner *winner = &result->winners[t];
        json_array_append_new(targets, target_json(cfg->space, &cfg->targets[t], winner,
                                                   &result->candidates[winner->candidate]));
    }
    for (int i = 0; i < result->candidate_count; i++) {
        json_t *candidate = candidate_json(cfg->space, &result->candidates[i]);
        json_object_set_new(candidate, "on_front", json_boolean(on_front[i]));
        json_array_append_new(candidates, candidate);
    }
    mem_free(on_front);
    return json_pack("{s:o, s:o}", "targets", targets, "candidates", candidates);
}
