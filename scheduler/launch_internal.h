/* What launch.c and the two ways of starting a gang share. Nobody else includes it. */
#ifndef SCHEDULER_LAUNCH_INTERNAL_H
#define SCHEDULER_LAUNCH_INTERNAL_H

#include "scheduler/launch.h"

#define LAUNCH_WORDS 40

struct words { /* an argument list or an environment */
    int count;
    char *list[LAUNCH_WORDS + 1]; /* owned; NULL at the end */
};
void words_add(struct words *words, const char *format, ...) PRINTF_LIKE(2, 3);
/* "NAME=value" as a default: what the person's environment says already stays. */
void words_add_default(struct words *words, const char *format, ...) PRINTF_LIKE(2, 3);

/* launch_local.c: mpirun, or the worker alone */
void launch_local_gang(const struct launch_cfg *cfg, struct words *argv, struct words *environment);
/* launch_slurm.c: srun. exclude: of struct launch */
/* A gang as a job of its own: the process submits it, waits, and cancels it when it is told to end.
 */
void launch_slurm_job(const struct launch_cfg *cfg, const struct launch *launch,
                      struct words *argv);
void launch_slurm_gang(const struct launch_cfg *cfg, const struct launch *launch,
                       struct words *argv);

#endif
