/* The shared memory of the block that runs: the dynamic part first, then what is declared, each
 * piece 128-aligned with a gap behind it. */
#include "tests/support/cuda/internal.h"

enum {
    MOST_SITES = 64,
    PIECE_ALIGN = 128,
    MEMORY_BYTES = MOST_SHARED_BYTES + MOST_STATIC_BYTES + (MOST_SITES + 1) * 2 * PIECE_ALIGN
};

struct piece {
    const void *site;
    size_t begin, end;
};

static struct {
    struct piece pieces[MOST_SITES]; /* [0]: the dynamic part */
    int count;
    size_t static_bytes;
    alignas(PIECE_ALIGN) unsigned char memory[MEMORY_BYTES];
} memory;

static void *add_piece(const void *site, size_t size_bytes)
{
    struct piece *piece = &memory.pieces[memory.count];
    size_t begin = memory.count ? piece[-1].end + PIECE_ALIGN : 0;
    begin = (begin + PIECE_ALIGN - 1) / PIECE_ALIGN * PIECE_ALIGN;
    *piece = {site, begin, begin + size_bytes};
    memset(memory.memory + begin, 0xff, size_bytes);
    memory.count++;
    return memory.memory + begin;
}

void shared_begin_block(size_t dynamic_bytes)
{
    memory.count = 0;
    memory.static_bytes = 0;
    add_piece(NULL, dynamic_bytes);
}

void *gpu_shared_static(const void *site, size_t size_bytes)
{
    for (int i = 1; i < memory.count; i++)
        if (memory.pieces[i].site == site)
            return memory.memory + memory.pieces[i].begin;
    memory.static_bytes += size_bytes;
    if (memory.count == MOST_SITES || memory.static_bytes > MOST_STATIC_BYTES)
        block_refuse("more than %d bytes of static shared memory, or %d pieces of it",
                     MOST_STATIC_BYTES, MOST_SITES);
    return add_piece(site, size_bytes);
}

void *gpu_shared_dynamic(void)
{
    return memory.memory;
}

[[noreturn]] static void refuse(const void *at, size_t size_bytes)
{
    const unsigned char *address = static_cast<const unsigned char *>(at);
    for (int i = 0; i < memory.count; i++) {
        const struct piece *piece = &memory.pieces[i];
        ptrdiff_t from = address - (memory.memory + piece->begin);
        if (from > -PIECE_ALIGN && from < (ptrdiff_t)(piece->end - piece->begin) + PIECE_ALIGN)
            block_refuse("%zu bytes at byte %td of a piece of shared memory that has %zu",
                         size_bytes, from, piece->end - piece->begin);
    }
    block_refuse("%zu bytes at %p, which is not shared memory of this block", size_bytes, at);
}

void gpu_shared_reach(enum gpu_shared_access access, const void *at, size_t size_bytes)
{
    (void)access;
    uintptr_t from = (uintptr_t)at - (uintptr_t)memory.memory;
    if (from % size_bytes)
        block_refuse("shared memory: %zu bytes at an address that is no multiple of that",
                     size_bytes);
    for (int i = 0; i < memory.count; i++)
        if (from >= memory.pieces[i].begin && from + size_bytes <= memory.pieces[i].end)
            return;
    refuse(at, size_bytes);
}
