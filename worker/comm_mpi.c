#include "worker/comm_mpi.h"
#include "base/clock.h"
#include "base/mem.h"
#include "worker/memory_folder.h"
#include <limits.h>
#include <mpi.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SPIN_S   200e-6 /* polls without sleeping: about what a small message takes */
#define SLEEP_NS 50000
#define TAG      1

struct mpi_comm {
    double deadline_s;
    struct rank_work *work;
    int folder_lock;       /* memory_folder.h */
    bool is_broken;        /* a deadline passed, or MPI failed: nothing more is tried */
    MPI_Request *requests; /* (2 size) */
    int *counts, *offsets; /* (size) */
};

static enum err check_mpi(int code, const char *call)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    if (code == MPI_SUCCESS)
        return ERR_OK;
    MPI_Error_string(code, text, &length);
    return err_set(ERR_PEER, "%s: %s", call, text);
}
#define MPI(call) check_mpi(call, #call)

/* Polls; gives the processor away while nothing happens, since loader and compute threads want it.
 */
static enum err wait_all(struct comm *comm, int count, const char *what)
{
    struct mpi_comm *gang = comm->own;
    double start = clock_seconds(), looked = start;
    for (;;) {
        int is_done = 0;
        atomic_fetch_add_explicit(&gang->work->polls, 1, memory_order_relaxed);
        enum err err =
            check_mpi(MPI_Testall(count, gang->requests, &is_done, MPI_STATUSES_IGNORE), what);
        double now = clock_seconds();
        start += clock_gap(&looked, now); /* the others slept too */
        double waited = now - start;
        if (err != ERR_OK || is_done)
            return err;
        if (waited > gang->deadline_s)
            return err_set(ERR_PEER,
                           "rank %d waited %.0f s for the others (%s): one of them is gone",
                           comm->rank, waited, what);
        if (waited < SPIN_S)
            sched_yield();
        else
            nanosleep(&(struct timespec){.tv_nsec = SLEEP_NS}, NULL);
    }
}

/* The end of every call: one that failed is the last. */
static enum err settle(struct comm *comm, enum err err)
{
    struct mpi_comm *gang = comm->own;
    if (err != ERR_OK)
        gang->is_broken = true;
    return err;
}

static enum err check_gang(const struct comm *comm)
{
    const struct mpi_comm *gang = comm->own;
    return gang->is_broken ? err_set(ERR_PEER, "the gang has come apart") : ERR_OK;
}

/* An item is one MPI element, so that counts stay below INT_MAX. */
static enum err begin_items(size_t item_bytes, MPI_Datatype *type)
{
    enum err err = ERR_OK;
    TRY(MPI(MPI_Type_contiguous((int)item_bytes, MPI_BYTE, type)));
    TRY(MPI(MPI_Type_commit(type)));
out:
    return err;
}

static enum err to_int(size_t value, int *result)
{
    if (value > INT_MAX)
        return err_set(ERR_PEER, "a message of %zu items is too long", value);
    *result = (int)value;
    return ERR_OK;
}

static enum err start_exchange(struct comm *comm, const char *send, const size_t *send_counts,
                               const size_t *send_offsets, char *receive,
                               const size_t *receive_counts, const size_t *receive_offsets,
                               size_t item_bytes, MPI_Datatype type, int *started)
{
    enum err err = ERR_OK;
    struct mpi_comm *gang = comm->own;
    int count = 0;
    for (int step = 1; step < comm->size; step++) { /* not all to rank 0 at once */
        int from = (comm->rank + comm->size - step) % comm->size;
        if (receive_counts[from] == 0)
            continue;
        TRY(to_int(receive_counts[from], &count));
        TRY(MPI(MPI_Irecv(receive + receive_offsets[from] * item_bytes, count, type, from, TAG,
                          MPI_COMM_WORLD, &gang->requests[(*started)++])));
    }
    for (int step = 1; step < comm->size; step++) {
        int to = (comm->rank + step) % comm->size;
        if (send_counts[to] == 0)
            continue;
        TRY(to_int(send_counts[to], &count));
        TRY(MPI(MPI_Isend(send + send_offsets[to] * item_bytes, count, type, to, TAG,
                          MPI_COMM_WORLD, &gang->requests[(*started)++])));
    }
    memcpy(receive + receive_offsets[comm->rank] * item_bytes,
           send + send_offsets[comm->rank] * item_bytes, send_counts[comm->rank] * item_bytes);
out:
    return err;
}

