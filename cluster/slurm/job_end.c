#include "cluster/slurm/job_end.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/interrupt.h"
#include "cluster/slurm/ask.h"
#include "cluster/slurm/submission.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* In seconds since 1970; 0: there is none. */
static int64_t find_end(const char *job)
{
    int64_t end_s = 0;
    const char *given = getenv("SLURM_JOB_END_TIME");
    if (given)
        return strtoll(given, NULL, 10);
    if (queue_end(job, &end_s) != ERR_OK)
        log_warn("when this job ends is not known: %s", err_text());
    return end_s;
}

static enum err load_site(const struct job_end_cfg *cfg, struct site *site)
{
    enum err err = site_load(cfg->options->site ? cfg->options->site : SITE_DEFAULT, site);
    if (err == ERR_OK && !cfg->options->site)
        site->requeue = SITE_EXIT;
    return err;
}

enum err job_end_watch(const struct job_end_cfg *cfg)
{
    enum err err = ERR_OK;
    struct site *site = mem_alloc(sizeof *site);
    TRY(load_site(cfg, site));
    interrupt_watch_job();
    int64_t end_s = find_end(cfg->allocation->job), left_s = end_s - (int64_t)time(NULL);
    int64_t ahead_s = (int64_t)site->signal_seconds;
    if (left_s > 0) /* in a job that is shorter than that, it works half of it */
        interrupt_in(left_s > 2 * ahead_s ? left_s - ahead_s : left_s / 2);
out:
    mem_free(site);
    return err;
}

enum cause job_end_cause(void)
{
    switch (interrupt_signal()) {
    case SIGUSR1:
    case SIGALRM:
        return CAUSE_TIME_LIMIT;
    case SIGINT:
    case SIGHUP:
        return CAUSE_STOPPED;
    default: /* 0: Slurm has told a gang before us */
        return CAUSE_PREEMPTED;
    }
}

/* Cancelled, or taken from us without time to go: Slurm does with it what it does. */
static bool is_over(const char *job)
{
    char state[32];
    if (queue_state(job, state) != ERR_OK) {
        log_warn("what Slurm does with this job is not known: %s", err_text());
        return false;
    }
    return strcmp(state, "RUNNING") != 0;
}

/* It also ends us, a moment later. */
static void requeue(const char *job)
{
    struct answer answer = {0};
    const char *argv[] = {"scontrol", "requeue", job, NULL};
    if (ask_surely(argv, &answer) != ERR_OK)
        log_warn("this job cannot be queued again: %s", err_text());
    answer_fini(&answer);
}

static void submit_next(const struct job_end_cfg *cfg, const struct site *site)
{
    struct submission made;
    struct job_cfg job = {.campaign = cfg->campaign,
                          .options = cfg->options,
                          .site = site,
                          .site_name = cfg->options->site,
                          .after_job = cfg->allocation->job};
    if (submission_make(job, NULL, &made) != ERR_OK)
        log_warn("no job that goes on could be submitted: %s", err_text());
    else
        fprintf(stderr, "job %s goes on when this one has ended\n", made.intent.job);
}

enum err job_end(const struct job_end_cfg *cfg, int signal)
{
    enum err err = ERR_OK;
    const char *job = cfg->allocation->job;
    struct site *site = mem_alloc(sizeof *site);
    if (signal == SIGINT || signal == SIGHUP || is_over(job))
        TRY(err_set(ERR_INTERRUPTED, "stopped; the same command continues"));
    TRY(load_site(cfg, site));
    fprintf(stderr, "job %s is about to end: all is saved, and the run comes back\n", job);
    if (site->requeue == SITE_SCONTROL)
        requeue(job);
    else if (site->requeue == SITE_CONTINUATION)
        submit_next(cfg, site);
    /* one way only: exit code 85 would queue this job beside the next */
    err = err_set(site->requeue == SITE_EXIT ? ERR_REQUEUE : ERR_INTERRUPTED,
                  "stopped by the end of job %s; it goes on in its next one", job);
out:
    mem_free(site);
    return err;
}
