#include "base/wire/key_folder.h"
#include "base/file.h"
#include "base/mem.h"

#define SERVER_NAME "server"
#define CLIENT_NAME "client"

static enum err make_or_read(const char *folder, const char *name, struct key_pair *pair)
{
    char *path = file_join(folder, name);
    enum err err = key_file_read(path, pair);
    if (err == ERR_NOT_FOUND)
        err = key_file_make(path, pair);
    mem_free(path);
    return err;
}

enum err key_folder_serve(const char *folder, struct key_folder *keys)
{
    enum err err = ERR_OK;
    TRY(file_make_private(folder));
    TRY(make_or_read(folder, SERVER_NAME, &keys->server));
    TRY(make_or_read(folder, CLIENT_NAME, &keys->client));
    keys->allowed[0] = keys->client.public_key;
    keys->curve = (struct wire_curve){.public_key = keys->server.public_key,
                                      .secret_key = keys->server.secret_key,
                                      .allowed = keys->allowed,
                                      .allowed_count = 1};
out:
    return err;
}

enum err key_folder_join(const char *folder, struct key_folder *keys)
{
    enum err err = ERR_OK;
    char *client = file_join(folder, CLIENT_NAME), *server = file_join(folder, SERVER_NAME);
    TRY(key_file_read(client, &keys->client));
    TRY(key_file_read_public(server, keys->server.public_key));
    keys->curve = (struct wire_curve){.public_key = keys->client.public_key,
                                      .secret_key = keys->client.secret_key,
                                      .server_key = keys->server.public_key};
out:
    mem_free(client);
    mem_free(server);
    return err;
}
