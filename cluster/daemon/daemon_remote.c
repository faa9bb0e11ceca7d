/* A daemon's port for other machines: encrypted, with a key of its own, for those of a list. */
#include "base/file.h"
#include "base/mem.h"
#include "base/wire/key_file.h"
#include "cluster/daemon/allow_list.h"
#include "cluster/daemon/daemon_folder.h"
#include "cluster/daemon/daemon_internal.h"

static enum err find_key(const char *path, struct key_pair *pair)
{
    enum err err = key_file_read(path, pair);
    return err == ERR_NOT_FOUND ? key_file_make(path, pair) : err;
}

enum err daemon_open_remote(struct daemon *daemon)
{
    enum err err = ERR_OK;
    struct key_pair pair;
    struct allow_list *allowed = mem_alloc(sizeof *allowed);
    char *path = file_join(daemon->cfg.folder, DAEMON_KEY);
    TRY(allow_list_read(daemon->cfg.allow, allowed));
    TRY(find_key(path, &pair));
    const struct wire_curve curve = {.public_key = pair.public_key,
                                     .secret_key = pair.secret_key,
                                     .allowed = allowed->list,
                                     .allowed_count = allowed->count};
    struct control_server_cfg server = {
        .endpoint = daemon->cfg.listen, .curve = &curve, .answer = daemon_answer, .own = daemon};
    TRY(control_server_open(&server, &daemon->remote));
    log_info("listening on %s for %d keys; others know it by %s.pub",
             control_server_endpoint(daemon->remote), allowed->count, path);
out:
    mem_free(path);
    mem_free(allowed);
    return err;
}
