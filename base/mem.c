#include "base/mem.h"
#include "base/err.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALIGNMENT         64
#define ARENA_FIRST_BYTES ((size_t)64 << 10)

static size_t round_up(size_t size_bytes)
{
    if (size_bytes > SIZE_MAX - ALIGNMENT)
        BUG("an allocation of %zu bytes", size_bytes);
    return size_bytes == 0 ? ALIGNMENT : (size_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* No bug, so nobody is to look at a core: whoever waits for us reads the exit code. */
static _Noreturn void end_out_of_memory(size_t size_bytes)
{
    fprintf(stderr, "glowworm: out of memory: %zu bytes asked for\n", size_bytes);
    _exit(err_exit_code(ERR_MEMORY));
}

static void *alloc_raw(size_t size_bytes)
{
    void *memory = aligned_alloc(ALIGNMENT, round_up(size_bytes));
    if (!memory)
        end_out_of_memory(size_bytes);
    return memory;
}

void *mem_alloc(size_t size_bytes)
{
    void *memory = alloc_raw(size_bytes);
    memset(memory, 0, round_up(size_bytes));
    return memory;
}

void *mem_array(size_t count, size_t item_bytes)
{
    if (item_bytes != 0 && count > SIZE_MAX / item_bytes)
        BUG("an array of %zu items of %zu bytes", count, item_bytes);
    return mem_alloc(count * item_bytes);
}

void *mem_grow(void *old, size_t old_bytes, size_t size_bytes)
{
    void *memory = alloc_raw(size_bytes); /* realloc() would lose the alignment */
    if (old)
        memcpy(memory, old, old_bytes < size_bytes ? old_bytes : size_bytes);
    free(old);
    return memory;
}

char *mem_string(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(alloc_raw(size), text, size);
}

void mem_free(void *pointer)
{
    free(pointer);
}

struct chunk { /* its memory follows, ALIGNMENT bytes further */
    struct chunk *next;
    size_t room, used;
};

struct arena {
    struct chunk *first, *current; /* chunks behind current are empty */
};

_Static_assert(sizeof(struct chunk) <= ALIGNMENT, "a chunk's header fits in front of its memory");

static struct chunk *chunk_create(size_t room)
{
    struct chunk *chunk = alloc_raw(ALIGNMENT + room);
    *chunk = (struct chunk){.room = room};
    return chunk;
}

struct arena *arena_create(void)
{
    struct arena *arena = mem_alloc(sizeof *arena);
    arena->first = arena->current = chunk_create(ARENA_FIRST_BYTES);
    return arena;
}

void arena_destroy(struct arena *arena)
{
    if (!arena)
        return;
    for (struct chunk *chunk = arena->first, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(arena);
}

void *arena_alloc(struct arena *arena, size_t size_bytes)
{
    size_t size = round_up(size_bytes);
    while (arena->current->room - arena->current->used < size) {
        struct chunk *current = arena->current;
        if (!current->next) {
            size_t room = 2 * current->room;
            current->next = chunk_create(room > size ? room : size);
        }
        arena->current = current->next; /* what is left of `current` waits for the reset */
    }
    char *memory = (char *)arena->current + ALIGNMENT + arena->current->used;
    arena->current->used += size;
    return memset(memory, 0, size);
}

char *arena_string(struct arena *arena, const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(arena_alloc(arena, size), text, size);
}

void arena_reset(struct arena *arena)
{
    for (struct chunk *chunk = arena->first; chunk; chunk = chunk->next)
        chunk->used = 0;
    arena->current = arena->first;
}
