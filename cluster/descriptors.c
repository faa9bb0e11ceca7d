#include "cluster/descriptors.h"
#include "base/log.h"
#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#define OWN_FILES 128 /* stores, logs, sockets, the page */

long descriptors_needed(const struct campaign *campaign)
{
    long gangs = campaign->resources.gangs + campaign->resources.helper_jobs;
    long ranks = campaign->resources.ranks;
    return OWN_FILES + gangs * (ranks + 1);
}

void descriptors_raise(long needed)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)needed;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    if (limit.rlim_max < wanted)
        log_warn("this run needs %ld open files at once, and the system allows %llu: have the hard "
                 "limit raised (\"ulimit -Hn\"), or use fewer gangs or ranks (resources.gangs, "
                 "resources.ranks)",
                 needed, (unsigned long long)limit.rlim_max);
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        log_warn("the limit of open files cannot be raised: %s", strerror(errno));
}
