/* A set of pixel hashes and the images they were first seen in. One thread. */
#ifndef TRAINER_DATA_DUPLICATES_H
#define TRAINER_DATA_DUPLICATES_H

#include "base/hash.h"
#include <stddef.h>

struct duplicates {
    struct seen {
        struct hash hash;
        uint32_t index; /* of the image, plus 1; 0: an empty place */
    } * places;
    size_t room, count; /* room is a power of two */
};

void duplicates_init(struct duplicates *duplicates);
void duplicates_fini(struct duplicates *duplicates);
/* The image with the same hash, or adds this one and returns its own index. */
uint32_t duplicates_find(struct duplicates *duplicates, const struct hash *hash, uint32_t index);

#endif
