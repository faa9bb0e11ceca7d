#include "trainer/checkpoint/names.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/published.h"
#include "base/text.h"
#include "trainer/checkpoint/internal.h"
#include <stdbool.h>
#include <string.h>

#define LONGEST_NAME    100
#define SHORTEST_PREFIX 8

enum err name_check(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "._/-";
    struct hash hash;
    size_t length = strlen(name);
    if (length == 0 || length > LONGEST_NAME || strspn(name, allowed) != length)
        return err_set(ERR_USAGE,
                       "\"%s\" cannot name a checkpoint: use 1 to %d letters, digits and . _ / -",
                       name, LONGEST_NAME);
    if (hash_parse(name, &hash))
        return err_set(ERR_USAGE, "\"%s\" cannot name a checkpoint: it reads as a content hash",
                       name);
    return ERR_OK;
}

static enum err list_name(struct store_bytes key, struct store_bytes value, void *argument)
{
    struct text *names = argument;
    (void)value;
    text_add(names, "%s%.*s", names->size ? ", " : "", (int)key.size, (const char *)key.data);
    return ERR_OK;
}

static enum err not_found(struct store_txn *txn, const char *name)
{
    enum err err = ERR_OK;
    struct text names;
    text_init(&names);
    TRY(store_each(txn, TABLE_NAMES, store_text(""), list_name, &names));
    TRY(err_set(ERR_NOT_FOUND, "there is no checkpoint \"%s\"; %s%s", name,
                names.size ? "there are: " : "there is none at all", text_get(&names)));
out:
    text_fini(&names);
    return err;
}

struct matches {
    const char *prefix; /* lower case */
    struct hash content;
    int count;
};

static enum err match_prefix(struct store_bytes key, struct store_bytes value, void *argument)
{
    struct matches *matches = argument;
    char hex[HASH_HEX_BYTES];
    struct hash hash;
    (void)value;
    if (key.size != HASH_BYTES)
        return err_set(ERR_DATA, "a manifest with a key of %zu bytes", key.size);
    memcpy(hash.bytes, key.data, HASH_BYTES);
    hash_hex(&hash, hex);
    if (strncmp(hex, matches->prefix, strlen(matches->prefix)) == 0) {
        matches->content = hash;
        matches->count++;
    }
    return ERR_OK;
}

static bool is_prefix(const char *name)
{
    size_t length = strlen(name);
    return length >= SHORTEST_PREFIX && length < HASH_HEX_BYTES &&
           strspn(name, "0123456789abcdef") == length;
}

enum err name_resolve(struct store_txn *txn, const char *name, struct hash *content)
{
    struct store_bytes value;
    enum err err = *name && strlen(name) <= LONGEST_NAME
                       ? store_get(txn, TABLE_NAMES, store_text(name), &value)
                       : ERR_NOT_FOUND;
    if (err == ERR_OK && value.size != HASH_BYTES)
        return err_set(ERR_DATA, "the name \"%s\" is damaged", name);
    if (err == ERR_OK)
        memcpy(content->bytes, value.data, HASH_BYTES);
    if (err != ERR_NOT_FOUND)
        return err;
    struct matches matches = {.prefix = name};
    if (!is_prefix(name))
        return not_found(txn, name);
    err = store_each(txn, TABLE_MANIFESTS, store_text(""), match_prefix, &matches);
    if (err != ERR_OK)
        return err;
    if (matches.count > 1)
        return err_set(ERR_NOT_FOUND, "%d checkpoints begin with %s", matches.count, name);
    if (matches.count == 0)
        return not_found(txn, name);
    *content = matches.content;
    return ERR_OK;
}

/* A run's "checkpoints" that leads nowhere from this machine: the run's folder. Returns owned;
 * NULL: it is none. */
static char *run_of_link(const char *path)
{
    char *folder = file_without_slash(path), *slash = strrchr(folder, '/');
    const char *name = slash ? slash + 1 : folder;
    bool is_link =
        strcmp(name, PUBLISHED_CHECKPOINTS) == 0 && file_exists(folder) && !file_is_folder(folder);
    if (slash)
        *slash = '\0';
    char *run = is_link ? mem_string(slash == folder ? "/" : slash ? folder : ".") : NULL;
    mem_free(folder);
    return run;
}

/* A run's folder stands for the store inside it. */
static char *find_store(char *path)
{
    char *file = file_join(path, STORE_FILE), *run = run_of_link(path);
    char *inside = published_find_store(run ? run : path, PUBLISHED_CHECKPOINTS);
    bool is_run = !file_exists(file) && file_is_folder(inside);
    mem_free(file);
    mem_free(run);
    mem_free(is_run ? path : inside);
    return is_run ? inside : path;
}

enum err checkpoint_reference(const char *text, char **path, char **name)
{
    const char *at = file_is_folder(text) ? NULL : strrchr(text, '@');
    size_t length = at ? (size_t)(at - text) : strlen(text);
    if (length == 0 || (at && at[1] == '\0'))
        return err_set(ERR_USAGE, "\"%s\" is neither PATH nor PATH@NAME", text);
    char *folder = mem_string(text);
    folder[length] = '\0';
    *path = find_store(folder);
    *name = mem_string(at ? at + 1 : "latest");
    return ERR_OK;
}
