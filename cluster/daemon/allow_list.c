#include "cluster/daemon/allow_list.h"
#include "base/file.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_BYTES 65536

static enum err check_owner(int file, const char *path)
{
    struct stat found;
    if (fstat(file, &found) != 0 || (found.st_uid != geteuid() && found.st_uid != 0) ||
        (found.st_mode & 022) != 0)
        return err_set(ERR_CONFIG,
                       "%s may be written by others, who could let themselves in: \"chmod go-w\"",
                       path);
    return ERR_OK;
}

static enum err add(struct allow_list *allowed, const char *path, int line, const char *text,
                    size_t size)
{
    size_t key = strcspn(text, " \t\r\n");
    key = key < size ? key : size;
    if (key == 0)
        return ERR_OK;
    if (key != WIRE_KEY_BYTES - 1)
        return err_set(ERR_CONFIG,
                       "%s:%d: that is no public key (40 characters, as \"glowworm key "
                       "generate\" prints it)",
                       path, line);
    if (allowed->count == ALLOW_MAX)
        return err_set(ERR_CONFIG, "%s: more than %d keys", path, ALLOW_MAX);
    memcpy(allowed->keys[allowed->count], text, key);
    allowed->list[allowed->count] = allowed->keys[allowed->count];
    allowed->count++;
    return ERR_OK;
}

static enum err read_lines(const char *path, const char *text, struct allow_list *allowed)
{
    enum err err = ERR_OK;
    for (int line = 1; *text; line++) {
        size_t size = strcspn(text, "\n");
        TRY(add(allowed, path, line, text, size));
        text += size + (text[size] == '\n');
    }
    if (allowed->count == 0)
        TRY(err_set(ERR_CONFIG, "%s lets nobody in: it has no key", path));
out:
    return err;
}

enum err allow_list_read(const char *path, struct allow_list *allowed)
{
    enum err err = ERR_OK;
    char *bytes = NULL;
    size_t size = 0;
    int file = -1;
    memset(allowed, 0, sizeof *allowed);
    TRY(file_open_plain(path, &file));
    TRY(check_owner(file, path));
    TRY(file_read_from(file, path, MAX_BYTES, &bytes, &size));
    TRY(read_lines(path, bytes, allowed));
out:
    if (file >= 0)
        close(file);
    mem_free(bytes);
    return err;
}
