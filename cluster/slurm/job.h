/* The job that runs a campaign: the argument vector that sbatch gets, and a script that is the same
 * for every campaign. What a campaign says travels as arguments to the end. Pure but for the memory
 * of its words. One thread. */
#ifndef CLUSTER_SLURM_JOB_H
#define CLUSTER_SLURM_JOB_H

#include "cluster/campaign_run.h"
#include "cluster/slurm/preflight.h"
#include "cluster/slurm/site.h"

#define JOB_WORDS 320
#define JOB_UUID  48

struct job_cfg { /* all borrowed; paths from / */
    const struct campaign *campaign;
    const struct campaign_options *options;
    const struct site *site;
    const char *site_name;     /* as site_load() takes it, from wherever the job is */
    const char *glowworm;      /* program */
    const char *campaign_path; /* file */
    const char *work_folder;   /* relative paths of the campaign are seen from there */
    const char *run_folder;
    const char *script_path;
    const char *log_path;
    const char *uuid;      /* JOB_UUID */
    const char *after_job; /* it starts when this one has ended; NULL: when it can */
};

struct job {
    int count;
    char *words[JOB_WORDS + 1]; /* sbatch's; owned; NULL at the end */
};

/* ERR_CONFIG: a path that Slurm would read something else from. */
MUST_CHECK enum err job_make(const struct job_cfg *cfg, struct job *job);
void job_fini(struct job *job); /* accepts zeroes */

struct gang_job_cfg { /* all borrowed; paths from / */
    const struct campaign *campaign;
    const struct site *site;
    const char *worker; /* program */
    const char *script_path, *log_path, *uuid;
};
/* The job of a gang that helps a run: of resources.ranks on one node, with our environment. As
 * job_make(). */
MUST_CHECK enum err job_make_gang(const struct gang_job_cfg *cfg, struct job *job);

extern const char job_script[];
struct job_needs job_needs_of(const struct campaign *campaign, const struct site *site);
/* What a job is known by. ERR_IO. */
MUST_CHECK enum err job_draw_uuid(char uuid[JOB_UUID]);
/* A name that Slurm may have: letters, digits and _.- of the campaign's. */
void job_name(const char *campaign, char *name, int room);

#endif
