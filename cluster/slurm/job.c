#include "cluster/slurm/job.h"
#include "base/mem.h"
#include "base/text.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define MIB          (1024.0 * 1024.0)
#define MOST_LETTERS 64

const char job_script[] =
    "#!/bin/bash\n"
    "# Written by glowworm, the same for every campaign: loads the modules that are named before\n"
    "# \"--\", then becomes the program behind it.\n"
    "if [ \"$1\" != -- ] && ! type module >/dev/null 2>&1; then . /etc/profile; fi\n"
    "while [ \"$1\" != -- ]; do\n"
    "    module load \"$1\" || exit 69\n"
    "    shift\n"
    "done\n"
    "shift\n"
    "exec \"$@\"\n";

static void add(struct job *job, const char *format, ...) PRINTF_LIKE(2, 3);
static void add(struct job *job, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    size_t size = (size_t)vsnprintf(NULL, 0, format, again) + 1;
    va_end(again);
    if (job->count == JOB_WORDS)
        BUG("a job of more than %d words", JOB_WORDS);
    char *word = mem_alloc(size);
    vsnprintf(word, size, format, arguments);
    va_end(arguments);
    job->words[job->count++] = word;
}

enum err job_draw_uuid(char uuid[JOB_UUID])
{
    unsigned char random[16];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return err_set(ERR_IO, "no random numbers: %s", strerror(errno));
    int at = snprintf(uuid, JOB_UUID, "glowworm-");
    for (size_t i = 0; i < sizeof random; i++)
        at += snprintf(uuid + at, (size_t)(JOB_UUID - at), "%02x", random[i]);
    return ERR_OK;
}

void job_fini(struct job *job)
{
    for (int i = 0; i < job->count; i++)
        mem_free(job->words[i]);
    *job = (struct job){0};
}

void job_name(const char *campaign, char *name, int room)
{
    int most = room - 1 < MOST_LETTERS ? room - 1 : MOST_LETTERS, i = 0;
    for (; campaign[i] && i < most; i++) {
        bool is_plain =
            isalnum((unsigned char)campaign[i]) || (i > 0 && strchr("_.-", campaign[i]));
        name[i] = is_plain ? campaign[i] : '_';
    }
    name[i] = '\0';
}

/* Every gang has as many on each. */
static int ranks_of_node(const struct campaign *campaign)
{
    return campaign_gangs_of_node(campaign) *
           (campaign->resources.ranks / campaign->resources.nodes);
}

struct job_needs job_needs_of(const struct campaign *campaign, const struct site *site)
{
    int ranks = ranks_of_node(campaign);
    return (struct job_needs){.partition = site->partition,
                              .nodes = campaign_nodes(campaign) + site->spare_nodes,
                              .cpus = ranks * campaign->resources.threads,
                              .memory_mib = (long long)ceil(campaign->resources.memory_bytes / MIB),
                              .time_seconds = site->time_seconds,
                              .signal_seconds = site->signal_seconds,
                              .gpus = ranks * campaign->resources.gpus_per_rank};
}

/* A file that Slurm names: it replaces %x, and takes a backslash for a word of its own. */
static enum err add_log(struct job *job, const char *path)
{
    struct text escaped;
    text_init(&escaped);
    if (strchr(path, '\\'))
        return err_set(
            ERR_CONFIG,
            "%s: a backslash in it means something else to Slurm; use another run folder", path);
    for (const char *at = path; *at; at++)
        text_add(&escaped, *at == '%' ? "%%%%" : "%c", *at);
    add(job, "--output=%s", text_get(&escaped));
    text_fini(&escaped);
    return ERR_OK;
}

static void add_needs(struct job *job, const struct campaign *campaign, const struct site *site,
                      const struct job_needs *needs)
{
    int ranks = needs->cpus / campaign->resources.threads;
    add(job, "--nodes=%d", needs->nodes);
    add(job, "--ntasks=%d", needs->nodes * ranks);
    if (needs->nodes > 1)
        add(job, "--ntasks-per-node=%d", ranks);
    add(job, "--cpus-per-task=%d", campaign->resources.threads);
    if (needs->memory_mib > 0)
        add(job, "--mem=%lldM", needs->memory_mib);
    if (needs->gpus > 0)
        add(job, "--gres=gpu%s%s:%d", site->gpu[0] ? ":" : "", site->gpu, needs->gpus);
    if (site->time_seconds > 0) /* in minutes, as Slurm counts them */
        add(job, "--time=%.0f", ceil(site->time_seconds / 60));
}

