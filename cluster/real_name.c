#include "cluster/real_name.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum err real_name(const char *path, char *resolved, size_t room)
{
    char start[PATH_MAX], end[PATH_MAX] = "", real[PATH_MAX] = "";
    int size = snprintf(start, sizeof start, "%s", path);
    while (size > 0 && size < PATH_MAX && !realpath(start, real)) {
        char *slash = strrchr(start, '/'), rest[PATH_MAX];
        if (errno != ENOENT || (!slash && strcmp(start, ".") == 0))
            return err_set(ERR_IO, "%s cannot be looked up: %s", path, strerror(errno));
        const char *name = slash ? slash + 1 : start;
        snprintf(rest, sizeof rest, "%s%.*s%.*s", *name ? "/" : "", NAME_MAX, name,
                 (int)(sizeof rest - NAME_MAX - 2), end);
        snprintf(end, sizeof end, "%s", rest);
        snprintf(slash ? slash + (slash == start) : start, 2, "%s", slash ? "" : ".");
    }
    const char *behind = strcmp(real, "/") == 0 && end[0] ? end + 1 : end;
    size_t used = strlen(real), left = strlen(behind);
    if (size >= PATH_MAX || used + left >= room)
        return err_set(ERR_CONFIG, "%.100s...: that is too long a name", path);
    memcpy(resolved, real, used);
    memcpy(resolved + used, behind, left + 1);
    return ERR_OK;
}
