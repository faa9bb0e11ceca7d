/* Device memory: one reservation of twice GPU_SPACE_BYTES, whose first half nobody can touch; a
 * handle lies in it, its bytes as far into the second half. Pinned memory is the host's. */
#include "tests/support/cuda/internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { NO_RESERVE = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE };

struct pinned {
    struct pinned *next;
    char *host;
    size_t size_bytes;
};

struct gpu_space gpu_space;

static struct {
    struct gpu_extent **chunks; /* what gpu_space shows */
    struct gpu_allocation *live;
    struct pinned *pinned;
    uint64_t next; /* from here on nothing was ever allocated */
    size_t used_bytes, total_bytes;
} memory;

static void *reserve(size_t size_bytes, int access)
{
    void *at = mmap(NULL, size_bytes, access, NO_RESERVE, -1, 0);
    if (at == MAP_FAILED)
        emulator_refuse("no room for %zu bytes of addresses", size_bytes);
    return at;
}

static void init_space(void)
{
    const char *megabytes = getenv("GPU_EMULATOR_MEMORY_MB");
    size_t chunks = GPU_SPACE_BYTES / GPU_CHUNK_BYTES;
    memory.total_bytes = (megabytes ? strtoull(megabytes, NULL, 10) : 8192) << 20;
    memory.next = GPU_CHUNK_BYTES;
    memory.chunks = static_cast<struct gpu_extent **>(
        reserve(chunks * sizeof *memory.chunks, PROT_READ | PROT_WRITE));
    gpu_space.chunks = memory.chunks;
    gpu_space.base = (uintptr_t)reserve(2 * GPU_SPACE_BYTES, PROT_NONE);
}

static void open_space(void)
{
    if (!gpu_space.base)
        init_space();
}

static uint64_t in_chunks(uint64_t size_bytes)
{
    return (size_bytes + GPU_CHUNK_BYTES - 1) / GPU_CHUNK_BYTES;
}

static void *bytes_at(uint64_t begin)
{
    return (void *)(gpu_space.base + GPU_SPACE_BYTES + begin);
}

static void claim_chunks(struct gpu_allocation *allocation)
{
    uint64_t first = allocation->extent.begin / GPU_CHUNK_BYTES;
    uint64_t count = in_chunks(allocation->extent.end - allocation->extent.begin);
    for (uint64_t i = 0; i < count; i++)
        memory.chunks[first + i] = &allocation->extent;
    memory.next += (count + 1) * GPU_CHUNK_BYTES; /* a gap behind it */
}

bool memory_alloc(size_t size_bytes, void **handle)
{
    open_space();
    uint64_t begin = memory.next, span = in_chunks(size_bytes) * GPU_CHUNK_BYTES;
    if (size_bytes > memory.total_bytes - memory.used_bytes ||
        begin + span + GPU_CHUNK_BYTES > GPU_SPACE_BYTES ||
        mprotect(bytes_at(begin), span, PROT_READ | PROT_WRITE))
        return false;
    struct gpu_allocation *made = static_cast<struct gpu_allocation *>(calloc(1, sizeof *made));
    if (!made)
        return false;
    made->extent = {begin, begin + size_bytes, made};
    made->next = memory.live;
    memory.live = made;
    memory.used_bytes += size_bytes;
    claim_chunks(made);
    memset(bytes_at(begin), 0xff, size_bytes);
    *handle = (void *)(gpu_space.base + begin);
    return true;
}

bool memory_free(void *handle)
{
    uint64_t begin = (uintptr_t)handle - gpu_space.base;
    struct gpu_allocation **at = &memory.live, *gone;
    while (*at && (*at)->extent.begin != begin)
        at = &(*at)->next;
    gone = *at;
    if (!gone)
        return false;
    uint64_t count = in_chunks(gone->extent.end - begin);
    for (uint64_t i = 0; i < count; i++)
        memory.chunks[begin / GPU_CHUNK_BYTES + i] = NULL;
    if (mmap(bytes_at(begin), count * GPU_CHUNK_BYTES, PROT_NONE, NO_RESERVE | MAP_FIXED, -1, 0) ==
        MAP_FAILED)
        emulator_refuse("memory cannot be given back");
    memory.used_bytes -= gone->extent.end - begin;
    *at = gone->next;
    counters_forget(gone);
    races_forget(gone);
    free(gone);
    return true;
}

