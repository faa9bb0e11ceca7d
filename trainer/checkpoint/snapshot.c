#include "trainer/checkpoint/snapshot.h"
#include "base/clock.h"
#include "base/mem.h"
#include "trainer/checkpoint/manifest.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static size_t room_of(const struct tensor *tensor)
{
    return (tensor_bytes(tensor) + 63) / 64 * 64;
}

static size_t room_for(const struct tensor *tensors, int tensor_count)
{
    size_t size_bytes = 0;
    for (int i = 0; i < tensor_count; i++)
        size_bytes += room_of(&tensors[i]);
    return size_bytes;
}

static void release_block(struct snapshot *copy)
{
    if (copy->block)
        munmap(copy->block, copy->room_bytes);
    copy->block = NULL;
    copy->room_bytes = 0;
}

static enum err make_room(struct snapshot *copy, size_t size_bytes)
{
    if (size_bytes <= copy->room_bytes)
        return ERR_OK;
    release_block(copy);
    void *block =
        mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED)
        return err_set(ERR_MEMORY, "no memory for a copy of a checkpoint of %zu MiB: %s",
                       size_bytes >> 20, strerror(errno));
    (void)madvise(block, size_bytes, MADV_HUGEPAGE); /* fewer faults in the first copy */
    copy->block = block;
    copy->room_bytes = size_bytes;
    return ERR_OK;
}

static char *copy_text(const char *text)
{
    return mem_string(text ? text : "");
}

static void copy_meta(struct checkpoint_meta *to, const struct checkpoint_meta *from)
{
    *to = *from;
    to->campaign = copy_text(from->campaign);
    to->space = copy_text(from->space);
    to->stage_key = copy_text(from->stage_key);
    to->parent = copy_text(from->parent);
    to->dataset = copy_text(from->dataset);
    to->lineage = copy_text(from->lineage);
    to->mixed = copy_text(from->mixed);
    if (to->saved_ms == 0)
        to->saved_ms = clock_wall_ms();
}

/* checkpoint_fini() would free the values, which are pieces of the block, or of the caller's. */
static void clear(struct snapshot *copy)
{
    for (int i = 0; i < copy->checkpoint.tensor_count; i++)
        copy->checkpoint.tensors[i].values = NULL;
    checkpoint_fini(&copy->checkpoint);
}

/* The values into the block. */
static enum err copy_values(struct snapshot *copy, const struct checkpoint *from)
{
    enum err err = ERR_OK;
    struct checkpoint *mine = &copy->checkpoint;
    size_t at = 0;
    TRY(make_room(copy, room_for(from->tensors, from->tensor_count)));
    for (int i = 0; i < mine->tensor_count; i++) {
        mine->tensors[i].values = (float *)(void *)((char *)copy->block + at);
        if (mine->tensors[i].count > 0)
            memcpy(mine->tensors[i].values, from->tensors[i].values,
                   tensor_bytes(&from->tensors[i]));
        at += room_of(&mine->tensors[i]);
    }
out:
    return err;
}

enum err snapshot_take(struct snapshot *copy, const struct checkpoint *checkpoint,
                       const struct checkpoint_arrange *arrange)
{
    struct checkpoint *mine = &copy->checkpoint;
    clear(copy);
    mine->position = checkpoint->position;
    copy_meta(&mine->meta, &checkpoint->meta);
    mine->tensor_count = checkpoint->tensor_count;
    mine->tensors = mem_array((size_t)mine->tensor_count, sizeof *mine->tensors);
    for (int i = 0; i < mine->tensor_count; i++)
        mine->tensors[i] = checkpoint->tensors[i];
    if (arrange && arrange->start)
        return arrange->start(arrange->own);
    return copy_values(copy, checkpoint);
}

enum err snapshot_arrange(struct snapshot *copy, const struct checkpoint_arrange *arrange)
{
    enum err err = ERR_OK;
    const struct checkpoint *mine = &copy->checkpoint;
    uint64_t most = 0;
    for (int i = 0; i < mine->tensor_count; i++)
        most = mine->tensors[i].count > most ? mine->tensors[i].count : most;
    float *room = malloc(most > 0 ? most * sizeof *room : 1);
    if (!room)
        TRY(err_set(ERR_MEMORY, "no memory to bring a tensor of %zu MiB into order",
                    most * sizeof *room >> 20));
    for (int i = 0; i < mine->tensor_count; i++)
        TRY(arrange->arrange(arrange->own, i, mine->tensors[i].values, room));
out:
    free(room);
    return err;
}

void snapshot_fini(struct snapshot *copy)
{
    clear(copy);
    release_block(copy);
}
