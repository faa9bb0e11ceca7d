#include "cluster/check/check_text.h"
#include "trainer/record/json_name.h"
#include <math.h>

const char *check_layer_kind(const struct exported_layer *layer)
{
    static const char *const kinds[] = {"conv", "pool", "add", "mul", "act", "softmax"};
    if (layer->kind == EXPORTED_CONV && layer->groups > 1)
        return layer->groups == layer->in.C ? "depthwise" : "group conv";
    return kinds[layer->kind];
}

double check_total_ms(const struct bundle_check *check)
{
    double ms = check->device.latency_fixed_ms;
    for (int l = 0; l < check->checked->net.count; l++)
        ms += check_layer_ms(check, l);
    return ms;
}

/* JSON has no infinity and no NaN. */
static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *map_json(const struct exported_map *map)
{
    return json_pack("[i, i, i]", map->H, map->W, map->C);
}

static json_t *counts_json(const struct emulated_layer *counts)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:o}", "values", (json_int_t)counts->values, "overflows",
                     (json_int_t)counts->overflows, "subnormals", (json_int_t)counts->subnormals,
                     "saturated", (json_int_t)counts->saturated, "largest",
                     real((double)counts->largest));
}

static json_t *compared_json(const struct compared_layer *row)
{
    return json_pack("{s:o, s:i, s:o, s:o}", "worst_error", real(row->worst_error), "worst_image",
                     row->worst_image, "results", counts_json(&row->counts), "weights",
                     counts_json(&row->weights));
}

static json_t *layer_json(const struct bundle_check *check, int l)
{
    const struct exported_layer *layer = &check->checked->net.layers[l];
    json_t *json = json_pack(
        "{s:o, s:s, s:o, s:o, s:o, s:o, s:o}", "name", json_name(layer->name), "kind",
        check_layer_kind(layer), "in", map_json(&layer->in), "out", map_json(&layer->out), "mflop",
        real(2e-6 * (double)exported_macs(layer)), "mb", real(1e-6 * check_layer_bytes(check, l)),
        "predicted_ms", real(check_layer_ms(check, l)));
    for (int a = ARITHMETIC_FP16_SUM32; a < ARITHMETICS; a++)
        json_object_set_new(json, arithmetic_names[a],
                            compared_json(&check->divergence.of[a].layers[l]));
    return json;
}

static json_t *figures_json(const struct error_figures *figures)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:b}", "largest_percent", real(figures->largest),
                     "mean_percent", real(figures->mean), "further_than_2_percent",
                     real(figures->far), "l2_percent", real(figures->l2), "pass",
                     error_figures_pass(figures));
}

static json_t *arithmetic_json(const struct bundle_check *check, enum arithmetic arithmetic)
{
    const struct divergence *divergence = &check->divergence;
    const struct compared *of = &divergence->of[arithmetic];
    return json_pack("{s:o, s:i, s:i, s:i, s:i, s:i, s:o, s:o, s:o}", "accuracy",
                     real(check_accuracy(check, arithmetic)), "correct", of->correct, "of_no_class",
                     of->strays, "same_answer", of->agree, "clear", divergence->clear,
                     "same_answer_of_clear", of->agree_clear, "largest_confidence_difference",
                     real(of->largest_confidence_difference), "figures", figures_json(&of->figures),
                     "input", counts_json(&of->of_input));
}

static json_t *format_json(const struct check_format *format)
{
    return json_pack("{s:s, s:s, s:o, s:o, s:i}", "format", format->name, "files", format->files,
                     "difference", real(format->difference), "supernet_difference",
                     real(format->supernet_difference), "of_no_class", format->strays);
}

json_t *check_json(const struct bundle_check *check)
{
    json_t *layers = json_array(), *formats = json_array(), *arithmetics = json_object();
    for (int l = 0; l < check->checked->net.count; l++)
        json_array_append_new(layers, layer_json(check, l));
    for (int f = 0; f < CHECK_FORMATS; f++)
        if (check->formats[f].is_there)
            json_array_append_new(formats, format_json(&check->formats[f]));
    for (int a = 0; a < ARITHMETICS; a++)
        json_object_set_new(arithmetics, arithmetic_names[a],
                            arithmetic_json(check, (enum arithmetic)a));
    return json_pack("{s:i, s:b, s:O, s:O, s:s, s:i, s:i, s:s, s:o, s:o, s:o, s:o, s:o, s:i, s:o}",
                     "version", 1, "passed", json_array_size(check->failures) == 0, "failures",
                     check->failures, "warnings", check->warnings, "checked", check->checked->files,
                     "images", check->images.count, "labelled", check->divergence.labelled,
                     "images_from", check->images.from, "loss_max", real(check->cfg.loss_max),
                     "predicted_ms", real(check_total_ms(check)), "formats", formats, "arithmetics",
                     arithmetics, "layers", layers, "frames", check->frames, "frame_difference",
                     real(check->frame_difference));
}
