#include "base/scratch_folder.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_DIGITS 16 /* of the hash */

static const char *node_name(char *host, size_t room)
{
    const char *node = getenv("SLURMD_NODENAME");
    host[0] = '\0';
    gethostname(host, room - 1);
    return node && node[0] ? node : host;
}

/* *at moves behind the variable's name. */
static enum err add_variable(const char **at, struct text *path)
{
    char name[64];
    size_t size = 0;
    while (isalnum((unsigned char)(*at)[1 + size]) || (*at)[1 + size] == '_')
        size++;
    if (size == 0 || size >= sizeof name)
        return err_set(ERR_CONFIG,
                       "resources.scratch: \"%s\" names no variable: $TMPDIR does, for one", *at);
    memcpy(name, *at + 1, size);
    name[size] = '\0';
    const char *value = getenv(name);
    if (!value || !value[0])
        return err_set(ERR_CONFIG,
                       "resources.scratch: the variable %s is not set here; set it, or name a "
                       "folder of a local disk",
                       name);
    text_add(path, "%s", value);
    *at += 1 + size;
    return ERR_OK;
}

enum err scratch_expand(const char *words, struct text *path)
{
    enum err err = ERR_OK;
    char host[256] = "";
    const char *at = words;
    if (*at == '$')
        TRY(add_variable(&at, path));
    while (*at) {
        if (strncmp(at, "{node}", 6) == 0) {
            text_add(path, "%s", node_name(host, sizeof host));
            at += 6;
        } else if (strchr("${}", *at)) {
            TRY(err_set(ERR_CONFIG,
                        "resources.scratch: \"%s\": only $NAME at the start and {node} mean "
                        "something",
                        words));
        } else {
            text_add(path, "%c", *at++);
        }
    }
    if (text_get(path)[0] != '/')
        TRY(err_set(ERR_CONFIG, "resources.scratch: \"%s\" is no path from /", text_get(path)));
out:
    return err;
}

/* Scratch is often a place where everybody may write. */
static enum err check_ours(const char *folder)
{
    struct stat status;
    int handle = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool is_open = handle >= 0 && fstat(handle, &status) == 0;
    int reason = errno;
    if (handle >= 0)
        close(handle);
    if (!is_open)
        return err_set(reason == ELOOP || reason == ENOTDIR ? ERR_CONFIG : ERR_IO,
                       "%s is no folder of ours: %s; name another resources.scratch", folder,
                       strerror(reason));
    if (status.st_uid != geteuid())
        return err_set(ERR_CONFIG, "%s belongs to somebody else: name another resources.scratch",
                       folder);
    if (status.st_mode & 077)
        return err_set(ERR_CONFIG, "%s can be seen by others: chmod 700 it, or remove it", folder);
    return ERR_OK;
}

enum err scratch_folder_named(const char *scratch, const char *name, char **folder)
{
    enum err err = ERR_OK;
    char *made = file_join(scratch, name);
    TRY(file_make_private(scratch));
    TRY(file_make_private(made));
    TRY(check_ours(made));
    *folder = made;
    made = NULL;
out:
    mem_free(made);
    return err;
}

enum err scratch_folder_make(const char *scratch, const char *run_folder, char **folder)
{
    enum err err = ERR_OK;
    char hex[HASH_HEX_BYTES], name[64];
    char *real = realpath(run_folder, NULL);
    if (!real)
        return err_set(ERR_IO, "%s: %s", run_folder, strerror(errno));
    struct hash hash = hash_of(real, strlen(real));
    hash_hex(&hash, hex);
    snprintf(name, sizeof name, "glowworm-%.*s", NAME_DIGITS, hex);
    TRY(scratch_folder_named(scratch, name, folder));
out:
    free(real);
    return err;
}
