/* Asking memory for what the next tile will load while this tile's products compute, which would
 * otherwise leave memory idle. Results do not depend on it. */
#ifndef KERNELS_CPU_PREFETCH_H
#define KERNELS_CPU_PREFETCH_H

#include "kernels/cpu/map.h"
#include <stddef.h>

enum {
    PREFETCH_RANGES = 6,
    PREFETCH_LINE = 64,
    PREFETCH_MOST =
        320 << 10 /* bytes: more would push out of a second-level cache what is in use */
};

struct prefetch_lines {
    struct {
        const char *at, *end;
    } ranges[PREFETCH_RANGES];
    int count;
    int lines; /* per step */
};

/* Adds `count` values of a map; NULL adds nothing. */
static inline void prefetch_add(struct prefetch_lines *prefetch, const map_value *from,
                                size_t count)
{
    if (from) {
        prefetch->ranges[prefetch->count].at = (const char *)from;
        prefetch->ranges[prefetch->count++].end = (const char *)(from + count);
    }
}

/* Spreads the ranges over so many calls of prefetch_step; drops them when they are too much. */
static inline void prefetch_spread(struct prefetch_lines *prefetch, size_t steps)
{
    size_t bytes = 0;
    for (int i = 0; i < prefetch->count; i++)
        bytes += (size_t)(prefetch->ranges[i].end - prefetch->ranges[i].at);
    if (bytes > PREFETCH_MOST)
        prefetch->count = 0;
    prefetch->lines = (int)(bytes / PREFETCH_LINE / (steps ? steps : 1)) + 1;
}

static inline void prefetch_step(struct prefetch_lines *prefetch)
{
    for (int i = 0; i < prefetch->lines && prefetch->count > 0; i++) {
        const char *at = prefetch->ranges[prefetch->count - 1].at;
        __builtin_prefetch(at, 0, 2); /* into the second level: the first is full of panels */
        prefetch->ranges[prefetch->count - 1].at = at + PREFETCH_LINE;
        if (at + PREFETCH_LINE >= prefetch->ranges[prefetch->count - 1].end)
            prefetch->count--;
    }
}

#endif
