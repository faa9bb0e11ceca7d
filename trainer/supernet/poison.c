#include "trainer/supernet/poison.h"
#include "base/mem.h"
#include <string.h>

#ifdef GLOWWORM_POISON
#define IS_BUILT_IN true
#else
#define IS_BUILT_IN false
#endif

void poison_init(struct poison *poison, struct device *device,
                 const struct memory_plan *memory_plan, void *memory)
{
    size_t bytes = (size_t)memory_plan->count * sizeof *memory_plan->buffers;
    *poison = (struct poison){
        .device = device, .memory = memory, .count = memory_plan->count, .is_on = IS_BUILT_IN};
    poison->buffers = mem_array((size_t)memory_plan->count + 1, sizeof *poison->buffers);
    memcpy(poison->buffers, memory_plan->buffers, bytes);
}

void poison_fini(struct poison *poison)
{
    mem_free(poison->buffers);
    *poison = (struct poison){0};
}

static void spoil(const struct poison *poison, const struct buffer *buffer)
{
    poison->device->ops->fill_nan(poison->device, buffer->size_bytes,
                                  poison->memory + buffer->offset);
}

void poison_begin(struct poison *poison)
{
    poison->now = 0;
    if (!poison->is_on)
        return;
    for (int i = 0; i < poison->count; i++)
        if (poison->buffers[i].first > 0)
            spoil(poison, &poison->buffers[i]);
}

/* What lives at `moment` and was written already lived with the dead ones, so it has other bytes;
 * what is written from now on may have theirs. */
void poison_until(struct poison *poison, int moment)
{
    if (moment < poison->now)
        BUG("moment %d of a pass behind moment %d", moment, poison->now);
    for (int i = 0; poison->is_on && i < poison->count; i++)
        if (poison->buffers[i].last >= poison->now && poison->buffers[i].last < moment)
            spoil(poison, &poison->buffers[i]);
    poison->now = moment;
}
