/* Processes that the system ended for want of memory: what the control group of this one has
 * counted, and what Slurm writes into a step's log. Linux. */
#ifndef SCHEDULER_OOM_H
#define SCHEDULER_OOM_H

#include <stdbool.h>

/* How often it ended a process of our control group, or, in a job of Slurm under version 2, of our
 * job, steps that have ended among them. Below 0: not known, as outside of every group. root: ""
 * for this machine; a test may point to a folder that has proc/self/cgroup and sys/fs/cgroup. */
int oom_kills(const char *root);

/* Whether srun or slurmstepd says so in these lines of a gang's log. */
bool oom_is_told(const char *log);

#endif
