/* The thread that carries a run's status to the disk and looks for stop files: what it is given is
 * copied, and giving never waits. */
#ifndef CLUSTER_STATUS_PUBLISHER_H
#define CLUSTER_STATUS_PUBLISHER_H

#include "cluster/status/run_status.h"

struct publisher;
/* runner: who a stop file has to name; copied. Returns owned; NULL when there can be no thread. */
struct publisher *publisher_create(const char *run_folder, const struct run_status *runner);
/* The newest text to write; one that is not written yet is forgotten. */
void publisher_give(struct publisher *publisher, const char *text);
bool publisher_was_stop_asked(struct publisher *publisher);
/* Waits until all is written, or so long. What hangs then is left to the end of the process. */
void publisher_destroy(struct publisher **publisher, double most_s); /* accepts NULL */

/* Aside, then renamed; not synced, since it is written again in a moment. claim: the runner's; 0:
 * none. ERR_IO, ERR_FULL; ERR_AGAIN: the run is another runner's by now. */
MUST_CHECK enum err publisher_write(const char *run_folder, uint64_t claim, const char *text);

#endif
