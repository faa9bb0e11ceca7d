/* The shared memory of the block that runs: the dynamic part first, then what is declared, each
 * piece 128-aligned with a gap behind it; and who used which two bytes of it last. */
#include "tests/support/cuda/use.h"

enum {
    MOST_PIECES = 64,
    PIECE_ALIGN = 128,
    UNIT_BYTES = 2,
    MEMORY_BYTES = MOST_SHARED_BYTES + (MOST_PIECES + 1) * 2 * PIECE_ALIGN,
    UNITS = MEMORY_BYTES / UNIT_BYTES,
};

static const use NOBODYS = UINT32_MAX; /* no piece has the unit */
/* + thread: a copy behind the thread's back will store */
static const use ON_ITS_WAY = USE_LAST_STAMP << USE_STAMP_SHIFT | USE_MANY << USE_THREAD_BITS;

struct unit {
    use stored, loaded;
};

struct piece {
    const void *site; /* NULL: the dynamic part */
    size_t begin, end;
};

static struct {
    struct piece pieces[MOST_PIECES];
    int count;
    size_t static_bytes, dynamic_bytes, most_bytes, used_bytes;
    bool is_begun;
    struct unit units[UNITS];
    alignas(PIECE_ALIGN) unsigned char memory[MEMORY_BYTES];
} memory;

/* ---- pieces */

static void *add_piece(const void *site, size_t size_bytes)
{
    struct piece *piece = &memory.pieces[memory.count];
    size_t begin = memory.count ? piece[-1].end + PIECE_ALIGN : 0;
    begin = (begin + PIECE_ALIGN - 1) / PIECE_ALIGN * PIECE_ALIGN;
    *piece = {site, begin, begin + size_bytes};
    memory.used_bytes = begin + size_bytes;
    memory.count++;
    memset(memory.memory + begin, 0xff, size_bytes);
    memset(memory.units + begin / UNIT_BYTES, 0,
           (size_bytes + 1) / UNIT_BYTES * sizeof *memory.units);
    return memory.memory + begin;
}

void shared_begin_launch(size_t dynamic_bytes, size_t most_bytes)
{
    size_t used_units = (memory.used_bytes + 1) / UNIT_BYTES;
    if (!memory.is_begun)
        used_units = UNITS;
    memset(memory.units, 0xff, used_units * sizeof *memory.units);
    memory.is_begun = true;
    memory.count = 0;
    memory.static_bytes = 0;
    memory.dynamic_bytes = dynamic_bytes;
    memory.most_bytes = most_bytes;
    add_piece(NULL, dynamic_bytes);
}

void shared_begin_block(void)
{
    for (int i = 0; i < memory.count; i++)
        memset(memory.memory + memory.pieces[i].begin, 0xff,
               memory.pieces[i].end - memory.pieces[i].begin);
}

void shared_forget(void)
{
    for (int i = 0; i < memory.count; i++) {
        const struct piece *piece = &memory.pieces[i];
        memset(memory.units + piece->begin / UNIT_BYTES, 0,
               (piece->end - piece->begin + 1) / UNIT_BYTES * sizeof *memory.units);
    }
}

void *gpu_shared_static(const void *site, size_t size_bytes)
{
    for (int i = 1; i < memory.count; i++)
        if (memory.pieces[i].site == site)
            return memory.memory + memory.pieces[i].begin;
    memory.static_bytes += size_bytes;
    if (memory.count == MOST_PIECES || memory.static_bytes > MOST_STATIC_BYTES ||
        memory.static_bytes + memory.dynamic_bytes > memory.most_bytes)
        block_refuse("%zu bytes of static shared memory beside %zu of dynamic, in %d pieces: too "
                     "much",
                     memory.static_bytes, memory.dynamic_bytes, memory.count);
    return add_piece(site, size_bytes);
}

size_t shared_static_bytes(void)
{
    return memory.static_bytes;
}

void *gpu_shared_dynamic(void)
{
    return memory.memory;
}

/* ---- uses */

/* 0: it is inside. */
static ptrdiff_t distance(const struct piece *piece, ptrdiff_t from)
{
    ptrdiff_t begin = (ptrdiff_t)piece->begin, end = (ptrdiff_t)piece->end;
    return from < begin ? begin - from : from >= end ? from - end + 1 : 0;
}

[[noreturn]] static void refuse_place(const void *at, size_t size_bytes)
{
    ptrdiff_t from = static_cast<const unsigned char *>(at) - memory.memory;
    const struct piece *best = &memory.pieces[0];
    for (int i = 1; i < memory.count; i++)
        if (distance(&memory.pieces[i], from) < distance(best, from))
            best = &memory.pieces[i];
    if (distance(best, from) > PIECE_ALIGN)
        block_refuse("%zu bytes at %p, which is not shared memory of this block", size_bytes, at);
    block_refuse("%zu bytes at byte %td of a piece of shared memory that has %zu", size_bytes,
                 from - (ptrdiff_t)best->begin, best->end - best->begin);
}

