/* A small persistent team of threads that shares out numbered jobs. Jobs are fixed tiles: what job
 * i computes never depends on which thread took it, so any number of threads gives the same bits.
 * The caller is thread 0 and works along; the others spin a little, then sleep, so that two ranks
 * on two cores do not fight. One thread at a time may call into a team. */
#ifndef KERNELS_CPU_TEAM_H
#define KERNELS_CPU_TEAM_H

#include "base/err.h"

struct team;

/* threads >= 1, the caller included. ERR_UNAVAILABLE when the system gives no more threads. Returns
 * owned in *team. */
MUST_CHECK enum err team_create(int threads, struct team **team);
void team_destroy(struct team **team); /* accepts NULL and a pointer to NULL; sets NULL */

int team_threads(const struct team *team);

/* Calls job(context, i, thread) once for every i in [0, jobs), thread in [0, threads); returns when
 * all are done. Neighbouring jobs go to the same thread as long as nobody is idle. */
void team_run(struct team *team, int jobs, void (*job)(void *context, int i, int thread),
              void *context);

#endif
