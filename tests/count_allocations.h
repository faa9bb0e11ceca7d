/* Counts our own allocations: they all go through aligned_alloc(), and the linker sends that here
 * (-Wl,--wrap=aligned_alloc). Included by the one source file of a test program. */
#ifndef TESTS_COUNT_ALLOCATIONS_H
#define TESTS_COUNT_ALLOCATIONS_H

#include <stdatomic.h>
#include <stddef.h>

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
static atomic_int allocations;
static atomic_size_t allocated_bytes; /* nothing is taken off again when it is freed */

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    atomic_fetch_add(&allocated_bytes, size);
    return __real_aligned_alloc(alignment, size);
}

#endif
