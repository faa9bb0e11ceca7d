#include "trainer/supernet/memory_plan.h"
#include "base/err.h"
#include "base/mem.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

void *memory_plan_ask(struct memory_plan *memory_plan, size_t size_bytes, int first, int last)
{
    if (size_bytes == 0)
        return NULL;
    if (memory_plan->base) {
        if (memory_plan->next >= memory_plan->count)
            BUG("a buffer was asked for that was not measured");
        return memory_plan->base + memory_plan->buffers[memory_plan->next++].offset;
    }
    if (memory_plan->count == memory_plan->room) {
        int room = memory_plan->room ? 2 * memory_plan->room : 64;
        memory_plan->buffers =
            mem_grow(memory_plan->buffers, (size_t)memory_plan->room * sizeof *memory_plan->buffers,
                     (size_t)room * sizeof *memory_plan->buffers);
        memory_plan->room = room;
    }
    memory_plan->buffers[memory_plan->count++] =
        (struct buffer){.size_bytes = (size_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT,
                        .first = first,
                        .last = last};
    return NULL;
}

static int bigger_first(const void *left, const void *right)
{
    const struct buffer *l = *(struct buffer *const *)left, *r = *(struct buffer *const *)right;
    if (l->size_bytes != r->size_bytes)
        return l->size_bytes < r->size_bytes ? 1 : -1;
    return l < r ? -1 : l > r; /* equal sizes in the order they were asked for */
}

/* The lowest offset where `buffer` meets none of the placed ones that live at the same time. */
static size_t lowest_offset(const struct buffer *buffer, struct buffer *const *placed, int count)
{
    size_t offset = 0;
    bool moved = true;
    while (moved) {
        moved = false;
        for (int i = 0; i < count; i++) {
            const struct buffer *other = placed[i];
            if (other->last < buffer->first || buffer->last < other->first)
                continue;
            if (other->offset < offset + buffer->size_bytes &&
                offset < other->offset + other->size_bytes) {
                offset = other->offset + other->size_bytes;
                moved = true;
            }
        }
    }
    return offset;
}

void memory_plan_place(struct memory_plan *memory_plan)
{
    struct buffer **order = mem_array((size_t)memory_plan->count + 1, sizeof *order);
    for (int i = 0; i < memory_plan->count; i++)
        order[i] = &memory_plan->buffers[i];
    qsort(order, (size_t)memory_plan->count, sizeof *order, bigger_first);
    memory_plan->total_bytes = 0;
    for (int i = 0; i < memory_plan->count; i++) {
        order[i]->offset = lowest_offset(order[i], order, i);
        if (order[i]->offset + order[i]->size_bytes > memory_plan->total_bytes)
            memory_plan->total_bytes = order[i]->offset + order[i]->size_bytes;
    }
    mem_free(order);
}

void memory_plan_hand_out(struct memory_plan *memory_plan, void *base)
{
    memory_plan->base = base;
    memory_plan->next = 0;
}

void memory_plan_fini(struct memory_plan *memory_plan)
{
    mem_free(memory_plan->buffers);
    memset(memory_plan, 0, sizeof *memory_plan);
}
