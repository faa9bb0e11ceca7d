#include "kernels/workload.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>

enum { FIRST_ROOM = 256, SLOTS_PER_WORK = 2 };

_Static_assert(sizeof(struct work) == 12 * sizeof(int) + sizeof(size_t),
               "works are compared byte by byte: there is no padding");

/* FNV-1a over words: the ints of a work are small and many of them equal. */
static size_t hash_of(const struct work *work)
{
    uint32_t words[sizeof *work / sizeof(uint32_t)];
    uint64_t hash = 0xcbf29ce484222325u;
    memcpy(words, work, sizeof *work);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        hash = (hash ^ words[i]) * 0x100000001b3u;
    return (size_t)(hash ^ hash >> 32);
}

/* The slot of this work, or the free one where it belongs. */
static uint32_t *find_slot(const struct workload *workload, const struct work *work)
{
    size_t at = hash_of(work) % workload->slot_count;
    for (;;) {
        uint32_t *slot = &workload->slots[at];
        if (*slot == 0 || memcmp(&workload->works[*slot - 1], work, sizeof *work) == 0)
            return slot;
        at = at + 1 == workload->slot_count ? 0 : at + 1;
    }
}

static void grow(struct workload *workload)
{
    size_t room = workload->room ? 2 * workload->room : FIRST_ROOM;
    workload->works = mem_grow(workload->works, workload->room * sizeof *workload->works,
                               room * sizeof *workload->works);
    workload->room = room;
    mem_free(workload->slots);
    workload->slot_count = SLOTS_PER_WORK * room;
    workload->slots = mem_array(workload->slot_count, sizeof *workload->slots);
    for (size_t i = 0; i < workload->count; i++)
        *find_slot(workload, &workload->works[i]) = (uint32_t)i + 1;
}

void workload_add(struct workload *workload, const struct work *work)
{
    if (workload->count == workload->room)
        grow(workload);
    uint32_t *slot = find_slot(workload, work);
    if (*slot != 0)
        return;
    workload->works[workload->count++] = *work;
    *slot = (uint32_t)workload->count;
}

void workload_fini(struct workload *workload)
{
    mem_free(workload->works);
    mem_free(workload->slots);
    *workload = (struct workload){0};
}

static const char *const names[WORK_KINDS] = {
    "image_forward",   "stem_forward",    "stem_backward",    "pw_forward",      "pw_backward",
    "dw_forward",      "dw_backward",     "residual_forward", "pool_forward",    "pool_backward",
    "excite_forward",  "excite_backward", "linear_forward",   "linear_backward", "kernel_forward",
    "kernel_backward", "dropout_mask",    "loss_forward",     "find_nonfinite",
};

/* Only what is not 0 says anything. */
void work_describe(const struct work *work, char *text, size_t size_bytes)
{
    const struct {
        const char *before;
        size_t value;
    } numbers[] = {
        {" to ", (size_t)work->conv.K},           {" channels, kernel ", (size_t)work->conv.R},
        {", stride ", (size_t)work->conv.S},      {", hidden ", (size_t)work->Cr},
        {", crops across ", (size_t)work->width}, {", count ", work->count}};
    const struct dims *in = &work->conv.in;
    int used = snprintf(text, size_bytes, "%s of %dx%dx%d, %d", names[work->kind], in->N, in->H,
                        in->W, in->C);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].value > 0 && used > 0 && (size_t)used < size_bytes)
            used += snprintf(text + used, size_bytes - (size_t)used, "%s%zu", numbers[i].before,
                             numbers[i].value);
}
