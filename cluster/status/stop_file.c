#include "cluster/status/stop_file.h"
#include "base/file.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_BYTES 320
#define TRIES      5 /* others may leave one at the same moment */

static void name_runner(const struct run_status *status, char line[LINE_BYTES])
{
    snprintf(line, LINE_BYTES, "stop %s %lld %lld\n", status->place, (long long)status->pid,
             (long long)status->started_ticks);
}

/* False: there is none that can be read. */
static bool read_line(const char *path, char line[LINE_BYTES])
{
    struct stat found;
    int file = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool is_ours = file >= 0 && fstat(file, &found) == 0 && S_ISREG(found.st_mode) &&
                   (found.st_uid == geteuid() || geteuid() == 0);
    ssize_t got = is_ours ? read(file, line, LINE_BYTES - 1) : -1;
    line[got > 0 ? got : 0] = '\0';
    if (file >= 0)
        close(file);
    return got >= 0;
}

/* Moved away first: what is read is what is removed, whoever leaves another meanwhile. */
bool stop_file_take(const char *run_folder, const struct run_status *status)
{
    char found[LINE_BYTES] = "", ours[LINE_BYTES];
    char *path = file_join(run_folder, "published/stop");
    char *taken = file_join(run_folder, "published/.stop-taken");
    name_runner(status, ours);
    bool is_for_us =
        rename(path, taken) == 0 && read_line(taken, found) && strcmp(found, ours) == 0;
    unlink(taken);
    mem_free(taken);
    mem_free(path);
    return is_for_us;
}

/* Beside, with its owner: root may stop anybody's run, whose runner has to be able to read it. */
static enum err write_beside(const char *run_folder, const char *line, char *beside, int file)
{
    struct stat folder;
    size_t size = strlen(line);
    if (file < 0)
        return err_set(errno == ENOSPC ? ERR_FULL : ERR_IO, "cannot create %s: %s", beside,
                       strerror(errno));
    if (geteuid() == 0 && stat(run_folder, &folder) == 0 && folder.st_uid != 0 &&
        fchown(file, folder.st_uid, folder.st_gid) != 0)
        return err_set(ERR_IO, "cannot give %s to the owner of %s: %s", beside, run_folder,
                       strerror(errno));
    if (write(file, line, size) != (ssize_t)size)
        return err_set(errno == ENOSPC ? ERR_FULL : ERR_IO, "cannot write %s: %s", beside,
                       strerror(errno));
    return ERR_OK;
}

/* ERR_CONFIG: one is there already. */
static enum err link_free(const char *beside, const char *path)
{
    int failure = link(beside, path);
    if (failure != 0 && errno != EEXIST) /* a file system without links */
        failure = renameat2(AT_FDCWD, beside, AT_FDCWD, path, RENAME_NOREPLACE);
    if (failure != 0 && errno == EEXIST)
        return err_set(ERR_CONFIG, "%s exists", path);
    return failure == 0 ? ERR_OK : err_set(ERR_IO, "cannot make %s: %s", path, strerror(errno));
}

/* One that is there may be meant for a runner that is gone. */
static enum err place(const char *beside, const char *path, const char *line,
                      enum stop_asked *asked)
{
    char found[LINE_BYTES];
    enum err err = ERR_CONFIG;
    for (int i = 0; i < TRIES && err == ERR_CONFIG; i++) {
        err = link_free(beside, path);
        if (err != ERR_CONFIG)
            break;
        *asked =
            read_line(path, found) && strcmp(found, line) == 0 ? STOP_ASKED_BEFORE : STOP_ASKED_NOW;
        if (*asked == STOP_ASKED_BEFORE)
            return ERR_OK;
        unlink(path);
    }
    return err == ERR_CONFIG
               ? err_set(ERR_IO, "%s cannot be replaced: remove it, and try again", path)
               : err;
}

enum err stop_file_leave(const char *run_folder, const struct run_status *status,
                         enum stop_asked *asked)
{
    enum err err = ERR_OK;
    char line[LINE_BYTES];
    char *path = file_join(run_folder, "published/stop");
    char *beside = file_join(run_folder, "published/.stop-XXXXXX");
    int file = mkstemp(beside); /* 0600 */
    name_runner(status, line);
    *asked = STOP_ASKED_NOW;
    TRY(write_beside(run_folder, line, beside, file));
    TRY(place(beside, path, line, asked));
out:
    if (file >= 0) {
        close(file);
        unlink(beside);
    }
    mem_free(beside);
    mem_free(path);
    return err;
}
