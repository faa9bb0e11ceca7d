#include "base/mem.h"
#include "camera/aravis.h"
#include <string.h>

static ArvGcNode *node_of(struct camera *camera, const char *name)
{
    return arv_device_get_feature(aravis_of(camera)->device, name);
}

static enum err no_node(void)
{
    return err_set(ERR_FAILED, "the camera has no such node");
}

bool aravis_has(struct camera *camera, const char *name)
{
    ArvGcNode *node = node_of(camera, name);
    return ARV_IS_GC_FEATURE_NODE(node) &&
           arv_gc_feature_node_is_implemented(ARV_GC_FEATURE_NODE(node), NULL) &&
           arv_gc_feature_node_is_available(ARV_GC_FEATURE_NODE(node), NULL);
}

bool aravis_is_writable(struct camera *camera, const char *name)
{
    ArvGcNode *node = node_of(camera, name);
    return aravis_has(camera, name) &&
           arv_gc_feature_node_get_actual_access_mode(ARV_GC_FEATURE_NODE(node)) !=
               ARV_GC_ACCESS_MODE_RO &&
           !arv_gc_feature_node_is_locked(ARV_GC_FEATURE_NODE(node), NULL);
}

enum { MOST_REGISTER = 16 << 20 };
enum { MOST_DEPTH = 8 }; /* of categories in each other; a description may name itself */

static const char *find_in(ArvGc *gc, const char *category, const char *display, int depth)
{
    ArvGcNode *node = arv_gc_get_node(gc, category);
    if (!ARV_IS_GC_CATEGORY(node) || depth == MOST_DEPTH)
        return NULL;
    const GSList *feature = arv_gc_category_get_features(ARV_GC_CATEGORY(node));
    for (; feature; feature = feature->next) {
        const char *name = feature->data, *found = find_in(gc, name, display, depth + 1);
        ArvGcNode *child = arv_gc_get_node(gc, name);
        const char *shown = ARV_IS_GC_FEATURE_NODE(child) && !ARV_IS_GC_CATEGORY(child)
                                ? arv_gc_feature_node_get_display_name(ARV_GC_FEATURE_NODE(child))
                                : NULL;
        if (found || (shown && strcmp(shown, display) == 0))
            return found ? found : name;
    }
    return NULL;
}

enum err aravis_find(struct camera *camera, const char *display, char node[CAMERA_TEXT])
{
    ArvGc *gc = arv_device_get_genicam(aravis_of(camera)->device);
    const char *name = gc ? find_in(gc, "Root", display, 0) : NULL;
    if (!name || strlen(name) >= CAMERA_TEXT)
        return err_set(ERR_NOT_FOUND, "the camera shows no \"%s\"", display);
    camera_take_text(node, name);
    return ERR_OK;
}

enum err aravis_entry(struct camera *camera, const char *name, int index, char entry[CAMERA_TEXT])
{
    ArvGcNode *node = node_of(camera, name);
    guint count = 0;
    if (!ARV_IS_GC_ENUMERATION(node))
        return no_node();
    const char **entries =
        arv_gc_enumeration_dup_available_string_values(ARV_GC_ENUMERATION(node), &count, NULL);
    bool is_there = entries && index >= 0 && (guint)index < count;
    if (is_there)
        camera_take_text(entry, entries[index]);
    g_free(entries);
    return is_there ? ERR_OK : err_set(ERR_NOT_FOUND, "%s has no entry %d", name, index);
}

/* An enumeration is an integer and a text to Aravis, too: it is asked first. */
static enum err read_value(ArvGcNode *node, struct camera_value *value, GError **error)
{
    const char *text = NULL;
    if (ARV_IS_GC_ENUMERATION(node)) {
        value->kind = CAMERA_ENUMERATION;
        text = arv_gc_enumeration_get_string_value(ARV_GC_ENUMERATION(node), error);
    } else if (ARV_IS_GC_BOOLEAN(node)) {
        value->kind = CAMERA_BOOLEAN;
        value->integer = arv_gc_boolean_get_value(ARV_GC_BOOLEAN(node), error) != 0;
    } else if (ARV_IS_GC_FLOAT(node)) {
        value->kind = CAMERA_FLOAT;
        value->real = arv_gc_float_get_value(ARV_GC_FLOAT(node), error);
    } else if (ARV_IS_GC_INTEGER(node)) {
        value->kind = CAMERA_INTEGER;
        value->integer = arv_gc_integer_get_value(ARV_GC_INTEGER(node), error);
    } else if (ARV_IS_GC_STRING(node)) {
        value->kind = CAMERA_STRING;
        text = arv_gc_string_get_value(ARV_GC_STRING(node), error);
    } else {
        return err_set(ERR_FAILED, "the camera has no such node, or one without a value");
    }
    if (text)
        camera_take_text(value->text, text);
    return ERR_OK;
}

