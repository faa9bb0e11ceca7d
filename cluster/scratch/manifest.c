/* The manifest of a published state, as JSON. */
#include "base/file.h"
#include "base/mem.h"
#include "cluster/json_file.h"
#include "cluster/scratch/state_internal.h"
#include <stdlib.h>
#include <string.h>

#define FORMAT    1
#define MAX_BYTES ((size_t)65536)

static const char *const stores[STATE_FILES] = {PUBLISHED_JOURNAL, PUBLISHED_CHECKPOINTS};

void manifest_init(struct state_manifest *manifest)
{
    *manifest = (struct state_manifest){.written_ms = 0};
    for (int i = 0; i < STATE_FILES; i++)
        manifest->files[i].store = stores[i];
}

static json_t *files_json(const struct state_manifest *manifest)
{
    json_t *list = json_object();
    for (int i = 0; i < STATE_FILES; i++) {
        const struct state_file *file = &manifest->files[i];
        if (file->is_there)
            json_object_set_new(list, file->store,
                                json_pack("{s:I, s:I, s:s}", "size_bytes",
                                          (json_int_t)file->size_bytes, "last_write",
                                          (json_int_t)file->last_write, "hash", file->hash));
    }
    return list;
}

enum err manifest_write(const char *folder, const struct state_manifest *manifest)
{
    json_t *json =
        json_pack("{s:i, s:I, s:I, s:s, s:I, s:o}", "format", FORMAT, "claim",
                  (json_int_t)manifest->name.claim, "sequence", (json_int_t)manifest->name.sequence,
                  "stores", manifest->stores, "written_ms", (json_int_t)manifest->written_ms,
                  "files", files_json(manifest));
    char *path = file_join(folder, STATE_MANIFEST);
    enum err err = json_file_write(path, json);
    mem_free(path);
    return err;
}

static bool take_count(const json_t *json, const char *name, uint64_t *count)
{
    const json_t *value = json_object_get(json, name);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *count = (uint64_t)json_integer_value(value);
    return true;
}

static bool take_file(const json_t *json, struct state_file *file)
{
    struct hash hash;
    const char *hex = json_string_value(json_object_get(json, "hash"));
    file->is_there = json != NULL;
    if (!json) /* the journal has to be there */
        return strcmp(file->store, PUBLISHED_JOURNAL) != 0;
    if (!hex || !hash_parse(hex, &hash))
        return false;
    hash_hex(&hash, file->hash);
    return take_count(json, "size_bytes", &file->size_bytes) &&
           take_count(json, "last_write", &file->last_write);
}

static bool take(const json_t *json, struct state_manifest *manifest)
{
    uint64_t written_ms = 0;
    const char *id = json_string_value(json_object_get(json, "stores"));
    bool is_whole = take_count(json, "claim", &manifest->name.claim) &&
                    take_count(json, "sequence", &manifest->name.sequence) &&
                    take_count(json, "written_ms", &written_ms) && id && strlen(id) < CLAIM_ID;
    for (int i = 0; i < STATE_FILES && is_whole; i++)
        is_whole = take_file(json_object_get(json_object_get(json, "files"), stores[i]),
                             &manifest->files[i]);
    manifest->written_ms = (int64_t)written_ms;
    if (is_whole)
        memcpy(manifest->stores, id, strlen(id) + 1);
    return is_whole;
}

enum err state_take_manifest(const char *path, const json_t *json, struct state_manifest *manifest)
{
    enum err err = ERR_OK;
    uint64_t format = 0;
    manifest_init(manifest);
    if (!take_count(json, "format", &format))
        TRY(err_set(ERR_DATA, "%s is damaged", path));
    if (format != FORMAT)
        TRY(err_set(ERR_DATA, "%s is of another version of this program", path));
    if (!take(json, manifest))
        TRY(err_set(ERR_DATA, "%s is damaged", path));
out:
    return err;
}

enum err state_read_manifest(const char *run_folder, const struct published_state *state,
                             struct state_manifest *manifest)
{
    enum err err = ERR_OK;
    char *path = published_path(run_folder, state, STATE_MANIFEST);
    json_t *json = NULL;
    TRY(json_file_read(path, MAX_BYTES, &json));
    TRY(state_take_manifest(path, json, manifest));
    if (manifest->name.claim != state->claim || manifest->name.sequence != state->sequence)
        TRY(err_set(ERR_DATA, "%s is another state's", path));
out:
    json_decref(json);
    mem_free(path);
    return err;
}
