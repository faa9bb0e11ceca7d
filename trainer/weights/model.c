#include "trainer/weights/model.h"
#include "base/mem.h"

static enum err set_tensor(const struct checkpoint *checkpoint, struct supernet *net, int index)
{
    struct supernet_tensor wanted;
    const struct tensor *tensor = NULL;
    supernet_tensor_at(net, index, &wanted);
    if (!wanted.param && !checkpoint->meta.has_statistics)
        return ERR_OK;
    enum err err =
        checkpoint_find_shaped(checkpoint, wanted.name, wanted.rank, wanted.shape, &tensor);
    if (err != ERR_OK)
        return err;
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
    struct checkpoint checkpoint = {0};
    TRY(checkpoint_load_reference(reference, &checkpoint));
    TRY(model_create(&checkpoint, device, model));
out:
    if (err != ERR_OK)
        err = err_prefix(err, "%s", reference);
    checkpoint_fini(&checkpoint);
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
