/* glowworm submit: a campaign for glowworm-scheduler. It is checked here as `run` would, so that
 * what is wrong with it is said to the person. */
#include "base/file.h"
#include "base/mem.h"
#include "cluster/command.h"
#include "cluster/daemon/control_client.h"
#include "cluster/daemon/submitted.h"
#include "cluster/next_command.h"
#include "cluster/notify.h"
#include "cluster/real_name.h"
#include "cluster/run_memory.h"
#include "cluster/slurm/job.h"
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct submission_words { /* owned: they are what the message borrows */
    char campaign[SUBMITTED_PATH], run_folder[SUBMITTED_PATH], work_folder[SUBMITTED_PATH],
        site[SUBMITTED_PATH], by[128];
    char *list[SUBMITTED_MAX_WORDS];
    size_t count;
};

static void add_word(struct submission_words *words, char *word)
{
    words->list[words->count++] = word;
}

static char *join(const struct campaign_override *override)
{
    struct text text;
    text_init(&text);
    text_add(&text, "%s=%s", override->key, override->value);
    char *joined = mem_string(text_get(&text));
    text_fini(&text);
    return joined;
}

/* What stands behind "glowworm run". */
static void add_words(const struct campaign_options *options, struct submission_words *words)
{
    add_word(words, mem_string(words->campaign));
    for (int i = 0; i < options->override_count; i++) {
        if (strcmp(options->overrides[i].key, "run_folder") == 0)
            continue;
        add_word(words, mem_string("--set"));
        add_word(words, join(&options->overrides[i]));
    }
    add_word(words, mem_string("--run-folder"));
    add_word(words, mem_string(words->run_folder));
}

static enum err find_words(const struct campaign_options *options, const struct campaign_run *run,
                           struct submission_words *words)
{
    enum err err = ERR_OK;
    char host[64] = "";
    const struct passwd *person = getpwuid(geteuid());
    TRY(real_name(options->path, words->campaign, sizeof words->campaign));
    TRY(real_name(run->folder, words->run_folder, sizeof words->run_folder));
    TRY(real_name(".", words->work_folder, sizeof words->work_folder));
    gethostname(host, sizeof host - 1);
    snprintf(words->by, sizeof words->by, "%.60s@%.60s", person ? person->pw_name : "?", host);
    add_words(options, words);
out:
    return err;
}

static void words_fini(struct submission_words *words)
{
    for (size_t i = 0; i < words->count; i++)
        mem_free(words->list[i]);
}

/* It needs more than the scheduler's own machine. */
static bool is_for_slurm(const struct campaign_options *options, const struct campaign *campaign)
{
    return options->site || strcmp(campaign->resources.launcher, "slurm") == 0 ||
           campaign_nodes(campaign) > 1 || campaign->resources.helper_jobs > 0;
}

/* Impossible is said here; where nobody answers now, it is when its turn has come. */
static enum err check_cluster(const struct campaign *campaign, const struct site *site)
{
    struct job_needs needs = job_needs_of(campaign, site);
    enum err err = preflight(&needs);
    if (err == ERR_AGAIN || err == ERR_UNAVAILABLE) {
        fprintf(stderr, "whether the cluster can run it is not known yet: %s\n", err_text());
        return ERR_OK;
    }
    return err;
}

/* Of the machine it takes nothing. */
static enum err find_site(const struct campaign_options *options, const struct campaign *campaign,
                          struct submission_words *words)
{
    enum err err = ERR_OK;
    const char *name = options->site ? options->site : SITE_DEFAULT;
    struct site *site = mem_alloc(sizeof *site);
    TRY(site_load(name, site));
    TRY(check_cluster(campaign, site));
    if (file_exists(name))
        TRY(real_name(name, words->site, sizeof words->site));
    else
        snprintf(words->site, sizeof words->site, "%s", name);
out:
    mem_free(site);
    return err;
}

static enum err find_needs(const struct campaign_run *run, Gwd__Submit *message)
{
    enum err err = ERR_OK;
    const bool done[PLAN_MAX_STAGES] = {false};
    struct machine_memory machine;
    struct run_memory memory;
    const struct campaign *campaign = &run->campaign;
    double cores =
        (double)campaign->resources.ranks * campaign->resources.threads * campaign->resources.gangs;
    TRY(run_memory_there(campaign, &machine));
    TRY(run_memory_check(run, done, &machine, &memory));
    uint64_t gangs = (uint64_t)campaign->resources.gangs * memory.footprint.gang_bytes;
    message->memory_bytes = gangs < machine.total_bytes ? gangs : machine.total_bytes;
    message->cores = cores < SUBMITTED_MAX_CORES ? (uint32_t)cores : SUBMITTED_MAX_CORES;
out:
    return err;
}

static void print_submitted(uint64_t id, const struct campaign_options *options,
                            const struct submission_words *words)
{
    char *run = next_command_word(words->run_folder);
    if (options->wants_json) {
        json_t *json = json_pack("{s:I}", "id", (json_int_t)id);
        char *text = json_dumps(json, JSON_INDENT(2));
        puts(text ? text : "{}");
        free(text);
        json_decref(json);
    } else {
        printf("campaign %llu: its run's folder is %s\n", (unsigned long long)id,
               words->run_folder);
    }
    next_command("when it runs, and why not yet", "glowworm queue");
    next_command("what it does, once it runs", "glowworm status %s", run);
    mem_free(run);
}

static enum err submit(const struct campaign_options *options, const struct campaign_run *run,
                       struct submission_words *words)
{
    enum err err = ERR_OK;
    struct control_client_cfg cfg = {.folder = options->scheduler};
    struct control_client *client = NULL;
    Gwd__Request request = GWD__REQUEST__INIT;
    Gwd__Submit message = GWD__SUBMIT__INIT;
    Gwd__Reply *reply = NULL;
    if (is_for_slurm(options, &run->campaign))
        TRY(find_site(options, &run->campaign, words));
    else
        TRY(find_needs(run, &message));
    TRY(find_words(options, run, words));
    message.name = (char *)run->campaign.name;
    message.campaign_path = words->campaign;
    message.run_folder = words->run_folder;
    message.work_folder = words->work_folder;
    message.by = words->by;
    message.site = words->site;
    message.n_words = words->count;
    message.words = words->list;
    message.priority = options->priority;
    message.is_held = options->is_held;
    request.body_case = GWD__REQUEST__BODY_SUBMIT;
    request.submit = &message;
    TRY(control_client_open(&cfg, &client));
    TRY(control_client_ask(client, &request, &reply));
    print_submitted(reply->id, options, words);
out:
    if (reply)
        gwd__reply__free_unpacked(reply, NULL);
    control_client_close(&client);
    return err;
}

enum err cmd_submit(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct campaign_options *options = mem_alloc(sizeof *options);
    struct submission_words *words = mem_alloc(sizeof *words);
    struct campaign_run *run = NULL;
    TRY(campaign_options_read(argc, argv, options));
    TRY(campaign_run_open(options, &run));
    TRY(notify_check(&run->campaign));
    TRY(submit(options, run, words));
out:
    campaign_run_close(&run);
    words_fini(words);
    mem_free(words);
    mem_free(options);
    return err;
}
