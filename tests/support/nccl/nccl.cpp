#include "tests/support/nccl/nccl.h"
#include "tests/support/cuda/internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NCCL_API extern "C" __attribute__((visibility("default")))

static thread_local struct {
    int depth;
    struct group *group; /* NULL: nothing is in it yet */
} mine;

NCCL_API enum nccl_result ncclGetVersion(int *version)
{
    *version = 22809;
    return NCCL_SUCCESS;
}

NCCL_API const char *ncclGetErrorString(enum nccl_result result)
{
    static const char *const texts[] = {"no error",
                                        "unhandled cuda error",
                                        "unhandled system error",
                                        "internal error",
                                        "invalid argument",
                                        "invalid usage",
                                        "remote process exited or there was a network error",
                                        "NCCL operation in progress"};
    return result <= NCCL_IN_PROGRESS ? texts[result] : "unknown result code";
}

NCCL_API const char *ncclGetLastError(struct ncclComm *comm)
{
    (void)comm;
    return "";
}

NCCL_API enum nccl_result ncclGetUniqueId(struct nccl_id *id)
{
    return room_create(id) ? NCCL_SUCCESS : NCCL_SYSTEM_ERROR;
}

static bool is_right(const struct nccl_config *config)
{
    return config->size_bytes == sizeof *config && config->magic == NCCL_CONFIG_MAGIC &&
           config->version == NCCL_CONFIG_VERSION && config->is_blocking == 0;
}

NCCL_API enum nccl_result ncclCommInitRankConfig(struct ncclComm **result, int size,
                                                 struct nccl_id id, int rank,
                                                 struct nccl_config *config)
{
    int ordinal = 0;
    if (!is_right(config) || rank < 0 || rank >= size || size > MOST_RANKS)
        return NCCL_INVALID_ARGUMENT;
    struct meeting_room *room = room_open(&id);
    if (!room)
        return NCCL_SYSTEM_ERROR;
    struct ncclComm *comm = static_cast<struct ncclComm *>(calloc(1, sizeof *comm));
    comm->rank = rank;
    comm->size = size;
    comm->room = room;
    cudaGetDevice(&ordinal);
    cudaDeviceGetPCIBusId(room->cards[rank], sizeof room->cards[rank], ordinal);
    room->joined++;
    *result = comm;
    return NCCL_IN_PROGRESS;
}

static bool has_duplicates(const struct ncclComm *comm)
{
    for (int rank = 0; rank < comm->size; rank++)
        if (rank != comm->rank &&
            strcmp(comm->room->cards[rank], comm->room->cards[comm->rank]) == 0)
            return true;
    return false;
}

static bool is_there(struct ncclComm *comm)
{
    return comm->room->joined == comm->size;
}

NCCL_API enum nccl_result ncclCommGetAsyncError(struct ncclComm *comm, enum nccl_result *result)
{
    if (comm->is_aborted)
        emulator_refuse("a communicator is asked for errors that was aborted");
    *result = static_cast<enum nccl_result>(comm->result.load());
    if (*result == NCCL_SUCCESS && !is_there(comm))
        *result = NCCL_IN_PROGRESS;
    else if (*result == NCCL_SUCCESS && has_duplicates(comm))
        *result = NCCL_INVALID_USAGE;
    else if (*result == NCCL_SUCCESS && comm->is_finalizing && comm->room->left < comm->size)
        *result = NCCL_IN_PROGRESS;
    else if (*result == NCCL_SUCCESS && comm->looks > 0 && comm->looks-- > 0)
        *result = NCCL_IN_PROGRESS;
    return NCCL_SUCCESS;
}

NCCL_API enum nccl_result ncclCommAbort(struct ncclComm *comm)
{
    if (fault_at(comm->rank, 0, FAULT_ABORT_HANGS) != FAULT_NONE)
        for (;;)
            pause();
    comm->is_aborted = true; /* what is on the stream looks at it: never freed */
    return NCCL_SUCCESS;
}

NCCL_API enum nccl_result ncclCommFinalize(struct ncclComm *comm)
{
    if (!is_there(comm) || comm->is_finalizing)
        return NCCL_INVALID_USAGE;
    comm->is_finalizing = true;
    comm->room->left++;
    return NCCL_IN_PROGRESS;
}

NCCL_API enum nccl_result ncclCommDestroy(struct ncclComm *comm)
{
    if (!comm->is_finalizing || comm->room->left < comm->size)
        return NCCL_INVALID_USAGE;
    room_close(comm->room);
    free(comm);
    return NCCL_IN_PROGRESS; /* as a non-blocking one may */
}

/* ---- */

static struct group *open_group(struct ncclComm *comm)
{
    if (!mine.group) {
        mine.group = static_cast<struct group *>(calloc(1, sizeof *mine.group));
        mine.group->comm = comm;
        mine.group->number = ++comm->groups;
    }
    return mine.group;
}

static enum nccl_result queue_group(cudaStream_t stream)
{
    struct group *group = mine.group;
    mine.group = NULL;
    if (!group)
        return NCCL_SUCCESS;
    group->comm->looks = 2;
    if (streams_queue_call(stream, group_is_over, group) != cudaSuccess)
        return NCCL_UNHANDLED_CUDA_ERROR;
    return NCCL_IN_PROGRESS;
}

NCCL_API enum nccl_result ncclGroupStart(void)
{
    mine.depth++;
    return NCCL_SUCCESS;
}

static thread_local cudaStream_t stream_of_group;

NCCL_API enum nccl_result ncclGroupEnd(void)
{
    if (mine.depth == 0)
        return NCCL_INVALID_USAGE;
    return --mine.depth > 0 ? NCCL_SUCCESS : queue_group(stream_of_group);
}

static enum nccl_result add(struct ncclComm *comm, struct piece piece, cudaStream_t stream)
{
    if (!is_there(comm) || mine.depth == 0 || piece.peer < 0 || piece.peer >= comm->size ||
        piece.peer == comm->rank)
        return NCCL_INVALID_ARGUMENT;
    struct group *group = open_group(comm);
    stream_of_group = stream;
    if (group->count == MOST_PIECES)
        return NCCL_INVALID_ARGUMENT;
    group->pieces[group->count++] = piece;
    return NCCL_IN_PROGRESS;
}

NCCL_API enum nccl_result ncclSend(const void *from, size_t count, enum nccl_type type, int peer,
                                   struct ncclComm *comm, cudaStream_t stream)
{
    if (type != NCCL_UINT8)
        return NCCL_INVALID_ARGUMENT;
    return add(comm, {from, NULL, count, 0, peer}, stream);
}

NCCL_API enum nccl_result ncclRecv(void *to, size_t count, enum nccl_type type, int peer,
                                   struct ncclComm *comm, cudaStream_t stream)
{
    if (type != NCCL_UINT8)
        return NCCL_INVALID_ARGUMENT;
    return add(comm, {NULL, to, count, 0, peer}, stream);
}

NCCL_API enum nccl_result ncclAllReduce(const void *from, void *to, size_t count,
                                        enum nccl_type type, enum nccl_reduction how,
                                        struct ncclComm *comm, cudaStream_t stream)
{
    if (from != to || count != 1 || type != NCCL_UINT64 || how != NCCL_MIN || !is_there(comm) ||
        mine.depth > 0)
        return NCCL_INVALID_ARGUMENT;
    open_group(comm)->least = static_cast<uint64_t *>(to);
    return queue_group(stream);
}
