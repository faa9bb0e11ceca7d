#include "cluster/check/check_files.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "trainer/emulator/readers.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_FILE ((size_t)1 << 30)

/* A name of a list that may be anybody's: a file of the bundle or of its samples. */
static bool is_own_name(const char *name)
{
    return name &&
           (file_is_name(name) || (strncmp(name, "samples/", 8) == 0 && file_is_name(name + 8)));
}

/* Of a folder that may be anybody's: nothing but a regular file is opened, and none is waited for.
 */
static enum err read_regular(const char *path, char **bytes, size_t *size)
{
    int file = -1;
    enum err err = file_open_regular(path, &file);
    if (err != ERR_OK)
        return err;
    err = file_read_from(file, path, MAX_FILE, bytes, size);
    close(file);
    return err;
}

static enum err check_hash(const char *bundle, const json_t *row)
{
    enum err err = ERR_OK;
    const char *name = json_string_value(json_object_get(row, "name"));
    const char *listed = json_string_value(json_object_get(row, "hash"));
    char *bytes = NULL, *path = NULL;
    size_t size = 0;
    struct hash expected;
    if (!is_own_name(name) || !listed || !hash_parse(listed, &expected))
        TRY(err_set(ERR_DATA, "%s/bundle.json: files needs rows of name and hash: compile it anew",
                    bundle));
    path = file_join(bundle, name);
    err = read_regular(path, &bytes, &size);
    if (err == ERR_NOT_FOUND)
        err_set(err, "%s is missing, which bundle.json lists: compile the bundle anew", path);
    TRY(err);
    struct hash found = hash_of(bytes, size);
    if (memcmp(&found, &expected, sizeof found) != 0)
        TRY(err_set(ERR_DATA, "%s was changed since it was compiled: compile the bundle anew",
                    path));
out:
    mem_free(bytes);
    mem_free(path);
    return err;
}

static bool is_listed(const json_t *list, const char *name)
{
    size_t i = 0;
    json_t *row = NULL;
    json_array_foreach(json_object_get(list, "files"), i, row)
    {
        const char *listed = json_string_value(json_object_get(row, "name"));
        if (listed && strcmp(listed, name) == 0)
            return true;
    }
    return false;
}

/* Of the files that are read, none is believed without a hash. */
static enum err check_listed(const char *bundle, const json_t *list)
{
    static const char *const read[] = {"network.pb",   "network.prototxt", "network.caffemodel",
                                       "network.onnx", "camera.json",      "labels.txt",
                                       "samples.json"};
    for (size_t i = 0; i < sizeof read / sizeof *read; i++) {
        char *path = file_join(bundle, read[i]);
        bool is_there = file_exists(path);
        mem_free(path);
        if (is_there && !is_listed(list, read[i]))
            return err_set(ERR_DATA,
                           "%s/bundle.json does not list %s, which lies beside it: remove that "
                           "file, or compile the bundle anew",
                           bundle, read[i]);
    }
    return ERR_OK;
}

enum err check_hashes(const char *bundle, const json_t *list)
{
    enum err err = ERR_OK;
    size_t i = 0;
    json_t *row = NULL;
    json_array_foreach(json_object_get(list, "files"), i, row) TRY(check_hash(bundle, row));
    if (i == 0)
        TRY(err_set(ERR_DATA, "%s/bundle.json lists no files: compile the bundle anew", bundle));
    TRY(check_listed(bundle, list));
out:
    return err;
}

struct file_bytes {
    char *bytes; /* owned; NULL: no such file */
    size_t size;
};

static enum err read_file(const char *bundle, const char *name, struct file_bytes *file)
{
    char *path = file_join(bundle, name);
    enum err err = read_regular(path, &file->bytes, &file->size);
    mem_free(path);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err read_tensorflow(const char *bundle, struct check_format *format)
{
    enum err err = ERR_OK;
    struct file_bytes file = {0};
    TRY(read_file(bundle, "network.pb", &file));
    format->is_there = file.bytes != NULL;
    if (format->is_there)
        TRY(tensorflow_read(file.bytes, file.size, &format->net));
out:
    mem_free(file.bytes);
    return err;
}

static enum err read_caffe(const char *bundle, struct check_format *format)
{
    enum err err = ERR_OK;
    struct file_bytes text = {0}, model = {0};
    TRY(read_file(bundle, "network.prototxt", &text));
    TRY(read_file(bundle, "network.caffemodel", &model));
    if ((text.bytes != NULL) != (model.bytes != NULL))
        TRY(err_set(ERR_DATA, "one of the two files is missing"));
    format->is_there = text.bytes != NULL;
    if (format->is_there)
        TRY(caffe_read(text.bytes, text.size, model.bytes, model.size, &format->net));
out:
    mem_free(text.bytes);
    mem_free(model.bytes);
    return err;
}

static enum err read_onnx(const char *bundle, struct check_format *format)
{
    enum err err = ERR_OK;
    struct file_bytes file = {0};
    TRY(read_file(bundle, "network.onnx", &file));
    format->is_there = file.bytes != NULL;
    if (format->is_there)
        TRY(onnx_read(file.bytes, file.size, &format->net));
out:
    mem_free(file.bytes);
    return err;
}

/* What every error of a reader is told with: the file, and what to do about it. */
static enum err tell_where(enum err err, const char *bundle, const char *files)
{
    char *why = mem_string(err_text());
    if (err == ERR_DATA)
        err = err_set(err, "%s, %s: %s; if glowworm compiled it, compile the bundle anew", bundle,
                      files, why);
    mem_free(why);
    return err;
}

static enum err check_shape(const struct onnx_shape *shape, const struct exported *net)
{
    return net->input.H == shape->height && net->input.W == shape->width &&
                   net->input.C == shape->channels &&
                   net->layers[net->count - 1].out.C == shape->classes
               ? ERR_OK
               : err_set(ERR_DATA,
                         "a network of %d x %d x %d and %d classes; network.onnx is of "
                         "%d x %d x %d and %d",
                         net->input.H, net->input.W, net->input.C,
                         net->layers[net->count - 1].out.C, shape->height, shape->width,
                         shape->channels, shape->classes);
}

enum err check_formats_read(const char *bundle, const struct onnx_shape *shape,
                            struct check_format *formats)
{
    static const struct {
        const char *name, *files;
        enum err (*read)(const char *bundle, struct check_format *format);
    } known[CHECK_FORMATS] = {{"tensorflow", "network.pb", read_tensorflow},
                              {"caffe", "network.prototxt and network.caffemodel", read_caffe},
                              {"onnx", "network.onnx", read_onnx}};
    for (int f = 0; f < CHECK_FORMATS; f++) {
        formats[f].name = known[f].name;
        formats[f].files = known[f].files;
        enum err err = known[f].read(bundle, &formats[f]);
        if (err == ERR_OK && formats[f].is_there)
            err = check_shape(shape, &formats[f].net);
        if (err != ERR_OK)
            return tell_where(err, bundle, known[f].files);
    }
    return ERR_OK;
}

struct check_format *check_formats_first(struct check_format *formats)
{
    int f = 0;
    while (f < CHECK_FORMATS - 1 && !formats[f].is_there)
        f++;
    return &formats[f];
}
