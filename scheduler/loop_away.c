/* Helpers on other nodes, as steps of our job or as jobs of their own. They do not see our stores:
 * they read a copy that was published in the run's folder, of the checkpoint that the gang they
 * help has loaded. */
#include "base/clock.h"
#include "base/log.h"
#include "scheduler/loop_internal.h"

#define LOOK_S 1.0

/* Nodes that are left out have none. */
static int count_room(const struct loop *loop)
{
    const struct launch_cfg *launch = &loop->cfg->launch;
    if (!launch->allocation)
        return launch->share.away;
    int others =
        launch->allocation->nodes - 1 - bad_nodes_excluded_of(&loop->bad_nodes, launch->allocation);
    int room = others > 0 ? others * launch->share.of_node : 0;
    return room < launch->share.away ? room : launch->share.away;
}

bool away_find(struct loop *loop, int stage, char folder[PUBLISHED_NAME])
{
    const struct loop_cfg *cfg = loop->cfg;
    int source = cfg->graph->stages[stage].start_stage;
    enum err err = ERR_NOT_FOUND;
    if (cfg->find_published && source >= 0)
        err = cfg->find_published(cfg->check_own, loop->contents[source], folder);
    if (err != ERR_OK && err != ERR_NOT_FOUND)
        log_debug("what was published cannot be read now: %s", err_text());
    loop->policy.stages[stage].is_seen_away = err == ERR_OK;
    return err == ERR_OK;
}

static void look_for(struct loop *loop, int stage)
{
    char folder[PUBLISHED_NAME];
    struct attempt *helped = &loop->attempts[stage];
    if (clock_seconds() - helped->published_s < LOOK_S)
        return;
    helped->published_s = clock_seconds();
    away_find(loop, stage, folder);
}

/* The steps that fit come first: they wait for nobody. */
bool away_is_job(struct loop *loop)
{
    int steps = 0;
    for (EACH_RUNNING(loop, attempt))
        steps += attempt->gang.is_away && !attempt->gang.is_job;
    return steps >= count_room(loop);
}

void away_look(struct loop *loop)
{
    loop->policy.capacity.away = count_room(loop) + loop->cfg->launch.share.jobs;
    if (loop->policy.capacity.away == 0)
        return;
    for (int i = 0; i < loop->cfg->graph->count; i++)
        if (loop->policy.stages[i].wants_helpers && !loop->policy.stages[i].is_seen_away)
            look_for(loop, i);
}
