#include "cluster/json_file.h"
#include "base/file.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum err json_file_parse(const char *path, const char *bytes, size_t size_bytes, json_t **json)
{
    json_error_t error;
    *json = json_loadb(bytes, size_bytes, JSON_REJECT_DUPLICATES, &error);
    return *json ? ERR_OK : err_set(ERR_DATA, "%s:%d: %s", path, error.line, error.text);
}

enum err json_file_read(const char *path, size_t most_bytes, json_t **json)
{
    enum err err = ERR_OK;
    char *bytes = NULL;
    size_t size_bytes = 0;
    int file = -1;
    TRY(file_open_plain(path, &file));
    TRY(file_read_from(file, path, most_bytes, &bytes, &size_bytes));
    TRY(json_file_parse(path, bytes, size_bytes, json));
out:
    if (file >= 0)
        close(file);
    mem_free(bytes);
    return err;
}

enum err json_file_write(const char *path, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    enum err err = text ? file_write(path, text, strlen(text))
                        : err_set(ERR_MEMORY, "%s: no room for its JSON", path);
    free(text);
    json_decref(json);
    return err;
}
