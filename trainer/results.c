#include "trainer/results.h"
#include "base/file.h"
#include "base/mem.h"
#include "trainer/png.h"
#include "trainer/spec/cost.h"
#include <stdlib.h>
#include <string.h>

json_t *results_subnet(const struct space *space, const char *label, const struct subnet *subnet)
{
    struct cost cost = cost_of(space, subnet);
    struct text text;
    text_init(&text);
    subnet_format(space, subnet, &text);
    json_t *json =
        json_pack("{s:s, s:s, s:I, s:I}", "subnet", text_get(&text), "label", label, "macs",
                  (json_int_t)cost.macs, "parameters", (json_int_t)cost.parameters);
    text_fini(&text);
    return json;
}

static void add_matrix(const struct score *score, json_t *json)
{
    json_t *rows = json_array(), *precision = json_array(), *recall = json_array();
    for (int label = 0; label < score->classes; label++) {
        json_t *row = json_array();
        for (int c = 0; c < score->classes; c++)
            json_array_append_new(
                row, json_integer((json_int_t)score->confusion[label * score->classes + c]));
        json_array_append_new(rows, row);
        json_array_append_new(precision, json_real(score_precision(score, label)));
        json_array_append_new(recall, json_real(score_recall(score, label)));
    }
    json_object_set_new(json, "confusion", rows);
    json_object_set_new(json, "precision", precision);
    json_object_set_new(json, "recall", recall);
}

static enum err add_worst(const struct score *score, const struct dataset *dataset, json_t *json)
{
    enum err err = ERR_OK;
    struct image image = {0};
    struct text png;
    json_t *list = json_array();
    text_init(&png);
    for (int i = 0; i < score->worst_count; i++) {
        const struct worst_image *worst = &score->worst[i];
        TRY(dataset_read(dataset, worst->record, &image));
        text_fini(&png);
        text_init(&png);
        png_base64(image.pixels, image.H, image.W, image.C, &png);
        json_array_append_new(list, json_pack("{s:I, s:i, s:i, s:f, s:s}", "record",
                                              (json_int_t)worst->record, "label", worst->label,
                                              "predicted", worst->predicted, "loss", worst->loss,
                                              "png", text_get(&png)));
    }
    json_object_set(json, "worst", list);
out:
    json_decref(list);
    mem_free(image.pixels);
    text_fini(&png);
    return err;
}

enum err results_score(const struct score *score, const struct dataset *dataset, json_t **result)
{
    enum err err = ERR_OK;
    json_t *json = json_pack("{s:f, s:f, s:I}", "accuracy", score->accuracy, "loss", score->loss,
                             "images", (json_int_t)score->images);
    if (score->classes > 0) {
        add_matrix(score, json);
        TRY(add_worst(score, dataset, json));
    }
    *result = json;
    json = NULL;
out:
    json_decref(json);
    return err;
}

json_t *results_class_names(const struct dataset *dataset)
{
    const struct dataset_info *info = dataset_info(dataset);
    json_t *names = json_array();
    for (int c = 0; c < info->classes; c++)
        json_array_append_new(names, json_string(info->class_names[c]));
    return names;
}

enum err results_write(const struct workbench *bench, const char *name, json_t *json)
{
    enum err err = ERR_OK;
    char *path = NULL, *bytes = json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    if (!bytes)
        BUG("results of %s cannot be written as JSON", name);
    TRY(workbench_path(bench, "results", name, ".json", &path));
    TRY(file_write(path, bytes, strlen(bytes)));
out:
    mem_free(path);
    free(bytes);
    json_decref(json);
    return err;
}
