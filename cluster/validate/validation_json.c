#include "base/clock.h"
#include "cluster/check/check_text.h"
#include "cluster/validate/validation_text.h"
#include "trainer/record/json_name.h"
#include <math.h>
#include <string.h>

/* JSON has no infinity and no NaN. */
static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *bound(double value)
{
    return value > 0 ? json_real(value) : json_null();
}

static json_t *sentences_json(char sentences[][PASS_SENTENCE], int count)
{
    json_t *array = json_array();
    for (int s = 0; s < count; s++)
        json_array_append_new(array, json_name(sentences[s]));
    return array;
}

static json_t *camera_json(const struct validation *validation)
{
    const struct camera_identity *camera = &validation->camera;
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:b}", "id", json_name(camera->id), "vendor",
                     json_name(camera->vendor), "model", json_name(camera->model), "serial",
                     json_name(camera->serial), "firmware", json_name(camera->firmware),
                     "simulated", validation->cfg.is_simulated);
}

static json_t *listed(const struct validation *validation, const char *key)
{
    const char *text = json_string_value(json_object_get(validation->check.list, key));
    return text ? json_string(text) : json_null();
}

static json_t *network_json(const struct validation *validation)
{
    char hex[HASH_HEX_BYTES];
    hash_hex(&validation->file.hash, hex);
    return json_pack("{s:s, s:s, s:I, s:s, s:o, s:o, s:o, s:o}", "file", validation->file.name,
                     "hash", hex, "bytes", (json_int_t)validation->file.size, "memory",
                     validation->cfg.memory == CAMERA_MEMORY_FLASH ? "flash" : "ddr", "target",
                     listed(validation, "target"), "subnet", listed(validation, "subnet"), "device",
                     listed(validation, "device"), "checkpoint", listed(validation, "checkpoint"));
}

static json_t *answers_json(const struct validation *validation)
{
    const struct pass_figures *figures = &validation->figures;
    return json_pack("{s:i, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:o, s:o}", "images",
                     figures->images, "images_from", validation->check.images.from, "same_answer",
                     figures->agree, "clear", figures->clear, "same_answer_of_clear",
                     figures->clear_agree, "certain", figures->certain, "same_answer_of_certain",
                     figures->certain_agree, "labelled", figures->labelled, "correct",
                     figures->correct, "correct_fp32", figures->fp32_correct, "unsteady",
                     figures->unsteady, "median_confidence_difference",
                     real(figures->confidence_difference), "largest_confidence_difference",
                     real(figures->largest_confidence_difference));
}

static json_t *latency_json(const struct pass_figures *figures)
{
    return json_pack("{s:i, s:i, s:o, s:o, s:o, s:o}", "measured", figures->latencies, "warm_ups",
                     MEASURE_WARM_UPS, "median_ms", real(figures->latency_median_ms), "p95_ms",
                     real(figures->latency_p95_ms), "predicted_ms", bound(figures->predicted_ms),
                     "budget_ms", bound(figures->budget_ms));
}

/* What latency can be fitted to: layers with multiply-adds, and how many millions, by kind. */
static json_t *work_json(const struct validation *validation)
{
    const struct exported *net = &validation->check.checked->net;
    double mmac[COST_KINDS] = {0};
    int layers[COST_KINDS] = {0};
    json_t *kinds = json_object();
    for (int l = 0; l < net->count; l++) {
        enum cost_kind kind = check_cost_kind(&net->layers[l]);
        layers[kind] += exported_macs(&net->layers[l]) > 0;
        mmac[kind] += (double)exported_macs(&net->layers[l]) / 1e6;
    }
    for (int k = 0; k < COST_KINDS; k++)
        json_object_set_new(kinds, cost_kind_names[k],
                            json_pack("{s:i, s:f}", "layers", layers[k], "mmac", mmac[k]));
    return kinds;
}

static json_t *image_json(const struct validation *validation, int i)
{
    const struct validated_image *image = &validation->images[i];
    return json_pack("{s:o, s:i, s:o, s:i, s:o, s:i, s:o, s:b}", "label",
                     image->label < 0 ? json_null() : json_integer(image->label), "fp32",
                     image->fp32_class, "fp32_margin", real(image->fp32_margin), "expected",
                     image->expected_class, "expected_confidence", real(image->expected_confidence),
                     "found", image->found_class, "found_confidence", real(image->found_confidence),
                     "steady", image->is_steady);
}

json_t *validation_json(const struct validation *validation)
{
    char now[32];
    json_t *images = json_array();
    const struct measured *measured = &validation->measured;
    struct pass_verdict *verdict = (struct pass_verdict *)&validation->verdict;
    clock_wall_text(now);
    for (int i = 0; i < validation->check.images.count; i++)
        json_array_append_new(images, image_json(validation, i));
    return json_pack("{s:i, s:s, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "version",
                     1, "time", now, "passed", verdict->failures == 0, "complete", 1, "failures",
                     sentences_json(verdict->failure, verdict->failures), "warnings",
                     sentences_json(verdict->warning, verdict->warnings), "camera",
                     camera_json(validation), "network", network_json(validation), "answers",
                     answers_json(validation), "latency", latency_json(&validation->figures),
                     "frames_left_out",
                     json_pack("{s:i, s:i, s:i}", "lost", measured->lost, "of_another_frame",
                               measured->strays, "impossible", measured->garbled),
                     "work", work_json(validation), "images", images);
}
