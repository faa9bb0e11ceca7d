/* glowworm slurm: a campaign as a job of a cluster. */
#include "base/clock.h"
#include "base/mem.h"
#include "cluster/command.h"
#include "cluster/interrupt.h"
#include "cluster/next_command.h"
#include "cluster/slurm/job_wait.h"
#include "cluster/slurm/submission.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAUSE_S 10.0 /* before Slurm is asked again */
#define NAP_MS  100

struct request { /* what both verbs are given */
    struct campaign_options options;
    struct campaign campaign;
    struct site site;
    struct job_cfg job;
};

static enum err read_options(int argc, char **argv, struct campaign_options *options)
{
    enum err err = ERR_OK;
    TRY(campaign_options_read(argc, argv, options));
    if (options->key && !intent_is_key(options->key))
        TRY(err_set(ERR_USAGE, "--once takes a name of letters, digits and _.-, not \"%s\"",
                    options->key));
out:
    return err;
}

static enum err load_request(struct request *request)
{
    enum err err = ERR_OK;
    struct campaign_options *options = &request->options;
    TRY(campaign_load(options->path, options->overrides, options->override_count,
                      &request->campaign));
    request->job = (struct job_cfg){.campaign = &request->campaign,
                                    .options = options,
                                    .site = &request->site,
                                    .site_name = options->site ? options->site : SITE_DEFAULT};
    TRY(site_load(request->job.site_name, &request->site));
out:
    return err;
}

static void print_job(const struct job *job)
{
    for (int i = 0; i < job->count; i++) {
        char *word = next_command_word(job->words[i]);
        printf("%s%s", i > 0 ? " \\\n    " : "", word);
        mem_free(word);
    }
    printf("\n\n%s", job_script);
}

enum err cmd_slurm_script(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct job job = {0};
    struct request *request = mem_alloc(sizeof *request);
    TRY(read_options(argc, argv, &request->options));
    TRY(load_request(request));
    TRY(submission_describe(request->job, "UUID", &job));
    print_job(&job);
out:
    job_fini(&job);
    mem_free(request);
    return err;
}

static void print_submission(const struct submission *made, const struct request *request)
{
    const char *folder = request->campaign.run_folder;
    if (request->options.wants_json) {
        json_t *json = json_pack("{s:s, s:s, s:s, s:b}", "job", made->intent.job, "state",
                                 made->state, "run_folder", folder, "was_there", made->was_there);
        char *text = json_dumps(json, JSON_INDENT(2));
        puts(text ? text : "{}");
        free(text);
        json_decref(json);
        return;
    }
    printf("%s as job %s (%s); what it says goes to %s/%s\n",
           made->was_there ? "submitted before," : "submitted", made->intent.job, made->state,
           folder, SUBMISSION_LOG);
    char *word = next_command_word(folder);
    next_command("what it does", "glowworm status %s", word);
    next_command("stop it; it goes on when it is submitted again", "glowworm cancel %s", word);
    mem_free(word);
}

static enum err submit(struct request *request)
{
    enum err err = ERR_OK;
    struct submission made;
    struct job_needs needs = job_needs_of(&request->campaign, &request->site);
    TRY(preflight(&needs));
    TRY(submission_make(request->job, request->options.key ? request->options.key : "", &made));
    print_submission(&made, request);
out:
    return err;
}

static bool was_submitted(const struct request *request)
{
    return request->options.key &&
           submission_was_made(request->campaign.run_folder, request->options.key);
}

/* By whatever signal: nobody ended what goes on. */
static bool is_left(void)
{
    interrupt_take_as_term();
    return *interrupt_count() > 0;
}

/* A signal ends it. */
static void pause_try(void)
{
    double end_s = clock_seconds() + PAUSE_S;
    while (!is_left() && !interrupt_requested() && clock_seconds() < end_s)
        nanosleep(&(struct timespec){.tv_nsec = NAP_MS * 1000000L}, NULL);
}

/* Asked to stop before it is known whether there is a job: one is looked for, and none is made. */
static enum err give_up(const struct request *request)
{
    struct intent intent;
    const char *key = request->options.key ? request->options.key : "";
    intent_read(request->campaign.run_folder, &intent);
    if (intent.uuid[0] && strcmp(intent.key, key) == 0 && !is_left())
        return ERR_OK;
    return err_set(ERR_INTERRUPTED, "not submitted, and not waited for any more");
}

/* For as long as Slurm does not answer. */
static enum err submit_surely(struct request *request)
{
    enum err err = ERR_AGAIN;
    for (bool is_said = false; err == ERR_AGAIN; is_said = true) {
        if (was_submitted(request))
            return ERR_OK;
        if (is_left() || interrupt_requested())
            return give_up(request);
        err = submit(request);
        if (err == ERR_AGAIN && !is_said)
            fprintf(stderr, "%s (it is tried every %.0f s)\n", err_text(), PAUSE_S);
        if (err == ERR_AGAIN)
            pause_try();
    }
    return err;
}

static enum err await_end(const char *run_folder)
{
    enum err err = ERR_OK;
    const struct job_wait_cfg wait = {
        .run_folder = run_folder, .is_stop_asked = interrupt_requested, .is_left = is_left};
    TRY(job_wait(&wait));
    fprintf(stderr, "the campaign is finished\n");
out:
    return err;
}

static enum err submit_and_wait(struct request *request)
{
    enum err err = ERR_OK;
    TRY(submit_surely(request));
    fflush(stdout);
    TRY(await_end(request->campaign.run_folder));
out:
    return err;
}

/* Its folder is all that waiting needs: the campaign's file may have gone meanwhile. */
static bool only_waits(const struct campaign_options *options)
{
    return options->waits && options->key && options->folder &&
           submission_was_made(options->folder, options->key);
}

enum err cmd_slurm_submit(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct request *request = mem_alloc(sizeof *request);
    interrupt_watch_request(); /* a request that comes before anything was done is kept */
    TRY(read_options(argc, argv, &request->options));
    if (request->options.waits)
        interrupt_watch();
    if (only_waits(&request->options)) {
        TRY(await_end(request->options.folder));
        goto out;
    }
    TRY(load_request(request));
    if (request->options.waits)
        TRY(submit_and_wait(request));
    else if (!was_submitted(request))
        TRY(submit(request));
out:
    mem_free(request);
    return err;
}
