#include "cluster/slurm/job_wait.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/log_file.h"
#include "cluster/slurm/ask.h"
#include "cluster/slurm/intent.h"
#include "cluster/slurm/job_news.h"
#include "cluster/slurm/submission.h"
#include "cluster/status/status_reader.h"
#include "cluster/status/stop_file.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NAP_MS     250
#define SOONEST_S  1.0  /* between two questions to Slurm's controller, at first */
#define SELDOM_S   30.0 /* and in the end, since very many may wait */
#define LAST_S     5.0  /* a last word has come by then, or never does */
#define WORDS_ROOM 512

static bool is_cancelled(const struct job_seen *seen)
{
    return seen->queued.is_there && strcmp(seen->queued.state, "CANCELLED") == 0;
}

/* Slurm had its reasons, and the run is not to blame. */
static bool is_taken(const struct job_seen *seen)
{
    static const char *const states[] = {"PREEMPTED", "NODE_FAIL", "BOOT_FAIL",
                                         "TIMEOUT",   "DEADLINE",  "REVOKED"};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (seen->queued.is_there && strcmp(seen->queued.state, states[i]) == 0)
            return true;
    return false;
}

static bool is_by_person(const struct run_status *status)
{
    return status->state == RUN_STATE_STOPPED &&
           (status->signal == SIGINT || status->signal == SIGHUP);
}

/* A run that stops comes back, unless a person stopped it. */
static bool is_final(const struct run_status *status)
{
    return status->state == RUN_STATE_DONE || status->state == RUN_STATE_FAILED ||
           is_by_person(status);
}

enum job_verdict job_wait_judge(const struct job_seen *seen)
{
    bool is_told = seen->status && is_final(seen->status);
    bool has_job = seen->queued.is_there && !seen->queued.has_ended;
    if (!seen->is_known)
        return is_told ? JOB_IS_OVER : JOB_GOES_ON;
    if (has_job)
        return JOB_GOES_ON;
    return is_told || is_cancelled(seen) ? JOB_IS_OVER : JOB_MAY_BE_OVER;
}

static enum err end_unbegun(const struct job_seen *seen)
{
    const struct queued *queued = &seen->queued;
    if (is_cancelled(seen))
        return err_set(ERR_INTERRUPTED, "job %s was cancelled before the run began", queued->job);
    if (is_taken(seen))
        return err_set(ERR_REQUEUE, "job %s ended (%s) before the run began", queued->job,
                       queued->state);
    if (!queued->is_there && seen->is_stop_asked)
        return err_set(ERR_INTERRUPTED,
                       "stopped before the run began; Slurm does not have its job");
    if (!queued->is_there)
        return err_set(ERR_FAILED,
                       "Slurm does not have the job any more, and the run never began: it was "
                       "cancelled, or Slurm has lost it; submit it again");
    return err_set(ERR_FAILED, "job %s ended (%s) before the run began: %s", queued->job,
                   queued->state, seen->last_words[0] ? seen->last_words : "it says nothing");
}

static enum err end_stopped(const struct job_seen *seen)
{
    if (is_cancelled(seen))
        return err_set(ERR_INTERRUPTED,
                       "job %s was cancelled; the run has saved, and submitted "
                       "again it goes on",
                       seen->queued.job);
    if (is_by_person(seen->status))
        return err_set(ERR_INTERRUPTED, "stopped by a person; submitted again it goes on");
    return err_set(ERR_REQUEUE,
                   "the run has saved at the end of its job (%s), and no other job "
                   "came for it; submitted again it goes on",
                   seen->queued.is_there ? seen->queued.state : "not in Slurm any more");
}

/* Its runner left no last word. */
static enum err end_killed(const struct job_seen *seen)
{
    const struct queued *queued = &seen->queued;
    const char *state = queued->is_there ? queued->state : "not in Slurm any more";
    if (is_cancelled(seen))
        return err_set(ERR_INTERRUPTED,
                       "job %s was cancelled, and the run had no time to save; "
                       "submitted again it goes on from its last checkpoint",
                       queued->job);
    if (strcmp(state, "OUT_OF_MEMORY") == 0)
        return err_set(ERR_MEMORY,
                       "Slurm ended job %s for want of memory: raise "
                       "resources.memory, or lower resources.ranks or gangs",
                       queued->job);
    return err_set(ERR_REQUEUE, "job %s ended (%s), and the run had no time to save: %s",
                   queued->job, state, seen->last_words[0] ? seen->last_words : "it says nothing");
}

