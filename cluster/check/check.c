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

double check_layer_ms(const struct bundle_check *check, int layer)
{
    double macs = (double)exported_macs(&check->checked->net.layers[layer]);
    return camera_device_has_latency(&check->device)
               ? check->device.latency_ms_per_mmac * macs / 1e6
               : NAN;
}

double check_accuracy(const struct bundle_check *check, enum arithmetic arithmetic)
{
    const struct divergence *divergence = &check->divergence;
    return divergence->labelled ? (double)divergence->of[arithmetic].correct / divergence->labelled
                                : NAN;
}