[[noreturn]] static void refuse_race(const char *now, const void *at, size_t size_bytes,
                                     const char *then, use done)
{
    size_t from = (size_t)(static_cast<const unsigned char *>(at) - memory.memory);
    const uint3 t = gpu_block.threads[use_thread(done)].index;
    int i = memory.count - 1;
    while (from < memory.pieces[i].begin)
        i--;
    block_refuse("a race in shared memory: it %s %zu bytes at byte %zu of %zu %s, which %s "
                 "thread (%u, %u, %u) %s",
                 now, size_bytes, from - memory.pieces[i].begin,
                 memory.pieces[i].end - memory.pieces[i].begin, i ? "declared" : "dynamic",
                 use_stamp(done) == USE_LAST_STAMP ? "cp.async of" : "", t.x, t.y, t.z, then);
}

[[noreturn]] static void refuse(const char *now, const void *at, size_t size_bytes,
                                const struct unit *unit)
{
    const struct thread *mine = gpu_block.current;
    if (unit->stored == NOBODYS)
        refuse_place(at, size_bytes);
    if (!use_is_before(unit->stored, mine))
        refuse_race(now, at, size_bytes,
                    use_stamp(unit->stored) == USE_LAST_STAMP ? "has yet to store"
                                                              : "has stored since the last barrier",
                    unit->stored);
    refuse_race(now, at, size_bytes, "has loaded since the last barrier", unit->loaded);
}

static struct unit *units_at(const void *at, size_t size_bytes)
{
    uintptr_t from = (uintptr_t)at - (uintptr_t)memory.memory;
    if (from >= MEMORY_BYTES)
        refuse_place(at, size_bytes);
    if (from % size_bytes)
        block_refuse("misaligned: %zu bytes of shared memory at byte %zu of it", size_bytes, from);
    return &memory.units[from / UNIT_BYTES];
}

void shared_note_load(const void *at, size_t size_bytes, const void *code)
{
    struct unit *unit = units_at(at, size_bytes), *end = unit + (size_bytes + 1) / UNIT_BYTES;
    const struct thread *mine = gpu_block.current;
    const use since = use_since();
    for (; unit < end; unit++) {
        if (unit->stored >= since && !use_is_before(unit->stored, mine))
            refuse("loads", at, size_bytes, unit);
        unit->loaded = use_add_load(unit->loaded, mine);
    }
    if (counters_are_on())
        counters_note(WATCHED_SHARED_LOAD, (uintptr_t)at, size_bytes, code);
}

void gpu_shared_note_load(const void *at, size_t size_bytes)
{
    shared_note_load(at, size_bytes, __builtin_return_address(0));
}

static void note_store(const void *at, size_t size_bytes, const void *code)
{
    struct unit *unit = units_at(at, size_bytes), *end = unit + (size_bytes + 1) / UNIT_BYTES;
    const struct thread *mine = gpu_block.current;
    const use since = use_since(), now = use_make(USE_ONE, mine->number);
    for (; unit < end; unit++) {
        if ((unit->stored >= since && !use_is_before(unit->stored, mine)) ||
            (unit->loaded >= since && !use_is_before(unit->loaded, mine)))
            refuse("stores", at, size_bytes, unit);
        unit->stored = now;
        unit->loaded = 0;
    }
    if (counters_are_on())
        counters_note(WATCHED_SHARED_STORE, (uintptr_t)at, size_bytes, code);
}

void gpu_shared_note_store(const void *at, size_t size_bytes)
{
    note_store(at, size_bytes, __builtin_return_address(0));
}

void shared_begin_copy(const void *to, size_t size_bytes, const void *code)
{
    struct unit *unit = units_at(to, size_bytes), *end = unit + size_bytes / UNIT_BYTES;
    note_store(to, size_bytes, code);
    for (; unit < end; unit++)
        unit->stored = ON_ITS_WAY | (use)gpu_block.current->number;
}

void shared_end_copy(const void *to, size_t size_bytes)
{
    struct unit *unit = units_at(to, size_bytes), *end = unit + size_bytes / UNIT_BYTES;
    for (; unit < end; unit++)
        unit->stored = use_make(USE_ONE, gpu_block.current->number);
}

/* Atomic operations are ordered among themselves. */
void gpu_shared_note_atomic(const void *at, size_t size_bytes)
{
    struct unit *unit = units_at(at, size_bytes);
    if (unit->stored == NOBODYS)
        refuse_place(at, size_bytes);
}
