#include "tests/support/cuda/internal.h"
#include "tests/support/nccl/nccl.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* A boxful, where the box is free. */
static void send(const struct group *group, struct piece *piece)
{
    struct box *box = &group->comm->room->boxes[group->comm->rank][piece->peer];
    size_t left = piece->size_bytes - piece->done_bytes;
    if (left == 0 || box->is_full.load(std::memory_order_acquire))
        return;
    box->count = left < BOX_BYTES ? left : BOX_BYTES;
    const void *from = memory_reach("ncclSend", piece->from, piece->size_bytes);
    memcpy(box->bytes, static_cast<const char *>(from) + piece->done_bytes, box->count);
    piece->done_bytes += box->count;
    box->is_full.store(true, std::memory_order_release);
}

static void receive(const struct group *group, struct piece *piece)
{
    struct box *box = &group->comm->room->boxes[piece->peer][group->comm->rank];
    size_t left = piece->size_bytes - piece->done_bytes;
    if (left == 0 || !box->is_full.load(std::memory_order_acquire))
        return;
    if (box->count > left)
        emulator_refuse("ncclRecv of %zu bytes from rank %d, which sends more", piece->size_bytes,
                        piece->peer);
    void *to = memory_reach("ncclRecv", piece->to, piece->size_bytes);
    memcpy(static_cast<char *>(to) + piece->done_bytes, box->bytes, box->count);
    piece->done_bytes += box->count;
    box->is_full.store(false, std::memory_order_release);
}

static bool go_on(struct group *group)
{
    bool is_over = true;
    for (int i = 0; i < group->count; i++) {
        struct piece *piece = &group->pieces[i];
        if (piece->from)
            send(group, piece);
        else
            receive(group, piece);
        is_over = is_over && piece->done_bytes == piece->size_bytes;
    }
    return is_over;
}

/* One word of each rank, through the same boxes; the host's memory here. */
static bool reduce(struct group *group)
{
    struct ncclComm *comm = group->comm;
    void *word = memory_reach("ncclAllReduce", group->least, sizeof *group->least);
    uint64_t mine;
    bool is_over = true;
    memcpy(&mine, word, sizeof mine);
    for (int peer = 0; peer < comm->size; peer++) {
        struct box *to = &comm->room->boxes[comm->rank][peer];
        struct box *from = &comm->room->boxes[peer][comm->rank];
        struct piece *sent = &group->pieces[peer], *taken = &group->pieces[MOST_RANKS + peer];
        if (peer == comm->rank)
            continue;
        if (!sent->done_bytes && !to->is_full.load(std::memory_order_acquire)) {
            memcpy(to->bytes, &mine, sizeof mine);
            to->is_full.store(true, std::memory_order_release);
            sent->done_bytes = sizeof mine;
        }
        if (!taken->done_bytes && from->is_full.load(std::memory_order_acquire)) {
            memcpy(&group->words[peer], from->bytes, sizeof mine);
            from->is_full.store(false, std::memory_order_release);
            taken->done_bytes = sizeof mine;
        }
        is_over = is_over && sent->done_bytes && taken->done_bytes;
    }
    if (!is_over)
        return false;
    for (int peer = 0; peer < comm->size; peer++)
        if (peer != comm->rank && group->words[peer] < mine)
            mine = group->words[peer];
    memcpy(word, &mine, sizeof mine);
    return true;
}

static bool is_held_up(const struct group *group)
{
    enum fault_kind fault = fault_at(group->comm->rank, group->number, FAULT_NONE);
    if (fault == FAULT_DIES)
        raise(SIGKILL);
    if (fault == FAULT_ERRS)
        group->comm->result = NCCL_REMOTE_ERROR;
    return fault != FAULT_NONE;
}

bool group_is_over(void *own)
{
    struct group *group = static_cast<struct group *>(own);
    bool is_over = group->comm->is_aborted;
    if (!is_over && !is_held_up(group))
        is_over = group->least ? reduce(group) : go_on(group);
    if (is_over)
        free(group);
    return is_over;
}
