#include "trainer/gang/comm.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>

static enum err alone_exchange(struct comm *comm, const void *send, const size_t *send_counts,
                               const size_t *send_offsets, void *receive,
                               const size_t *receive_counts, const size_t *receive_offsets,
                               size_t item_bytes)
{
    (void)comm;
    (void)receive_counts;
    if (send_counts[0] > 0)
        memmove((char *)receive + receive_offsets[0] * item_bytes,
                (const char *)send + send_offsets[0] * item_bytes, send_counts[0] * item_bytes);
    return ERR_OK;
}

static enum err alone_gather_all(struct comm *comm, const void *mine, void *all,
                                 const size_t *counts, const size_t *offsets, size_t item_bytes)
{
    (void)comm;
    if (counts[0] > 0)
        memmove((char *)all + offsets[0] * item_bytes, mine, counts[0] * item_bytes);
    return ERR_OK;
}

static enum err alone_broadcast(struct comm *comm, void *bytes, size_t size_bytes)
{
    (void)comm;
    (void)bytes;
    (void)size_bytes;
    return ERR_OK;
}

static enum err alone_any(struct comm *comm, uint32_t *flags)
{
    (void)comm;
    (void)flags;
    return ERR_OK;
}

static void alone_close(struct comm *comm)
{
    (void)comm;
}

void comm_alone(struct comm *comm)
{
    *comm = (struct comm){.rank = 0,
                          .size = 1,
                          .exchange = alone_exchange,
                          .gather_all = alone_gather_all,
                          .broadcast = alone_broadcast,
                          .any = alone_any,
                          .close = alone_close};
}

enum err comm_gather_equal(struct comm *comm, const void *mine, void *all, size_t size_bytes)
{
    size_t size = (size_t)comm->size;
    size_t *numbers = mem_array(2 * size, sizeof *numbers); /* counts, then offsets */
    for (size_t rank = 0; rank < size; rank++) {
        numbers[rank] = 1;
        numbers[size + rank] = rank;
    }
    enum err err = comm->gather_all(comm, mine, all, numbers, numbers + size, size_bytes);
    mem_free(numbers);
    return err;
}

int comm_first(int leaves, int size, int rank)
{
    return (int)((int64_t)leaves * rank / size);
}

/* What a rank says about itself when somebody failed. Fixed size: it travels between ranks. */
struct agreement {
    int32_t code;
    char node[64];
    char text[444];
};

enum err comm_agree(struct comm *comm, enum err mine)
{
    enum err err = ERR_OK;
    uint32_t flags = mine != ERR_OK;
    struct agreement verdict = {.code = (int32_t)mine};
    struct agreement *all = NULL; /* (size) */
    if (mine == ERR_PEER || comm->size == 1)
        return mine;
    TRY(comm->any(comm, &flags));
    if (!flags)
        goto out;
    memcpy(verdict.node, comm->node, sizeof verdict.node);
    snprintf(verdict.text, sizeof verdict.text, "%s", mine != ERR_OK ? err_text() : "");
    all = mem_array((size_t)comm->size, sizeof *all);
    TRY(comm_gather_equal(comm, &verdict, all, sizeof verdict));
    for (int rank = 0; rank < comm->size; rank++) {
        if (all[rank].code == ERR_OK)
            continue;
        all[rank].text[sizeof all[rank].text - 1] = '\0';
        all[rank].node[sizeof all[rank].node - 1] = '\0';
        err = (enum err)all[rank].code;
        if (rank != comm->rank)
            err_set(err, "rank %d%s%s: %s", rank, all[rank].node[0] ? " on " : "", all[rank].node,
                    all[rank].text);
        goto out;
    }
out:
    mem_free(all);
    return err;
}
