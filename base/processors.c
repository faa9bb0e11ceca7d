#include "base/processors.h"
#include <sched.h>

int processors_allowed(void)
{
    cpu_set_t ours;
    return sched_getaffinity(0, sizeof ours, &ours) == 0 ? CPU_COUNT(&ours) : 1;
}
