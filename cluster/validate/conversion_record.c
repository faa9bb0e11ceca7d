#include "cluster/validate/conversion_record.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "cluster/json_file.h"
#include <string.h>
#include <unistd.h>

enum { MOST_RECORD = 1 << 20 };
#define MOST_FILE ((size_t)1 << 30)
#define RECORD    "converted.json"

const char *const conversion_sources[] = {"network.pb",
                                          "network.prototxt",
                                          "network.caffemodel",
                                          "network.onnx",
                                          "camera.json",
                                          "labels.txt",
                                          NULL};

/* One that is not there adds its name alone. */
static enum err add_file(const char *bundle, const char *name, struct hasher *hasher)
{
    int file = -1;
    size_t size = 0;
    char *path = file_join(bundle, name), *bytes = NULL;
    enum err err = file_open_regular(path, &file);
    if (err == ERR_OK)
        err = file_read_from(file, path, MOST_FILE, &bytes, &size);
    hasher_add_text(hasher, name);
    hasher_add_u64(hasher, size);
    if (size > 0)
        hasher_add(hasher, bytes, size);
    if (file >= 0)
        close(file);
    mem_free(bytes);
    mem_free(path);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* Of the graph and of what it was made of. */
static enum err hash_files(const char *bundle, char hex[HASH_HEX_BYTES])
{
    enum err err = ERR_OK;
    struct hasher hasher;
    hasher_init(&hasher);
    TRY(add_file(bundle, CONVERTED_GRAPH, &hasher));
    for (int n = 0; conversion_sources[n]; n++)
        TRY(add_file(bundle, conversion_sources[n], &hasher));
    struct hash hash = hasher_end(&hasher);
    hash_hex(&hash, hex);
out:
    return err;
}

static bool is_said_by(const json_t *words, const char *const *argv)
{
    size_t count = 0;
    if (!argv[0])
        return true;
    for (; argv[count]; count++) {
        const char *word = json_string_value(json_array_get(words, count));
        if (!word || strcmp(word, argv[count]) != 0)
            return false;
    }
    return json_array_size(words) == count;
}

bool conversion_record_holds(const char *bundle, const char *const *argv)
{
    char hex[HASH_HEX_BYTES];
    json_t *record = NULL;
    char *path = file_join(bundle, RECORD);
    bool holds = json_file_read(path, MOST_RECORD, &record) == ERR_OK &&
                 hash_files(bundle, hex) == ERR_OK &&
                 is_said_by(json_object_get(record, "converter"), argv);
    const char *files = json_string_value(json_object_get(record, "files"));
    holds = holds && files && strcmp(files, hex) == 0;
    json_decref(record);
    mem_free(path);
    return holds;
}

enum err conversion_record_write(const char *bundle, const char *const *argv)
{
    enum err err = ERR_OK;
    char hex[HASH_HEX_BYTES];
    char *path = file_join(bundle, RECORD);
    json_t *words = json_array();
    for (int w = 0; argv[w]; w++)
        json_array_append_new(words, json_string(argv[w]));
    TRY(hash_files(bundle, hex));
    TRY(json_file_write(
        path, json_pack("{s:i, s:O, s:s}", "version", 1, "converter", words, "files", hex)));
out:
    json_decref(words);
    mem_free(path);
    return err;
}
