/* What kind of file system a path lies on, by its name and by what that means for a store: LMDB
 * needs its locks and its memory map to be one machine's. Any thread; may wait for a server. */
#ifndef BASE_FILE_SYSTEM_H
#define BASE_FILE_SYSTEM_H

#include "base/err.h"

enum file_system_kind {
    FILE_SYSTEM_LOCAL,
    FILE_SYSTEM_MEMORY,  /* gone with a restart */
    FILE_SYSTEM_LAYERED, /* of a container: gone with it, unless it is mounted from outside */
    FILE_SYSTEM_USER,    /* a program (FUSE) stands behind it: local or not, nobody can tell */
    FILE_SYSTEM_NETWORK, /* several machines can have it mounted at once */
    FILE_SYSTEM_UNKNOWN  /* none of the list: taken for local */
};

struct file_system {
    enum file_system_kind kind;
    char name[32];                 /* "ext4", "NFS"; of an unknown one its number */
    unsigned long long free_bytes; /* an ordinary user can still write */
    unsigned long long free_files; /* inodes; 0: it does not count them */
};

/* ERR_IO. */
MUST_CHECK enum err file_system_of(const char *path, struct file_system *found);

#endif
