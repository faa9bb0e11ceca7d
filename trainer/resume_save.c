#include "base/clock.h"
#include "base/mem.h"
#include "trainer/resume.h"
#include <stdio.h>

static void get_tensor(const struct supernet *net, const char *prefix, const struct param *param,
                       const float *from, float *values, struct tensor *tensor)
{
    snprintf(tensor->name, sizeof tensor->name, "%s%s", prefix, param->name);
    tensor->rank = param->rank;
    for (int i = 0; i < param->rank; i++)
        tensor->shape[i] = param->shape[i];
    tensor->count = param->count;
    tensor->values = values;
    supernet_get_param(net, from, param, values);
}

static void fill_meta(const struct workbench *bench, int stage, char *key, char *dataset,
                      const struct resume *resume, struct checkpoint_meta *meta)
{
    hash_hex(&bench->keys[stage], key);
    hash_hex(&dataset_info(bench->dataset)->content, dataset);
    *meta = (struct checkpoint_meta){.campaign = bench->campaign_text,
                                     .space = bench->space_text,
                                     .width_multiplier = bench->space.width_multiplier,
                                     .classes = bench->space.classes,
                                     .channels = bench->space.channels,
                                     .stage_key = key,
                                     .parent = (char *)resume->parent,
                                     .dataset = dataset,
                                     .lineage = bench->lineage,
                                     .lease_epoch = bench->cfg.lease_epoch,
                                     .saved_ms = clock_wall_ms(),
                                     .ranks = bench->comm->size};
}

enum err resume_save(struct workbench *bench, int stage, const struct timetable *timetable,
                     const struct resume *resume, const float *momentum, bool is_final)
{
    enum err err = ERR_OK;
    const struct supernet *net = bench->net;
    char key[HASH_HEX_BYTES], dataset[HASH_HEX_BYTES];
    int params = net->param_count;
    struct checkpoint checkpoint = {.tensor_count = 2 * params};
    float *values = mem_array(2 * net->weight_count, sizeof *values);
    checkpoint.tensors = mem_array((size_t)checkpoint.tensor_count, sizeof *checkpoint.tensors);
    size_t bad = net->device->ops->find_nonfinite(net->device, net->weight_count, net->weights);
    if (bad < net->weight_count)
        TRY(err_set(ERR_NUMERIC, "the weights are not finite at element %zu: no checkpoint", bad));
    for (int i = 0; i < params; i++) {
        const struct param *param = &net->params[i];
        get_tensor(net, "", param, net->weights, values + param->offset, &checkpoint.tensors[i]);
        get_tensor(net, RESUME_MOMENTUM, param, momentum,
                   values + net->weight_count + param->offset, &checkpoint.tensors[params + i]);
    }
    checkpoint.position = (struct position){.step = resume->step,
                                            .epoch = resume->step / timetable->steps_per_epoch,
                                            .is_final = is_final};
    snprintf(checkpoint.position.stage, sizeof checkpoint.position.stage, "%s",
             bench->plan.stages[stage].name);
    fill_meta(bench, stage, key, dataset, resume, &checkpoint.meta);
    TRY(checkpoint_save(bench->store, &checkpoint));
out:
    mem_free(checkpoint.tensors); /* meta and values are borrowed: no checkpoint_fini */
    mem_free(values);
    return err;
}
