/* How operations on flat arrays are cut into jobs. Pure. */
#ifndef KERNELS_CPU_CHUNKS_H
#define KERNELS_CPU_CHUNKS_H

#include <stddef.h>

enum { CHUNK = 1 << 16 }; /* elements of a job */

static inline int chunks(size_t count)
{
    return (int)((count + CHUNK - 1) / CHUNK);
}

static inline size_t chunk_end(int i, size_t count)
{
    size_t end = ((size_t)i + 1) * CHUNK;
    return end < count ? end : count;
}

#endif
