#include "cluster/slurm/submission.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/program.h"
#include "cluster/slurm/ask.h"
#include "cluster/slurm/job_news.h"
#include "cluster/slurm/left_jobs.h"
#include "cluster/status/status_reader.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SETTLED_S       6.0   /* Slurm writes down what it has every 5 s */
#define FORGOTTEN_S     10.0  /* missing so long, it is */
#define ON_WAY_S        120.0 /* so long what was asked for may still arrive */
#define UNKNOWN_S       60.0  /* so long an answer is waited for */
#define NAP_S           1
#define STILL_LOOKS_S   12.0 /* so long it is waited for */
#define MAX_SUBMISSIONS 5

static void take_state(struct submission *submission, const struct queued *queued)
{
    snprintf(submission->intent.job, sizeof submission->intent.job, "%s", queued->job);
    snprintf(submission->state, sizeof submission->state, "%s", queued->state);
}

/* Since it was written down. */
static double age_of_intent(const char *folder)
{
    struct stat file;
    char *path = file_join(folder, INTENT_NAME);
    bool is_there = stat(path, &file) == 0;
    mem_free(path);
    return is_there ? fabs(difftime(time(NULL), file.st_mtime)) : HUGE_VAL;
}

/* Slurm does not list it. It takes what it was asked for late, though whoever asked has gone. */
static enum err give_up_before(const char *folder, const struct intent *before)
{
    double wait_s = (before->job[0] ? FORGOTTEN_S : ON_WAY_S) - age_of_intent(folder);
    if (before->is_settled)
        return ERR_OK;
    if (wait_s > 0)
        return err_set(ERR_AGAIN,
                       "Slurm may still come to have the job that it was asked for; the same "
                       "command finds out in %.0f s",
                       ceil(wait_s));
    left_jobs_note(folder, before->uuid);
    return ERR_OK;
}

/* An earlier submission that is queued or runs is what was made. */
static enum err look_before(const char *folder, struct submission *made)
{
    enum err err = ERR_OK;
    struct intent before;
    struct queued queued = {0};
    intent_read(folder, &before);
    if (!before.uuid[0])
        return ERR_OK;
    TRY(queue_find(before.uuid, &queued));
    if (queued.is_there && !queued.has_ended) {
        made->intent = before;
        made->was_there = true;
        take_state(made, &queued);
    }
    if (!queued.is_there)
        TRY(give_up_before(folder, &before));
out:
    return err;
}

/* *is_kept: Slurm knows of it when a crash could no longer make it forget. */
static enum err await_settled(struct submission *made, bool *is_kept)
{
    double began = clock_seconds(), missing_s = 0, known_s = began;
    struct queued queued;
    for (;; sleep(NAP_S)) {
        double now = clock_seconds();
        bool is_known = queue_find(made->intent.uuid, &queued) == ERR_OK;
        if (!is_known && now - known_s > UNKNOWN_S)
            return err_prefix(ERR_AGAIN,
                              "Slurm took job %s, but whether it still has it is not known; the "
                              "same command finds out",
                              made->intent.job);
        known_s = is_known ? now : known_s;
        if (!is_known || now - began < SETTLED_S)
            continue;
        missing_s = queued.is_there ? 0 : missing_s > 0 ? missing_s : now;
        *is_kept = queued.is_there;
        if (queued.is_there)
            take_state(made, &queued);
        if (queued.is_there || now - missing_s > FORGOTTEN_S)
            return ERR_OK;
    }
}

static const char refusal_cure[] = "correct the site's file or the campaign's resources "
                                   "(\"glowworm slurm script\" prints what was "
                                   "asked for)";

/* sbatch failed, and Slurm may have the job for all that. The text is kept. */
static enum err look_behind(enum err why, struct submission *made)
{
    struct queued queued;
    char *text = mem_string(err_text());
    enum err err = queue_find(made->intent.uuid, &queued);
    if (err != ERR_OK)
        why = err_set(ERR_AGAIN, "whether Slurm has the job is not known: %s", text);
    else if (queued.is_there)
        take_state(made, &queued);
    else
        err_set(why, "%s", text);
    mem_free(text);
    return err == ERR_OK && queued.is_there ? ERR_OK : why;
}

/* sbatch keeps the folder's lock too: whoever comes after us, if we are killed, waits for its end,
 * behind which Slurm lists the job. */
