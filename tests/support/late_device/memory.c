/* Two ranges of addresses, as far apart as they are long: the first is never accessible and gives
 * the handles, the second has the memory of live blocks. Blocks end where a page ends, and a page
 * that is never accessible follows. Nothing is given out twice. */
#include "base/mem.h"
#include "tests/support/late_device/late.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALIGNMENT = 64 };
#define RANGE_BYTES ((size_t)1 << 38)

struct block {
    char *handle;
    size_t size_bytes;
    bool is_live;
};

struct pinned {
    struct pinned *next;
    char *host;
    size_t size_bytes;
    int uses;
};

struct late_memory {
    char *handles; /* the memory of handle h is at h + RANGE_BYTES */
    size_t taken_bytes, page_bytes;
    struct block *blocks; /* ascending */
    size_t count, room;
    struct pinned *pinned;
};

enum err late_memory_create(struct late_memory **out)
{
    struct late_memory *memory = mem_alloc(sizeof *memory);
    memory->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    void *range =
        mmap(NULL, 2 * RANGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) {
        mem_free(memory);
        return err_set(ERR_MEMORY, "no range of addresses for the late device's memory");
    }
    memory->handles = range;
    *out = memory;
    return ERR_OK;
}

void late_memory_destroy(struct late_memory **pointer)
{
    struct late_memory *memory = *pointer;
    if (!memory)
        return;
    munmap(memory->handles, 2 * RANGE_BYTES);
    for (struct pinned *next, *pinned = memory->pinned; pinned; pinned = next) {
        next = pinned->next;
        free(pinned->host);
        mem_free(pinned);
    }
    mem_free(memory->blocks);
    mem_free(memory);
    *pointer = NULL;
}

static size_t rounded(size_t size_bytes, size_t unit)
{
    return (size_bytes + unit - 1) / unit * unit;
}

/* The pages of a block, as operations see them. */
static char *pages_of(const struct late_memory *memory, const struct block *block, size_t *bytes)
{
    size_t offset = (size_t)(block->handle - memory->handles), lead = offset % memory->page_bytes;
    *bytes = rounded(lead + block->size_bytes, memory->page_bytes);
    return block->handle - lead + RANGE_BYTES;
}

enum err late_memory_alloc(struct late_memory *memory, size_t size_bytes, void **handle)
{
    struct block block = {.is_live = true};
    block.size_bytes = rounded(size_bytes ? size_bytes : 1, ALIGNMENT);
    size_t bytes = rounded(block.size_bytes, memory->page_bytes);
    if (block.size_bytes < size_bytes || bytes >= RANGE_BYTES - memory->taken_bytes)
        return err_set(ERR_MEMORY, "no memory for a tensor block of %zu bytes", size_bytes);
    block.handle = memory->handles + memory->taken_bytes + bytes - block.size_bytes;
    if (mprotect(pages_of(memory, &block, &bytes), bytes, PROT_READ | PROT_WRITE) != 0)
        return err_set(ERR_MEMORY, "no memory for a tensor block of %zu bytes", size_bytes);
    if (memory->count == memory->room) {
        size_t room = memory->room ? 2 * memory->room : 256;
        memory->blocks = mem_grow(memory->blocks, memory->room * sizeof block, room * sizeof block);
        memory->room = room;
    }
    memory->taken_bytes += bytes + memory->page_bytes;
    memory->blocks[memory->count++] = block;
    *handle = block.handle;
    return ERR_OK;
}

/* The last block that begins at or before the handle; NULL when it does not reach there. */
static struct block *find(struct late_memory *memory, const void *handle)
{
    const char *at = handle;
    size_t low = 0, high = memory->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (memory->blocks[middle].handle <= at)
            low = middle + 1;
        else
            high = middle;
    }
    struct block *block = low > 0 ? &memory->blocks[low - 1] : NULL;
    return block && at < block->handle + block->size_bytes ? block : NULL;
}

void *late_memory_find(struct late_memory *memory, const void *handle, size_t *left_bytes)
{
    const struct block *block = find(memory, handle);
    if (!block || !block->is_live)
        return NULL;
    *left_bytes = block->size_bytes - (size_t)((const char *)handle - block->handle);
    return (char *)handle + RANGE_BYTES;
}

bool late_memory_retire(struct late_memory *memory, const void *handle)
{
    struct block *block = find(memory, handle);
    if (!block || !block->is_live || block->handle != handle)
        return false;
    block->is_live = false;
    return true;
}

void late_memory_drop(struct late_memory *memory, const void *handle)
{
    struct block *block = find(memory, handle);
    size_t bytes = 0;
    char *pages = pages_of(memory, block, &bytes);
    /* what operations still read of it is a fault, not what was there */
    if (mmap(pages, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
             0) == MAP_FAILED)
        BUG("the pages of a freed block cannot be taken away");
    size_t behind = memory->count - (size_t)(block - memory->blocks) - 1;
    memmove(block, block + 1, behind * sizeof *block);
    memory->count--;
}

enum err late_memory_pin(struct late_memory *memory, size_t size_bytes, void **host)
{
    struct pinned *pinned = mem_alloc(sizeof *pinned);
    pinned->size_bytes = rounded(size_bytes ? size_bytes : 1, ALIGNMENT);
    pinned->host = aligned_alloc(ALIGNMENT, pinned->size_bytes);
    if (!pinned->host) {
        mem_free(pinned);
        return err_set(ERR_MEMORY, "no pinned memory of %zu bytes", size_bytes);
    }
    memset(pinned->host, 0xff, pinned->size_bytes); /* nobody promised zeroes */
    pinned->next = memory->pinned;
    memory->pinned = pinned;
    *host = pinned->host;
    return ERR_OK;
}

int *late_memory_uses(struct late_memory *memory, const void *host, size_t size_bytes)
{
    const char *at = host;
    for (struct pinned *pinned = memory->pinned; pinned; pinned = pinned->next)
        if (at >= pinned->host && at < pinned->host + pinned->size_bytes &&
            size_bytes <= pinned->size_bytes - (size_t)(at - pinned->host))
            return &pinned->uses;
    return NULL;
}

void late_memory_unpin(struct late_memory *memory, void *host)
{
    struct pinned **at = &memory->pinned;
    while (*at && (*at)->host != host)
        at = &(*at)->next;
    struct pinned *pinned = *at;
    if (!pinned)
        late_refuse("unpin", "host = %p was not pinned here", host);
    if (pinned->uses > 0)
        late_refuse("unpin", "host = %p is used by %d copies that may not be done", host,
                    pinned->uses);
    *at = pinned->next;
    free(pinned->host);
    mem_free(pinned);
}
