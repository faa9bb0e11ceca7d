#include "scheduler/allocation.h"
#include "base/text.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

static enum err read_number(const char *name, long low, long *value)
{
    const char *text = getenv(name);
    if (!text)
        return err_set(ERR_DATA, "Slurm has not set %s in this job", name);
    enum err err = text_to_int(text, low, LONG_MAX, value);
    return err == ERR_OK ? err : err_prefix(ERR_DATA, "%s", name);
}

enum err allocation_read(struct allocation *allocation)
{
    enum err err = ERR_OK;
    const char *job = getenv("SLURM_JOB_ID"), *node = getenv("SLURMD_NODENAME");
    long cpus = 0, memory_mib = 0;
    if (!job)
        TRY(err_set(ERR_CONFIG,
                    "resources.launcher is slurm, but this is no job of Slurm; \"glowworm "
                    "slurm submit\" makes one"));
    if (!node)
        TRY(err_set(
            ERR_CONFIG,
            "resources.launcher is slurm, but this shell is on no node of job %s, and gangs "
            "only find a runner on theirs; use \"glowworm slurm submit\", or a shell from "
            "srun --pty",
            job));
    TRY(read_number("SLURM_CPUS_ON_NODE", 1, &cpus));
    if (getenv("SLURM_MEM_PER_NODE"))
        TRY(read_number("SLURM_MEM_PER_NODE", 0, &memory_mib));
    *allocation =
        (struct allocation){.cpus = cpus > INT_MAX ? INT_MAX : (int)cpus, .memory_mib = memory_mib};
    snprintf(allocation->job, sizeof allocation->job, "%s", job);
    snprintf(allocation->node, sizeof allocation->node, "%s", node);
out:
    return err;
}

enum err allocation_divide(const struct allocation *allocation, const struct campaign *campaign,
                           struct gang_share *share)
{
    int gangs = campaign->resources.gangs;
    int ranks = campaign->resources.ranks, threads = campaign->resources.threads;
    long long cpus = (long long)gangs * ranks * threads;
    if (cpus > allocation->cpus)
        return err_set(
            ERR_CONFIG,
            "%d gangs of %d ranks of %d threads (resources.ranks, resources.threads) need %lld "
            "CPUs of one node; job %s has %d on %s, and gangs do not span nodes yet: ask for "
            "more, or for fewer ranks",
            gangs, ranks, threads, cpus, allocation->job, allocation->cpus, allocation->node);
    *share = (struct gang_share){.threads = threads,
                                 .gpus_per_rank = campaign->resources.gpus_per_rank,
                                 .memory_mib = allocation->memory_mib / gangs};
    return ERR_OK;
}