static enum err ask_locked(const struct job *job, int lock, struct submission *made)
{
    if (made->submissions == MAX_SUBMISSIONS)
        return err_set(ERR_AGAIN,
                       "Slurm has forgotten the job %d times: its controller may be starting "
                       "anew, and the same command tries again later",
                       made->submissions);
    fcntl(lock, F_SETFD, 0);
    enum err err = ask_sbatch((const char *const *)job->words, refusal_cure, made->intent.job);
    fcntl(lock, F_SETFD, FD_CLOEXEC);
    if (err == ERR_FAILED || err == ERR_AGAIN)
        err = look_behind(err, made);
    made->submissions += err == ERR_OK;
    return err;
}

/* Surely not submitted: what lay there before counts again. The text is kept. */
static enum err take_back(const char *folder, const struct intent *earlier, enum err why)
{
    char *text = mem_string(err_text());
    if (intent_write(folder, earlier) != ERR_OK)
        log_warn("what was not submitted is still written down: %s", err_text());
    err_set(why, "%s", text);
    mem_free(text);
    return why;
}

static enum err ask_for(const struct job_cfg *cfg, const struct job *job, int lock,
                        const struct intent *earlier, struct submission *made)
{
    enum err err = ERR_OK;
    made->intent.job[0] = '\0';
    TRY(intent_write(cfg->run_folder, &made->intent));
    err = ask_locked(job, lock, made);
    if (err == ERR_FAILED || err == ERR_UNAVAILABLE)
        TRY(take_back(cfg->run_folder, earlier, err));
    TRY(err);
    TRY(intent_write(cfg->run_folder, &made->intent));
out:
    return err;
}

/* The one that is there may still be too young to be sure of. */
static enum err submit(const struct job_cfg *cfg, int lock, const struct intent *earlier,
                       struct submission *made)
{
    enum err err = ERR_OK;
    struct job job = {0};
    struct intent *intent = &made->intent;
    struct job_cfg mine = *cfg;
    mine.uuid = intent->uuid;
    TRY(job_make(&mine, &job));
    for (bool is_there = made->was_there; !intent->is_settled; is_there = false) {
        if (!is_there)
            TRY(ask_for(cfg, &job, lock, earlier, made));
        TRY(await_settled(made, &intent->is_settled));
    }
    TRY(intent_write(cfg->run_folder, intent));
out:
    job_fini(&job);
    return err;
}

/* Whose word lies there now; "": nobody's. */
static void find_runner(const char *run_folder, char runner[INTENT_RUNNER])
{
    struct found_status *found = mem_alloc(sizeof *found);
    runner[0] = '\0';
    if (status_read_published(run_folder, found) == ERR_OK)
        intent_name_runner(&found->status, runner);
    mem_free(found);
}

bool submission_was_made(const char *run_folder, const char *key)
{
    struct intent intent;
    char runner[INTENT_RUNNER];
    intent_read(run_folder, &intent);
    if (!intent.uuid[0] || strcmp(intent.key, key) != 0)
        return false;
    find_runner(run_folder, runner);
    return intent.is_settled || (runner[0] && strcmp(runner, intent.before) != 0);
}

/* One that follows a job is of the same submission. */
static enum err begin_intent(const struct job_cfg *cfg, const char *key, struct intent *intent)
{
    *intent = (struct intent){0};
    if (cfg->after_job)
        intent_read(cfg->run_folder, intent);
    else
        find_runner(cfg->run_folder, intent->before);
    if (key)
        snprintf(intent->key, sizeof intent->key, "%s", key);
    intent->job[0] = '\0';
    intent->is_settled = false;
    return job_draw_uuid(intent->uuid);
}

struct places { /* owned */
    char *run_folder, *campaign_path, *work_folder, *site, *script, *log, *glowworm;
};

/* From /, though it may not be there yet. */
static char *absolute(const char *work_folder, const char *path)
{
    return path[0] == '/' ? mem_string(path) : file_join(work_folder, path);
}

static enum err find_places(const struct job_cfg *cfg, struct places *places)
{
    char work[PATH_MAX], program[PATH_MAX];
    enum err err = program_path(program, sizeof program);
    if (err != ERR_OK)
        return err;
    if (!getcwd(work, sizeof work))
        return err_set(ERR_IO, "where are we? %s", strerror(errno));
    places->work_folder = mem_string(work);
    places->glowworm = mem_string(program);
    places->run_folder = absolute(work, cfg->campaign->run_folder);
    places->campaign_path = absolute(work, cfg->options->path);
    places->site =
        file_exists(cfg->site_name) ? absolute(work, cfg->site_name) : mem_string(cfg->site_name);
    places->script = file_join(places->run_folder, SUBMISSION_SCRIPT);
    places->log = file_join(places->run_folder, SUBMISSION_LOG);
    return ERR_OK;
}

