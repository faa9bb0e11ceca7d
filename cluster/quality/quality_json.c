/* All that was found, for programs. */
#include "cluster/quality/quality_check.h"
#include "trainer/record/json_name.h"

/* What a finding's number is called. */
static const char *const value_names[FINDING_KINDS] = {"confidence", "of_median", "deviation",
                                                       "white"};

/* {"record", "name", "split", "class"} */
static enum err picture_json(const struct quality_check *check, uint32_t record, json_t **json)
{
    enum err err = ERR_OK;
    char name[512];
    char *const *classes = dataset_info(check->dataset)->class_names;
    TRY(dataset_record_name(check->dataset, record, name, sizeof name));
    *json = json_object();
    json_object_set_new(*json, "record", json_integer(record));
    json_object_set_new(*json, "name", json_name(name));
    json_object_set_new(*json, "split", json_string(quality_split(check, record)));
    json_object_set_new(*json, "class", json_name(classes[check->measured[record].label]));
out:
    return err;
}

static enum err findings_json(const struct quality_check *check, enum finding_kind kind,
                              json_t *rows)
{
    enum err err = ERR_OK;
    const struct findings *findings = &check->findings[kind];
    char *const *classes = dataset_info(check->dataset)->class_names;
    for (uint32_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->rows[i];
        json_t *row = NULL;
        TRY(picture_json(check, finding->record, &row));
        json_object_set_new(row, value_names[kind], json_real(finding->value));
        if (kind == FINDING_MISLABELLED)
            json_object_set_new(row, "predicted", json_name(classes[finding->predicted]));
        json_array_append_new(rows, row);
    }
out:
    return err;
}

/* The pictures of one group: `first` and those behind it. */
static enum err group_json(const struct quality_check *check, uint32_t first, json_t *rows)
{
    enum err err = ERR_OK;
    json_t *group = json_object(), *pictures = json_array();
    json_object_set_new(group, "crosses_splits", json_boolean(check->crosses[first]));
    json_object_set_new(group, "images", pictures);
    json_array_append_new(rows, group);
    uint32_t left = check->in_group[first];
    for (uint32_t i = first; left > 0; i++) {
        json_t *row = NULL;
        if (check->group[i] != first)
            continue;
        TRY(picture_json(check, i, &row));
        json_array_append_new(pictures, row);
        left--;
    }
out:
    return err;
}

enum err quality_json(const struct quality_check *check, json_t **json)
{
    enum err err = ERR_OK;
    json_t *made = json_object(), *alike = json_array();
    json_object_set_new(made, "path", json_name(dataset_path(check->dataset)));
    json_object_set_new(made, "images", json_integer(check->count));
    json_object_set_new(made, "network", check->network ? json_name(check->network) : json_null());
    json_object_set_new(made, "alike", alike);
    for (int kind = 0; kind < FINDING_KINDS; kind++) {
        json_t *rows = json_array();
        json_object_set_new(made, finding_names[kind], rows);
        TRY(findings_json(check, (enum finding_kind)kind, rows));
    }
    for (uint32_t i = 0; i < check->count; i++)
        if (check->in_group[i] > 1)
            TRY(group_json(check, i, alike));
    *json = made;
    made = NULL;
out:
    json_decref(made);
    return err;
}
