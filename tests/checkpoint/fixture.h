/* A made-up training: checkpoints whose tensors are functions of stage and step. */
#ifndef TESTS_CHECKPOINT_FIXTURE_H
#define TESTS_CHECKPOINT_FIXTURE_H

#include "base/rng.h"
#include "tests/scratch.h"
#include "trainer/checkpoint/checkpoint.h"
#include <stdio.h>
#include <string.h>

#define TENSORS 6 /* the last one never changes; the one before is empty */

static inline uint64_t elements_of(int tensor)
{
    static const uint64_t elements[TENSORS] = {7, 100, 5000, 600000, 0, 300000};
    return elements[tensor];
}

static inline float value_of(uint64_t step, int tensor, uint64_t element)
{
    uint64_t epoch = tensor == TENSORS - 1 ? 0 : step;
    return (float)rng_unit(rng(1, RNG_TEST, epoch, (uint64_t)tensor, element));
}

static inline void fill_tensor(struct tensor *tensor, uint64_t step, int index)
{
    uint64_t count = elements_of(index);
    snprintf(tensor->name, sizeof tensor->name, "blocks.%d.conv.weight", index);
    tensor->rank = 2;
    tensor->shape[0] = count % 100 == 0 ? 100 : 1;
    tensor->shape[1] = (int64_t)count / tensor->shape[0];
    tensor->count = count;
    tensor->values = mem_array(count, sizeof *tensor->values);
    for (uint64_t e = 0; e < count; e++)
        tensor->values[e] = value_of(step, index, e);
}

/* checkpoint_fini() it. */
static inline void make_checkpoint(const char *stage, uint64_t step, struct checkpoint *checkpoint)
{
    *checkpoint = (struct checkpoint){.position = {.step = step, .epoch = step / 10},
                                      .tensor_count = TENSORS};
    snprintf(checkpoint->position.stage, sizeof checkpoint->position.stage, "%s", stage);
    checkpoint->meta.space = mem_string("name: test\nstages: []\n");
    checkpoint->meta.width_multiplier = 1.2;
    checkpoint->meta.classes = 10;
    checkpoint->meta.channels = 3;
    checkpoint->meta.lineage = mem_string("cpu x86-64-v3");
    checkpoint->meta.lease_epoch = 4;
    checkpoint->meta.ranks = 2;
    checkpoint->meta.has_statistics = true;
    checkpoint->tensors = mem_array(TENSORS, sizeof *checkpoint->tensors);
    for (int i = 0; i < TENSORS; i++)
        fill_tensor(&checkpoint->tensors[i], step, i);
}

/* A sentence about the first difference from what was saved at that step, or NULL. */
static inline const char *find_difference(const struct checkpoint *loaded)
{
    static char text[200];
    if (loaded->tensor_count != TENSORS)
        return "another number of tensors";
    for (int i = 0; i < TENSORS; i++) {
        const struct tensor *tensor = &loaded->tensors[i];
        if (tensor->count != elements_of(i) || tensor->rank != 2)
            return "another shape";
        for (uint64_t e = 0; e<tensor->count; e += tensor->count> 1000 ? 97 : 1)
            if (tensor->values[e] != value_of(loaded->position.step, i, e)) {
                snprintf(text, sizeof text, "step %llu, tensor %d, element %llu is another one",
                         (unsigned long long)loaded->position.step, i, (unsigned long long)e);
                return text;
            }
    }
    return NULL;
}

static inline enum err open_at(const char *path, bool is_writer, int keep,
                               struct checkpoint_store **store)
{
    struct checkpoint_store_cfg cfg = {.path = path, .is_writer = is_writer, .keep = keep};
    return checkpoint_store_open(&cfg, store);
}

/* Saves and waits. */
static inline enum err save_step(struct checkpoint_store *store, const char *stage, uint64_t step,
                                 bool is_final, struct hash *content)
{
    enum err err = ERR_OK;
    struct checkpoint checkpoint;
    struct checkpoint_saved saved;
    make_checkpoint(stage, step, &checkpoint);
    checkpoint.position.is_final = is_final;
    TRY(checkpoint_save(store, &checkpoint));
    TRY(checkpoint_wait(store));
    if (content && checkpoint_saved(store, &saved))
        *content = saved.content;
out:
    checkpoint_fini(&checkpoint);
    return err;
}

#endif
