#include "base/store/place.h"
#include "base/file.h"
#include "base/file_system.h"
#include "base/log.h"
#include "base/mem.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum err place_check_local(const char *folder, bool is_writer)
{
    enum err err = ERR_OK;
    struct file_system found;
    TRY(file_system_of(folder, &found));
    if (found.kind != FILE_SYSTEM_NETWORK)
        goto out;
    if (is_writer)
        TRY(err_set(ERR_CONFIG,
                    "%s is on a network file system (%s), where a store can be damaged by a "
                    "second machine; choose a folder on a local disk",
                    folder, found.name));
    log_warn("store=%s file_system=%s a store should be read from a local disk", folder,
             found.name);
out:
    return err;
}

enum err place_check_open_once(const char *file)
{
    struct stat wanted, open_file;
    if (stat(file, &wanted) != 0)
        return ERR_OK; /* about to be made */
    DIR *listing = opendir("/proc/self/fd");
    enum err err = ERR_OK;
    for (struct dirent *entry; listing && err == ERR_OK && (entry = readdir(listing));) {
        if (fstatat(dirfd(listing), entry->d_name, &open_file, 0) == 0 &&
            open_file.st_dev == wanted.st_dev && open_file.st_ino == wanted.st_ino)
            err = err_set(ERR_AGAIN, "%s is open in this process already", file);
    }
    if (listing)
        closedir(listing);
    return err;
}

/* "process 123 on host", as the holder wrote it. */
static void read_holder(int lock, char *holder, size_t room)
{
    ssize_t got = pread(lock, holder, room - 1, 0);
    holder[got > 0 ? got : 0] = '\0';
    holder[strcspn(holder, "\n")] = '\0';
    if (holder[0] == '\0')
        snprintf(holder, room, "another process");
}

static void write_holder(int lock)
{
    char host[64] = "this machine", text[128];
    gethostname(host, sizeof host - 1);
    int size = snprintf(text, sizeof text, "process %ld on %s\n", (long)getpid(), host);
    /* For people only: the lock holds without it, on a full disk too. */
    if (ftruncate(lock, 0) != 0 || pwrite(lock, text, (size_t)size, 0) != size)
        log_debug("store=lock the holder could not be written down: %s", strerror(errno));
}

enum err place_lock(const char *folder, int *lock)
{
    enum err err = ERR_OK;
    char *path = file_join(folder, "writer.lock");
    char holder[128];
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0)
        TRY(err_set(errno == ENOSPC ? ERR_FULL : ERR_IO, "cannot open %s: %s", path,
                    strerror(errno)));
    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
        enum err code = errno == EWOULDBLOCK ? ERR_AGAIN : ERR_IO;
        read_holder(file, holder, sizeof holder);
        TRY(err_set(code, "%s is being written by %s", folder, holder));
    }
    write_holder(file);
    *lock = file;
    file = -1;
out:
    if (file >= 0)
        close(file);
    mem_free(path);
    return err;
}

void place_unlock(int *lock)
{
    if (*lock >= 0)
        close(*lock);
    *lock = -1;
}

/* -1: no. The folder itself is the lock: nothing has to be made, so readers of read-only media pass
 * too. */
static int lock_folder(const char *folder, int operation)
{
    int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), failure = -1;
    do
        failure = file < 0 ? -1 : flock(file, operation);
    while (file >= 0 && failure != 0 && errno == EINTR);
    if (failure == 0)
        return file;
    int number = errno;
    place_unlock(&file);
    errno = number;
    return -1;
}

void place_pass_gate(const char *folder, int *gate)
{
    *gate = lock_folder(folder, LOCK_SH);
}

enum err place_shut_gate(const char *folder, int *gate)
{
    *gate = lock_folder(folder, LOCK_EX);
    return *gate >= 0 ? ERR_OK
                      : err_set(ERR_IO, "cannot lock the folder %s: %s", folder, strerror(errno));
}

/* LMDB: whoever has an environment open holds a shared lock on the first byte of its lock file. */
enum err place_find_user(const char *folder, long *pid)
{
    enum err err = ERR_OK;
    char *path = file_join(folder, "lock.mdb");
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0 || fcntl(file, F_GETLK, &lock) != 0)
        TRY(err_set(ERR_IO, "cannot look at %s: %s", path, strerror(errno)));
    *pid = lock.l_type == F_UNLCK ? 0 : (long)lock.l_pid;
out:
    place_unlock(&file);
    mem_free(path);
    return err;
}

unsigned long long place_free_bytes(const char *folder)
{
    struct statvfs status;
    if (statvfs(folder, &status) != 0)
        return 0;
    return (unsigned long long)status.f_bavail * status.f_frsize;
}
