#include "scheduler/sweep.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "scheduler/launch.h"
#include "scheduler/mpi_folder.h"
#include "scheduler/process.h"
#include "scheduler/socket_folder.h"
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct kind {
    const char *root, *prefix;
    void (*mark)(const char *folder, char *mark, int room); /* in its gangs' environment */
    enum err (*remove)(const char *folder);
};

static void mark_socket(const char *folder, char *mark, int room)
{
    char endpoint[JOURNAL_PATH + 16];
    snprintf(endpoint, sizeof endpoint, "ipc://%s/" SOCKET_NAME, folder);
    launch_mark(endpoint, mark, room);
}

static void mark_mpi(const char *folder, char *mark, int room)
{
    snprintf(mark, (size_t)room, MPI_FOLDER_SESSIONS "%s", folder);
}

/* The prefix and what mkdtemp() puts behind it. */
static bool is_named(const char *name, const char *prefix)
{
    size_t size = strlen(prefix);
    if (strncmp(name, prefix, size) != 0 || strlen(name + size) != 6)
        return false;
    for (const char *at = name + size; *at; at++)
        if (!isalnum((unsigned char)*at))
            return false;
    return true;
}

/* The lock is held until the folder is gone: no runner takes it meanwhile. */
static bool sweep_one(const struct kind *kind, const char *folder)
{
    char mark[JOURNAL_PATH + 64];
    int lock = socket_folder_check(folder) == ERR_OK ? socket_folder_share(folder) : -1;
    if (lock < 0)
        return false;
    kind->mark(folder, mark, sizeof mark);
    bool is_gone = process_count_marked(mark) == 0 && kind->remove(folder) == ERR_OK;
    close(lock);
    return is_gone;
}

static int sweep_kind(const struct kind *kind)
{
    int count = 0;
    DIR *list = opendir(kind->root);
    for (struct dirent *entry; list && (entry = readdir(list));) {
        if (!is_named(entry->d_name, kind->prefix))
            continue;
        char *folder = file_join(kind->root, entry->d_name);
        count += sweep_one(kind, folder);
        mem_free(folder);
    }
    if (list)
        closedir(list);
    return count;
}

int sweep_leftovers(void)
{
    const struct kind sockets = {socket_folder_root(), SOCKET_FOLDER_PREFIX, mark_socket,
                                 socket_folder_remove};
    const struct kind mpi = {mpi_folder_root(), MPI_FOLDER_PREFIX, mark_mpi, mpi_folder_remove};
    int count = sweep_kind(&sockets) + sweep_kind(&mpi);
    if (count > 0)
        log_info("%d folders of runs that were killed are removed", count);
    return count;
}
