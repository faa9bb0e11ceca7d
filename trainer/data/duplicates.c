#include "trainer/data/duplicates.h"
#include "base/mem.h"
#include <string.h>

void duplicates_init(struct duplicates *duplicates)
{
    *duplicates = (struct duplicates){.room = 1024};
    duplicates->places = mem_array(duplicates->room, sizeof *duplicates->places);
}

void duplicates_fini(struct duplicates *duplicates)
{
    mem_free(duplicates->places);
    *duplicates = (struct duplicates){NULL, 0, 0};
}

static struct seen *place_of(const struct duplicates *duplicates, const struct hash *hash)
{
    uint64_t start;
    memcpy(&start, hash->bytes, sizeof start); /* a hash's own bytes are as good as random */
    size_t at = (size_t)start & (duplicates->room - 1);
    while (duplicates->places[at].index && !hash_equal(&duplicates->places[at].hash, hash))
        at = (at + 1) & (duplicates->room - 1);
    return &duplicates->places[at];
}

static void grow(struct duplicates *duplicates)
{
    struct duplicates bigger = {.room = 2 * duplicates->room, .count = duplicates->count};
    bigger.places = mem_array(bigger.room, sizeof *bigger.places);
    for (size_t i = 0; i < duplicates->room; i++)
        if (duplicates->places[i].index)
            *place_of(&bigger, &duplicates->places[i].hash) = duplicates->places[i];
    mem_free(duplicates->places);
    *duplicates = bigger;
}

uint32_t duplicates_find(struct duplicates *duplicates, const struct hash *hash, uint32_t index)
{
    if (2 * duplicates->count >= duplicates->room)
        grow(duplicates);
    struct seen *place = place_of(duplicates, hash);
    if (place->index)
        return place->index - 1;
    *place = (struct seen){*hash, index + 1};
    duplicates->count++;
    return index;
}
