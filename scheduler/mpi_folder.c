#include "scheduler/mpi_folder.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "scheduler/socket_folder.h"
#include <dirent.h>
#include <string.h>
#include <unistd.h>

const char *mpi_folder_root(void)
{
    return access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : socket_folder_root();
}

enum err mpi_folder_make(char folder[JOURNAL_PATH], int *lock)
{
    return socket_folder_make_at(mpi_folder_root(), MPI_FOLDER_PREFIX, folder, lock);
}

void mpi_folder_clear(const char *folder)
{
    DIR *list = socket_folder_check(folder) == ERR_OK ? opendir(folder) : NULL;
    for (struct dirent *entry; list && (entry = readdir(list));) {
        char *path = file_join(folder, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            file_remove_folder(path) != ERR_OK)
            log_warn("a killed gang's %s is left behind: %s", path, err_text());
        mem_free(path);
    }
    if (list)
        closedir(list);
}

enum err mpi_folder_remove(const char *folder)
{
    enum err err = ERR_OK;
    TRY(socket_folder_check(folder));
    TRY(file_remove_folder(folder));
out:
    return err;
}
