#include "cluster/slurm/preflight.h"
#include "base/text.h"
#include "cluster/slurm/ask.h"
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* partition ("*": the default), its time limit, nodes alike, their CPUs, memory in MiB, GRES */
const char preflight_format[] = "--format=%P|%l|%D|%c|%m|%G";

struct group { /* nodes that are alike */
    char partition[128], limit[64], gres[512];
    long nodes, cpus, memory_mib;
    bool is_default;
};

struct most { /* of the partition's nodes */
    long nodes, cpus, memory_mib, gpus;
    char limit[64];
    struct text partitions; /* all there are, for the cure */
    bool is_found, is_met;  /* is_met: by nodes that have all that is asked for at once */
};

static void take_field(const char **line, char *field, int room)
{
    size_t size = strcspn(*line, "|\n");
    snprintf(field, (size_t)room, "%.*s", (int)size, *line);
    *line += size + ((*line)[size] == '|');
}

/* What is more than any cluster has counts as that: sums of it fit. */
static long number_of(const char *text)
{
    long number = strtol(text, NULL, 10);
    return number < 0 ? 0 : number > INT_MAX ? INT_MAX : number;
}

/* "64", or "64+" where nodes differ: the least of them. */
static long take_number(const char **line)
{
    char field[32];
    take_field(line, field, sizeof field);
    return number_of(field);
}

static void read_group(const char *line, struct group *group)
{
    *group = (struct group){0};
    take_field(&line, group->partition, sizeof group->partition);
    take_field(&line, group->limit, sizeof group->limit);
    group->nodes = take_number(&line);
    group->cpus = take_number(&line);
    group->memory_mib = take_number(&line);
    take_field(&line, group->gres, sizeof group->gres);
    char *star = strchr(group->partition, '*');
    group->is_default = star != NULL;
    if (star)
        *star = '\0';
}

/* "gpu:a100:4(S:0-1),shard:8": 4 */
static long count_gpus(const char *gres)
{
    long count = 0;
    for (const char *at = strstr(gres, "gpu"); at; at = strstr(at + 3, "gpu")) {
        size_t size = strcspn(at, ",(");
        const char *number = at;
        for (size_t i = 0; i < size; i++)
            if (at[i] == ':')
                number = at + i + 1;
        count += number > at ? number_of(number) : 0;
    }
    return count;
}

static double part(const char **at, char end, double each_s)
{
    char *behind = NULL;
    double value = (double)strtol(*at, &behind, 10);
    *at = *behind == end ? behind + 1 : behind;
    return value * each_s;
}

/* "infinite", "30:00", "1:00:00", "2-00:00:00"; 0: without end. */
static double limit_seconds(const char *limit)
{
    const char *at = limit;
    double seconds = 0;
    if (strspn(limit, "0123456789") == 0)
        return 0;
    if (strchr(limit, '-'))
        seconds = part(&at, '-', 86400);
    if (strchr(at, ':') != strrchr(at, ':'))
        seconds += part(&at, ':', 3600);
    seconds += part(&at, ':', 60);
    return seconds + part(&at, '\0', 1);
}

static void note_partition(struct most *most, const struct group *group)
{
    char name[160];
    snprintf(name, sizeof name, "%s,", group->partition);
    if (!strstr(text_get(&most->partitions), name))
        text_add(&most->partitions, "%s%s", most->partitions.size > 0 ? " " : "", name);
}

static void keep_most(long *most, long value)
{
    if (value > *most)
        *most = value;
}

static void note_group(struct most *most, const struct group *group, const struct job_needs *needs)
{
    long gpus = count_gpus(group->gres);
    note_partition(most, group);
    if (needs->partition[0] ? strcmp(needs->partition, group->partition) != 0 : !group->is_default)
        return;
    most->is_found = true;
    snprintf(most->limit, sizeof most->limit, "%s", group->limit);
    most->nodes += group->nodes;
    keep_most(&most->cpus, group->cpus);
    keep_most(&most->memory_mib, group->memory_mib);
    keep_most(&most->gpus, gpus);
    if (group->cpus >= needs->cpus && group->memory_mib >= needs->memory_mib && gpus >= needs->gpus)
        most->is_met = true;
}

