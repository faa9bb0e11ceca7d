/* Races of blocks in device memory (but with GPU_EMULATOR_RACES=0): who used which two bytes last
 * in this launch. A word that one block stores no other block may use, unless it has passed a
 * ticket (last_block.cuh: an atomic operation, then a fence) and loads it by gpu_load_fresh(), or
 * stores. Single bytes are not watched. */
#include "tests/support/cuda/use.h"
#include <stdlib.h>

enum { UNIT_BYTES = 2 };
static const uint32_t SEVERAL = UINT32_C(1) << 31; /* blocks loaded it */

/* Blocks, as they are numbered since the start, and threads of them; 0: none. */
struct uses {
    uint32_t stored_block, loaded_block;
    use stored, loaded;
};

static struct {
    bool is_on;
    uint32_t first, mine;       /* blocks: the launch's first, and which runs */
    bool has_asked, has_passed; /* it did an atomic operation; and a fence behind it */
} races;

void races_begin_launch(void)
{
    const char *wanted = getenv("GPU_EMULATOR_RACES");
    races.is_on = !wanted || strtol(wanted, NULL, 10) != 0;
    races.first = races.mine + 1;
}

bool races_are_on(void)
{
    return races.is_on;
}

void races_begin_block(void)
{
    races.mine++;
    races.has_asked = races.has_passed = false;
}

void races_fence(void)
{
    races.has_passed = races.has_asked;
}

static struct uses *uses_at(uint64_t from)
{
    struct gpu_allocation *in = gpu_space.chunks[from / GPU_CHUNK_BYTES]->of;
    size_t size_bytes = in->extent.end - in->extent.begin;
    if (!in->uses)
        in->uses =
            static_cast<struct uses *>(calloc(size_bytes / UNIT_BYTES + 1, sizeof *in->uses));
    if (!in->uses)
        emulator_refuse("no memory to find races in %zu bytes", size_bytes);
    return in->uses + (from - in->extent.begin) / UNIT_BYTES;
}

void races_forget(struct gpu_allocation *allocation)
{
    free(allocation->uses);
    allocation->uses = NULL;
}

static bool is_other(uint32_t block)
{
    uint32_t number = block & ~SEVERAL;
    return number >= races.first && (number != races.mine || block & SEVERAL);
}

[[noreturn]] static void refuse(const char *now, const char *then, uint64_t from, uint32_t block)
{
    char where[256];
    memory_say_where(reinterpret_cast<const void *>(gpu_space.base + from), where, sizeof where);
    block_refuse("a race of blocks: it %s %s, which block %u of those that ran %s", now, where,
                 (block & ~SEVERAL) - races.first, then);
}

[[noreturn]] static void refuse_thread(const char *now, const char *then, uint64_t from, use done)
{
    char where[256];
    const uint3 t = gpu_block.threads[use_thread(done)].index;
    memory_say_where(reinterpret_cast<const void *>(gpu_space.base + from), where, sizeof where);
    block_refuse("a race of threads: it %s %s, which thread (%u, %u, %u) of its block has %s since "
                 "the last barrier",
                 now, where, t.x, t.y, t.z, then);
}

static void note_load(struct uses *uses, bool is_fresh, uint64_t from)
{
    const struct thread *mine = gpu_block.current;
    if (is_other(uses->stored_block) && !is_fresh)
        refuse("loads", "has stored (gpu_load_fresh(), behind a ticket, may)", from,
               uses->stored_block);
    if (is_other(uses->stored_block) && !races.has_passed)
        refuse("loads without having passed a ticket", "has stored", from, uses->stored_block);
    if (uses->stored_block == races.mine && !use_is_before(uses->stored, mine))
        refuse_thread("loads", "stored", from, uses->stored);
    use before = (uses->loaded_block & ~SEVERAL) == races.mine ? uses->loaded : 0;
    uses->loaded = use_add_load(before, mine);
    uses->loaded_block = races.mine | (is_other(uses->loaded_block) ? SEVERAL : 0);
}

static void note_store(struct uses *uses, uint64_t from)
{
    const struct thread *mine = gpu_block.current;
    if (is_other(uses->stored_block) && !races.has_passed)
        refuse("stores", "has stored", from, uses->stored_block);
    if (is_other(uses->loaded_block) && !races.has_passed)
        refuse("stores", "has loaded", from, uses->loaded_block);
    if (uses->stored_block == races.mine && !use_is_before(uses->stored, mine))
        refuse_thread("stores", "stored", from, uses->stored);
    if (uses->loaded_block == races.mine && !use_is_before(uses->loaded, mine))
        refuse_thread("stores", "loaded", from, uses->loaded);
    uses->stored_block = races.mine;
    uses->stored = use_make(USE_ONE, mine->number);
    uses->loaded_block = 0;
}

void races_note(enum gpu_access access, uint64_t from, size_t size_bytes)
{
    races.has_asked |= access == GPU_ATOMIC;
    if (size_bytes < UNIT_BYTES || access == GPU_ATOMIC)
        return;
    struct uses *uses = uses_at(from);
    for (size_t i = 0; i < size_bytes / UNIT_BYTES; i++)
        if (access == GPU_STORE)
            note_store(uses + i, from);
        else
            note_load(uses + i, access == GPU_LOAD_FRESH, from);
}