static enum err mpi_exchange(struct comm *comm, const void *send, const size_t *send_counts,
                             const size_t *send_offsets, void *receive,
                             const size_t *receive_counts, const size_t *receive_offsets,
                             size_t item_bytes)
{
    enum err err = ERR_OK;
    MPI_Datatype type = MPI_DATATYPE_NULL;
    int started = 0;
    TRY(check_gang(comm));
    TRY(begin_items(item_bytes, &type));
    TRY(start_exchange(comm, send, send_counts, send_offsets, receive, receive_counts,
                       receive_offsets, item_bytes, type, &started));
    TRY(wait_all(comm, started, "exchange"));
out:
    if (type != MPI_DATATYPE_NULL)
        MPI_Type_free(&type);
    return settle(comm, err);
}

static enum err mpi_gather_all(struct comm *comm, const void *mine, void *all, const size_t *counts,
                               const size_t *offsets, size_t item_bytes)
{
    enum err err = ERR_OK;
    struct mpi_comm *gang = comm->own;
    MPI_Datatype type = MPI_DATATYPE_NULL;
    TRY(check_gang(comm));
    TRY(begin_items(item_bytes, &type));
    for (int rank = 0; rank < comm->size; rank++) {
        TRY(to_int(counts[rank], &gang->counts[rank]));
        TRY(to_int(offsets[rank], &gang->offsets[rank]));
    }
    TRY(MPI(MPI_Iallgatherv(mine, gang->counts[comm->rank], type, all, gang->counts, gang->offsets,
                            type, MPI_COMM_WORLD, gang->requests)));
    TRY(wait_all(comm, 1, "gather"));
out:
    if (type != MPI_DATATYPE_NULL)
        MPI_Type_free(&type);
    return settle(comm, err);
}

static enum err mpi_broadcast(struct comm *comm, void *bytes, size_t size_bytes)
{
    enum err err = ERR_OK;
    struct mpi_comm *gang = comm->own;
    int count = 0;
    TRY(check_gang(comm));
    TRY(to_int(size_bytes, &count));
    TRY(MPI(MPI_Ibcast(bytes, count, MPI_BYTE, 0, MPI_COMM_WORLD, gang->requests)));
    TRY(wait_all(comm, 1, "broadcast"));
out:
    return settle(comm, err);
}

static enum err mpi_any(struct comm *comm, uint32_t *flags)
{
    enum err err = ERR_OK;
    struct mpi_comm *gang = comm->own;
    uint32_t mine = *flags, all = 0;
    TRY(check_gang(comm));
    TRY(MPI(MPI_Iallreduce(&mine, &all, 1, MPI_UINT32_T, MPI_BOR, MPI_COMM_WORLD, gang->requests)));
    TRY(wait_all(comm, 1, "agreement"));
    *flags = all;
out:
    return settle(comm, err);
}

static void free_gang(struct mpi_comm *gang)
{
    mem_free(gang->requests);
    mem_free(gang->counts);
    mem_free(gang->offsets);
    mem_free(gang);
}

static void mpi_close(struct comm *comm)
{
    struct mpi_comm *gang = comm->own;
    if (!gang)
        return;
    if (!gang->is_broken) /* with a peer gone it would wait for ever */
        MPI_Finalize();
    memory_folder_leave(gang->folder_lock);
    free_gang(gang);
    comm->own = NULL;
}

/* As the batch system calls it, where there is one. */
static void name_node(char *name, size_t room)
{
    const char *given = getenv("SLURMD_NODENAME");
    if (given)
        snprintf(name, room, "%s", given);
    else if (gethostname(name, room - 1) != 0)
        name[0] = '\0';
}

enum err comm_mpi_open(double deadline_s, struct rank_work *work, struct comm *comm)
{
    enum err err = ERR_OK;
    int provided = 0, rank = 0, size = 0, folder_lock = -1;
    TRY(memory_folder_join(&folder_lock));
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
        return err_set(ERR_UNAVAILABLE, "MPI does not start: \"glowworm doctor\" looks why");
    TRY(MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN)));
    TRY(MPI(MPI_Comm_rank(MPI_COMM_WORLD, &rank)));
    TRY(MPI(MPI_Comm_size(MPI_COMM_WORLD, &size)));
    struct mpi_comm *gang = mem_alloc(sizeof *gang);
    gang->deadline_s = deadline_s;
    gang->work = work;
    gang->folder_lock = folder_lock;
    gang->requests = mem_array(2 * (size_t)size, sizeof(MPI_Request));
    gang->counts = mem_array((size_t)size, sizeof *gang->counts);
    gang->offsets = mem_array((size_t)size, sizeof *gang->offsets);
    *comm = (struct comm){.rank = rank,
                          .size = size,
                          .deadline_s = deadline_s,
                          .own = gang,
                          .exchange = mpi_exchange,
                          .gather_all = mpi_gather_all,
                          .broadcast = mpi_broadcast,
                          .any = mpi_any,
                          .close = mpi_close};
    name_node(comm->node, sizeof comm->node);
out:
    return err;
}

void comm_mpi_abort(struct comm *comm, int exit_code)
{
    (void)comm;
    MPI_Abort(MPI_COMM_WORLD, exit_code);
}