static const char *name_of(const struct job_needs *needs)
{
    return needs->partition[0] ? needs->partition : "the default";
}

static enum err judge_partition(const struct most *most, const struct job_needs *needs)
{
    double limit_s = limit_seconds(most->limit);
    const char *name = name_of(needs);
    if (!most->is_found && needs->partition[0])
        return err_set(ERR_CONFIG,
                       "there is no partition %s; correct \"partition\" in the site's "
                       "file (there are: %s)",
                       name, text_get(&most->partitions));
    if (!most->is_found)
        return err_set(ERR_CONFIG,
                       "this cluster has no default partition; name one in the site's file, as "
                       "\"partition\" (there are: %s)",
                       text_get(&most->partitions));
    if (needs->time_seconds > limit_s && limit_s > 0)
        return err_set(
            ERR_CONFIG,
            "a job of partition %s may last %s, and \"time\" of the site's file asks for "
            "%.0f s; ask for less, a run goes on in its next job",
            name, most->limit, needs->time_seconds);
    if (needs->time_seconds == 0 && limit_s > 0 && needs->signal_seconds >= limit_s)
        return err_set(ERR_CONFIG,
                       "a job of partition %s may last %s, and \"signal_before_end\" of the site's "
                       "file is %.0f s: it would begin to end when it starts; lower it",
                       name, most->limit, needs->signal_seconds);
    return ERR_OK;
}

static enum err judge_nodes(const struct most *most, const struct job_needs *needs)
{
    const char *name = name_of(needs);
    if (needs->nodes > most->nodes)
        return err_set(
            ERR_CONFIG,
            "partition %s has %ld nodes; resources.nodes (or resources.gangs by "
            "resources.gangs_per_node) and spare_nodes of the site's file ask for %d together: "
            "lower one of them",
            name, most->nodes, needs->nodes);
    if (needs->cpus > most->cpus)
        return err_set(ERR_CONFIG,
                       "no node of partition %s has %d CPUs, the most is %ld; lower "
                       "resources.ranks, resources.threads, resources.gangs or "
                       "resources.gangs_per_node",
                       name, needs->cpus, most->cpus);
    if (needs->memory_mib > most->memory_mib)
        return err_set(ERR_CONFIG,
                       "no node of partition %s has %lld MiB of memory, the most is %ld; lower "
                       "resources.memory",
                       name, needs->memory_mib, most->memory_mib);
    if (needs->gpus > most->gpus)
        return err_set(ERR_CONFIG,
                       "no node of partition %s has %d GPUs, the most is %ld; lower "
                       "resources.gpus_per_rank or resources.ranks",
                       name, needs->gpus, most->gpus);
    if (!most->is_met)
        return err_set(ERR_CONFIG,
                       "no node of partition %s has %d CPUs, %lld MiB of memory and %d GPUs at "
                       "once; lower resources.ranks, resources.threads, resources.memory or "
                       "resources.gpus_per_rank",
                       name, needs->cpus, needs->memory_mib, needs->gpus);
    return ERR_OK;
}

enum err preflight_check(const char *listed, const struct job_needs *needs)
{
    enum err err = ERR_OK;
    struct most most = {0};
    text_init(&most.partitions);
    for (const char *line = listed; *line;) {
        struct group group;
        read_group(line, &group);
        note_group(&most, &group, needs);
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    TRY(judge_partition(&most, needs));
    TRY(judge_nodes(&most, needs));
out:
    text_fini(&most.partitions);
    return err;
}

enum err preflight(const struct job_needs *needs)
{
    enum err err = ERR_OK;
    struct answer answer = {0};
    const char *argv[] = {"sinfo", "--noheader", "--exact", preflight_format, NULL};
    TRY(ask_surely(argv, &answer));
    TRY(preflight_check(answer.output, needs));
out:
    answer_fini(&answer);
    return err;
}
