/* glowworm slurm helper: a gang that helps a run, as a job of its own. The runner starts this as it
 * starts a gang: it submits the job, stays as long as that is queued or runs, and cancels it when
 * it is told to end or the runner has gone. */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/program.h"
#include "cluster/command.h"
#include "cluster/interrupt.h"
#include "cluster/slurm/ask.h"
#include "cluster/slurm/job.h"
#include "cluster/slurm/left_jobs.h"
#include "cluster/slurm/queue.h"
#include "cluster/slurm/submission.h"
#include "scheduler/protocol.h"
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NAP_MS    200
#define LOOK_S    10.0  /* between two questions to Slurm's controller */
#define UNKNOWN_S 300.0 /* without an answer, it may have gone */
#define CANCELS   5     /* a job that stays all the same is left to others */

extern char **environ;

struct helper {
    struct campaign campaign;
    struct site site;
    const char *run_folder, *site_name, *log;
    char worker[PATH_MAX], uuid[JOB_UUID], job[ASK_JOB];
    pid_t runner;
};

static enum err read_arguments(int argc, char **argv, struct helper *helper)
{
    static const struct option known[] = {{"site", required_argument, NULL, 's'},
                                          {"log", required_argument, NULL, 'l'},
                                          {"runner", required_argument, NULL, 'r'},
                                          {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    long runner = 0;
    helper->site_name = SITE_DEFAULT;
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (option == 's')
            helper->site_name = optarg;
        else if (option == 'l')
            helper->log = optarg;
        else if (option == 'r')
            TRY(text_to_int(optarg, 1, INT_MAX, &runner));
        else
            TRY(err_set(ERR_USAGE, "that option is not known, or lacks its value"));
    }
    if (argc - optind != 1 || !helper->log || runner == 0)
        TRY(err_set(ERR_USAGE, "name one run, its runner's process, and a file for a log"));
    helper->runner = (pid_t)runner;
    helper->run_folder = argv[optind];
out:
    return err;
}

static enum err load(struct helper *helper)
{
    enum err err = ERR_OK;
    char *path = file_join(helper->run_folder, "campaign.yaml");
    TRY(campaign_load(path, NULL, 0, &helper->campaign));
    TRY(site_load(helper->site_name, &helper->site));
    TRY(program_find("glowworm-worker", helper->worker, sizeof helper->worker));
out:
    mem_free(path);
    return err;
}

/* What our own job was told would be taken for what the new one was asked for. Slurm's programs
 * that we start are none of the gang: who kills it lets them do their work. */
static void forget_our_job(void)
{
    static const char *const of_slurm[] = {"SLURM_", "SLURMD_", "PMIX_", "PMI_"};
    for (int at = 0; environ[at];) {
        char name[256];
        bool is_slurm = false;
        for (size_t i = 0; i < sizeof of_slurm / sizeof *of_slurm; i++)
            is_slurm = is_slurm || strncmp(environ[at], of_slurm[i], strlen(of_slurm[i])) == 0;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(environ[at], "="), environ[at]);
        if (is_slurm && strcmp(name, "SLURM_CONF") != 0 && unsetenv(name) == 0)
            continue; /* the next one has its place */
        at++;
    }
    unsetenv(PROTOCOL_GANG);
}

static enum err submit(struct helper *helper)
{
    enum err err = ERR_OK;
    struct job job = {0};
    char *script = file_join(helper->run_folder, SUBMISSION_SCRIPT);
    struct gang_job_cfg cfg = {.campaign = &helper->campaign,
                               .site = &helper->site,
                               .worker = helper->worker,
                               .script_path = script,
                               .log_path = helper->log,
                               .uuid = helper->uuid};
    TRY(job_draw_uuid(helper->uuid));
    if (!file_exists(script))
        TRY(file_write(script, job_script, strlen(job_script)));
    TRY(job_make_gang(&cfg, &job));
    TRY(ask_sbatch((const char *const *)job.words,
                   "it is for a helper: resources.helper_jobs 0 does without", helper->job));
    printf("this helper is job %s\n", helper->job);
    fflush(stdout);
out:
    job_fini(&job);
    mem_free(script);
    return err;
}

static bool is_wanted(const struct helper *helper)
{
    return *interrupt_count() == 0 && getppid() == helper->runner;
}

/* False: it is wanted no more. */
static bool nap(const struct helper *helper, double seconds)
{
    double end = clock_seconds() + seconds;
    while (is_wanted(helper) && clock_seconds() < end)
        nanosleep(&(struct timespec){.tv_nsec = NAP_MS * 1000000L}, NULL);
    return is_wanted(helper);
}

/* Until it is not listed any more, or ended. */
static enum err await_end(const struct helper *helper)
{
    double known_s = clock_seconds();
    while (nap(helper, LOOK_S)) {
        struct queued queued = {0};
        bool is_known = queue_find(helper->uuid, &queued) == ERR_OK;
        if (is_known && (!queued.is_there || queued.has_ended))
            return ERR_OK;
        known_s = is_known ? clock_seconds() : known_s;
        if (clock_seconds() - known_s > UNKNOWN_S)
            return err_prefix(ERR_AGAIN, "whether job %s still runs is not known", helper->job);
    }
    return ERR_OK;
}

/* It may be there without a word of sbatch to us, or come to be there. The text of `why` is kept.
 */
static enum err cancel(const struct helper *helper, enum err why)
{
    char *text = mem_string(err_text());
    bool was_there = false, is_known = false;
    for (int i = 0; i < CANCELS && !is_known; i++) {
        is_known = left_jobs_cancel_one(helper->uuid, &was_there) == ERR_OK;
        if (!is_known)
            fprintf(stderr, "a job for a helper is not cancelled: %s\n", err_text());
    }
    if (!is_known || (!was_there && !helper->job[0]))
        left_jobs_note(helper->run_folder, helper->uuid);
    if (why != ERR_OK)
        err_set(why, "%s", text);
    mem_free(text);
    return why;
}

enum err cmd_slurm_helper(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct helper *helper = mem_alloc(sizeof *helper);
    interrupt_watch();
    TRY(read_arguments(argc, argv, helper));
    TRY(load(helper));
    forget_our_job();
    left_jobs_cancel(helper->run_folder);
    err = submit(helper);
    if (err == ERR_OK)
        err = await_end(helper);
    if (helper->uuid[0] && (!is_wanted(helper) || err != ERR_OK))
        err = cancel(helper, err);
out:
    mem_free(helper);
    return err;
}
