/* A stand-in for libnccl.so.2 in tests: ranks are processes of one host, exchanges go through
 * shared memory, in the order of the emulated GPU's stream (tests/support/cuda). It is part of the
 * module "cuda-emulated" and exports NCCL's names, so that GLOWWORM_NCCL names that module. Whoever
 * uses a communicator wrongly (a blocking configuration, a call before it is there, a group that
 * does not end) gets NCCL's error, or the process's end with a sentence.
 *
 * Faults, from the environment: GLOWWORM_NCCL_FAULT=RANK:GROUP:KIND[,...], groups counted from 1,
 * each exchange one:
 *     dies         the process ends of SIGKILL when its stream comes to that group
 *     is-silent    that group neither sends nor receives
 *     errs         nor this one, and the communicator tells of a remote error
 *     abort-hangs  ncclCommAbort() does not return (GROUP says nothing) */
#ifndef TESTS_SUPPORT_NCCL_NCCL_H
#define TESTS_SUPPORT_NCCL_NCCL_H

#include "kernels/cuda/nccl_library.h"
#include <atomic>

enum { MOST_RANKS = 8, MOST_PIECES = 2 * MOST_RANKS };
static const size_t BOX_BYTES = 4096;

/* From one rank to another; full while nobody has taken what is in it. */
struct box {
    std::atomic<bool> is_full;
    size_t count;
    unsigned char bytes[BOX_BYTES];
};

struct meeting_room { /* shared memory of one communicator's ranks, zero at first */
    std::atomic<int> joined, left;
    char cards[MOST_RANKS][32];
    struct box boxes[MOST_RANKS][MOST_RANKS]; /* [from][to] */
};

/* room.cpp: in shared memory that is gone when the last process is. */
bool room_create(struct nccl_id *id);
struct meeting_room *room_open(const struct nccl_id *id); /* NULL: there is none */
void room_close(struct meeting_room *room);

/* fault.cpp */
enum fault_kind { FAULT_NONE, FAULT_DIES, FAULT_IS_SILENT, FAULT_ERRS, FAULT_ABORT_HANGS };
/* Of this rank at its group of that number; kinds without a group: at any. */
enum fault_kind fault_at(int rank, int group, enum fault_kind asked);

struct piece { /* of a group, device memory */
    const void *from;
    void *to; /* one of them NULL */
    size_t size_bytes, done_bytes;
    int peer;
};

struct ncclComm {
    int rank, size;
    struct meeting_room *room;
    std::atomic<bool> is_aborted, is_finalizing;
    std::atomic<int> result, looks; /* looks: how often it still says "in progress" */
    int groups;
};

/* group.cpp: what a group queues. */
struct group {
    struct ncclComm *comm;
    int number, count;
    struct piece pieces[MOST_PIECES];
    uint64_t *least; /* device: an all-reduce of one word; NULL: none */
    uint64_t words[MOST_RANKS];
};
bool group_is_over(void *group); /* goes on with it; frees it at its end */

#endif
