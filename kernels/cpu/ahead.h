/* Asking memory for what the next tile will load while this tile's products compute, which would
 * otherwise leave memory idle. Results do not depend on it. */
#ifndef KERNELS_CPU_AHEAD_H
#define KERNELS_CPU_AHEAD_H

#include <stddef.h>

enum {
    AHEAD_RANGES = 6,
    AHEAD_LINE = 64,
    AHEAD_MOST = 320 << 10 /* bytes: more would push out of a second-level cache what is in use */
};

struct ahead {
    struct {
        const char *at, *end;
    } ranges[AHEAD_RANGES];
    int count;
    int lines; /* per step */
};

/* Adds `count` floats; NULL adds nothing. */
static inline void ahead_add(struct ahead *ahead, const float *from, size_t count)
{
    if (from) {
        ahead->ranges[ahead->count].at = (const char *)from;
        ahead->ranges[ahead->count++].end = (const char *)(from + count);
    }
}

/* Spreads the ranges over so many calls of ahead_step; drops them when they are too much. */
static inline void ahead_spread(struct ahead *ahead, size_t steps)
{
    size_t bytes = 0;
    for (int i = 0; i < ahead->count; i++)
        bytes += (size_t)(ahead->ranges[i].end - ahead->ranges[i].at);
    if (bytes > AHEAD_MOST)
        ahead->count = 0;
    ahead->lines = (int)(bytes / AHEAD_LINE / (steps ? steps : 1)) + 1;
}

static inline void ahead_step(struct ahead *ahead)
{
    for (int i = 0; i < ahead->lines && ahead->count > 0; i++) {
        const char *at = ahead->ranges[ahead->count - 1].at;
        __builtin_prefetch(at, 0, 2); /* into the second level: the first is full of panels */
        ahead->ranges[ahead->count - 1].at = at + AHEAD_LINE;
        if (at + AHEAD_LINE >= ahead->ranges[ahead->count - 1].end)
            ahead->count--;
    }
}

#endif
