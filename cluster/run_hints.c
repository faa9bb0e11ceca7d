#include "cluster/run_hints.h"
#include "base/processors.h"

/* A gang that cannot have processors of its own is no help. */
static void add_gangs(const struct campaign *campaign, struct text *hints)
{
    int processors = processors_allowed();
    int each = campaign->resources.ranks * campaign->resources.threads;
    int gangs = campaign_gangs_of_node(campaign);
    if (gangs > 1 && gangs * each > processors)
        text_add(hints,
                 "resources.gangs: %d gangs of %d ranks of %d threads want %d processors, of which "
                 "there are %d: measuring gets no faster by the last of them\n",
                 gangs, campaign->resources.ranks, campaign->resources.threads, gangs * each,
                 processors);
}

void run_hints(const struct campaign_run *run, struct text *hints)
{
    campaign_calibration_hints(&run->campaign, run->train_images, hints);
    add_gangs(&run->campaign, hints);
}
