#include "base/file.h"
#include "base/fault.h"
#include "base/mem.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Then process and serial number, and maybe a mark: a name beside, until the file is whole. */
#define PART ".part-"

/* ERR_IO, or ERR_FULL when the disk is, with the sentence for errno. */
static enum err failed(const char *verb, const char *path)
{
    int number = errno;
    enum err code = ERR_IO;
    if (number == ENOSPC || number == EDQUOT || number == EFBIG)
        code = ERR_FULL;
    return err_set(code, "cannot %s %s: %s", verb, path, strerror(number));
}

enum err file_read_from(int file, const char *path, size_t limit_bytes, char **bytes,
                        size_t *size_bytes)
{
    struct stat status;
    if (fstat(file, &status) != 0)
        return failed("read", path);
    /* The size is a hint: files of /proc say 0, and a file may grow meanwhile. */
    size_t room = (size_t)(status.st_size > 0 ? status.st_size : 0) + 2, size = 0;
    if (room > limit_bytes + 2)
        room = limit_bytes + 2;
    char *buffer = mem_alloc(room);
    for (;;) {
        ssize_t got = read(file, buffer + size, room - 1 - size);
        if (got == 0)
            break;
        if (got < 0 && errno == EINTR)
            continue;
        size += got > 0 ? (size_t)got : 0;
        if (got < 0 || size > limit_bytes) {
            mem_free(buffer);
            return got < 0 ? failed("read", path)
                           : err_set(ERR_DATA, "%s is larger than the %zu bytes it may have", path,
                                     limit_bytes);
        }
        if (size == room - 1) {
            buffer = mem_grow(buffer, size, 2 * room);
            room *= 2;
        }
    }
    buffer[size] = '\0';
    *bytes = buffer;
    *size_bytes = size;
    return ERR_OK;
}

enum err file_read(const char *path, size_t limit_bytes, char **bytes, size_t *size_bytes)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 && (errno == ENOENT || errno == ENOTDIR))
        return err_set(ERR_NOT_FOUND, "there is no file %s", path);
    if (file < 0)
        return failed("open", path);
    enum err err = file_read_from(file, path, limit_bytes, bytes, size_bytes);
    close(file);
    return err;
}

static enum err refuse_special(const char *path, mode_t mode)
{
    const char *kind = S_ISFIFO(mode)   ? "FIFO"
                       : S_ISSOCK(mode) ? "socket"
                       : S_ISDIR(mode)  ? "folder"
                                        : "device";
    return err_set(ERR_DATA, "%s is a %s, not a regular file", path, kind);
}

/* Not waiting for a FIFO's writer, and not taking a terminal. */
static enum err open_looked_at(const char *path, int flags, int *file)
{
    enum err err = ERR_OK;
    struct stat status;
    int opened = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
    if (opened < 0 && (errno == ENOENT || errno == ENOTDIR))
        TRY(err_set(ERR_NOT_FOUND, "there is no file %s", path));
    if (opened < 0 && errno == ELOOP && (flags & O_NOFOLLOW)) /* else a loop of them */
        TRY(err_set(ERR_DATA, "%s is a link, not a regular file", path));
    if (opened < 0 || fstat(opened, &status) != 0)
        TRY(failed("open", path));
    if (!S_ISREG(status.st_mode))
        TRY(refuse_special(path, status.st_mode));
    *file = opened;
    opened = -1;
out:
    if (opened >= 0)
        close(opened);
    return err;
}

enum err file_open_regular(const char *path, int *file)
{
    struct stat status;
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
        return refuse_special(path, status.st_mode);
    return open_looked_at(path, 0, file); /* it may have become another since */
}

enum err file_open_plain(const char *path, int *file)
{
    struct stat status;
    if (lstat(path, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode))
        return refuse_special(path, status.st_mode);
    return open_looked_at(path, O_NOFOLLOW, file);
}

/* From there to `end`, or as far as the file still goes. */
static enum err read_range(int file, const char *path, off_t start, off_t end, char *bytes,
                           size_t *size_bytes)
{
    size_t size = 0;
    while (start + (off_t)size < end) {
        ssize_t got = pread(file, bytes + size, (size_t)(end - start) - size, start + (off_t)size);
        if (got < 0 && errno != EINTR)
            return failed("read", path);
        if (got == 0) /* cut short meanwhile */
            break;
        size += got > 0 ? (size_t)got : 0;
    }
    bytes[size] = '\0';
    *size_bytes = size;
    return ERR_OK;
}