struct gpu_allocation *memory_first(void)
{
    return memory.live;
}

void memory_info(size_t *free_bytes, size_t *total_bytes)
{
    open_space();
    *free_bytes = memory.total_bytes - memory.used_bytes;
    *total_bytes = memory.total_bytes;
}

bool memory_is_device(const void *handle)
{
    return gpu_space.base && (uintptr_t)handle - gpu_space.base < GPU_SPACE_BYTES;
}

/* ---- */

static const struct gpu_allocation *nearest(uint64_t from)
{
    const struct gpu_allocation *best = NULL;
    uint64_t best_distance = UINT64_MAX;
    for (const struct gpu_allocation *next = memory.live; next; next = next->next) {
        const struct gpu_extent *e = &next->extent;
        uint64_t distance = from < e->begin ? e->begin - from : from >= e->end ? from - e->end : 0;
        if (distance < best_distance) {
            best = next;
            best_distance = distance;
        }
    }
    return best;
}

void memory_say_where(const void *at, char *text, size_t size)
{
    uint64_t from = (uintptr_t)at - gpu_space.base;
    if (!memory_is_device(at)) {
        snprintf(text, size, "%p, which is not device memory", at);
        return;
    }
    const struct gpu_allocation *near = nearest(from);
    if (!near)
        snprintf(text, size, "%p; nothing is allocated", at);
    else
        snprintf(text, size, "%p: byte %lld of the nearest allocation, which has %llu", at,
                 (long long)(from - near->extent.begin),
                 (unsigned long long)(near->extent.end - near->extent.begin));
}

void gpu_refuse_access(enum gpu_access access, const void *at, size_t size_bytes)
{
    static const char *const names[] = {"a load", "a load", "a store", "an atomic operation"};
    char where[256];
    memory_say_where(at, where, sizeof where);
    block_refuse("%s of %zu bytes%s at %s", names[access], size_bytes,
                 (uintptr_t)at % size_bytes ? ", misaligned," : "", where);
}

void *memory_reach(const char *what, const void *handle, size_t size_bytes)
{
    char where[256];
    uint64_t from = (uintptr_t)handle - gpu_space.base;
    const struct gpu_extent *in = NULL;
    if (memory_is_device(handle))
        in = memory.chunks[from / GPU_CHUNK_BYTES];
    if (!in || from > in->end || size_bytes > in->end - from) {
        memory_say_where(handle, where, sizeof where);
        emulator_refuse("%s of %zu bytes at %s", what, size_bytes, where);
    }
    return bytes_at(from);
}

/* ---- */

bool memory_pin(size_t size_bytes, void **host)
{
    struct pinned *made = static_cast<struct pinned *>(calloc(1, sizeof *made));
    size_t rounded = (size_bytes + 255) / 256 * 256;
    void *at = aligned_alloc(256, rounded ? rounded : 256);
    if (!made || !at) {
        free(made);
        free(at);
        return false;
    }
    memset(at, 0xff, size_bytes);
    *made = {memory.pinned, static_cast<char *>(at), size_bytes};
    memory.pinned = made;
    *host = at;
    return true;
}

bool memory_unpin(void *host)
{
    struct pinned **at = &memory.pinned, *gone;
    while (*at && (*at)->host != host)
        at = &(*at)->next;
    gone = *at;
    if (!gone)
        return false;
    *at = gone->next;
    free(gone->host);
    free(gone);
    return true;
}

bool memory_is_pinned(const void *host, size_t size_bytes)
{
    const char *at = static_cast<const char *>(host);
    for (const struct pinned *next = memory.pinned; next; next = next->next)
        if (at >= next->host && at + size_bytes <= next->host + next->size_bytes)
            return true;
    return false;
}
