#include "cluster/machine_memory.h"
#include "base/file.h"
#include "base/mem.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_FILE_BYTES ((size_t)1 << 20)
#define PATH_BYTES       1024

/* Returns owned (mem_free), or NULL when it cannot be read. */
static char *read_text(const char *root, const char *path)
{
    char full[2 * PATH_BYTES], *text = NULL;
    size_t size_bytes = 0;
    snprintf(full, sizeof full, "%s%s", root, path);
    return file_read(full, SMALL_FILE_BYTES, &text, &size_bytes) == ERR_OK ? text : NULL;
}

/* "MemTotal:   123 kB" of /proc/meminfo in bytes; 0 when it is not there. */
static size_t total_bytes(const char *meminfo)
{
    static const char name[] = "MemTotal:";
    const char *line = meminfo ? strstr(meminfo, name) : NULL;
    return line ? (size_t)strtoull(line + strlen(name), NULL, 10) * 1024 : 0;
}

/* A limit of this group alone lowers the total. Version 2 says "max" for none, version 1 a number
 * beyond every machine. */
static void take_limit(const char *root, const char *folder, const char *file,
                       struct machine_memory *memory)
{
    char path[2 * PATH_BYTES], *end = NULL;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    char *text = read_text(root, path);
    unsigned long long limit = text ? strtoull(text, &end, 10) : 0;
    if (text && end != text && limit < memory->total_bytes) {
        memory->total_bytes = (size_t)limit;
        snprintf(memory->whose, sizeof memory->whose, "the control group %.400s allows", path);
    }
    mem_free(text);
}

/* The group and every one above it: the smallest limit counts. A container may see only the end of
 * its group's path, so what is not there is passed over. */
static void take_limits(const char *root, const char *mount, const char *group, const char *file,
                        struct machine_memory *memory)
{
    char folder[PATH_BYTES];
    size_t mounted = strlen(mount);
    snprintf(folder, sizeof folder, "%s%s", mount, strcmp(group, "/") == 0 ? "" : group);
    for (;;) {
        take_limit(root, folder, file, memory);
        char *slash = strrchr(folder, '/');
        if (strlen(folder) <= mounted || !slash)
            break;
        *slash = '\0';
    }
}

/* Is "memory" one of the controllers, separated by commas? */
static bool has_memory(const char *controllers)
{
    const char *found = strstr(controllers, "memory");
    return found && (found == controllers || found[-1] == ',') &&
           (found[6] == '\0' || found[6] == ',');
}

/* Lines "number:controllers:path"; version 2 is "0::path". */
static void take_groups(const char *root, char *lines, struct machine_memory *memory)
{
    char *rest = NULL;
    for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        if (controllers[1] == '\0')
            take_limits(root, "/sys/fs/cgroup", group, "memory.max", memory);
        else if (has_memory(controllers + 1))
            take_limits(root, "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes", memory);
    }
}

enum err machine_memory_read(const char *root, struct machine_memory *memory)
{
    enum err err = ERR_OK;
    char *meminfo = read_text(root, "/proc/meminfo"), *groups = NULL;
    *memory =
        (struct machine_memory){.whose = "this machine has", .total_bytes = total_bytes(meminfo)};
    if (memory->total_bytes == 0)
        TRY(err_set(ERR_IO, "%s/proc/meminfo does not say how much memory there is", root));
    groups = read_text(root, "/proc/self/cgroup");
    if (groups)
        take_groups(root, groups, memory);
out:
    mem_free(meminfo);
    mem_free(groups);
    return err;
}
