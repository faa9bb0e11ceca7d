/* Where a glowworm-scheduler lives: a folder that only its owner may enter, with its store, its
 * socket and its runners' logs. Any thread may call. */
#ifndef CLUSTER_DAEMON_DAEMON_FOLDER_H
#define CLUSTER_DAEMON_DAEMON_FOLDER_H

#include "base/err.h"
#include <stdint.h>

#define DAEMON_PATH        1024
#define DAEMON_ENVIRONMENT "GLOWWORM_SCHEDULER"
#define DAEMON_KEY         "key" /* a pair (base/wire/key_file.h): the daemon's, or who asks it... */
#define DAEMON_SERVER_KEY  "server" /* ...for whom server.pub is the daemon's... */
#define DAEMON_ADDRESS     "address" /* ...and this holds tcp://HOST:PORT of it: a daemon elsewhere */

/* `given`, else $GLOWWORM_SCHEDULER, else $XDG_STATE_HOME/glowworm, else ~/.local/state/glowworm;
 * from / on. given: NULL for none. ERR_CONFIG: nothing says where, or its name is too long for a
 * socket. */
MUST_CHECK enum err daemon_folder_find(const char *given, char folder[DAEMON_PATH]);
/* Makes it, where it is not there. ERR_CONFIG: somebody else may enter it; ERR_IO, ERR_FULL. */
MUST_CHECK enum err daemon_folder_make(const char *folder);
/* "ipc://FOLDER/socket" */
void daemon_folder_endpoint(const char *folder, char endpoint[DAEMON_PATH + 16]);
/* Of a daemon on another machine, for those who ask: "tcp://HOST:PORT", of the folder's file
 * "address". ERR_NOT_FOUND: it is this machine's. ERR_CONFIG: others may have written it; ERR_IO.
 */
MUST_CHECK enum err daemon_folder_address(const char *folder, char endpoint[DAEMON_PATH + 16]);
/* "FOLDER/logs/ID.log"; returns owned. */
char *daemon_folder_log(const char *folder, uint64_t id);
/* ERR_UNAVAILABLE, with the cure: nobody listens on its socket. */
MUST_CHECK enum err daemon_folder_check_socket(const char *folder);

#endif
