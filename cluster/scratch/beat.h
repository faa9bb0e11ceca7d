/* The sign of life of a run's owner, in RUN/published/claim-N.beat: a number that grows. A thread
 * writes it and looks at the fence meanwhile; it takes no lock that a fork() could leave taken, so
 * children may be forked beside it. One thread calls. */
#ifndef CLUSTER_SCRATCH_BEAT_H
#define CLUSTER_SCRATCH_BEAT_H

#include "base/err.h"
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#define BEAT_S 2.0

struct beat;
/* every_s: 0: BEAT_S. The first is written when this returns. ERR_IO, ERR_FULL; ERR_UNAVAILABLE: no
 * thread. Returns owned. */
MUST_CHECK enum err beat_start(const char *run_folder, uint64_t claim, double every_s,
                               struct beat **beat);
/* The thread saw a higher claim; that stays so. Never waits. */
bool beat_is_lost(struct beat *beat);
/* The last could not be written: other machines may take the run for dead. Never waits. */
bool beat_is_failing(struct beat *beat);
void beat_stop(struct beat **beat); /* accepts NULL */

/* Whether the beat of a claim changes within so long: returns as soon as it does.
 * ERR_INTERRUPTED: a stop was asked for meanwhile. */
MUST_CHECK enum err beat_watch(const char *run_folder, uint64_t claim, double watch_s,
                               const volatile sig_atomic_t *stop_asked, bool *lives);

#endif
