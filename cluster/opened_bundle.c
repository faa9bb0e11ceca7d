#include "cluster/opened_bundle.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

enum { MAX_FILE = 1 << 30 };

void opened_bundle_fini(struct opened_bundle *opened)
{
    onnx_close(&opened->net);
    mem_free(opened->labels_text);
    mem_free(opened->labels);
    mem_free(opened->values);
    mem_free(opened->logits);
    mem_free(opened->probabilities);
}

/* The folder may be anybody's: a regular file, or none is waited for. */
static enum err read_part(const char *bundle, const char *name, char **bytes, size_t *size)
{
    int file = -1;
    char *path = file_join(bundle, name);
    enum err err = file_open_regular(path, &file);
    if (err == ERR_OK) {
        err = file_read_from(file, path, MAX_FILE, bytes, size);
        close(file);
    }
    if (err == ERR_NOT_FOUND)
        err = err_set(ERR_NOT_FOUND,
                      "%s is not a bundle: it has no %s; name a bundle's folder, or "
                      "compile it anew",
                      bundle, name);
    mem_free(path);
    return err;
}

/* mean and scale of camera.json, one of each per channel of the network's. */
enum err opened_bundle_read_camera(const char *bundle, struct opened_bundle *opened)
{
    enum err err = ERR_OK;
    int channels = opened->shape.channels;
    char *bytes = NULL;
    size_t size = 0;
    json_t *camera = NULL;
    TRY(read_part(bundle, "camera.json", &bytes, &size));
    camera = json_loadb(bytes, size, 0, NULL);
    const json_t *input = json_object_get(camera, "input");
    const char *format = json_string_value(json_object_get(input, "pixel_format"));
    json_int_t classes = json_integer_value(json_object_get(camera, "classes"));
    opened->classes =
        classes > 0 && classes <= opened->shape.classes ? (int)classes : opened->shape.classes;
    opened->is_bgr = channels == 3 && format && strcmp(format, "BGR8") == 0;
    const char *geometry = json_string_value(json_object_get(input, "geometry"));
    if (!geometry || !geometry_parse(geometry, &opened->geometry))
        TRY(err_set(ERR_DATA,
                    "%s/camera.json: input.geometry must be one of " GEOMETRY_WORDS
                    ": compile it anew",
                    bundle));
    for (int c = 0; c < channels && c < 3; c++) {
        const json_t *mean = json_array_get(json_object_get(input, "mean"), (size_t)c);
        const json_t *scale = json_array_get(json_object_get(input, "scale"), (size_t)c);
        if (!json_is_number(mean) || !json_is_number(scale) || !(json_number_value(scale) > 0))
            TRY(err_set(
                ERR_DATA,
                "%s/camera.json: input.mean and input.scale need %d numbers: compile it anew",
                bundle, channels));
        int of = opened->is_bgr ? channels - 1 - c : c;
        opened->dataset.mean[of] = json_number_value(mean);
        opened->dataset.deviation[of] = json_number_value(scale);
    }
out:
    json_decref(camera);
    mem_free(bytes);
    return err;
}

/* They are printed: what no class of ours is named stays out of a terminal. */
static char *safe_text(const char *bytes, size_t size)
{
    struct text safe;
    text_init(&safe);
    text_add_safe(&safe, bytes, size);
    char *made = mem_string(text_get(&safe));
    text_fini(&safe);
    return made;
}

enum err opened_bundle_read_labels(const char *bundle, struct opened_bundle *opened)
{
    enum err err = ERR_OK;
    char *bytes = NULL;
    size_t size = 0;
    int count = 0;
    TRY(read_part(bundle, "labels.txt", &bytes, &size));
    opened->labels_text = safe_text(bytes, size);
    opened->labels = mem_array((size_t)opened->shape.classes, sizeof *opened->labels);
    for (char *line = opened->labels_text, *end; *line && (end = strchr(line, '\n'));
         line = end + 1) {
        *end = '\0';
        if (count < opened->shape.classes)
            opened->labels[count] = line;
        count++;
    }
    if (count != opened->shape.classes)
        TRY(err_set(ERR_DATA, "%s/labels.txt has %d lines, the network %d classes: compile it anew",
                    bundle, count, opened->shape.classes));
out:
    mem_free(bytes);
    return err;
}

enum err opened_bundle_check_writable(const char *bundle, const char *cure)
{
    if (access(bundle, W_OK) == 0 || (errno != EACCES && errno != EROFS && errno != EPERM))
        return ERR_OK;
    return err_set(ERR_IO, "%s cannot be written to (%s), where the verdict goes: %s", bundle,
                   strerror(errno), cure);
}

enum err opened_bundle_load(const char *bundle, struct opened_bundle *opened)
{
    enum err err = ERR_OK;
    char *bytes = NULL;
    size_t size = 0;
    TRY(read_part(bundle, "network.onnx", &bytes, &size));
    err = onnx_open(bytes, size, &opened->net);
    if (err != ERR_OK)
        TRY(err_prefix(err, "%s/network.onnx", bundle));
    opened->shape = onnx_net_shape(opened->net);
    if (opened->shape.height != opened->shape.width ||
        (opened->shape.channels != 1 && opened->shape.channels != 3))
        TRY(err_set(ERR_DATA, "%s/network.onnx: the input is not a square image of 1 or 3 channels",
                    bundle));
    TRY(opened_bundle_read_camera(bundle, opened));
    TRY(opened_bundle_read_labels(bundle, opened));
    size_t values =
        (size_t)opened->shape.height * (size_t)opened->shape.width * (size_t)opened->shape.channels;
    opened->values = mem_array(values, sizeof *opened->values);
    opened->logits = mem_array((size_t)opened->shape.classes, sizeof *opened->logits);
    opened->probabilities = mem_array((size_t)opened->shape.classes, sizeof *opened->probabilities);
out:
    mem_free(bytes);
    return err;
}
