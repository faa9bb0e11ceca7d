#include "trainer/weights/model.h"
#include "base/mem.h"
#include <string.h>

static enum err set_tensor(const struct checkpoint *checkpoint, struct supernet *net, int index)
{
    struct supernet_tensor wanted;
    supernet_tensor_at(net, index, &wanted);
    if (!wanted.param && !checkpoint->meta.has_statistics)
        return ERR_OK;
    const struct tensor *tensor = checkpoint_find(checkpoint, wanted.name);
    if (!tensor || !tensor->values)
        return err_set(ERR_DATA, "the checkpoint has no tensor %s, which space %s needs",
                       wanted.name, net->space->name);
    bool fits = tensor->rank == wanted.rank && tensor->count == wanted.count;
    for (int i = 0; fits && i < wanted.rank; i++)
        fits = tensor->shape[i] == wanted.shape[i];
    if (!fits)
        return err_set(ERR_DATA, "tensor %s: %llu values of rank %d, space %s needs %zu of rank %d",
                       wanted.name, (unsigned long long)tensor->count, tensor->rank,
                       net->space->name, wanted.count, wanted.rank);
    supernet_set_tensor(net, &wanted, tensor->values);
    return ERR_OK;
}

enum err model_create(const struct checkpoint *checkpoint, struct device *device,
                      struct model **result)
{
    enum err err = ERR_OK;
    const struct checkpoint_meta *meta = &checkpoint->meta;
    struct model *model = mem_alloc(sizeof *model);
    TRY(space_parse("the checkpoint's space", meta->space ? meta->space : "",
                    meta->width_multiplier, meta->classes, meta->channels, &model->space));
    TRY(supernet_create(&model->space, device, &model->net));
    for (int i = 0; i < supernet_tensor_count(model->net); i++)
        TRY(set_tensor(checkpoint, model->net, i));
    model->net->has_statistics = meta->has_statistics;
    *result = model;
    model = NULL;
out:
    model_close(&model);
    return err;
}

enum err model_open(const char *reference, struct device *device, struct model **model)
{
    enum err err = ERR_OK;
    char *path = NULL, *name = NULL;
    struct checkpoint_store *store = NULL;
    struct checkpoint checkpoint = {0};
    TRY(checkpoint_reference(reference, &path, &name));
    struct checkpoint_store_cfg cfg = {.path = path, .keep = 1};
    TRY(checkpoint_store_open(&cfg, &store));
    TRY(checkpoint_load(store, name, &checkpoint));
    TRY(model_create(&checkpoint, device, model));
out:
    if (err != ERR_OK)
        err = err_prefix(err, "%s", reference);
    checkpoint_fini(&checkpoint);
    checkpoint_store_close(&store);
    mem_free(path);
    mem_free(name);
    return err;
}

void model_close(struct model **model)
{
    if (!model || !*model)
        return;
    supernet_destroy(&(*model)->net);
    mem_free(*model);
    *model = NULL;
}