static enum err end_failed(const struct run_status *status)
{
    enum err code = err_of_name(status->error);
    return err_set(code == ERR_OK ? ERR_FAILED : code, "the run failed: %s",
                   status->text[0] ? status->text : "its log may say why");
}

enum err job_wait_end(const struct job_seen *seen)
{
    if (!seen->status)
        return end_unbegun(seen);
    switch (seen->status->state) {
    case RUN_STATE_DONE:
        return ERR_OK;
    case RUN_STATE_FAILED:
        return end_failed(seen->status);
    case RUN_STATE_STOPPED:
        return end_stopped(seen);
    default:
        return end_killed(seen);
    }
}

struct waiting {
    const struct job_wait_cfg *cfg;
    struct intent intent;
    struct job_seen seen;
    struct job_news news; /* that were told last */
    struct found_status *found;
    char last_words[WORDS_ROOM];
    char moment[INTENT_RUNNER + 32]; /* runner and state that were seen last */
    double ask_s, pause_s;           /* when Slurm is asked, and how long not again then */
    double stop_s;                   /* no stop is asked for before */
    double over_s;                   /* since when it may be over; 0: it is not */
    double answered_s;               /* when Slurm was asked what it answered last */
};

static void ask_soon(struct waiting *waiting)
{
    waiting->ask_s = 0;
    waiting->pause_s = SOONEST_S;
}

/* On NFS a folder that is opened is looked at anew. */
static void look_afresh(const char *run_folder)
{
    char *path = file_join(run_folder, "published");
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0)
        close(folder);
    mem_free(path);
}

/* What happens to the run has Slurm asked at once. */
static void look_at_run(struct waiting *waiting)
{
    char runner[INTENT_RUNNER] = "", moment[INTENT_RUNNER + 32];
    struct run_status *status = &waiting->found->status;
    look_afresh(waiting->cfg->run_folder);
    if (status_read_published(waiting->cfg->run_folder, waiting->found) == ERR_OK)
        intent_name_runner(status, runner);
    bool has_begun = runner[0] && strcmp(runner, waiting->intent.before) != 0;
    waiting->seen.status = has_begun ? status : NULL;
    snprintf(moment, sizeof moment, "%s %d", runner, has_begun ? status->state : -1);
    if (strcmp(moment, waiting->moment) != 0)
        ask_soon(waiting);
    memcpy(waiting->moment, moment, sizeof moment);
}

/* A run that goes on in another job writes down which, before this one ends. */
static void look_at_intent(struct waiting *waiting)
{
    struct intent intent;
    intent_read(waiting->cfg->run_folder, &intent);
    if (!intent.uuid[0]) /* it cannot be read now */
        return;
    if (strcmp(intent.uuid, waiting->intent.uuid) != 0) {
        waiting->over_s = 0;
        ask_soon(waiting);
    }
    waiting->intent = intent;
}

static void look_at_job(struct waiting *waiting)
{
    struct queued queued;
    double now_s = clock_seconds();
    if (!waiting->intent.uuid[0]) /* there is nothing to ask for */
        waiting->answered_s = now_s;
    if (now_s < waiting->ask_s || !waiting->intent.uuid[0])
        return;
    waiting->seen.is_known = queue_find(waiting->intent.uuid, &queued) == ERR_OK;
    waiting->ask_s = now_s + waiting->pause_s;
    waiting->pause_s = waiting->pause_s < SELDOM_S / 2 ? 2 * waiting->pause_s : SELDOM_S;
    if (!waiting->seen.is_known)
        return;
    waiting->answered_s = now_s;
    if (!queued.job[0])
        snprintf(queued.job, sizeof queued.job, "%s", waiting->intent.job);
    waiting->seen.queued = queued;
}

