/* Host memory. Small allocations cannot fail (mem_alloc ends the process, with the exit code of
 * ERR_MEMORY); an arena holds what lives equally long. Not for tensors: those come from the device
 * (kernels/device.h). An arena belongs to one thread at a time. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* Zeroed memory, aligned to 64 bytes; ends the process when there is none. Returns owned; free with
 * mem_free(). */
void *mem_alloc(size_t size_bytes);
/* Zeroed array of `count` items; aborts on overflow of the product. Returns owned. */
void *mem_array(size_t count, size_t item_bytes);
/* As realloc(), new bytes not zeroed; ends the process when there is none. Takes `old` (may be
 * NULL), returns owned. */
void *mem_grow(void *old, size_t old_bytes, size_t size_bytes);
/* A copy of a string. Returns owned. */
char *mem_string(const char *text);
void mem_free(void *pointer); /* accepts NULL */

struct arena; /* grows in chunks; everything is freed at once */
struct arena *arena_create(void);
void arena_destroy(struct arena *arena); /* accepts NULL */
void *arena_alloc(struct arena *arena,
                  size_t size_bytes); /* zeroed, 64-byte aligned, borrowed from the arena */
char *arena_string(struct arena *arena, const char *text); /* borrowed from the arena */
void arena_reset(struct arena *arena); /* forgets everything, keeps the chunks */

#endif
