#include "kernels/cuda/nccl_comm.h"
#include "base/log.h"
#include "base/mem.h"
#include "kernels/cuda/nccl_gang.h"
#include "kernels/cuda/nccl_ranks.h"
#include <stdio.h>
#include <string.h>

#define NCCL(call) nccl_ranks_check(ranks, ranks->nccl.call, "nccl " #call)

/* What a rank sends to `to`, and receives from `from`. */
struct piece {
    const char *send;
    char *receive;
    size_t send_bytes, receive_bytes;
};

static struct piece piece_of_exchange(const struct device_comm *face,
                                      const struct device_exchange *e, int to, int from)
{
    (void)face;
    return (struct piece){.send = (const char *)e->send + e->send_offsets[to] * e->item_bytes,
                          .send_bytes = e->send_counts[to] * e->item_bytes,
                          .receive = (char *)e->receive + e->receive_offsets[from] * e->item_bytes,
                          .receive_bytes = e->receive_counts[from] * e->item_bytes};
}

static struct piece piece_of_gather(const struct device_comm *face, const struct device_exchange *e,
                                    int to, int from)
{
    (void)to;
    return (struct piece){.send = e->send,
                          .send_bytes = e->receive_counts[face->rank] * e->item_bytes,
                          .receive = (char *)e->receive + e->receive_offsets[from] * e->item_bytes,
                          .receive_bytes = e->receive_counts[from] * e->item_bytes};
}

typedef struct piece piece_fn(const struct device_comm *, const struct device_exchange *, int to,
                              int from);

static enum err queue_piece(struct nccl_ranks *ranks, struct piece piece, int to, int from)
{
    enum err err = ERR_OK;
    cudaStream_t stream = ranks->cuda->stream;
    if (piece.receive_bytes > 0)
        TRY(NCCL(recv(piece.receive, piece.receive_bytes, NCCL_UINT8, from, ranks->comm, stream)));
    if (piece.send_bytes > 0)
        TRY(NCCL(send(piece.send, piece.send_bytes, NCCL_UINT8, to, ranks->comm, stream)));
out:
    return err;
}

/* All at once: NCCL lets what a group sends and receives go side by side. */
static enum err queue_group(struct nccl_ranks *ranks, const struct device_exchange *e,
                            piece_fn *piece_of)
{
    enum err err = ERR_OK;
    int size = ranks->face.size, rank = ranks->face.rank;
    TRY(NCCL(group_start()));
    for (int step = 1; step < size && err == ERR_OK; step++) {
        int to = (rank + step) % size, from = (rank + size - step) % size;
        err = queue_piece(ranks, piece_of(&ranks->face, e, to, from), to, from);
    }
    enum err ended = NCCL(group_end()); /* a group that was begun is ended, whatever failed */
    err = err != ERR_OK ? err : ended;
out:
    return err;
}

static enum err copy_own(struct nccl_ranks *ranks, struct piece own)
{
    if (own.send_bytes == 0 || own.send == own.receive)
        return ERR_OK;
    return CUDA(cudaMemcpyAsync(own.receive, own.send, own.send_bytes, cudaMemcpyDeviceToDevice,
                                ranks->cuda->stream));
}

static enum err exchange_pieces(struct device_comm *face, const struct device_exchange *e,
                                piece_fn *piece_of, const char *name)
{
    enum err err = ERR_OK;
    struct nccl_ranks *ranks = face->own;
    TRY(nccl_ranks_begin(ranks, name));
    err = copy_own(ranks, piece_of(face, e, face->rank, face->rank));
    if (err == ERR_OK)
        err = queue_group(ranks, e, piece_of);
    TRY(nccl_ranks_end(ranks, err));
out:
    return err;
}

static enum err comm_exchange(struct device_comm *face, const struct device_exchange *e)
{
    return exchange_pieces(face, e, piece_of_exchange, "exchange");
}

static enum err comm_gather_all(struct device_comm *face, const struct device_exchange *e)
{
    return exchange_pieces(face, e, piece_of_gather, "gather");
}

