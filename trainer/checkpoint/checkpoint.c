#include "trainer/checkpoint/checkpoint.h"
#include "base/mem.h"
#include <string.h>

void checkpoint_fini(struct checkpoint *checkpoint)
{
    struct checkpoint_meta *meta = &checkpoint->meta;
    char *texts[] = {meta->campaign, meta->space,   meta->stage_key, meta->parent,
                     meta->dataset,  meta->lineage, meta->mixed};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        mem_free(texts[i]);
    for (int i = 0; i < checkpoint->tensor_count; i++)
        mem_free(checkpoint->tensors[i].values);
    mem_free(checkpoint->tensors);
    *checkpoint = (struct checkpoint){0};
}

bool tensor_has_shape(const struct tensor *tensor, int rank, const int *shape)
{
    bool is_same = tensor->rank == rank;
    for (int d = 0; is_same && d < rank; d++)
        is_same = tensor->shape[d] == shape[d];
    return is_same;
}

const struct tensor *checkpoint_find(const struct checkpoint *checkpoint, const char *name)
{
    for (int i = 0; i < checkpoint->tensor_count; i++)
        if (strcmp(checkpoint->tensors[i].name, name) == 0)
            return &checkpoint->tensors[i];
    return NULL;
}

enum err checkpoint_find_shaped(const struct checkpoint *checkpoint, const char *name, int rank,
                                const int *shape, const struct tensor **result)
{
    const struct tensor *tensor = checkpoint_find(checkpoint, name);
    if (!tensor || !tensor->values)
        return err_set(ERR_DATA, "the checkpoint has no tensor %s: it is of another space", name);
    size_t count = 1;
    for (int d = 0; d < rank; d++)
        count *= (size_t)shape[d];
    if (!tensor_has_shape(tensor, rank, shape) || tensor->count != count)
        return err_set(ERR_DATA,
                       "tensor %s has %llu values where the space needs %zu: the checkpoint is of "
                       "another space, width, or number of classes",
                       name, (unsigned long long)tensor->count, count);
    *result = tensor;
    return ERR_OK;
}
