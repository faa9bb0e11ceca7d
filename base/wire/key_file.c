#include "base/wire/key_file.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/wire/wire.h"
#include <stdio.h>
#include <string.h>

#define Z85 "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

static char *public_path(const char *path)
{
    size_t room = strlen(path) + sizeof ".pub";
    char *made = mem_alloc(room);
    snprintf(made, room, "%s.pub", path);
    return made;
}

static enum err write_public(const char *path, const struct key_pair *pair)
{
    char line[WIRE_KEY_BYTES + 1], *public = public_path(path);
    int size = snprintf(line, sizeof line, "%s\n", pair->public_key);
    enum err err = file_write(public, line, (size_t)size);
    mem_free(public);
    return err;
}

enum err key_file_make(const char *path, struct key_pair *pair)
{
    enum err err = ERR_OK;
    char line[2 * WIRE_KEY_BYTES];
    if (file_exists(path))
        return err_set(ERR_CONFIG,
                       "%s is there already, and those who know its key would know a new one for a "
                       "stranger's; remove it first if that is meant",
                       path);
    TRY(wire_make_keys(pair->public_key, pair->secret_key));
    snprintf(line, sizeof line, "%s %s", pair->public_key, pair->secret_key);
    TRY(write_public(path, pair));
    TRY(secret_write(path, line)); /* last: where it is, both are */
out:
    return err;
}

static bool is_key(const char *text)
{
    return strlen(text) == WIRE_KEY_BYTES - 1 && strspn(text, Z85) == WIRE_KEY_BYTES - 1;
}

enum err key_file_read(const char *path, struct key_pair *pair)
{
    enum err err = ERR_OK;
    char line[2 * WIRE_KEY_BYTES];
    TRY(secret_read(path, line, sizeof line));
    char *secret = line, *public = strsep(&secret, " ");
    if (!secret || !is_key(public) || !is_key(secret))
        TRY(err_set(ERR_CONFIG, "%s holds no pair of keys: remove it, and the next run makes one",
                    path));
    memcpy(pair->public_key, public, WIRE_KEY_BYTES);
    memcpy(pair->secret_key, secret, WIRE_KEY_BYTES);
out:
    return err;
}

enum err key_file_read_public(const char *path, char key[WIRE_KEY_BYTES])
{
    enum err err = ERR_OK;
    char *bytes = NULL, *public = public_path(path);
    size_t size = 0;
    TRY(file_read(public, 4096, &bytes, &size));
    bytes[strcspn(bytes, "\r\n")] = '\0';
    if (!is_key(bytes))
        TRY(err_set(ERR_CONFIG,
                    "%s holds no public key: remove its folder, and the next run makes new ones",
                    public));
    memcpy(key, bytes, WIRE_KEY_BYTES);
out:
    mem_free(bytes);
    mem_free(public);
    return err;
}
