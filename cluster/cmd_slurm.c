/* glowworm slurm: a campaign as a job of a cluster. */
#include "base/mem.h"
#include "cluster/command.h"
#include "cluster/next_command.h"
#include "cluster/slurm/submission.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request { /* what both verbs are given */
    struct campaign_options options;
    struct campaign campaign;
    struct site site;
    struct job_cfg job;
};

static enum err read_request(int argc, char **argv, struct request *request)
{
    enum err err = ERR_OK;
    struct campaign_options *options = &request->options;
    TRY(campaign_options_read(argc, argv, options));
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
    TRY(read_request(argc, argv, request));
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
        json_t *json = json_pack("{s:s, s:s, s:s, s:b}", "job", made->job, "state", made->state,
                                 "run_folder", folder, "was_there", made->was_there);
        char *text = json_dumps(json, JSON_INDENT(2));
        puts(text ? text : "{}");
        free(text);
        json_decref(json);
        return;
    }
    printf("%s as job %s (%s); what it says goes to %s/%s\n",
           made->was_there ? "submitted before," : "submitted", made->job, made->state, folder,
           SUBMISSION_LOG);
    char *word = next_command_word(folder);
    next_command("what it does", "glowworm status %s", word);
    next_command("stop it; it goes on when it is submitted again", "glowworm cancel %s", word);
    mem_free(word);
}

enum err cmd_slurm_submit(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct submission made;
    struct request *request = mem_alloc(sizeof *request);
    TRY(read_request(argc, argv, request));
    struct job_needs needs = job_needs_of(&request->campaign, &request->site);
    TRY(preflight(&needs));
    TRY(submission_make(request->job, &made));
    print_submission(&made, request);
out:
    mem_free(request);
    return err;
}
