#include "scheduler/oom.h"
#include "base/file.h"
#include "base/mem.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_FILE_BYTES ((size_t)1 << 16)
#define PATH_BYTES       2048

/* The line "oom_kill 3" of memory.events (version 2) and memory.oom_control (version 1). */
static int read_count(const char *path)
{
    char *text = NULL;
    size_t size_bytes = 0;
    int count = -1;
    if (file_read(path, SMALL_FILE_BYTES, &text, &size_bytes) != ERR_OK)
        return -1;
    const char *found = strstr(text, "oom_kill ");
    if (found && (found == text || found[-1] == '\n')) {
        unsigned long number = strtoul(found + strlen("oom_kill "), NULL, 10);
        count = number > INT_MAX ? INT_MAX : (int)number;
    }
    mem_free(text);
    return count;
}

/* ".../job_17/step_0/..." ends behind the job: its steps' groups go with them, its own counts what
 * happened in them. */
static void cut_behind_job(char *group)
{
    char *job = strstr(group, "/job_");
    char *end = job ? strchr(job + 1, '/') : NULL;
    if (end)
        *end = '\0';
}

/* A container may see only the end of its group's path: then its own is where it is mounted. */
static int read_group(const char *root, const char *mount, const char *group, const char *file)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s%s%s/%s", root, mount, group, file);
    int count = read_count(path);
    if (count >= 0)
        return count;
    snprintf(path, sizeof path, "%s%s/%s", root, mount, file);
    return read_count(path);
}

/* One line of /proc/self/cgroup: "0::<path>" is version 2, "4:memory:<path>" version 1. */
static int read_line(const char *root, char *line)
{
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group)
        return -1;
    *group++ = '\0';
    if (strcmp(controllers + 1, "memory") == 0)
        return read_group(root, "/sys/fs/cgroup/memory", group, "memory.oom_control");
    if (controllers[1] != '\0')
        return -1;
    cut_behind_job(group);
    return read_group(root, "/sys/fs/cgroup", group, "memory.events");
}

int oom_kills(const char *root)
{
    char path[PATH_BYTES], *lines = NULL, *rest = NULL;
    size_t size_bytes = 0;
    int most = -1;
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    if (file_read(path, SMALL_FILE_BYTES, &lines, &size_bytes) != ERR_OK)
        return -1;
    for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        int count = read_line(root, line);
        most = count > most ? count : most;
    }
    mem_free(lines);
    return most;
}

static bool is_told_in(const char *line, size_t size)
{
    static const char srun[] = "srun: error: ", daemon[] = "slurmstepd: error: Detected ";
    char text[256];
    snprintf(text, sizeof text, "%.*s", (int)(size < sizeof text ? size : sizeof text - 1), line);
    if (strncmp(text, srun, strlen(srun)) == 0)
        return strstr(text, ": Out Of Memory") != NULL;
    return strncmp(text, daemon, strlen(daemon)) == 0 && strstr(text, "oom-kill event");
}

bool oom_is_told(const char *log)
{
    for (const char *line = log; *line;) {
        size_t size = strcspn(line, "\n");
        if (is_told_in(line, size))
            return true;
        line += size + (line[size] == '\n');
    }
    return false;
}
