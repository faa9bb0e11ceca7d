/* Whether the ranks of a gang can exchange by NCCL: each says what it has, and all decide alike. */
#ifndef KERNELS_CUDA_NCCL_GANG_H
#define KERNELS_CUDA_NCCL_GANG_H

#include <stdbool.h>
#include <stddef.h>

struct nccl_offer {    /* of one rank; travels as it is */
    int version;       /* of its NCCL */
    char missing[200]; /* why it has none; "": it has */
    char node[64];     /* "": as all others */
    char card[32];     /* its GPU's address on the node's PCI bus */
};

/* Pure. False: why not, with the cure. */
bool nccl_gang_can(const struct nccl_offer *offers, int size, char *why, size_t room);
/* 22809: "2.28.9" */
void nccl_version_text(int version, char *text, size_t room);

#endif