static void fill_in(struct job_cfg *cfg, const struct places *places)
{
    cfg->run_folder = places->run_folder;
    cfg->campaign_path = places->campaign_path;
    cfg->work_folder = places->work_folder;
    cfg->site_name = places->site;
    cfg->script_path = places->script;
    cfg->log_path = places->log;
    cfg->glowworm = places->glowworm;
}

static void places_fini(struct places *places)
{
    mem_free(places->run_folder);
    mem_free(places->campaign_path);
    mem_free(places->work_folder);
    mem_free(places->site);
    mem_free(places->script);
    mem_free(places->log);
    mem_free(places->glowworm);
}

enum err submission_describe(struct job_cfg cfg, const char *uuid, struct job *job)
{
    enum err err = ERR_OK;
    struct places places = {0};
    TRY(find_places(&cfg, &places));
    fill_in(&cfg, &places);
    cfg.uuid = uuid;
    TRY(job_make(&cfg, job));
out:
    places_fini(&places);
    return err;
}

/* A job may end while whoever submitted it still looks for it. */
static bool lock_within(int lock, double wait_s)
{
    double end_s = clock_seconds() + wait_s;
    while (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        if (clock_seconds() >= end_s)
            return false;
        sleep(NAP_S);
    }
    return true;
}

/* One call at a time; the caller closes *lock. */
static enum err lock_folder(const char *folder, double wait_s, int *lock)
{
    char *path = file_join(folder, INTENT_NAME ".lock");
    enum err err = ERR_OK;
    *lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*lock < 0)
        err = err_set(ERR_IO, "cannot open %s: %s", path, strerror(errno));
    else if (!lock_within(*lock, wait_s))
        err = err_set(ERR_AGAIN, "%s is being submitted already: wait for that command to end",
                      folder);
    mem_free(path);
    return err;
}

/* Whoever asks last is who it was submitted for. */
static enum err take_key(const char *run_folder, const char *key, struct intent *intent)
{
    if (!key || !key[0])
        return ERR_OK;
    snprintf(intent->key, sizeof intent->key, "%s", key);
    return intent_write(run_folder, intent);
}

/* They are of a job that is over. */
static void remove_news(const char *run_folder)
{
    char *path = file_join(run_folder, JOB_NEWS_NAME);
    unlink(path);
    mem_free(path);
}

enum err submission_make(struct job_cfg cfg, const char *key, struct submission *made)
{
    enum err err = ERR_OK;
    struct places places = {0};
    struct intent earlier = {0};
    int lock = -1;
    *made = (struct submission){0};
    TRY(find_places(&cfg, &places));
    fill_in(&cfg, &places);
    TRY(file_make_private(cfg.run_folder));
    TRY(lock_folder(cfg.run_folder, cfg.after_job ? STILL_LOOKS_S : 0, &lock));
    if (!cfg.after_job) /* else the one that is there is who submits */
        TRY(look_before(cfg.run_folder, made));
    if (made->was_there)
        TRY(take_key(cfg.run_folder, key, &made->intent));
    if (made->was_there && made->intent.is_settled)
        goto out;
    if (cfg.after_job)
        intent_read(cfg.run_folder, &earlier);
    else if (!made->was_there)
        remove_news(cfg.run_folder);
    if (!made->was_there)
        TRY(begin_intent(&cfg, key, &made->intent));
    TRY(file_write(cfg.script_path, job_script, strlen(job_script)));
    TRY(submit(&cfg, lock, &earlier, made));
out:
    if (lock >= 0)
        close(lock);
    places_fini(&places);
    return err;
}

enum err submission_explain(const char *run_folder, enum err err)
{
    struct intent found;
    if (err != ERR_NOT_FOUND)
        return err;
    char *text = mem_string(err_text());
    intent_read(run_folder, &found);
    if (found.job[0])
        err = err_set(ERR_AGAIN,
                      "%s was given to Slurm as job %s and has not begun: \"squeue --start -j %s\" "
                      "says when it may, \"scancel %s\" takes it back",
                      run_folder, found.job, found.job, found.job);
    else
        err_set(err, "%s", text);
    mem_free(text);
    return err;
}