static void add_site(struct job *job, const struct site *site)
{
    if (site->partition[0])
        add(job, "--partition=%s", site->partition);
    if (site->account[0])
        add(job, "--account=%s", site->account);
    if (site->qos[0])
        add(job, "--qos=%s", site->qos);
    for (int i = 0; i < site->argument_count; i++)
        add(job, "%s", site->arguments[i]);
}

static void add_place(struct job *job, const struct job_cfg *cfg)
{
    const struct site *site = cfg->site;
    add_site(job, site);
    add(job, "--signal=B:USR1@%.0f", site->signal_seconds);
    add(job, site->requeue == SITE_CONTINUATION ? "--no-requeue" : "--requeue");
    if (cfg->after_job)
        add(job, "--dependency=afterany:%s", cfg->after_job);
}

static void add_script(struct job *job, const struct site *site, const char *script_path)
{
    add(job, "%s", script_path);
    for (int i = 0; i < site->module_count; i++)
        add(job, "%s", site->modules[i]);
    add(job, "--");
    if (site->scratch[0]) {
        add(job, "env");
        add(job, "TMPDIR=%s", site->scratch);
    }
}

static void add_run(struct job *job, const struct job_cfg *cfg)
{
    const struct campaign_options *options = cfg->options;
    add(job, "%s", cfg->glowworm);
    add(job, "run");
    for (int i = 0; i < options->override_count; i++) {
        add(job, "--set");
        add(job, "%s=%s", options->overrides[i].key, options->overrides[i].value);
    }
    add(job, "--set");
    add(job, "resources.launcher=slurm");
    add(job, "--run-folder");
    add(job, "%s", cfg->run_folder);
    add(job, "--site");
    add(job, "%s", cfg->site_name);
    add(job, "--");
    add(job, "%s", cfg->campaign_path);
}

static void add_name(struct job *job, const struct campaign *campaign, const char *uuid)
{
    char name[MOST_LETTERS + 1];
    job_name(campaign->name, name, sizeof name);
    add(job, "sbatch");
    add(job, "--parsable");
    add(job, "--open-mode=append");
    add(job, "--job-name=%s", name);
    add(job, "--comment=%s", uuid);
}

enum err job_make(const struct job_cfg *cfg, struct job *job)
{
    enum err err = ERR_OK;
    struct job_needs needs = job_needs_of(cfg->campaign, cfg->site);
    *job = (struct job){0};
    add_name(job, cfg->campaign, cfg->uuid);
    add(job, "--chdir=%s", cfg->work_folder);
    add(job, "--export=ALL");
    TRY(add_log(job, cfg->log_path));
    add_needs(job, cfg->campaign, cfg->site, &needs);
    add_place(job, cfg);
    add_script(job, cfg->site, cfg->script_path);
    add_run(job, cfg);
out:
    if (err != ERR_OK)
        job_fini(job);
    return err;
}

/* Memory as much as the gang beside the runner has. */
static struct job_needs needs_of_gang(const struct campaign *campaign, const struct site *site)
{
    struct job_needs needs = job_needs_of(campaign, site);
    int gangs = campaign_gangs_of_node(campaign);
    needs.nodes = campaign->resources.nodes;
    needs.cpus /= gangs;
    needs.gpus /= gangs;
    needs.memory_mib /= gangs;
    return needs;
}

static void add_worker(struct job *job, const struct gang_job_cfg *cfg)
{
    int ranks = cfg->campaign->resources.ranks;
    add(job, "srun");
    add(job, "--mpi=pmix");
    add(job, "--kill-on-bad-exit=1");
    add(job, "--input=none");
    add(job, "--ntasks=%d", ranks);
    add(job, "--cpus-per-task=%d", cfg->campaign->resources.threads);
    if (cfg->campaign->resources.gpus_per_rank > 0)
        add(job, "--gpus-per-task=%d", cfg->campaign->resources.gpus_per_rank);
    add(job, "%s", cfg->worker);
}

enum err job_make_gang(const struct gang_job_cfg *cfg, struct job *job)
{
    enum err err = ERR_OK;
    struct job_needs needs = needs_of_gang(cfg->campaign, cfg->site);
    *job = (struct job){0};
    add_name(job, cfg->campaign, cfg->uuid);
    add(job, "--export=ALL");
    add(job, "--no-requeue");
    TRY(add_log(job, cfg->log_path));
    add_needs(job, cfg->campaign, cfg->site, &needs);
    add_site(job, cfg->site);
    add_script(job, cfg->site, cfg->script_path);
    add_worker(job, cfg);
out:
    if (err != ERR_OK)
        job_fini(job);
    return err;
}
