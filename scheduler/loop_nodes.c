/* Nodes of our job that end gangs before their first step: who is blamed, and what becomes of it.
 */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "scheduler/loop_internal.h"
#include <stdio.h>
#include <string.h>

#define BLAME_BYTES 65536 /* of a log's end, where srun says who ended first */

static bool has_begun(const struct gang *gang)
{
    return gang->made_progress || gang->progress.step > gang->first_step;
}

/* The job has another node for it. Ours is where the runner is. */
static bool may_be_left_out(const struct loop *loop, const char *node)
{
    const struct launch_cfg *launch = &loop->cfg->launch;
    int needed = launch_is_wide(launch) ? launch->nodes : 1;
    int left =
        launch->allocation->nodes - bad_nodes_excluded_of(&loop->bad_nodes, launch->allocation);
    return left > needed && strcmp(node, launch->allocation->node) != 0;
}

/* Whether a node ended it before its first step, and which. */
static void find_bad_node(const struct loop *loop, const struct gang *gang, enum cause cause,
                          struct blame *blame)
{
    *blame = (struct blame){0};
    if (!loop->cfg->launch.allocation || has_begun(gang) ||
        (cause != CAUSE_CRASH && cause != CAUSE_BUG))
        return;
    char *path = file_join(loop->cfg->run_folder, gang->log), *bytes = NULL;
    size_t size = 0;
    if (file_read_tail(path, BLAME_BYTES, &bytes, &size) == ERR_OK)
        bad_nodes_blame(bytes, blame);
    mem_free(bytes);
    mem_free(path);
}

void nodes_blame_end(const struct loop *loop, struct gang *gang, struct gang_end *why, char *text,
                     size_t room)
{
    struct blame blame;
    size_t used = strlen(text);
    find_bad_node(loop, gang, why->cause, &blame);
    if (!blame.node[0])
        return;
    memcpy(gang->node, blame.node, sizeof gang->node);
    snprintf(text + used, room - used, ", on node %s, before its first step (srun: %s)", gang->node,
             blame.said);
    if (may_be_left_out(loop, gang->node))
        why->cause = CAUSE_NODE;
}

/* What another machine may have. */
static bool is_of_machine(enum err error)
{
    return error == ERR_UNAVAILABLE || error == ERR_NOT_FOUND || error == ERR_IO;
}

void nodes_blame_word(const struct loop *loop, struct gang *gang, struct stage_outcome *outcome)
{
    struct blame blame;
    if (!loop->cfg->launch.allocation || has_begun(gang) || !is_of_machine(outcome->error))
        return;
    bad_nodes_blame_word(outcome->text, &blame);
    if (!blame.node[0] || !may_be_left_out(loop, blame.node))
        return; /* the text says where it was */
    memcpy(gang->node, blame.node, sizeof gang->node);
    outcome->cause = CAUSE_NODE;
    outcome->node = gang->node;
}

void nodes_judge(struct loop *loop, struct attempt *attempt)
{
    char text[512];
    const struct gang *gang = &attempt->gang;
    if (has_begun(gang))
        bad_nodes_forgive(&loop->bad_nodes);
    if (gang->cause != CAUSE_NODE || !bad_nodes_add(&loop->bad_nodes, gang->node, attempt->text))
        return;
    snprintf(text, sizeof text, "node %s is left out from now on: twice in a row a gang %.300s",
             gang->node, attempt->text);
    log_warn("stage %s: %s", gang->lease.name, text);
    VIEW(loop, warning, gang, text);
    VIEW(loop, excluded, gang, &loop->bad_nodes);
}

void nodes_write_cure(const struct loop *loop, const struct gang *gang, char *cure, size_t room)
{
    if (gang->node[0])
        snprintf(cure, room,
                 "job %s has no other node for it: leave %s out (--exclude=%s among the arguments "
                 "of the site's file), or ask for a node more than its gangs take (spare_nodes: 1 "
                 "there)",
                 loop->cfg->launch.allocation->job, gang->node, gang->node);
    else
        snprintf(cure, room, "%s", cause_cure(gang->cause));
}
