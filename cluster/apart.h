/* Work on a store whose pages may be damaged: LMDB finds its way by pages that no hash guards, and
 * following a broken one can end the process. So a child does the work. */
#ifndef CLUSTER_APART_H
#define CLUSTER_APART_H

#include "base/err.h"

/* Calls `work` in a child, whose output is ours, and returns what it returned, text included.
 * ERR_DATA naming `path` when the child died of what it read (SEGV, BUS, ABRT), ERR_FAILED when
 * another signal ended it (of SIGPIPE this process dies too); ERR_IO when there could be no child,
 * or standard output takes no more. Threads must not have been started yet. */
MUST_CHECK enum err apart(enum err (*work)(void *own), void *own, const char *path);

#endif
