#include "cluster/daemon/daemon_folder.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/secret.h"
#include "cluster/next_command.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET "/socket"

static enum err take(const char *start, const char *rest, char folder[DAEMON_PATH])
{
    size_t most = sizeof((struct sockaddr_un *)0)->sun_path - sizeof SOCKET;
    int size = snprintf(folder, DAEMON_PATH, "%s%s", start, rest);
    while (size > 1 && size < DAEMON_PATH && folder[size - 1] == '/')
        folder[--size] = '\0';
    if (size <= 0 || (size_t)size > most)
        return err_set(ERR_CONFIG,
                       "%.200s is too long a name for a scheduler's folder: its socket takes names "
                       "of %zu bytes; name a shorter one with --folder or " DAEMON_ENVIRONMENT,
                       folder, most);
    return ERR_OK;
}

static enum err take_from_here(const char *given, char folder[DAEMON_PATH])
{
    char here[DAEMON_PATH], rest[DAEMON_PATH];
    if (given[0] == '/')
        return take(given, "", folder);
    if (!getcwd(here, sizeof here))
        return err_set(ERR_IO, "where are we? %s", strerror(errno));
    snprintf(rest, sizeof rest, "/%s", given);
    return take(strcmp(here, "/") == 0 ? "" : here, rest, folder);
}

enum err daemon_folder_find(const char *given, char folder[DAEMON_PATH])
{
    const char *named = given ? given : getenv(DAEMON_ENVIRONMENT);
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (named && named[0])
        return take_from_here(named, folder);
    if (state && state[0] == '/')
        return take(state, "/glowworm", folder);
    if (home && home[0] == '/')
        return take(home, "/.local/state/glowworm", folder);
    return err_set(ERR_CONFIG, "nothing says where the scheduler's folder is: use --folder, or "
                               "set " DAEMON_ENVIRONMENT);
}

enum err daemon_folder_make(const char *folder)
{
    enum err err = ERR_OK;
    struct stat found;
    char *logs = file_join(folder, "logs");
    TRY(file_make_private(folder));
    if (lstat(folder, &found) != 0 || !S_ISDIR(found.st_mode) || found.st_uid != geteuid() ||
        (found.st_mode & 077) != 0)
        TRY(err_set(ERR_CONFIG,
                    "%s is not a folder that only you may enter: \"chmod 700\" makes it one, where "
                    "it is yours",
                    folder));
    TRY(file_make_private(logs));
out:
    mem_free(logs);
    return err;
}

void daemon_folder_endpoint(const char *folder, char endpoint[DAEMON_PATH + 16])
{
    snprintf(endpoint, DAEMON_PATH + 16, "ipc://%s" SOCKET, folder);
}

enum err daemon_folder_address(const char *folder, char endpoint[DAEMON_PATH + 16])
{
    char *path = file_join(folder, DAEMON_ADDRESS);
    enum err err = secret_read(path, endpoint, DAEMON_PATH);
    if (err == ERR_OK && strncmp(endpoint, "tcp://", 6) != 0)
        err = err_set(ERR_CONFIG, "%s does not hold tcp://HOST:PORT of a scheduler", path);
    mem_free(path);
    return err;
}

char *daemon_folder_log(const char *folder, uint64_t id)
{
    char name[48];
    snprintf(name, sizeof name, "logs/%llu.log", (unsigned long long)id);
    return file_join(folder, name);
}

/* The file stays when a scheduler is killed: only connecting tells. */
static bool is_answered(const char *folder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int size = snprintf(address.sun_path, sizeof address.sun_path, "%s" SOCKET, folder);
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_there = probe >= 0 && size > 0 && (size_t)size < sizeof address.sun_path &&
                    connect(probe, (const struct sockaddr *)&address, sizeof address) == 0;
    if (probe >= 0)
        close(probe);
    return is_there;
}

enum err daemon_folder_check_socket(const char *folder)
{
    if (is_answered(folder))
        return ERR_OK;
    char *word = next_command_word(folder);
    enum err err = err_set(ERR_UNAVAILABLE,
                           "no scheduler runs in %s: start one with \"glowworm-scheduler --folder "
                           "%s\" (and leave it running), or name another folder with --folder",
                           folder, word);
    mem_free(word);
    return err;
}
