#include "cluster/run_hints.h"
#include "base/processors.h"
#include "kernels/device.h"
#include <string.h>

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

static void add_gpus(const struct campaign *campaign, struct text *hints)
{
    const char *device = campaign->resources.device;
    bool is_on_slurm = strcmp(campaign->resources.launcher, "slurm") == 0;
    int each = campaign->resources.gpus_per_rank;
    if (each > 0 && device_is_host(device))
        text_add(hints,
                 "resources.gpus_per_rank: %d, but resources.device is %s, which computes on "
                 "processors: ask for no GPUs, or set resources.device: cuda\n",
                 each, device);
    else if (each == 0 && is_on_slurm && !device_is_host(device))
        text_add(hints,
                 "resources.gpus_per_rank: 0, but resources.device is %s: where that is a GPU, "
                 "Slurm has to be asked for one a rank\n",
                 device);
}

void run_hints(const struct campaign_run *run, struct text *hints)
{
    campaign_calibration_hints(&run->campaign, run->train_images, hints);
    add_gangs(&run->campaign, hints);
    add_gpus(&run->campaign, hints);
}
