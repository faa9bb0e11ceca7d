/* Where a run's gangs find its runner: the socket, its token, the keys, and the file that tells the
 * next runner of them. */
#include "base/file.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/wire/key_folder.h"
#include "scheduler/loop_internal.h"
#include "scheduler/mpi_folder.h"
#include "scheduler/socket_folder.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum err make_token(const char *given, char token[SECRET_HEX_BYTES])
{
    if (!given)
        return secret_draw(token);
    snprintf(token, SECRET_HEX_BYTES, "%s", given);
    return ERR_OK;
}

static void close_socket(struct loop *loop)
{
    loop->port = 0;
    loop->strangers_seen = 0;
    wire_close(&loop->wire);
    if (loop->socket_folder[0] && socket_folder_remove(loop->socket_folder) != ERR_OK)
        log_warn("the folder of the run's socket is left behind: %s", err_text());
    if (loop->socket_lock >= 0)
        close(loop->socket_lock);
    loop->socket_lock = -1;
    loop->socket_folder[0] = '\0';
}

/* Ranks on other nodes reach no socket. */
static enum err open_port(struct loop *loop, struct wire_cfg *cfg)
{
    enum err err = ERR_OK;
    long port = 0;
    char where[32] = "tcp://*:*";
    struct key_folder keys;
    char *folder = file_join(loop->cfg->run_folder, PROTOCOL_KEYS_FOLDER);
    TRY(key_folder_serve(folder, &keys));
    if (loop->port > 0)
        snprintf(where, sizeof where, "tcp://*:%d", loop->port);
    cfg->endpoint = where;
    cfg->curve = &keys.curve;
    TRY(wire_open(cfg, &loop->wire));
    TRY(text_to_int(strrchr(wire_endpoint(loop->wire), ':') + 1, 1, 65535, &port));
    loop->port = (int)port;
out:
    mem_free(folder);
    return err;
}

enum err loop_open_wire(struct loop *loop)
{
    enum err err = ERR_OK;
    struct wire_cfg cfg = {.role = WIRE_SERVER,
                           .endpoint = loop->endpoint,
                           .format = PROTOCOL_FORMAT,
                           .max_payload_bytes = PROTOCOL_MAX_BYTES,
                           .linger_ms = 500,
                           .wake_fd = -1};
    leftover_endpoint(loop->socket_folder, loop->endpoint, sizeof loop->endpoint);
    TRY(launch_leaves_node(&loop->cfg->launch) ? open_port(loop, &cfg)
                                               : wire_open(&cfg, &loop->wire));
out:
    return err;
}

static enum err open_socket(struct loop *loop)
{
    enum err err = ERR_OK;
    TRY(socket_folder_make(loop->socket_folder, &loop->socket_lock));
    TRY(loop_open_wire(loop));
out:
    return err;
}

/* For a runner after us. Without it the run goes on as well, so a disk that is full ends nothing.
 */
static void write_rendezvous(struct loop *loop)
{
    struct rendezvous mine = {0};
    memcpy(mine.token, loop->token, sizeof mine.token);
    memcpy(mine.socket_folder, loop->socket_folder, sizeof mine.socket_folder);
    memcpy(mine.mpi_folder, loop->mpi_folder, sizeof mine.mpi_folder);
    mine.port = loop->port;
    loop->has_rendezvous = true; /* half of it may be there */
    if (rendezvous_write(launch_own_folder(&loop->cfg->launch), loop->cfg->campaign, &mine) !=
        ERR_OK)
        log_warn("a runner after this one would not find its gangs: %s", err_text());
}

/* They are replaced, as if we had never thought of adopting them. */
static enum err give_up(const struct loop_cfg *cfg)
{
    struct loop_cfg none = *cfg;
    int killed = 0;
    log_warn("gangs that were left running are replaced: %s", err_text());
    none.graph = NULL;
    return loop_clear_leftovers(&none, &killed);
}

/* Where gangs find us: those that were left where they look already. */
enum err loop_meet(struct loop *loop, struct left_gangs *left)
{
    enum err err = ERR_OK;
    if (left->count > 0 && adopt_meet(loop, left) != ERR_OK) {
        left->count = 0;
        TRY(give_up(loop->cfg));
    }
    if (left->count == 0) {
        TRY(make_token(loop->cfg->token, loop->token));
        TRY(open_socket(loop));
    }
    if (launch_has_mpi(&loop->cfg->launch) && loop->mpi_lock < 0)
        TRY(mpi_folder_make(loop->mpi_folder, &loop->mpi_lock));
    write_rendezvous(loop);
out:
    return err;
}

void loop_close_mpi(struct loop *loop)
{
    if (loop->mpi_lock < 0)
        return;
    if (mpi_folder_remove(loop->mpi_folder) != ERR_OK)
        log_warn("what Open MPI kept is left behind: %s", err_text());
    close(loop->mpi_lock);
}

enum err loop_renew_socket(struct loop *loop)
{
    enum err err = ERR_OK;
    char path[JOURNAL_PATH + 16];
    snprintf(path, sizeof path, "%s/" SOCKET_NAME, loop->socket_folder);
    if (loop->port > 0 || file_exists(path))
        return ERR_OK;
    log_warn("%s is gone; the next gang gets another socket", path);
    close_socket(loop);
    TRY(open_socket(loop));
    write_rendezvous(loop);
out:
    return err;
}

void loop_close_socket(struct loop *loop)
{
    if (loop->has_rendezvous)
        rendezvous_remove(launch_own_folder(&loop->cfg->launch));
    close_socket(loop);
}
