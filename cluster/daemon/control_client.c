#include "cluster/daemon/control_client.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/wire/key_file.h"
#include "base/wire/wire.h"
#include "cluster/daemon/control_server.h"
#include "cluster/daemon/daemon_folder.h"
#include <string.h>

#define ANSWER_S 30.0
#define LOOK_MS  200

struct control_client {
    struct wire *wire;
    uint64_t asked;
    double answer_s;
    bool is_remote; /* on another machine */
    char folder[DAEMON_PATH], where[DAEMON_PATH + 16];
};

struct remote { /* what its wire borrows while it is opened */
    struct key_pair own;
    char server_key[WIRE_KEY_BYTES];
    struct wire_curve curve;
};

static enum err read_keys(const char *folder, struct remote *remote)
{
    enum err err = ERR_OK;
    char *own = file_join(folder, DAEMON_KEY), *server = file_join(folder, DAEMON_SERVER_KEY);
    TRY(key_file_read(own, &remote->own));
    TRY(key_file_read_public(server, remote->server_key));
    remote->curve = (struct wire_curve){.public_key = remote->own.public_key,
                                        .secret_key = remote->own.secret_key,
                                        .server_key = remote->server_key};
out:
    mem_free(own);
    mem_free(server);
    return err;
}

/* Where it is, and with which keys. */
static enum err find_daemon(struct control_client *client, struct remote *remote)
{
    enum err err = daemon_folder_address(client->folder, client->where);
    client->is_remote = err == ERR_OK;
    TRY(err == ERR_NOT_FOUND ? ERR_OK : err);
    if (client->is_remote)
        TRY(read_keys(client->folder, remote));
    else
        TRY(daemon_folder_check_socket(client->folder));
    if (!client->is_remote)
        daemon_folder_endpoint(client->folder, client->where);
out:
    return err;
}

enum err control_client_open(const struct control_client_cfg *cfg, struct control_client **client)
{
    enum err err = ERR_OK;
    struct remote remote;
    struct control_client *made = mem_alloc(sizeof *made);
    struct wire_cfg wire = {.role = WIRE_CLIENT,
                            .endpoint = made->where,
                            .format = CONTROL_FORMAT,
                            .max_payload_bytes = CONTROL_MAX_BYTES,
                            .wake_fd = -1};
    TRY(daemon_folder_find(cfg->folder, made->folder));
    TRY(find_daemon(made, &remote));
    made->answer_s = cfg->answer_s > 0 ? cfg->answer_s : ANSWER_S;
    wire.curve = made->is_remote ? &remote.curve : NULL;
    TRY(wire_open(&wire, &made->wire));
    *client = made;
    made = NULL;
out:
    control_client_close(&made);
    return err;
}

void control_client_close(struct control_client **client)
{
    if (!*client)
        return;
    wire_close(&(*client)->wire);
    mem_free(*client);
    *client = NULL;
}

static enum err send_request(struct control_client *client, Gwd__Request *request)
{
    request->number = ++client->asked;
    size_t size = gwd__request__get_packed_size(request);
    uint8_t *bytes = mem_alloc(size + 1);
    gwd__request__pack(request, bytes);
    enum err err = wire_send(client->wire, NULL, bytes, size);
    mem_free(bytes);
    return err;
}

/* *reply: NULL where nothing came yet. */
static enum err take_reply(struct control_client *client, Gwd__Reply **reply)
{
    struct wire_message received;
    enum err err = wire_receive(client->wire, LOOK_MS, &received);
    if (err != ERR_OK)
        return err == ERR_AGAIN ? ERR_OK : err;
    *reply = gwd__reply__unpack(NULL, received.size_bytes, received.payload);
    return *reply ? ERR_OK : err_set(ERR_DATA, "the scheduler's answer cannot be read");
}

static enum err await_reply(struct control_client *client, Gwd__Reply **reply)
{
    enum err err = ERR_OK;
    bool is_gone = false;
    double end_s = clock_seconds() + client->answer_s;
    while (!*reply && !is_gone && clock_seconds() < end_s) {
        TRY(take_reply(client, reply));
        is_gone = !client->is_remote && daemon_folder_check_socket(client->folder) != ERR_OK;
    }
    if (!*reply)
        TRY(err_set(ERR_PEER,
                    "the scheduler on %s %s; \"glowworm queue\" shows what it has done, once it is "
                    "there",
                    client->where,
                    is_gone ? "ended before it answered"
                    : client->is_remote
                        ? "does not answer: it is not there, or does not allow our key"
                        : "does not answer"));
out:
    return err;
}

enum err control_client_ask(struct control_client *client, Gwd__Request *request,
                            Gwd__Reply **reply)
{
    enum err err = ERR_OK;
    Gwd__Reply *read = NULL;
    TRY(send_request(client, request));
    TRY(await_reply(client, &read));
    if (read->number != client->asked)
        TRY(err_set(ERR_DATA, "the scheduler answers another question"));
    if (read->error[0])
        TRY(err_set(err_of_name(read->error), "%s", read->text));
    *reply = read;
    read = NULL;
out:
    if (read)
        gwd__reply__free_unpacked(read, NULL);
    return err;
}