enum err file_read_tail(const char *path, size_t most_bytes, char **bytes, size_t *size_bytes)
{
    enum err err = ERR_OK;
    struct stat status;
    char *buffer = mem_alloc(most_bytes + 1);
    int file = -1;
    TRY(file_open_regular(path, &file));
    if (fstat(file, &status) != 0)
        TRY(failed("read", path));
    off_t end = status.st_size, start = end > (off_t)most_bytes ? end - (off_t)most_bytes : 0;
    TRY(read_range(file, path, start, end, buffer, size_bytes));
    *bytes = buffer;
    buffer = NULL;
out:
    mem_free(buffer);
    if (file >= 0)
        close(file);
    return err;
}

void file_sync_folder(const char *folder)
{
    int handle = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (handle >= 0) {
        fsync(handle);
        close(handle);
    }
}

void file_sync_parent(const char *path)
{
    char *folder = mem_string(path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder ? 1 : 0] = '\0';
    file_sync_folder(slash ? folder : ".");
    mem_free(folder);
}

struct file_update {
    int file;
    char *path, *beside;
};

/* A name beside is this process's own: what lies there is of a dead one of its number, and may be
 * open to others. */
static enum err begin_update(const char *path, mode_t mode, const char *mark,
                             struct file_update **begun)
{
    enum err err = ERR_OK;
    static atomic_uint serial; /* two threads may write files of the same name */
    char beside[4096];
    struct file_update *update = NULL;
    int length = snprintf(beside, sizeof beside, "%s" PART "%ld-%u%s", path, (long)getpid(),
                          atomic_fetch_add(&serial, 1), mark);
    if (length >= (int)sizeof beside)
        TRY(err_set(ERR_IO, "a path of %d characters is too long", length));
    if (mode == 0600)
        unlink(beside);
    int file = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
    if (file < 0)
        TRY(failed("create", beside));
    update = mem_alloc(sizeof *update);
    *update =
        (struct file_update){.file = file, .path = mem_string(path), .beside = mem_string(beside)};
    *begun = update;
out:
    return err;
}

enum err file_begin(const char *path, struct file_update **begun)
{
    return begin_update(path, 0666, "", begun);
}

enum err file_begin_marked(const char *path, const char *mark, struct file_update **begun)
{
    return begin_update(path, 0666, mark, begun);
}

enum err file_append(struct file_update *update, const void *bytes, size_t size_bytes)
{
    enum err err = ERR_OK;
    TRY(FAULT("file.write"));
    for (size_t done = 0; done < size_bytes;) {
        ssize_t put = write(update->file, (const char *)bytes + done, size_bytes - done);
        if (put < 0 && errno != EINTR)
            TRY(failed("write", update->path));
        done += put > 0 ? (size_t)put : 0;
    }
out:
    return err;
}

/* Atomic either way: a file system that cannot rename without replacing can link. */
static enum err rename_to_free(const struct file_update *update)
{
    int failure = renameat2(AT_FDCWD, update->beside, AT_FDCWD, update->path, RENAME_NOREPLACE);
    if (failure != 0 && (errno == EINVAL || errno == ENOSYS)) {
        failure = link(update->beside, update->path);
        if (failure == 0)
            unlink(update->beside);
    }
    if (failure != 0 && errno == EEXIST)
        return err_set(ERR_CONFIG, "%s exists", update->path);
    return failure == 0 ? ERR_OK : failed("rename to", update->path);
}

enum err file_commit(struct file_update **committed, enum file_existing existing)
{
    enum err err = ERR_OK;
    struct file_update *update = *committed;
    TRY(FAULT("file.sync"));
    if (fsync(update->file) != 0)
        TRY(failed("sync", update->path));
    TRY(FAULT("file.rename"));
    if (existing == FILE_KEEP)
        TRY(rename_to_free(update));
    else if (rename(update->beside, update->path) != 0)
        TRY(failed("rename to", update->path));
    file_sync_parent(update->path);
out:
    file_abort(committed); /* the name beside is gone when it was renamed */
    return err;
}

