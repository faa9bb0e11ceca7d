/* Exchanges of device memory through pinned host memory and the gang's own comm: right for any
 * device, and what others are compared with. */
#include "base/mem.h"
#include "kernels/device_module.h"
#include "trainer/gang/comm.h"
#include <string.h>

struct block { /* pinned; grows, never shrinks */
    void *host;
    size_t size_bytes;
};

struct staged {
    struct device_comm face;
    struct comm *comm;
    struct block send, receive;
    uint64_t *least; /* (size) */
};

static enum err reserve(struct device *device, struct block *block, size_t size_bytes)
{
    enum err err = ERR_OK;
    if (block->size_bytes >= size_bytes)
        return ERR_OK;
    device->ops->unpin(device, block->host);
    *block = (struct block){0};
    TRY(device->ops->pin(device, size_bytes, &block->host));
    block->size_bytes = size_bytes;
out:
    return err;
}

/* Where the last of a list of pieces ends, in bytes. */
static size_t extent(const size_t *counts, const size_t *offsets, int size, size_t item_bytes)
{
    size_t end = 0;
    for (int rank = 0; rank < size; rank++)
        if (counts[rank] > 0 && offsets[rank] + counts[rank] > end)
            end = offsets[rank] + counts[rank];
    return end * item_bytes;
}

static enum err bring(struct staged *staged, const void *send, size_t sent, size_t received)
{
    enum err err = ERR_OK;
    struct device *device = staged->face.device;
    TRY(reserve(device, &staged->send, sent));
    TRY(reserve(device, &staged->receive, received));
    if (sent > 0)
        TRY(device->ops->download(device, staged->send.host, send, sent));
out:
    return err;
}

static enum err staged_exchange(struct device_comm *face, const struct device_exchange *e)
{
    enum err err = ERR_OK;
    struct staged *staged = face->own;
    struct device *device = face->device;
    size_t sent = extent(e->send_counts, e->send_offsets, face->size, e->item_bytes);
    size_t received = extent(e->receive_counts, e->receive_offsets, face->size, e->item_bytes);
    TRY(bring(staged, e->send, sent, received));
    TRY(staged->comm->exchange(staged->comm, staged->send.host, e->send_counts, e->send_offsets,
                               staged->receive.host, e->receive_counts, e->receive_offsets,
                               e->item_bytes));
    if (received > 0)
        device->ops->upload(device, e->receive, staged->receive.host, received);
out:
    return err;
}

static enum err staged_gather_all(struct device_comm *face, const struct device_exchange *e)
{
    enum err err = ERR_OK;
    struct staged *staged = face->own;
    struct device *device = face->device;
    size_t sent = e->receive_counts[face->rank] * e->item_bytes;
    size_t received = extent(e->receive_counts, e->receive_offsets, face->size, e->item_bytes);
    TRY(bring(staged, e->send, sent, received));
    TRY(staged->comm->gather_all(staged->comm, staged->send.host, staged->receive.host,
                                 e->receive_counts, e->receive_offsets, e->item_bytes));
    if (received > 0)
        device->ops->upload(device, e->receive, staged->receive.host, received);
out:
    return err;
}

static enum err staged_least(struct device_comm *face, uint64_t *word)
{
    enum err err = ERR_OK;
    struct staged *staged = face->own;
    struct device *device = face->device;
    uint64_t mine = 0;
    if (face->size == 1)
        return ERR_OK;
    TRY(device->ops->download(device, &mine, word, sizeof mine));
    TRY(comm_gather_equal(staged->comm, &mine, staged->least, sizeof mine));
    for (int rank = 0; rank < face->size; rank++)
        mine = staged->least[rank] < mine ? staged->least[rank] : mine;
    device->ops->set_word(device, mine, word);
out:
    return err;
}

static void staged_close(struct device_comm *face)
{
    struct staged *staged = face->own;
    face->device->ops->unpin(face->device, staged->send.host);
    face->device->ops->unpin(face->device, staged->receive.host);
    mem_free(staged->least);
    mem_free(staged);
}

struct device_comm *comm_staged(struct comm *comm, struct device *device)
{
    struct staged *staged = mem_alloc(sizeof *staged);
    staged->comm = comm;
    staged->least = mem_array((size_t)comm->size, sizeof *staged->least);
    staged->face = (struct device_comm){.rank = comm->rank,
                                        .size = comm->size,
                                        .device = device,
                                        .own = staged,
                                        .exchange = staged_exchange,
                                        .gather_all = staged_gather_all,
                                        .least = staged_least,
                                        .close = staged_close};
    return &staged->face;
}

static enum err gang_broadcast(void *own, void *bytes, size_t size_bytes)
{
    struct comm *comm = own;
    return comm->broadcast(comm, bytes, size_bytes);
}

static enum err gang_gather(void *own, const void *mine, void *all, size_t size_bytes)
{
    return comm_gather_equal(own, mine, all, size_bytes);
}

enum err comm_on_device(struct comm *comm, struct device *device, struct device_comm **device_comm)
{
    enum err err = ERR_OK;
    struct device_comm *own = NULL;
    struct device_gang gang = {.rank = comm->rank,
                               .size = comm->size,
                               .deadline_s = comm->deadline_s,
                               .own = comm,
                               .broadcast = gang_broadcast,
                               .gather = gang_gather};
    memcpy(gang.node, comm->node, sizeof gang.node);
    if (device->module && device->module->open_comm)
        TRY(device->module->open_comm(device, &gang, &own));
    *device_comm = own ? own : comm_staged(comm, device);
out:
    return err;
}
