/* Where buffers live in one block of memory: each is asked for with the first and last moment it is
 * needed, and two share bytes only when their times do not meet. Ask for everything (measuring),
 * place, then ask again in the same order with the block's address (handing out). Pure. */
#ifndef TRAINER_SUPERNET_MEMORY_PLAN_H
#define TRAINER_SUPERNET_MEMORY_PLAN_H

#include <stddef.h>

struct buffer {
    size_t size_bytes, offset;
    int first, last; /* moments, inclusive */
};

struct memory_plan {
    struct buffer *buffers;
    int count, room;
    char *base; /* NULL while measuring */
    int next;   /* the next buffer to hand out */
    size_t total_bytes;
};

/* NULL while measuring (or for size 0), the buffer's address while handing out. */
void *memory_plan_ask(struct memory_plan *memory_plan, size_t size_bytes, int first, int last);
/* Chooses offsets, biggest buffer first, each as low as it goes; sets total_bytes. */
void memory_plan_place(struct memory_plan *memory_plan);
/* From now on memory_plan_ask hands out addresses inside `base`, which holds total_bytes. */
void memory_plan_hand_out(struct memory_plan *memory_plan, void *base);
void memory_plan_fini(struct memory_plan *memory_plan);

#endif
