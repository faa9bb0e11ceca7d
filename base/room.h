/* Is there room on a folder's disk? Asked by taking some and giving it back, since what a file
 * system says of itself knows no quotas. Nothing stays behind, and no name is seen. Any thread. */
#ifndef BASE_ROOM_H
#define BASE_ROOM_H

#include "base/err.h"
#include <stddef.h>

#define ROOM_BYTES ((size_t)1 << 20) /* with less than this a disk counts as full */

/* ERR_FULL: so much cannot be written there now; the text names the folder. Where it cannot be
 * tried (no such folder, read only) nobody knows: ERR_OK. */
MUST_CHECK enum err room_check(const char *folder, size_t bytes);

#endif
