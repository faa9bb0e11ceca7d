#include "trainer/evaluate/eval_metrics_json.h"
#include "base/mem.h"
#include "base/text.h"
#include "trainer/data/image_file.h"
#include "trainer/data/image_png.h"
#include "trainer/record/json_name.h"
#include <math.h>

static json_t *share_json(double share)
{
    return isfinite(share) ? json_real(share) : json_null();
}

static json_t *matrix_json(const struct eval_metrics *metrics)
{
    json_t *rows = json_array();
    for (int label = 0; label < metrics->classes; label++) {
        const double *cells = metrics->confusion + label * metrics->classes;
        json_t *row = json_array();
        for (int c = 0; c < metrics->classes; c++)
            json_array_append_new(row, json_integer((json_int_t)cells[c]));
        json_array_append_new(rows, row);
    }
    return rows;
}

static void add_classes(const struct eval_metrics *metrics, json_t *json)
{
    json_t *precision = json_array(), *recall = json_array();
    for (int c = 0; c < metrics->classes; c++) {
        json_array_append_new(precision, share_json(eval_metrics_precision(metrics, c)));
        json_array_append_new(recall, share_json(eval_metrics_recall(metrics, c)));
    }
    json_object_set_new(json, "precision", precision);
    json_object_set_new(json, "recall", recall);
    if (metrics->confusion)
        json_object_set_new(json, "confusion", matrix_json(metrics));
}

static enum err add_picture(const struct dataset *dataset, const struct worst_image *worst,
                            json_t *entry)
{
    enum err err = ERR_OK;
    struct image image = {0};
    struct text base64;
    uint8_t *png = NULL;
    size_t size_bytes = 0;
    char name[512];
    text_init(&base64);
    TRY(dataset_record_name(dataset, worst->record, name, sizeof name));
    json_object_set_new(entry, "name", json_name(name));
    TRY(dataset_read(dataset, worst->record, &image));
    TRY(image_png(&image, &png, &size_bytes));
    text_add_base64(&base64, png, size_bytes);
    json_object_set_new(entry, "width", json_integer(image.W));
    json_object_set_new(entry, "height", json_integer(image.H));
    json_object_set_new(entry, "png", json_string(text_get(&base64)));
out:
    mem_free(png);
    mem_free(image.pixels);
    text_fini(&base64);
    return err;
}

static enum err add_worst(const struct eval_metrics *metrics, const struct dataset *dataset,
                          json_t *json)
{
    enum err err = ERR_OK;
    json_t *list = json_array();
    TRY(image_file_start());
    for (int i = 0; i < metrics->worst_count; i++) {
        const struct worst_image *worst = &metrics->worst[i];
        json_t *entry =
            json_pack("{s:I, s:i, s:i, s:f}", "record", (json_int_t)worst->record, "label",
                      worst->label, "predicted", worst->predicted, "loss", worst->loss);
        json_array_append_new(list, entry);
        TRY(add_picture(dataset, worst, entry));
    }
    json_object_set(json, "worst", list);
out:
    json_decref(list);
    return err;
}

enum err eval_metrics_json(const struct eval_metrics *metrics, const struct dataset *dataset,
                           json_t **result)
{
    enum err err = ERR_OK;
    json_t *json = json_pack("{s:f, s:f, s:I}", "accuracy", metrics->accuracy, "loss",
                             metrics->loss, "images", (json_int_t)metrics->images);
    if (metrics->classes > 0) {
        add_classes(metrics, json);
        TRY(add_worst(metrics, dataset, json));
    }
    *result = json;
    json = NULL;
out:
    json_decref(json);
    return err;
}
