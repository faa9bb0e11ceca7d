#include "worker/address.h"
#include "scheduler/protocol.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANY_HOST      "tcp://*:"
#define LAUNCHER_HOST "SLURM_LAUNCH_NODE_IPADDR" /* srun's node, in every task's environment */

/* The runner cannot know by which of its addresses other nodes reach it. Slurm does. */
static enum err name_host(const char *port, char endpoint[WIRE_ENDPOINT])
{
    const char *host = getenv(LAUNCHER_HOST);
    if (!host)
        return err_set(ERR_USAGE, PROTOCOL_ADDRESS " names no host, and " LAUNCHER_HOST
                                                   " is not set: srun starts such a gang");
    bool is_ipv6 = strchr(host, ':') != NULL;
    int size =
        snprintf(endpoint, WIRE_ENDPOINT, is_ipv6 ? "tcp://[%s]:%s" : "tcp://%s:%s", host, port);
    return size < WIRE_ENDPOINT ? ERR_OK : err_set(ERR_USAGE, LAUNCHER_HOST " is too long");
}

static enum err copy(const char *text, char endpoint[WIRE_ENDPOINT])
{
    int size = snprintf(endpoint, WIRE_ENDPOINT, "%s", text);
    return size < WIRE_ENDPOINT ? ERR_OK : err_set(ERR_USAGE, "%s is too long an address", text);
}

enum err address_find(const char *endpoint, struct address *address)
{
    enum err err = ERR_OK;
    const char *far = getenv(PROTOCOL_ADDRESS), *keys = getenv(PROTOCOL_KEYS);
    size_t any = strlen(ANY_HOST);
    *address = (struct address){.curve = NULL};
    if (!far)
        return copy(endpoint, address->endpoint);
    if (!keys)
        TRY(err_set(ERR_USAGE, PROTOCOL_ADDRESS " is set, " PROTOCOL_KEYS " is not"));
    TRY(strncmp(far, ANY_HOST, any) == 0 ? name_host(far + any, address->endpoint)
                                         : copy(far, address->endpoint));
    err = key_folder_join(keys, &address->keys);
    if (err != ERR_OK)
        TRY(err_prefix(err, "the run's folder has to be seen on this node, too"));
    address->curve = &address->keys.curve;
out:
    return err;
}
