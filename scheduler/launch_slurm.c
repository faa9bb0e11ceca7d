/* A gang as a step of our job of Slurm: on the node that we are on and, where it is wide, on
 * others, or on another one. */
#include "scheduler/launch_internal.h"
#include <unistd.h>

/* Slurm knows which node has CPUs that no step has taken. */
static void add_place(const struct launch_cfg *cfg, const struct launch *launch, int nodes,
                      struct words *argv)
{
    bool has_bad = launch->exclude && launch->exclude[0];
    words_add(argv, "--nodes=%d", nodes);
    if (!launch->is_away)
        words_add(argv, "--nodelist=%s", cfg->allocation->node); /* and others, if several */
    if (launch->is_away || has_bad)
        words_add(argv, "--exclude=%s%s%s", launch->is_away ? cfg->allocation->node : "",
                  launch->is_away && has_bad ? "," : "", has_bad ? launch->exclude : "");
}

void launch_slurm_gang(const struct launch_cfg *cfg, const struct launch *launch,
                       struct words *argv)
{
    const struct gang_share *share = &cfg->share;
    words_add(argv, "srun");
    words_add(argv, "--exact"); /* beside other gangs, none gets more than it asks for */
    words_add(argv, "--mpi=pmix");
    words_add(argv, "--kill-on-bad-exit=1");
    words_add(argv, "--input=none");
    words_add(argv, "--export=ALL"); /* ours, whatever the job was submitted with */
    int nodes = launch_is_wide(cfg) ? cfg->nodes : 1;
    add_place(cfg, launch, nodes, argv);
    words_add(argv, "--ntasks=%d", cfg->ranks);
    words_add(argv, "--ntasks-per-node=%d", cfg->ranks / nodes);
    words_add(argv, "--distribution=block"); /* rank 0, which saves, is on ours */
    words_add(argv, "--cpus-per-task=%d", share->threads);
    if (share->memory_mib > 0) /* else the first gang would take all there is */
        words_add(argv, "--mem=%lldM", share->memory_mib);
    if (share->gpus_per_rank > 0)
        words_add(argv, "--gpus-per-task=%d", share->gpus_per_rank);
    words_add(argv, "%s", cfg->worker);
}

void launch_slurm_job(const struct launch_cfg *cfg, const struct launch *launch, struct words *argv)
{
    words_add(argv, "%s", cfg->glowworm);
    words_add(argv, "slurm");
    words_add(argv, "helper");
    words_add(argv, "%s", cfg->run_folder);
    words_add(argv, "--runner");
    words_add(argv, "%d", (int)getpid());
    words_add(argv, "--log");
    words_add(argv, "%s", launch->log_path);
    if (cfg->site) {
        words_add(argv, "--site");
        words_add(argv, "%s", cfg->site);
    }
}
