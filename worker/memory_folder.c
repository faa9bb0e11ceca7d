#include "worker/memory_folder.h"
#include "base/file.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PREFIX   "glowworm-mpi-" /* scheduler/mpi_folder.h */
#define TRIES    20
#define PAUSE_NS 10000000 /* a rank that removes it is done in less */

/* NULL: a person's own choice, or none. */
static const char *find_folder(void)
{
    const char *folder = getenv("OMPI_MCA_btl_vader_backing_directory");
    const char *slash = folder ? strrchr(folder, '/') : NULL;
    return slash && strncmp(slash + 1, PREFIX, strlen(PREFIX)) == 0 ? folder : NULL;
}

static int open_folder(const char *folder)
{
    return open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* It may have been removed since it was opened, and made again by another rank. */
static bool is_same(const char *folder, int file)
{
    struct stat there, opened;
    return stat(folder, &there) == 0 && fstat(file, &opened) == 0 && there.st_ino == opened.st_ino;
}

/* True: as it is now it stays as long as we do, by our lock (*lock) or by the launcher's (-1). */
static bool hold(const char *folder, bool is_last_try, int *lock)
{
    int file = open_folder(folder);
    if (file < 0)
        return false;
    bool is_locked = flock(file, LOCK_SH | LOCK_NB) == 0;
    if (is_locked && is_same(folder, file)) {
        *lock = file;
        return true;
    }
    close(file);
    return !is_locked && is_last_try;
}

enum err memory_folder_join(int *lock)
{
    const char *folder = find_folder();
    *lock = -1;
    for (int i = 1; folder && i <= TRIES; i++) {
        if (mkdir(folder, 0700) != 0 && errno != EEXIST)
            return err_set(ERR_IO, "%s, for what ranks share: %s", folder, strerror(errno));
        if (hold(folder, i == TRIES, lock))
            break;
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    return ERR_OK;
}

void memory_folder_leave(int lock)
{
    const char *folder = find_folder();
    if (lock < 0)
        return;
    bool is_last = folder && flock(lock, LOCK_EX | LOCK_NB) == 0 && is_same(folder, lock);
    if (is_last && file_remove_folder(folder) != ERR_OK)
        log_warn("what ranks shared is left behind: %s", err_text());
    close(lock);
}
