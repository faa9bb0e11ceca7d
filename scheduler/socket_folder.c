#include "scheduler/socket_folder.h"
#include "base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES 100

const char *socket_folder_root(void)
{
    const char *root = getenv("TMPDIR"); /* XDG_RUNTIME_DIR goes when its person logs out */
    return root && root[0] == '/' && strlen(root) <= 60 ? root : "/tmp";
}

static int take_lock(const char *folder, int kind)
{
    int lock = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (lock < 0 || flock(lock, kind | LOCK_NB) == 0)
        return lock;
    int reason = errno;
    close(lock);
    errno = reason;
    return -1;
}

int socket_folder_lock(const char *folder)
{
    return take_lock(folder, LOCK_EX);
}

int socket_folder_share(const char *folder)
{
    return take_lock(folder, LOCK_SH);
}

/* Whether the path still leads to what is locked. */
static bool is_there(const char *folder, int lock)
{
    struct stat locked, found;
    return fstat(lock, &locked) == 0 && lstat(folder, &found) == 0 &&
           locked.st_ino == found.st_ino && locked.st_dev == found.st_dev;
}

enum err socket_folder_make_at(const char *root, const char *prefix, char folder[JOURNAL_PATH],
                               int *lock)
{
    for (int i = 0; i < TRIES; i++) { /* between the two steps it looks like a dead runner's */
        const char *slash = root[strlen(root) - 1] == '/' ? "" : "/"; /* as file_join() */
        snprintf(folder, JOURNAL_PATH, "%s%s%sXXXXXX", root, slash, prefix);
        if (!mkdtemp(folder))
            break;
        *lock = socket_folder_lock(folder);
        if (*lock >= 0 && is_there(folder, *lock))
            return ERR_OK;
        if (*lock >= 0)
            close(*lock);
    }
    *lock = -1;
    return err_set(ERR_IO, "no folder in %s for the run's gangs: %s", root, strerror(errno));
}

enum err socket_folder_make(char folder[JOURNAL_PATH], int *lock)
{
    return socket_folder_make_at(socket_folder_root(), SOCKET_FOLDER_PREFIX, folder, lock);
}

static enum err refuse(const char *folder, const char *reason)
{
    return err_set(ERR_CONFIG, "%s is not the folder of a run's socket (%s): it is left alone",
                   folder, reason);
}

/* Absolute, no step back up, the last part as mkdtemp() was asked for. */
static bool has_our_form(const char *folder)
{
    const char *name = strrchr(folder, '/');
    return folder[0] == '/' && !strstr(folder, "/../") && file_is_name(name + 1) &&
           strncmp(name + 1, SOCKET_FOLDER_PREFIX, strlen(SOCKET_FOLDER_PREFIX)) == 0;
}

static enum err check_opened(const char *folder, int opened)
{
    struct stat status;
    char reason[64];
    if (fstat(opened, &status) != 0)
        return err_set(ERR_IO, "%s: %s", folder, strerror(errno));
    if (status.st_uid != geteuid())
        return refuse(folder, "somebody else's");
    snprintf(reason, sizeof reason, "mode %04o", status.st_mode & 07777u);
    return (status.st_mode & 07777) == 0700 ? ERR_OK : refuse(folder, reason);
}

/* -1 with ERR_OK: there is none. The caller closes it. */
static enum err open_checked(const char *folder, int *opened)
{
    enum err err = ERR_OK;
    *opened = -1;
    if (!has_our_form(folder))
        return refuse(folder, "not a name we give");
    int at = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (at < 0)
        return errno == ENOENT ? ERR_OK : refuse(folder, strerror(errno));
    TRY(check_opened(folder, at));
    *opened = at;
    at = -1;
out:
    if (at >= 0)
        close(at);
    return err;
}

enum err socket_folder_check(const char *folder)
{
    int opened;
    enum err err = open_checked(folder, &opened);
    if (opened >= 0)
        close(opened);
    return err;
}

/* Only a socket: a file of that name in another's folder is somebody's. */
static void remove_socket(int folder)
{
    struct stat status;
    if (fstatat(folder, SOCKET_NAME, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(status.st_mode))
        unlinkat(folder, SOCKET_NAME, 0);
}

enum err socket_folder_remove(const char *folder)
{
    enum err err = ERR_OK;
    int opened = -1;
    TRY(open_checked(folder, &opened));
    if (opened < 0)
        return ERR_OK;
    remove_socket(opened);
    if (rmdir(folder) != 0 && errno != ENOENT)
        TRY(err_set(ERR_IO, "%s: %s", folder, strerror(errno)));
out:
    if (opened >= 0)
        close(opened);
    return err;
}
