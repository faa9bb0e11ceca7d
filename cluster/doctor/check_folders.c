/* Where a run's stores and shared memory lie: the file system, whether it does what LMDB needs of
 * it, and how much room there is. */
#include "base/file.h"
#include "base/file_system.h"
#include "base/mem.h"
#include "base/scratch_folder.h"
#include "cluster/doctor/doctor.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROBE_BYTES  65536
#define LITTLE_BYTES (1ull << 30) /* a campaign of any size takes more */
#define NONE_BYTES   (100ull << 20)
#define SHARED_BYTES (64ull << 20)

/* The folder, or the nearest one above it that is there. Returns owned. */
static char *nearest_folder(const char *path)
{
    char *folder = file_without_slash(path);
    while (!file_is_folder(folder)) {
        char *slash = strrchr(folder, '/');
        if (!slash) {
            mem_free(folder);
            return mem_string(".");
        }
        slash[slash == folder ? 1 : 0] = '\0';
    }
    return folder;
}

/* A lock, a shared map and a sync, as a store wants them, on a file without a name. */
static enum err probe(const char *folder)
{
    enum err err = ERR_OK;
    char *path = file_join(folder, ".glowworm-doctor-XXXXXX");
    char *map = MAP_FAILED;
    int file = mkstemp(path);
    if (file < 0)
        TRY(err_set(ERR_IO, "no file can be made in %s: %s", folder, strerror(errno)));
    unlink(path);
    if (flock(file, LOCK_EX | LOCK_NB) != 0)
        TRY(err_set(ERR_IO, "files in %s cannot be locked: %s", folder, strerror(errno)));
    if (ftruncate(file, PROBE_BYTES) == 0)
        map = mmap(NULL, PROBE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (map == MAP_FAILED)
        TRY(err_set(ERR_IO, "files in %s cannot be mapped: %s", folder, strerror(errno)));
    map[0] = 1;
    if (msync(map, PROBE_BYTES, MS_SYNC) != 0 || fsync(file) != 0)
        TRY(err_set(ERR_IO, "files in %s cannot be synced: %s", folder, strerror(errno)));
out:
    if (map != MAP_FAILED)
        munmap(map, PROBE_BYTES);
    if (file >= 0)
        close(file);
    mem_free(path);
    return err;
}

static void check_kind(const char *folder, const struct file_system *system,
                       struct findings *findings)
{
    static const char local[] = "set resources.scratch, or run_folder, to a local disk";
    switch (system->kind) {
    case FILE_SYSTEM_NETWORK:
        finding_add(findings, FINDING_PROBLEM, local,
                    "%s is on %s, a network file system: a store there can be damaged by a second "
                    "machine, and is refused",
                    folder, system->name);
        break;
    case FILE_SYSTEM_USER:
        finding_add(findings, FINDING_WARNING, local,
                    "%s is on %s: a program stands behind it, and whether its locks and maps are "
                    "one machine's cannot be seen",
                    folder, system->name);
        break;
    case FILE_SYSTEM_MEMORY:
        finding_add(findings, FINDING_WARNING, local,
                    "%s is on %s: it takes memory, and is gone with a restart", folder,
                    system->name);
        break;
    case FILE_SYSTEM_LAYERED:
        finding_add(findings, FINDING_WARNING, "mount a folder of the host for runs",
                    "%s is on %s: it is gone with its container", folder, system->name);
        break;
    case FILE_SYSTEM_LOCAL:
    case FILE_SYSTEM_UNKNOWN:
        finding_add(findings, FINDING_OK, "", "%s is on %s; locks, maps and syncs work", folder,
                    system->name);
    }
}

static void check_room(const char *folder, const struct file_system *system,
                       struct findings *findings)
{
    double gigabytes = (double)system->free_bytes / 1e9;
    enum finding_level level = system->free_bytes < NONE_BYTES     ? FINDING_PROBLEM
                               : system->free_bytes < LITTLE_BYTES ? FINDING_WARNING
                                                                   : FINDING_OK;
    finding_add(findings, level,
                level == FINDING_OK ? "" : "make room, or set run_folder to another disk",
                "%.1f GB are free in %s", gigabytes, folder);
}

static void check_private(const char *folder, struct findings *findings)
{
    struct stat status;
    if (stat(folder, &status) == 0 && (status.st_mode & S_IWOTH) && !(status.st_mode & S_ISVTX))
        finding_add(findings, FINDING_PROBLEM, "chmod o-w on it",
                    "every user of the machine can write in %s, and replace what lies there",
                    folder);
}

void check_run_folder(const struct doctor_subject *subject, struct findings *findings)
{
    enum err err = ERR_OK;
    struct file_system system;
    struct text scratch;
    char *folder = NULL;
    text_init(&scratch);
    if (subject->scratch[0])
        TRY(scratch_expand(subject->scratch, &scratch));
    folder = nearest_folder(subject->scratch[0] ? text_get(&scratch) : subject->run_folder);
    TRY(file_system_of(folder, &system));
    TRY(probe(folder));
    check_kind(folder, &system, findings);
    check_room(folder, &system, findings);
    check_private(folder, findings);
out:
    if (err != ERR_OK)
        finding_add(findings, FINDING_PROBLEM,
                    "set resources.scratch, or run_folder, to a folder of yours on a local disk",
                    "%s", err_text());
    text_fini(&scratch);
    mem_free(folder);
}

void check_shared_memory(const struct doctor_subject *subject, struct findings *findings)
{
    struct file_system system;
    (void)subject;
    if (file_system_of("/dev/shm", &system) != ERR_OK || access("/dev/shm", W_OK) != 0) {
        finding_add(findings, FINDING_WARNING, "mount a tmpfs at /dev/shm that all may write",
                    "/dev/shm cannot be written: ranks exchange through files in TMPDIR");
        return;
    }
    bool is_little = system.free_bytes < SHARED_BYTES;
    finding_add(findings, is_little ? FINDING_WARNING : FINDING_OK,
                is_little ? "remove what is left there, or give a container more (--shm-size)" : "",
                "%.0f MB are free in /dev/shm (%s), through which ranks exchange",
                (double)system.free_bytes / 1e6, system.name);
}
