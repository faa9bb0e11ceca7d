#include "trainer/export/bundle_keep.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include <string.h>
#include <unistd.h>

#define GRAPH       "firefly.graph"
#define EARLIER     GRAPH ".old"
#define MOST_KEPT   ((size_t)1 << 30)
#define COUNT_OF(a) (sizeof(a) / sizeof *(a))

static const char *hash_in(const json_t *files, const char *name)
{
    size_t i = 0;
    json_t *row = NULL;
    json_array_foreach(files, i, row)
    {
        const char *listed = json_string_value(json_object_get(row, "name"));
        if (listed && strcmp(listed, name) == 0)
            return json_string_value(json_object_get(row, "hash"));
    }
    return "";
}

static bool is_same(const json_t *one, const json_t *other, const char *name)
{
    const char *left = hash_in(one, name), *right = hash_in(other, name);
    return left && right && strcmp(left, right) == 0;
}

/* Of each format, or of those that both have none of. */
static bool is_same_network(const json_t *one, const json_t *other)
{
    static const char *const names[] = {"network.pb", "network.prototxt", "network.caffemodel",
                                        "network.onnx"};
    for (size_t n = 0; n < COUNT_OF(names); n++)
        if (!is_same(one, other, names[n]))
            return false;
    return true;
}

/* One that is not there, or is no regular file, is left behind. */
static enum err copy(const char *old, const char *name, const char *folder, const char *as)
{
    enum err err = ERR_OK;
    int file = -1;
    size_t size = 0;
    char *bytes = NULL, *from = file_join(old, name), *to = file_join(folder, as);
    if (!file_exists(from) || file_open_regular(from, &file) != ERR_OK)
        goto out;
    TRY(file_read_from(file, from, MOST_KEPT, &bytes, &size));
    TRY(file_write(to, bytes, size));
out:
    if (file >= 0)
        close(file);
    mem_free(bytes);
    mem_free(from);
    mem_free(to);
    return err;
}

/* It would be taken for the new network's. */
static enum err put_aside(const char *old, const char *folder)
{
    enum err err = ERR_OK;
    char *graph = file_join(old, GRAPH);
    if (!file_exists(graph))
        goto out;
    TRY(copy(old, GRAPH, folder, EARLIER));
    log_warn("%s was of another network than the one compiled now, and is " EARLIER
             " beside it: convert the network anew",
             graph);
out:
    mem_free(graph);
    return err;
}

static enum err keep(const char *old, const char *folder, const json_t *before, const json_t *now)
{
    static const char *const of_network[] = {GRAPH, "converted.graph", "converted.json"};
    static const char *const verdicts[] = {"check.json", "check.html", "validate.json",
                                           "validate.html"};
    enum err err = ERR_OK;
    bool is_same_bundle = is_same(before, now, "camera.json") &&
                          is_same(before, now, "labels.txt") &&
                          is_same(before, now, "samples.json");
    TRY(copy(old, EARLIER, folder, EARLIER));
    if (!is_same_network(before, now)) {
        TRY(put_aside(old, folder));
        goto out;
    }
    for (size_t n = 0; n < COUNT_OF(of_network); n++)
        TRY(copy(old, of_network[n], folder, of_network[n]));
    for (size_t n = 0; n < COUNT_OF(verdicts) && is_same_bundle; n++)
        TRY(copy(old, verdicts[n], folder, verdicts[n]));
out:
    return err;
}

enum err bundle_keep(const char *old, const char *folder, const json_t *files)
{
    char *path = file_join(old, "bundle.json");
    json_t *list = file_exists(path) ? json_load_file(path, 0, NULL) : NULL;
    enum err err = list ? keep(old, folder, json_object_get(list, "files"), files) : ERR_OK;
    json_decref(list);
    mem_free(path);
    return err;
}
