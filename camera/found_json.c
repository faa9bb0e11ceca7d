#include "camera/found_json.h"
#include "base/mem.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *value_json(const struct camera_value *value)
{
    const char *kind = camera_kind_names[value->kind];
    if (value->kind == CAMERA_FLOAT)
        return json_pack("{s:s, s:f}", "kind", kind, "value", value->real);
    if (value->kind == CAMERA_INTEGER || value->kind == CAMERA_BOOLEAN)
        return json_pack("{s:s, s:I}", "kind", kind, "value", (json_int_t)value->integer);
    return json_pack("{s:s, s:o}", "kind", kind, "value",
                     json_stringn_nocheck(value->text, strlen(value->text)));
}

static json_t *node_json(const struct found_node *node)
{
    json_t *json = json_pack("{s:s, s:o}", "node", node->node, "found", value_json(&node->value));
    if (node->selector[0]) {
        json_object_set_new(json, "selector", json_string(node->selector));
        json_object_set_new(json, "entry", value_json(&node->entry));
    }
    return json;
}

static json_t *identity_json(const struct camera_identity *camera)
{
    return json_pack("{s:s, s:s, s:s}", "id", camera->id, "model", camera->model, "serial",
                     camera->serial);
}

static json_t *kept_json(const struct found_state *state)
{
    char hex[HASH_HEX_BYTES];
    if (!state->has_kept)
        return json_null();
    hash_hex(&state->kept_hash, hex);
    return json_pack("{s:s, s:i}", "blake2b", hex, "memory", (int)state->kept_memory);
}

char *found_json_write(const struct found_state *state)
{
    json_t *nodes = json_array();
    for (int n = 0; n < state->count; n++)
        json_array_append_new(nodes, node_json(&state->nodes[n]));
    json_t *json = json_pack("{s:i, s:o, s:o, s:b, s:b, s:b, s:b, s:o}", "version", 1, "camera",
                             identity_json(&state->camera), "nodes", nodes, "network_stays",
                             state->network_stays, "has_used_files", state->has_used_files,
                             "is_network_ours", state->is_network_ours, "is_image_ours",
                             state->is_image_ours, "kept_network", kept_json(state));
    char *text = json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(17)), *made = NULL;
    if (!text)
        BUG("a camera's state without its JSON");
    made = mem_string(text);
    free(text);
    json_decref(json);
    return made;
}

static enum err refuse(const char *what)
{
    return err_set(ERR_DATA,
                   "not what a validation writes: %s; remove it, and set the camera up by "
                   "hand",
                   what);
}

static enum err take_text(const json_t *json, const char *key, char text[CAMERA_TEXT])
{
    const char *found = json_string_value(json_object_get(json, key));
    if (!found || strlen(found) >= CAMERA_TEXT)
        return refuse(key);
    snprintf(text, CAMERA_TEXT, "%s", found);
    return ERR_OK;
}

static enum err take_value(const json_t *json, struct camera_value *value)
{
    const char *kind = json_string_value(json_object_get(json, "kind"));
    const json_t *found = json_object_get(json, "value");
    for (int k = 0; k < CAMERA_KINDS; k++) {
        if (!kind || strcmp(kind, camera_kind_names[k]) != 0)
            continue;
        value->kind = (enum camera_kind)k;
        value->integer = json_integer_value(found);
        value->real = json_number_value(found);
        if (k == CAMERA_ENUMERATION || k == CAMERA_STRING)
            return take_text(json, "value", value->text);
        bool is_right = k == CAMERA_FLOAT ? json_is_number(found) : json_is_integer(found);
        return is_right ? ERR_OK : refuse("value");
    }
    return refuse("kind");
}

static enum err take_node(const json_t *json, struct found_node *node)
{
    enum err err = ERR_OK;
    TRY(take_text(json, "node", node->node));
    TRY(take_value(json_object_get(json, "found"), &node->value));
    if (!json_object_get(json, "selector"))
        goto out;
    TRY(take_text(json, "selector", node->selector));
    TRY(take_value(json_object_get(json, "entry"), &node->entry));
out:
    return err;
}

static enum err take_kept(const json_t *json, struct found_state *state)
{
    const char *hex = json_string_value(json_object_get(json, "blake2b"));
    json_int_t memory = json_integer_value(json_object_get(json, "memory"));
    if (json_is_null(json))
        return ERR_OK;
    if (!hex || !hash_parse(hex, &state->kept_hash) || memory < CAMERA_MEMORY_ANY ||
        memory > CAMERA_MEMORY_FLASH)
        return refuse("kept_network");
    state->has_kept = true;
    state->kept_memory = (enum camera_memory)memory;
    return ERR_OK;
}

static enum err take_camera(const json_t *json, struct camera_identity *camera)
{
    enum err err = ERR_OK;
    TRY(take_text(json, "id", camera->id));
    TRY(take_text(json, "model", camera->model));
    TRY(take_text(json, "serial", camera->serial));
out:
    return err;
}

enum err found_json_read(const char *bytes, size_t size_bytes, struct found_state *state)
{
    enum err err = ERR_OK;
    json_t *json = json_loadb(bytes, size_bytes, JSON_REJECT_DUPLICATES, NULL);
    const json_t *nodes = json_object_get(json, "nodes");
    if (json_integer_value(json_object_get(json, "version")) != 1 || !json_is_array(nodes) ||
        json_array_size(nodes) > FOUND_NODES)
        TRY(refuse("version or nodes"));
    TRY(take_camera(json_object_get(json, "camera"), &state->camera));
    for (size_t n = 0; n < json_array_size(nodes); n++)
        TRY(take_node(json_array_get(nodes, n), &state->nodes[n]));
    state->count = (int)json_array_size(nodes);
    state->network_stays = json_is_true(json_object_get(json, "network_stays"));
    state->has_used_files = json_is_true(json_object_get(json, "has_used_files"));
    state->is_network_ours = json_is_true(json_object_get(json, "is_network_ours"));
    state->is_image_ours = json_is_true(json_object_get(json, "is_image_ours"));
    TRY(take_kept(json_object_get(json, "kept_network"), state));
out:
    json_decref(json);
    return err;
}
