#include "trainer/record/results.h"
#include "base/fence.h"
#include "base/mem.h"
#include "trainer/record/json_name.h"
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

json_t *results_class_names(const struct dataset *dataset)
{
    const struct dataset_info *info = dataset_info(dataset);
    json_t *names = json_array();
    for (int c = 0; c < info->classes; c++)
        json_array_append_new(names, json_name(info->class_names[c]));
    return names;
}

/* Each device once, without the program: "lineage" has that. */
static json_t *mixed_json(const struct run_record *record)
{
    json_t *list = json_array();
    const char *at = text_get(record->mixed);
    for (size_t size; *at; at += size, at += *at == '\n') {
        size = strcspn(at, "\n");
        json_array_append_new(list, json_stringn(at, size));
    }
    return list;
}

enum err results_write(const struct run_record *record, const char *name, json_t *json)
{
    enum err err = ERR_OK;
    json_object_set_new(json, "lineage", json_string(record->lineage));
    json_object_set_new(json, "mixed", mixed_json(record));
    char *path = NULL, *bytes = json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    if (!bytes)
        BUG("results of %s cannot be written as JSON", name);
    TRY(run_record_path(record, "results", name, ".json", &path));
    TRY(fence_write(&(struct fence){record->folder, record->claim}, path, bytes, strlen(bytes)));
out:
    mem_free(path);
    free(bytes);
    json_decref(json);
    return err;
}
