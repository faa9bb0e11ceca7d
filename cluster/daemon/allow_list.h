/* Who may ask a scheduler from another machine: a file with a public key a line, and behind a space
 * whatever names its owner. One thread. */
#ifndef CLUSTER_DAEMON_ALLOW_LIST_H
#define CLUSTER_DAEMON_ALLOW_LIST_H

#include "base/err.h"
#include "base/wire/curve.h"

#define ALLOW_MAX 256

struct allow_list {
    int count;
    char keys[ALLOW_MAX][WIRE_KEY_BYTES];
    const char *list[ALLOW_MAX]; /* into keys: the struct must stay where it is */
};

/* ERR_CONFIG: a line that is no key, too many, nobody, or a file that others may write.
 * ERR_NOT_FOUND, ERR_DATA (no plain file), ERR_IO. */
MUST_CHECK enum err allow_list_read(const char *path, struct allow_list *allowed);

#endif