enum err aravis_get(struct camera *camera, const char *name, struct camera_value *value)
{
    GError *error = NULL;
    enum err err = read_value(node_of(camera, name), value, &error);
    return err == ERR_OK ? aravis_end(aravis_of(camera), error) : err;
}

enum err aravis_set(struct camera *camera, const char *name, const struct camera_value *value)
{
    GError *error = NULL;
    ArvGcNode *node = node_of(camera, name);
    if (value->kind == CAMERA_ENUMERATION && ARV_IS_GC_ENUMERATION(node))
        arv_gc_enumeration_set_string_value(ARV_GC_ENUMERATION(node), value->text, &error);
    else if (value->kind == CAMERA_BOOLEAN && ARV_IS_GC_BOOLEAN(node))
        arv_gc_boolean_set_value(ARV_GC_BOOLEAN(node), value->integer != 0, &error);
    else if (value->kind == CAMERA_FLOAT && ARV_IS_GC_FLOAT(node))
        arv_gc_float_set_value(ARV_GC_FLOAT(node), value->real, &error);
    else if (value->kind == CAMERA_INTEGER && ARV_IS_GC_INTEGER(node))
        arv_gc_integer_set_value(ARV_GC_INTEGER(node), value->integer, &error);
    else if (value->kind == CAMERA_STRING && ARV_IS_GC_STRING(node))
        arv_gc_string_set_value(ARV_GC_STRING(node), value->text, &error);
    else
        return no_node();
    return aravis_end(aravis_of(camera), error);
}

enum err aravis_execute(struct camera *camera, const char *name)
{
    GError *error = NULL;
    ArvGcNode *node = node_of(camera, name);
    if (!ARV_IS_GC_COMMAND(node))
        return no_node();
    arv_gc_command_execute(ARV_GC_COMMAND(node), &error);
    return aravis_end(aravis_of(camera), error);
}

enum err aravis_register_size(struct camera *camera, const char *name, size_t *size_bytes)
{
    GError *error = NULL;
    ArvGcNode *node = node_of(camera, name);
    if (!ARV_IS_GC_REGISTER(node))
        return no_node();
    guint64 size = arv_gc_register_get_length(ARV_GC_REGISTER(node), &error);
    enum err err = aravis_end(aravis_of(camera), error);
    if (err == ERR_OK)
        *size_bytes = (size_t)size;
    return err;
}

/* Aravis reads registers whole. */
enum err aravis_read_register(struct camera *camera, const char *name, void *bytes,
                              size_t size_bytes)
{
    enum err err = ERR_OK;
    GError *error = NULL;
    size_t size = 0;
    char *whole = NULL;
    TRY(aravis_register_size(camera, name, &size));
    if (size_bytes > size || size > MOST_REGISTER)
        TRY(err_set(ERR_FAILED, "the register is of %zu bytes, not %zu", size, size_bytes));
    whole = mem_alloc(size);
    arv_gc_register_get(ARV_GC_REGISTER(node_of(camera, name)), whole, size, &error);
    TRY(aravis_end(aravis_of(camera), error));
    memcpy(bytes, whole, size_bytes);
out:
    mem_free(whole);
    return err;
}

enum err aravis_write_register(struct camera *camera, const char *name, const void *bytes,
                               size_t size_bytes)
{
    GError *error = NULL;
    ArvGcNode *node = node_of(camera, name);
    if (!ARV_IS_GC_REGISTER(node))
        return no_node();
    arv_gc_register_set(ARV_GC_REGISTER(node), bytes, size_bytes, &error);
    return aravis_end(aravis_of(camera), error);
}
