#include "tests/gang/gang.h"
#include "base/mem.h"
#include <pthread.h>
#include <string.h>

struct gang {
    int size;
    pthread_barrier_t barrier;
    const void **send; /* what each rank offers, valid between two barriers */
    const size_t **counts, **offsets;
    uint32_t *flags;
};

struct member {
    struct comm comm;
    struct gang *gang;
    void (*work)(struct comm *, void *);
    void *own;
};

static void meet(struct gang *gang)
{
    pthread_barrier_wait(&gang->barrier);
}

/* Who has nothing to send may have no memory either. */
static void copy(void *to, const void *from, size_t size_bytes)
{
    if (size_bytes > 0)
        memcpy(to, from, size_bytes);
}

static enum err exchange(struct comm *comm, const void *send, const size_t *send_counts,
                         const size_t *send_offsets, void *receive, const size_t *receive_counts,
                         const size_t *receive_offsets, size_t item_bytes)
{
    struct gang *gang = comm->own;
    gang->send[comm->rank] = send;
    gang->counts[comm->rank] = send_counts;
    gang->offsets[comm->rank] = send_offsets;
    meet(gang);
    for (int from = 0; from < comm->size; from++) {
        if (gang->counts[from][comm->rank] != receive_counts[from])
            BUG("rank %d sends %zu items, rank %d expects %zu", from,
                gang->counts[from][comm->rank], comm->rank, receive_counts[from]);
        copy((char *)receive + receive_offsets[from] * item_bytes,
             (const char *)gang->send[from] + gang->offsets[from][comm->rank] * item_bytes,
             receive_counts[from] * item_bytes);
    }
    meet(gang);
    return ERR_OK;
}

static enum err gather_all(struct comm *comm, const void *mine, void *all, const size_t *counts,
                           const size_t *offsets, size_t item_bytes)
{
    struct gang *gang = comm->own;
    gang->send[comm->rank] = mine;
    meet(gang);
    for (int from = 0; from < comm->size; from++)
        copy((char *)all + offsets[from] * item_bytes, gang->send[from], counts[from] * item_bytes);
    meet(gang);
    return ERR_OK;
}

static enum err broadcast(struct comm *comm, void *bytes, size_t size_bytes)
{
    struct gang *gang = comm->own;
    if (comm->rank == 0)
        gang->send[0] = bytes;
    meet(gang);
    if (comm->rank != 0)
        memcpy(bytes, gang->send[0], size_bytes);
    meet(gang);
    return ERR_OK;
}

static enum err any(struct comm *comm, uint32_t *flags)
{
    struct gang *gang = comm->own;
    gang->flags[comm->rank] = *flags;
    meet(gang);
    for (int from = 0; from < comm->size; from++)
        *flags |= gang->flags[from];
    meet(gang);
    return ERR_OK;
}

static void close_nothing(struct comm *comm)
{
    (void)comm;
}

static void *run_member(void *pointer)
{
    struct member *member = pointer;
    member->work(&member->comm, member->own);
    return NULL;
}

void gang_run(int size, void (*work)(struct comm *, void *), void *own)
{
    struct gang gang = {.size = size};
    size_t n = (size_t)size;
    gang.send = mem_array(n, sizeof *gang.send);
    gang.counts = mem_array(n, sizeof *gang.counts);
    gang.offsets = mem_array(n, sizeof *gang.offsets);
    gang.flags = mem_array(n, sizeof *gang.flags);
    struct member *members = mem_array(n, sizeof *members);
    pthread_t *threads = mem_array(n, sizeof *threads);
    pthread_barrier_init(&gang.barrier, NULL, (unsigned)size);
    for (int rank = 0; rank < size; rank++) {
        members[rank] = (struct member){.gang = &gang, .work = work, .own = own};
        members[rank].comm = (struct comm){.rank = rank,
                                           .size = size,
                                           .own = &gang,
                                           .exchange = exchange,
                                           .gather_all = gather_all,
                                           .broadcast = broadcast,
                                           .any = any,
                                           .close = close_nothing};
        if (pthread_create(&threads[rank], NULL, run_member, &members[rank]) != 0)
            BUG("no thread for rank %d", rank);
    }
    for (int rank = 0; rank < size; rank++)
        pthread_join(threads[rank], NULL);
    pthread_barrier_destroy(&gang.barrier);
    mem_free(threads);
    mem_free(members);
    mem_free(gang.send);
    mem_free(gang.counts);
    mem_free(gang.offsets);
    mem_free(gang.flags);
}
