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

const struct tensor *checkpoint_find(const struct checkpoint *checkpoint, const char *name)
{
    for (int i = 0; i < checkpoint->tensor_count; i++)
        if (strcmp(checkpoint->tensors[i].name, name) == 0)
            return &checkpoint->tensors[i];
    return NULL;
}
