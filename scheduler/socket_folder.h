/* The folder of a run's socket: in TMPDIR, only we can enter it, its name is short enough for a
 * socket. A journal says where it was; that word is taken for nothing but such a folder. Whoever
 * holds its lock is the runner, alive. One thread at a time. */
#ifndef SCHEDULER_SOCKET_FOLDER_H
#define SCHEDULER_SOCKET_FOLDER_H

#include "scheduler/journal.h"

#define SOCKET_NAME          "gang"
#define SOCKET_FOLDER_PREFIX "glowworm-"

/* TMPDIR, or /tmp where that is not set or too long for a socket. Borrowed. */
const char *socket_folder_root(void);
/* Makes one, and locks it; the caller closes *lock. ERR_IO. */
MUST_CHECK enum err socket_folder_make(char folder[JOURNAL_PATH], int *lock);
/* The same elsewhere: "root/prefixXXXXXX". */
MUST_CHECK enum err socket_folder_make_at(const char *root, const char *prefix,
                                          char folder[JOURNAL_PATH], int *lock);

/* A runner locks it, for other runners and for what cleans temporary folders; close() gives it
 * back. -1: another process has it, or there is no such folder (errno tells). */
int socket_folder_lock(const char *folder);
/* The same for whoever clears up behind a runner that died: any number at a time may, and none of
 * them is taken for a runner. */
int socket_folder_share(const char *folder);

/* ERR_CONFIG, with the reason: not a folder as socket_folder_make() makes them (its name, a link,
 * another owner or mode). A missing one is fine. */
MUST_CHECK enum err socket_folder_check(const char *folder);

/* Removes the socket and the folder, which must be empty then. ERR_CONFIG as socket_folder_check(),
 * nothing removed; ERR_IO. A missing one is fine. */
MUST_CHECK enum err socket_folder_remove(const char *folder);

#endif
