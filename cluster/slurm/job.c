#include "cluster/slurm/job.h"
#include "base/mem.h"
#include "base/text.h"
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

static void add_resources(struct job *job, const struct job_cfg *cfg)
{
    const struct site *site = cfg->site;
    struct job_needs needs = job_needs_of(cfg->campaign, site);
    add(job, "--nodes=%d", needs.nodes);
    add(job, "--ntasks=%d", needs.nodes * ranks_of_node(cfg->campaign));
    if (needs.nodes > 1)
        add(job, "--ntasks-per-node=%d", ranks_of_node(cfg->campaign));
    add(job, "--cpus-per-task=%d", cfg->campaign->resources.threads);
    if (needs.memory_mib > 0)
        add(job, "--mem=%lldM", needs.memory_mib);
    if (needs.gpus > 0)
        add(job, "--gres=gpu%s%s:%d", site->gpu[0] ? ":" : "", site->gpu, needs.gpus);
    if (site->time_seconds > 0) /* in minutes, as Slurm counts them */
        add(job, "--time=%.0f", ceil(site->time_seconds / 60));
}

static void add_place(struct job *job, const struct job_cfg *cfg)
{
    const struct site *site = cfg->site;
    if (site->partition[0])
        add(job, "--partition=%s", site->partition);
    if (site->account[0])
        add(job, "--account=%s", site->account);
    if (site->qos[0])
        add(job, "--qos=%s", site->qos);
    add(job, "--signal=B:USR1@%.0f", site->signal_seconds);
    add(job, site->requeue == SITE_CONTINUATION ? "--no-requeue" : "--requeue");
    if (cfg->after_job)
        add(job, "--dependency=afterany:%s", cfg->after_job);
    for (int i = 0; i < site->argument_count; i++)
        add(job, "%s", site->arguments[i]);
}

static void add_script(struct job *job, const struct job_cfg *cfg)
{
    const struct campaign_options *options = cfg->options;
    add(job, "%s", cfg->script_path);
    for (int i = 0; i < cfg->site->module_count; i++)
        add(job, "%s", cfg->site->modules[i]);
    add(job, "--");
    if (cfg->site->scratch[0]) {
        add(job, "env");
        add(job, "TMPDIR=%s", cfg->site->scratch);
    }
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

enum err job_make(const struct job_cfg *cfg, struct job *job)
{
    enum err err = ERR_OK;
    char name[MOST_LETTERS + 1];
    *job = (struct job){0};
    job_name(cfg->campaign->name, name, sizeof name);
    add(job, "sbatch");
    add(job, "--parsable");
    add(job, "--open-mode=append");
    add(job, "--job-name=%s", name);
    add(job, "--comment=%s", cfg->uuid);
    add(job, "--chdir=%s", cfg->work_folder);
    add(job, "--export=ALL");
    TRY(add_log(job, cfg->log_path));
    add_resources(job, cfg);
    add_place(job, cfg);
    add_script(job, cfg);
out:
    if (err != ERR_OK)
        job_fini(job);
    return err;
}
