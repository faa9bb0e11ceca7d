#include "camera/camera.h"
#include "base/text.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const camera_kind_names[CAMERA_KINDS] = {"integer", "float", "boolean", "enumeration",
                                                     "string"};

void camera_close(struct camera **camera)
{
    if (*camera)
        (*camera)->ops->close(*camera);
    *camera = NULL;
}

bool camera_has(struct camera *camera, const char *node)
{
    return camera->ops->has(camera, node);
}

bool camera_is_writable(struct camera *camera, const char *node)
{
    return camera->ops->is_writable(camera, node);
}

enum err camera_get(struct camera *camera, const char *node, struct camera_value *value)
{
    struct camera_value got = {0};
    enum err err = camera->ops->get(camera, node, &got);
    if (err != ERR_OK)
        return err_prefix(err, "%s", node);
    *value = got;
    return ERR_OK;
}

static bool is_number(enum camera_kind kind)
{
    return kind == CAMERA_INTEGER || kind == CAMERA_FLOAT || kind == CAMERA_BOOLEAN;
}

static double number_of(const struct camera_value *value)
{
    return value->kind == CAMERA_FLOAT ? value->real : (double)value->integer;
}

/* A number as the node's kind holds it; ERR_FAILED when that is another number. */
static enum err convert(const char *node, const struct camera_value *from,
                        struct camera_value *value)
{
    double number = 0;
    if (from->kind == value->kind) {
        *value = *from;
        return ERR_OK;
    }
    bool is_text = !is_number(from->kind) && !is_number(value->kind);
    if (is_text) {
        memcpy(value->text, from->text, sizeof value->text);
        return ERR_OK;
    }
    if (is_number(from->kind) && is_number(value->kind)) {
        number = number_of(from);
        value->real = number;
        value->integer = fabs(number) < 9e15 ? (int64_t)number : 0;
        bool is_same = value->kind == CAMERA_FLOAT || number_of(value) == number;
        if (is_same && (value->kind != CAMERA_BOOLEAN || number == 0 || number == 1))
            return ERR_OK;
    }
    return err_set(ERR_FAILED, "%s is of kind %s here, which takes no such value", node,
                   camera_kind_names[value->kind]);
}

enum err camera_set(struct camera *camera, const char *node, const struct camera_value *value)
{
    enum err err = ERR_OK;
    struct camera_value wanted, kept = {0};
    char asked[CAMERA_TEXT], found[CAMERA_TEXT];
    TRY(camera_get(camera, node, &kept));
    wanted = kept; /* its kind */
    TRY(convert(node, value, &wanted));
    if (camera_value_equal(&wanted, &kept))
        goto out;
    err = camera->ops->set(camera, node, &wanted);
    if (err != ERR_OK)
        TRY(err_prefix(err, "%s", node));
    TRY(camera_get(camera, node, &kept));
    if (camera_value_equal(&wanted, &kept))
        goto out;
    camera_value_text(&wanted, asked);
    camera_value_text(&kept, found);
    TRY(err_set(ERR_FAILED,
                "the camera does not take %s = %s, it stays %s: turn the camera off and on; if it "
                "happens again, its firmware is not one this was made for",
                node, asked, found));
out:
    return err;
}

enum err camera_execute(struct camera *camera, const char *node)
{
    enum err err = camera->ops->execute(camera, node);
    return err == ERR_OK ? ERR_OK : err_prefix(err, "%s", node);
}

enum err camera_set_number(struct camera *camera, const char *node, double number)
{
    return camera_set(camera, node, &(struct camera_value){.kind = CAMERA_FLOAT, .real = number});
}

enum err camera_set_flag(struct camera *camera, const char *node, bool is_on)
{
    return camera_set(camera, node,
                      &(struct camera_value){.kind = CAMERA_BOOLEAN, .integer = is_on});
}

enum err camera_set_text(struct camera *camera, const char *node, const char *text)
{
    struct camera_value value = {.kind = CAMERA_ENUMERATION};
    snprintf(value.text, sizeof value.text, "%s", text);
    return camera_set(camera, node, &value);
}

enum err camera_get_number(struct camera *camera, const char *node, double *number)
{
    struct camera_value value = {0};
    enum err err = camera_get(camera, node, &value);
    if (err != ERR_OK)
        return err;
    if (!is_number(value.kind))
        return err_set(ERR_FAILED, "%s is no number but of kind %s", node,
                       camera_kind_names[value.kind]);
    *number = number_of(&value);
    return ERR_OK;
}

enum err camera_get_text(struct camera *camera, const char *node, char text[CAMERA_TEXT])
{
    struct camera_value value = {0};
    enum err err = camera_get(camera, node, &value);
    if (err == ERR_OK)
        camera_value_text(&value, text);
    return err;
}

bool camera_value_equal(const struct camera_value *one, const struct camera_value *other)
{
    if (one->kind != other->kind)
        return false;
    if (one->kind == CAMERA_FLOAT)
        return fabs(one->real - other->real) <= 1e-5 * fmax(fabs(one->real), fabs(other->real));
    if (one->kind == CAMERA_INTEGER || one->kind == CAMERA_BOOLEAN)
        return one->integer == other->integer;
    return strcmp(one->text, other->text) == 0;
}

void camera_value_text(const struct camera_value *value, char text[CAMERA_TEXT])
{
    if (value->kind == CAMERA_FLOAT)
        snprintf(text, CAMERA_TEXT, "%g", value->real);
    else if (value->kind == CAMERA_INTEGER)
        snprintf(text, CAMERA_TEXT, "%lld", (long long)value->integer);
    else if (value->kind == CAMERA_BOOLEAN)
        snprintf(text, CAMERA_TEXT, "%s", value->integer ? "true" : "false");
    else
        snprintf(text, CAMERA_TEXT, "%s", value->text);
}

/* Of one character: a name needs no line feed, carriage return or tab, as texts do. */
static bool is_control(const char *character)
{
    unsigned char first = (unsigned char)character[0], second = (unsigned char)character[1];
    return first < 0x20 || first == 0x7f || (first == 0xc2 && second < 0xa0);
}

void camera_take_text(char text[CAMERA_TEXT], const char *from)
{
    size_t left = strlen(from), size = 0;
    while (left > 0) {
        size_t character = text_character_size(from, left), taken = character ? character : 1;
        if (size + taken >= CAMERA_TEXT)
            break;
        bool is_shown = character && !is_control(from);
        memcpy(text + size, is_shown ? from : "?", is_shown ? taken : 1);
        size += is_shown ? taken : 1, from += taken, left -= taken;
    }
    text[size] = '\0';
}
