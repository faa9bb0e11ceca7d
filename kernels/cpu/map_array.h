/* Flat arrays of fp32 that become a map's elements: images, active kernels, the weights' shadow.
 * Pure. */
#ifndef KERNELS_CPU_MAP_ARRAY_H
#define KERNELS_CPU_MAP_ARRAY_H

#include "kernels/cpu/map.h"

/* to[i] = from[i], rounded as a map's, i < count. */
static inline void map_store_array(const float *from, size_t count, map_value *to)
{
    size_t i = 0;
    for (; i + VEC_WIDTH <= count; i += VEC_WIDTH)
        map_store(to + i, vec_load(from + i), VEC_WIDTH);
    if (i < count)
        map_store(to + i, vec_load_part(from + i, (int)(count - i)), (int)(count - i));
}

#endif
