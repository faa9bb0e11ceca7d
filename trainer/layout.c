#include "trainer/layout.h"
#include "base/err.h"
#include "base/mem.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

void *layout_ask(struct layout *layout, size_t size_bytes, int first, int last)
{
    if (size_bytes == 0)
        return NULL;
    if (layout->base) {
        if (layout->next >= layout->count)
            BUG("a buffer was asked for that was not measured");
        return layout->base + layout->buffers[layout->next++].offset;
    }
    if (layout->count == layout->room) {
        int room = layout->room ? 2 * layout->room : 64;
        layout->buffers = mem_grow(layout->buffers, (size_t)layout->room * sizeof *layout->buffers,
                                   (size_t)room * sizeof *layout->buffers);
        layout->room = room;
    }
    layout->buffers[layout->count++] =
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

void layout_place(struct layout *layout)
{
    struct buffer **order = mem_array((size_t)layout->count + 1, sizeof *order);
    for (int i = 0; i < layout->count; i++)
        order[i] = &layout->buffers[i];
    qsort(order, (size_t)layout->count, sizeof *order, bigger_first);
    layout->total_bytes = 0;
    for (int i = 0; i < layout->count; i++) {
        order[i]->offset = lowest_offset(order[i], order, i);
        if (order[i]->offset + order[i]->size_bytes > layout->total_bytes)
            layout->total_bytes = order[i]->offset + order[i]->size_bytes;
    }
    mem_free(order);
}

void layout_hand_out(struct layout *layout, void *base)
{
    layout->base = base;
    layout->next = 0;
}

void layout_fini(struct layout *layout)
{
    mem_free(layout->buffers);
    memset(layout, 0, sizeof *layout);
}
