#include "base/program.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum err program_path(char *path, size_t room)
{
    ssize_t size = readlink("/proc/self/exe", path, room);
    if (size <= 0 || (size_t)size >= room)
        return err_set(ERR_UNAVAILABLE, "where this program lies is not known: /proc/self/exe: %s",
                       size <= 0 ? strerror(errno) : "its path is too long");
    path[size] = '\0';
    return ERR_OK;
}

enum err program_beside(const char *name, char *path, size_t room)
{
    enum err err = program_path(path, room);
    if (err != ERR_OK)
        return err;
    char *slash = strrchr(path, '/'), *own = slash ? slash + 1 : path;
    size_t left = room - (size_t)(own - path);
    if (strlen(name) >= left)
        return err_set(ERR_UNAVAILABLE, "the path of %s is too long: install it nearer to /", name);
    memcpy(own, name, strlen(name) + 1);
    return ERR_OK;
}

enum err program_find(const char *name, char *path, size_t room)
{
    enum err err = program_beside(name, path, room);
    if (err != ERR_OK)
        return err;
    if (access(path, X_OK) != 0)
        return err_set(ERR_UNAVAILABLE,
                       "%s is not there: install all programs of glowworm in one folder, as the "
                       "build does",
                       path);
    return ERR_OK;
}

bool program_is_in_path(const char *name)
{
    const char *path = getenv("PATH");
    for (const char *at = path ? path : ""; *at;) {
        char whole[4096];
        size_t size = strcspn(at, ":");
        snprintf(whole, sizeof whole, "%.*s/%s", (int)size, at, name);
        if (access(whole, X_OK) == 0)
            return true;
        at += size + (at[size] == ':');
    }
    return false;
}
