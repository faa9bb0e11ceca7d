#include "scheduler/allocation.h"
#include "base/text.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define CPUS_OF_NODES "SLURM_JOB_CPUS_PER_NODE"

static enum err read_number(const char *name, long low, long *value)
{
    const char *text = getenv(name);
    if (!text)
        return err_set(ERR_DATA, "Slurm has not set %s in this job", name);
    enum err err = text_to_int(text, low, LONG_MAX, value);
    return err == ERR_OK ? err : err_prefix(ERR_DATA, "%s", name);
}

/* "4(x2),2": four on each of two nodes, two on another. *least: of a node. */
static enum err read_cpus(const char *text, int *least)
{
    *least = INT_MAX;
    for (const char *at = text;; at++) {
        int cpus = 0, nodes = 0, size = 0;
        if (sscanf(at, "%d%n", &cpus, &size) != 1 || cpus < 1)
            break;
        at += size;
        size = 0;
        if (*at == '(' && (sscanf(at, "(x%d)%n", &nodes, &size) != 1 || size == 0 || nodes < 1))
            break;
        at += size;
        *least = cpus < *least ? cpus : *least;
        if (*at == '\0')
            return ERR_OK;
        if (*at != ',')
            break;
    }
    return err_set(ERR_DATA, CPUS_OF_NODES "=%s is not understood", text);
}

static enum err find_place(const char **job, const char **node)
{
    *job = getenv("SLURM_JOB_ID");
    *node = getenv("SLURMD_NODENAME");
    if (!*job)
        return err_set(ERR_CONFIG,
                       "resources.launcher is slurm, but this is no job of Slurm; \"glowworm "
                       "slurm submit\" makes one");
    if (!*node)
        return err_set(
            ERR_CONFIG,
            "resources.launcher is slurm, but this shell is on no node of job %s, and gangs "
            "only find a runner on theirs; use \"glowworm slurm submit\", or a shell from "
            "srun --pty",
            *job);
    return ERR_OK;
}

enum err allocation_read(struct allocation *allocation)
{
    enum err err = ERR_OK;
    const char *job = NULL, *node = NULL, *list = getenv(CPUS_OF_NODES);
    long nodes = 1, id = 0, cpus = 0, memory_mib = 0;
    int least = 0;
    TRY(find_place(&job, &node));
    TRY(read_number("SLURM_JOB_NUM_NODES", 1, &nodes));
    TRY(read_number("SLURM_NODEID", 0, &id));
    TRY(read_number("SLURM_CPUS_ON_NODE", 1, &cpus));
    if (list)
        TRY(read_cpus(list, &least));
    if (getenv("SLURM_MEM_PER_NODE"))
        TRY(read_number("SLURM_MEM_PER_NODE", 0, &memory_mib));
    *allocation = (struct allocation){.nodes = nodes > INT_MAX ? INT_MAX : (int)nodes,
                                      .names = getenv("SLURM_JOB_NODELIST"),
                                      .is_first = id == 0,
                                      .cpus = cpus > INT_MAX ? INT_MAX : (int)cpus,
                                      .cpus_of_each = least,
                                      .memory_mib = memory_mib};
    snprintf(allocation->job, sizeof allocation->job, "%s", job);
    snprintf(allocation->node, sizeof allocation->node, "%s", node);
out:
    return err;
}

static enum err check_nodes(const struct allocation *allocation, const struct campaign *campaign)
{
    int nodes = campaign->resources.nodes, all = campaign_nodes(campaign);
    if (nodes > allocation->nodes)
        return err_set(ERR_CONFIG, "resources.nodes is %d, but job %s has %d: ask for more", nodes,
                       allocation->job, allocation->nodes);
    if (all > allocation->nodes)
        return err_set(ERR_CONFIG,
                       "%d gangs, %d on a node (resources.gangs, resources.gangs_per_node), need "
                       "%d nodes, but job %s has %d: ask for more",
                       campaign->resources.gangs, campaign_gangs_of_node(campaign), all,
                       allocation->job, allocation->nodes);
    if (nodes > 1 && !allocation->is_first)
        return err_set(ERR_CONFIG,
                       "%s is not the first node of job %s, where the ranks of a gang of %d nodes "
                       "begin: run there, as \"glowworm slurm submit\" does",
                       allocation->node, allocation->job, nodes);
    return ERR_OK;
}

static enum err check_cpus(const struct allocation *allocation, const struct campaign *campaign)
{
    int gangs = campaign_gangs_of_node(campaign), nodes = campaign->resources.nodes;
    int ranks = campaign->resources.ranks, threads = campaign->resources.threads;
    bool is_alike = campaign_nodes(campaign) > 1; /* what is needed here, others need too */
    int there = is_alike ? allocation->cpus_of_each : allocation->cpus;
    long long cpus = (long long)gangs * (ranks / nodes) * threads;
    if (cpus <= there)
        return ERR_OK;
    return err_set(
        ERR_CONFIG,
        "%d gangs of %d ranks of %d threads (resources.ranks, resources.threads) need %lld "
        "CPUs of each node (resources.nodes: %d); job %s has %d on %s: ask for more, "
        "or for fewer ranks%s",
        gangs, ranks, threads, cpus, nodes, allocation->job, there,
        is_alike ? "one of them" : allocation->node,
        gangs > 1 && nodes == 1 ? ", or fewer gangs on a node (resources.gangs_per_node)" : "");
}

enum err allocation_divide(const struct allocation *allocation, const struct campaign *campaign,
                           struct gang_share *share)
{
    enum err err = ERR_OK;
    int of_node = campaign_gangs_of_node(campaign);
    TRY(check_nodes(allocation, campaign));
    TRY(check_cpus(allocation, campaign));
    *share = (struct gang_share){.threads = campaign->resources.threads,
                                 .gpus_per_rank = campaign->resources.gpus_per_rank,
                                 .memory_mib = allocation->memory_mib / of_node,
                                 .of_node = of_node,
                                 .away = campaign->resources.gangs - of_node,
                                 .jobs = campaign->resources.helper_jobs};
out:
    return err;
}
