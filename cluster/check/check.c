#include "cluster/check/check.h"
#include <math.h>
#include <string.h>

void bundle_check_fini(struct bundle_check *check)
{
    divergence_fini(&check->divergence);
    check_images_close(&check->images);
    for (int f = 0; f < CHECK_FORMATS; f++)
        exported_fini(&check->formats[f].net);
    opened_bundle_fini(&check->bundle);
    json_decref(check->list);
    json_decref(check->failures);
    json_decref(check->warnings);
    memset(check, 0, sizeof *check);
}

double check_layer_bytes(const struct bundle_check *check, int layer)
{
    const struct exported *net = &check->checked->net;
    const struct exported_layer *row = &net->layers[layer];
    size_t values = exported_weight_count(row) + (size_t)(row->b ? row->K : 0) +
                    exported_values(&row->in) + exported_values(&row->out);
    if (row->kind == EXPORTED_ADD || row->kind == EXPORTED_MUL)
        values += exported_values(exported_output(net, row->other));
    return 2.0 * (double)values;
}

enum cost_kind check_cost_kind(const struct exported_layer *layer)
{
    bool is_vector = layer->in.H == 1 && layer->in.W == 1;
    if (layer->groups > 1 && layer->groups == layer->in.C)
        return COST_DEPTHWISE;
    return layer->R > 1 ? COST_CONVOLUTION : is_vector ? COST_LINEAR : COST_POINTWISE;
}

double check_layer_ms(const struct bundle_check *check, int layer)
{
    const struct exported_layer *row = &check->checked->net.layers[layer];
    double rate = camera_device_rate_ms(&check->device, check_cost_kind(row));
    return camera_device_has_latency(&check->device) ? rate * (double)exported_macs(row) / 1e6
                                                     : NAN;
}

double check_accuracy(const struct bundle_check *check, enum arithmetic arithmetic)
{
    const struct divergence *divergence = &check->divergence;
    return divergence->labelled ? (double)divergence->of[arithmetic].correct / divergence->labelled
                                : NAN;
}
