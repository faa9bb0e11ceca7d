#include "kernels/cuda/nccl_gang.h"
#include <stdio.h>
#include <string.h>

void nccl_version_text(int version, char *text, size_t room)
{
    snprintf(text, room, "%d.%d.%d", version / 10000, version / 100 % 100, version % 100);
}

static const char *on(const struct nccl_offer *offer)
{
    return offer->node[0] ? " on " : "";
}

static bool is_one_card(const struct nccl_offer *a, const struct nccl_offer *b)
{
    return strcmp(a->node, b->node) == 0 && strcmp(a->card, b->card) == 0;
}

static bool have_cards_of_their_own(const struct nccl_offer *offers, int size, char *why,
                                    size_t room)
{
    for (int rank = 1; rank < size; rank++)
        for (int other = 0; other < rank; other++) {
            if (!is_one_card(&offers[rank], &offers[other]))
                continue;
            snprintf(why, room,
                     "ranks %d and %d%s%s share GPU %s, which NCCL cannot serve; one rank for each "
                     "GPU is faster",
                     other, rank, on(&offers[rank]), offers[rank].node, offers[rank].card);
            return false;
        }
    return true;
}

bool nccl_gang_can(const struct nccl_offer *offers, int size, char *why, size_t room)
{
    char first[32], here[32];
    for (int rank = 0; rank < size; rank++) {
        if (!offers[rank].missing[0])
            continue;
        snprintf(why, room, "rank %d%s%s: %s", rank, on(&offers[rank]), offers[rank].node,
                 offers[rank].missing);
        return false;
    }
    nccl_version_text(offers[0].version, first, sizeof first);
    for (int rank = 1; rank < size; rank++) {
        if (offers[rank].version == offers[0].version)
            continue;
        nccl_version_text(offers[rank].version, here, sizeof here);
        snprintf(why, room, "rank 0 has NCCL %s, rank %d%s%s has %s; install one on all nodes",
                 first, rank, on(&offers[rank]), offers[rank].node, here);
        return false;
    }
    return have_cards_of_their_own(offers, size, why, room);
}
