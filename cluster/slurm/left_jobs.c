#include "cluster/slurm/left_jobs.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/slurm/ask.h"
#include "cluster/slurm/queue.h"
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FOLDER   "left-jobs"
#define ON_WAY_S 120.0 /* so long after a submission that was given up a job may still appear */

enum err left_jobs_cancel_one(const char *uuid, bool *was_there)
{
    enum err err = ERR_OK;
    struct queued queued;
    struct answer answer = {0};
    TRY(queue_find(uuid, &queued));
    const char *argv[] = {"scancel", queued.job, NULL};
    bool is_there = queued.is_there && !queued.has_ended;
    if (is_there)
        TRY(ask_surely(argv, &answer));
    *was_there = is_there;
out:
    answer_fini(&answer);
    return err;
}

void left_jobs_note(const char *run_folder, const char *uuid)
{
    char *folder = file_join(run_folder, FOLDER), *path = file_join(folder, uuid);
    enum err err = file_make_private(folder);
    if (err == ERR_OK)
        err = file_write(path, "", 0);
    if (err != ERR_OK)
        log_warn("a job of Slurm with the comment %s may be left in the queue: %s", uuid,
                 err_text());
    mem_free(path);
    mem_free(folder);
}

static bool is_young(const char *path)
{
    struct stat note;
    return stat(path, &note) == 0 && fabs(difftime(time(NULL), note.st_mtime)) < ON_WAY_S;
}

static void cancel(const char *folder, const char *uuid)
{
    bool was_there = false;
    char *path = file_join(folder, uuid);
    if (left_jobs_cancel_one(uuid, &was_there) != ERR_OK)
        log_debug("the job with the comment %s is not cancelled yet: %s", uuid, err_text());
    else if (was_there || !is_young(path))
        unlink(path);
    if (was_there)
        log_info("a job that was left in Slurm's queue is cancelled: %s", uuid);
    mem_free(path);
}

void left_jobs_cancel(const char *run_folder)
{
    char *folder = file_join(run_folder, FOLDER);
    DIR *list = opendir(folder);
    for (struct dirent *entry; list && (entry = readdir(list));)
        if (file_is_name(entry->d_name))
            cancel(folder, entry->d_name);
    if (list)
        closedir(list);
    rmdir(folder); /* when nothing is left in it */
    mem_free(folder);
}
