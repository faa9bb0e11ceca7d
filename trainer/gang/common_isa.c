#include "trainer/gang/common_isa.h"
#include "base/mem.h"
#include <stdio.h>
#include <unistd.h>

#define HOST_BYTES 64

struct offer { /* of one rank */
    enum isa isa;
    char host[HOST_BYTES];
};

static int find_least(const struct offer *offers, int size)
{
    int least = 0;
    for (int rank = 1; rank < size; rank++)
        if (offers[rank].isa < offers[least].isa)
            least = rank;
    return least;
}

static enum err refuse(const struct offer *least, int rank, enum isa pinned)
{
    return err_set(
        ERR_CONFIG,
        "resources.isa is %s, but rank %d on %s has only %s: set resources.isa: %s, which "
        "every rank has, or auto, or give the gang machines of one kind",
        isa_name(pinned), rank, least->host, isa_name(least->isa), isa_name(least->isa));
}

static void tell(const struct offer *offers, int size, int least, struct text *differ)
{
    for (int rank = 0; rank < size; rank++) {
        if (offers[rank].isa == offers[least].isa)
            continue;
        text_add(differ,
                 "the gang computes on %s, since rank %d on %s has no more; rank %d on %s has %s: "
                 "gangs of machines of one kind are faster",
                 isa_name(offers[least].isa), least, offers[least].host, rank, offers[rank].host,
                 isa_name(offers[rank].isa));
        return;
    }
}

enum err common_isa_choose(struct comm *comm, enum isa pinned, enum isa here, enum isa *chosen,
                           struct text *differ)
{
    enum err err = ERR_OK;
    struct offer mine = {.isa = here};
    struct offer *offers = mem_array((size_t)comm->size, sizeof *offers);
    gethostname(mine.host, sizeof mine.host - 1);
    TRY(comm_gather_equal(comm, &mine, offers, sizeof mine));
    int least = find_least(offers, comm->size);
    enum isa common = offers[least].isa;
    if (comm->size > 1 && common != ISA_AUTO && pinned > common)
        TRY(refuse(&offers[least], least, pinned));
    if (common != ISA_AUTO && pinned == ISA_AUTO)
        tell(offers, comm->size, least, differ);
    *chosen = pinned != ISA_AUTO ? pinned : common;
out:
    mem_free(offers);
    return err;
}