/* Of whole numbers the least is the same in any order. */
static enum err comm_least(struct device_comm *face, uint64_t *word)
{
    enum err err = ERR_OK;
    struct nccl_ranks *ranks = face->own;
    TRY(nccl_ranks_begin(ranks, "agreement"));
    err = NCCL(all_reduce(word, word, 1, NCCL_UINT64, NCCL_MIN, ranks->comm, ranks->cuda->stream));
    TRY(nccl_ranks_end(ranks, err));
out:
    return err;
}

static void comm_close(struct device_comm *face)
{
    struct nccl_ranks *ranks = face->own;
    nccl_ranks_destroy(&ranks);
}

static void make_offer(struct cuda *cuda, const struct device_gang *gang, struct nccl_library *nccl,
                       struct nccl_offer *offer)
{
    memcpy(offer->node, gang->node, sizeof offer->node);
    if (nccl_library_load(nccl) != ERR_OK ||
        CUDA(cudaDeviceGetPCIBusId(offer->card, sizeof offer->card, cuda->ordinal)) != ERR_OK)
        snprintf(offer->missing, sizeof offer->missing, "%s", err_text());
    offer->version = nccl->version;
}

static enum err decide(struct cuda *cuda, const struct device_gang *gang, struct nccl_library *nccl,
                       bool *can)
{
    enum err err = ERR_OK;
    char why[400] = "", version[32];
    struct nccl_offer mine = {0};
    struct nccl_offer *all = mem_array((size_t)gang->size, sizeof *all);
    make_offer(cuda, gang, nccl, &mine);
    TRY(gang->gather(gang->own, &mine, all, sizeof mine));
    *can = nccl_gang_can(all, gang->size, why, sizeof why);
    nccl_version_text(nccl->version, version, sizeof version);
    if (gang->rank == 0 && *can)
        log_info("ranks exchange by NCCL %s", version);
    else if (gang->rank == 0)
        log_warn("ranks exchange through the host, not by NCCL: %s", why);
out:
    mem_free(all);
    return err;
}

struct invitation { /* from rank 0 */
    struct nccl_id id;
    enum err err;
    char text[400];
};

static enum err invite(const struct device_gang *gang, const struct nccl_library *nccl,
                       struct nccl_id *id)
{
    enum err err = ERR_OK;
    struct invitation invitation = {0};
    if (gang->rank == 0) {
        invitation.err =
            nccl_check(nccl, NULL, nccl->get_unique_id(&invitation.id), "ncclGetUniqueId");
        snprintf(invitation.text, sizeof invitation.text, "%s",
                 invitation.err != ERR_OK ? err_text() : "");
    }
    TRY(gang->broadcast(gang->own, &invitation, sizeof invitation));
    if (invitation.err != ERR_OK)
        TRY(err_set(invitation.err, "rank 0: %s", invitation.text));
    *id = invitation.id;
out:
    return err;
}

enum err cuda_open_comm(struct device *device, const struct device_gang *gang,
                        struct device_comm **comm)
{
    enum err err = ERR_OK;
    struct cuda *cuda = cuda_of(device);
    struct nccl_library nccl = {0};
    struct nccl_ranks *ranks = NULL;
    struct nccl_id id;
    bool can = false;
    if (gang->size == 1)
        return ERR_OK;
    TRY(decide(cuda, gang, &nccl, &can));
    if (!can)
        goto out;
    TRY(invite(gang, &nccl, &id));
    err = nccl_ranks_create(cuda, gang, &nccl, &id, &ranks);
    if (err != ERR_OK)
        TRY(err_prefix(err, "NCCL (GLOWWORM_NCCL=none does without)"));
    ranks->face.exchange = comm_exchange;
    ranks->face.gather_all = comm_gather_all;
    ranks->face.least = comm_least;
    ranks->face.close = comm_close;
    *comm = &ranks->face;
out:
    return err;
}