static void tell(struct waiting *waiting)
{
    char text[JOB_NEWS_TEXT], before[JOB_NEWS_TEXT];
    struct job_news news = {.queued = waiting->seen.queued, .is_silent = !waiting->seen.is_known};
    if (!news.queued.job[0])
        snprintf(news.queued.job, sizeof news.queued.job, "%s", waiting->intent.job);
    job_news_text(&news, text);
    job_news_text(&waiting->news, before);
    if (strcmp(text, before) == 0)
        return;
    if (job_news_write(waiting->cfg->run_folder, &news) != ERR_OK)
        log_warn("\"glowworm queue\" cannot say so: %s", err_text());
    fprintf(stderr, "%s\n", text);
    waiting->news = news;
}

/* Only where it has not begun: one that begins this very moment is left alone. */
static void cancel_pending(const char *job)
{
    struct answer answer = {0};
    const char *argv[] = {"scancel", "--state=PENDING", job, NULL};
    if (ask_surely(argv, &answer) != ERR_OK)
        log_warn("job %s is not cancelled yet: %s", job, err_text());
    answer_fini(&answer);
}

/* Again and again, until it has come to its end. */
static void stop(struct waiting *waiting)
{
    enum stop_asked asked;
    const struct job_seen *seen = &waiting->seen;
    if (clock_seconds() < waiting->stop_s)
        return;
    waiting->stop_s = clock_seconds() + SOONEST_S;
    bool runs = seen->status && !run_state_is_end(seen->status->state);
    if (runs && stop_file_leave(waiting->cfg->run_folder, seen->status, &asked) != ERR_OK)
        log_warn("the run is not asked to stop yet: %s", err_text());
    if (seen->is_known && strcmp(seen->queued.state, "PENDING") == 0)
        cancel_pending(seen->queued.job);
    waiting->pause_s = SOONEST_S;
}

static void look(struct waiting *waiting)
{
    look_at_intent(waiting);
    look_at_run(waiting);
    look_at_job(waiting);
    tell(waiting);
}

/* What it may be over by is asked again until it is long so. */
static bool is_over(struct waiting *waiting)
{
    enum job_verdict verdict = job_wait_judge(&waiting->seen);
    double now_s = clock_seconds();
    if (verdict != JOB_MAY_BE_OVER) {
        waiting->over_s = 0;
        return verdict == JOB_IS_OVER;
    }
    if (waiting->over_s == 0) {
        waiting->over_s = now_s;
        ask_soon(waiting);
    }
    waiting->pause_s = SOONEST_S;
    return waiting->answered_s - waiting->over_s > LAST_S;
}

static enum err end(struct waiting *waiting)
{
    char *log = file_join(waiting->cfg->run_folder, SUBMISSION_LOG);
    log_file_last_line(log, waiting->last_words, sizeof waiting->last_words);
    waiting->seen.last_words = waiting->last_words;
    waiting->seen.is_stop_asked = waiting->cfg->is_stop_asked();
    enum err err = job_wait_end(&waiting->seen);
    mem_free(log);
    return err;
}

static enum err leave(const struct waiting *waiting)
{
    return err_set(ERR_INTERRUPTED,
                   "not waited for any more; the run goes on in Slurm (job %s): the same command "
                   "waits again, \"glowworm cancel %s\" stops it",
                   waiting->intent.job, waiting->cfg->run_folder);
}

enum err job_wait(const struct job_wait_cfg *cfg)
{
    struct waiting waiting = {.cfg = cfg,
                              .found = mem_alloc(sizeof *waiting.found),
                              .pause_s = SOONEST_S,
                              .seen = {.is_known = true}};
    enum err err = ERR_OK;
    bool has_ended = false;
    while (!has_ended && !cfg->is_left()) {
        look(&waiting);
        has_ended = is_over(&waiting);
        if (!has_ended && cfg->is_stop_asked())
            stop(&waiting);
        if (!has_ended)
            nanosleep(&(struct timespec){.tv_nsec = NAP_MS * 1000000L}, NULL);
    }
    err = has_ended ? end(&waiting) : leave(&waiting);
    mem_free(waiting.found);
    return err;
}
