#include "kernels/cpu/workspace.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

#if defined(__has_feature) /* clang */
#if __has_feature(address_sanitizer)
#define HAS_ADDRESS_SANITIZER
#endif
#elif defined(__SANITIZE_ADDRESS__) /* gcc */
#define HAS_ADDRESS_SANITIZER
#endif
#ifdef HAS_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#endif

void workspace_init(struct workspace *workspace, int threads)
{
    *workspace = (struct workspace){.threads = threads};
    workspace->of_thread = mem_array((size_t)threads, sizeof *workspace->of_thread);
}

void workspace_fini(struct workspace *workspace)
{
    for (int t = 0; t < workspace->threads; t++)
        free(workspace->of_thread[t].memory);
    free(workspace->shared.memory);
    mem_free(workspace->of_thread);
    *workspace = (struct workspace){0};
}

static size_t larger(size_t left, size_t right)
{
    return left > right ? left : right;
}

struct cpu_need cpu_need_most(struct cpu_need left, struct cpu_need right)
{
    return (struct cpu_need){.scratch_bytes = larger(left.scratch_bytes, right.scratch_bytes),
                             .activated_bytes = larger(left.activated_bytes, right.activated_bytes),
                             .shared_bytes = larger(left.shared_bytes, right.shared_bytes)};
}

size_t cpu_need_bytes(const struct cpu_need *need, int threads)
{
    return (size_t)threads * need->scratch_bytes + need->shared_bytes;
}

bool workspace_holds(const struct workspace *workspace, const struct cpu_need *need)
{
    return workspace->shared.size_bytes >= need->shared_bytes &&
           workspace->of_thread[workspace->threads - 1].size_bytes >= need->scratch_bytes;
}

/* Pages are there from now on, not at the first touch in a step. */
static enum err grow(struct workspace_block *block, size_t size_bytes)
{
    enum { ALIGNMENT = 64 };
    if (block->size_bytes >= size_bytes)
        return ERR_OK;
    size_t rounded = (size_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    void *memory = rounded >= size_bytes ? aligned_alloc(ALIGNMENT, rounded) : NULL;
    if (!memory)
        return err_set(ERR_MEMORY, "no memory for %zu bytes of operations' scratch", size_bytes);
    memset(memory, 0, rounded);
    free(block->memory);
    *block = (struct workspace_block){memory, size_bytes};
    return ERR_OK;
}

/* The last thread's block grows last: it says what all of them have. */
enum err workspace_grow(struct workspace *workspace, const struct cpu_need *need)
{
    enum err err = ERR_OK;
    TRY(grow(&workspace->shared, need->shared_bytes));
    for (int t = 0; t < workspace->threads; t++)
        TRY(grow(&workspace->of_thread[t], need->scratch_bytes));
out:
    return err;
}

static void guard(const struct workspace_block *block, size_t size_bytes)
{
#ifdef HAS_ADDRESS_SANITIZER
    if (!block->memory)
        return;
    ASAN_UNPOISON_MEMORY_REGION(block->memory, size_bytes);
    ASAN_POISON_MEMORY_REGION((char *)block->memory + size_bytes, block->size_bytes - size_bytes);
#else
    (void)block;
    (void)size_bytes;
#endif
}

void workspace_guard(const struct workspace *workspace, const struct cpu_need *need)
{
    guard(&workspace->shared, need->shared_bytes);
    for (int t = 0; t < workspace->threads; t++)
        guard(&workspace->of_thread[t], need->scratch_bytes);
}