void file_abort(struct file_update **aborted)
{
    struct file_update *update = aborted ? *aborted : NULL;
    if (!update)
        return;
    close(update->file);
    unlink(update->beside);
    mem_free(update->path);
    mem_free(update->beside);
    mem_free(update);
    *aborted = NULL;
}

static enum err write_whole(const char *path, mode_t mode, const void *bytes, size_t size_bytes)
{
    enum err err = ERR_OK;
    struct file_update *update = NULL;
    TRY(begin_update(path, mode, "", &update));
    TRY(file_append(update, bytes, size_bytes));
    TRY(file_commit(&update, FILE_REPLACE));
out:
    file_abort(&update);
    return err;
}

enum err file_write(const char *path, const void *bytes, size_t size_bytes)
{
    return write_whole(path, 0666, bytes, size_bytes);
}

enum err file_write_private(const char *path, const void *bytes, size_t size_bytes)
{
    return write_whole(path, 0600, bytes, size_bytes);
}

/* As begin_update() makes them, and their process has gone. */
static bool is_abandoned(const char *name)
{
    const char *at = strstr(name, PART);
    long process = 0;
    unsigned serial = 0;
    int size = 0;
    for (const char *next; at && (next = strstr(at + 1, PART));)
        at = next;
    if (!at || sscanf(at + strlen(PART), "%ld-%u%n", &process, &serial, &size) != 2)
        return false;
    char behind = at[strlen(PART) + (size_t)size];
    return (behind == '\0' || behind == '-') && process > 0 && kill((pid_t)process, 0) != 0 &&
           errno == ESRCH;
}

void file_remove_parts(const char *folder)
{
    DIR *list = opendir(folder);
    for (struct dirent *entry; list && (entry = readdir(list));)
        if (is_abandoned(entry->d_name))
            unlinkat(dirfd(list), entry->d_name, 0);
    if (list)
        closedir(list);
}

void file_open_standard(void)
{
    int file;
    do
        file = open("/dev/null", O_RDWR); /* children inherit it, as any standard stream */
    while (file >= 0 && file <= STDERR_FILENO);
    if (file >= 0)
        close(file);
}

static enum err make_folders(const char *path, mode_t last)
{
    char *folder = mem_string(path);
    enum err err = ERR_OK;
    for (char *end = folder; *end; end++) {
        char *stop = end + 1;
        if (*stop != '/' && *stop != '\0')
            continue;
        bool is_last = stop[strspn(stop, "/")] == '\0';
        char kept = *stop;
        *stop = '\0';
        int why = mkdir(folder, is_last ? last : 0777) == 0 ? 0 : errno;
        if (why != 0 && !file_is_folder(folder)) {
            errno = why;
            TRY(failed("make the folder", folder));
        }
        *stop = kept;
    }
out:
    mem_free(folder);
    return err;
}

enum err file_make_folders(const char *path)
{
    return make_folders(path, 0777);
}

enum err file_make_private(const char *path)
{
    return make_folders(path, 0700);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status, (void)kind, (void)where;
    return remove(path);
}

enum err file_remove_folder(const char *path)
{
    if (!file_exists(path))
        return ERR_OK;
    /* Deepest first, never through a link. */
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        return failed("remove", path);
    return ERR_OK;
}

bool file_exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

bool file_is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

char *file_join(const char *folder, const char *name)
{
    size_t length = strlen(folder);
    const char *slash = length == 0 || folder[length - 1] == '/' ? "" : "/";
    size_t size = length + strlen(name) + 2;
    char *path = mem_alloc(size);
    snprintf(path, size, "%s%s%s", folder, slash, name);
    return path;
}

char *file_without_slash(const char *path)
{
    char *copy = mem_string(path);
    for (size_t length = strlen(copy); length > 1 && copy[length - 1] == '/';)
        copy[--length] = '\0';
    return copy;
}

bool file_is_name(const char *name)
{
    for (const char *at = name; *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("-_.+", *at))
            return false;
    return name[0] != 0 && name[0] != '.' && name[0] != '-';
}
