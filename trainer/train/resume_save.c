#include "base/clock.h"
#include "base/mem.h"
#include "trainer/train/resume.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Tensor i of a checkpoint: the weights, then their momentum. */
static const struct param *param_of(const struct supernet *net, int i)
{
    return &net->params[i % net->param_count];
}

/* With places in the copy for their values. Returns owned (mem_free). */
static struct tensor *list_tensors(const struct resume_saving *saving)
{
    const struct supernet *net = saving->of->net;
    struct tensor *tensors = mem_array(2 * (size_t)net->param_count, sizeof *tensors);
    for (int i = 0; i < 2 * net->param_count; i++) {
        const struct param *param = param_of(net, i);
        struct tensor *tensor = &tensors[i];
        snprintf(tensor->name, sizeof tensor->name, "%s%s",
                 i < net->param_count ? "" : RESUME_MOMENTUM, param->name);
        tensor->rank = param->rank;
        for (int axis = 0; axis < param->rank; axis++)
            tensor->shape[axis] = param->shape[axis];
        tensor->count = param->count;
        tensor->values =
            saving->copy + (i < net->param_count ? 0 : net->weight_count) + param->offset;
    }
    return tensors;
}

/* In the writer's thread. */
static enum err arrange(const void *own, int tensor, float *values, float *room)
{
    const struct resume_saving *saving = own;
    const struct supernet *net = saving->of->net;
    const struct param *param = param_of(net, tensor);
    for (size_t i = 0; i < param->count; i++)
        if (!isfinite(values[i]))
            return err_set(ERR_NUMERIC, "%s of %s is not finite; lower the rate",
                           tensor < net->param_count ? "a weight" : "the momentum", param->name);
    supernet_arrange_param(param, values, room);
    return ERR_OK;
}

/* In the writer's thread. */
static enum err settle(const void *own)
{
    const struct resume_saving *saving = own;
    return event_log_sync(saving->events);
}

static void fill_meta(const struct resume_saving *saving, const struct resume *resume, char *key,
                      char *dataset, struct checkpoint_meta *meta)
{
    const struct resume_cfg *of = saving->of;
    const struct provenance *provenance = of->provenance;
    const struct space *space = &of->blueprint->space;
    const struct phase *phase = blueprint_phase(of->blueprint, saving->stage);
    hash_hex(&provenance->keys[saving->stage], key);
    hash_hex(&provenance->dataset, dataset);
    *meta = (struct checkpoint_meta){.campaign = provenance->campaign,
                                     .space = provenance->space,
                                     .width_multiplier = space->width_multiplier,
                                     .classes = space->classes,
                                     .channels = space->channels,
                                     .stage_key = key,
                                     .parent = (char *)resume->parent,
                                     .dataset = dataset,
                                     .lineage = provenance->lineage,
                                     .mixed = (char *)text_get(&of->mixed->others),
                                     .lease_epoch = provenance->lease_epoch,
                                     .saved_ms = clock_wall_ms(),
                                     .ranks = of->comm->size,
                                     .has_trained = true};
    schedule_trained_before(&of->blueprint->schedule, space, phase + 1, &meta->trained);
}

/* Behind what is queued, in front of what comes: the next update waits its turn. */
static enum err start(const void *own)
{
    const struct resume_saving *saving = own;
    const struct supernet *net = saving->of->net;
    struct device *device = net->device;
    size_t bytes = net->weight_count * sizeof(float);
    device->ops->download_async(device, saving->copy, net->weights, bytes);
    device->ops->download_async(device, saving->copy + net->weight_count, saving->momentum, bytes);
    device->ops->event_record(device, saving->taken);
    return ERR_OK;
}

/* In the writer's thread. */
static enum err wait(const void *own)
{
    const struct resume_saving *saving = own;
    struct device *device = saving->of->net->device;
    return device->ops->event_wait(device, saving->taken);
}

enum err resume_prepare(struct resume_saving *saving)
{
    enum err err = ERR_OK;
    const struct supernet *net = saving->of->net;
    struct device *device = net->device;
    size_t bytes = 2 * net->weight_count * sizeof(float);
    TRY(device->ops->pin(device, bytes, (void **)&saving->copy));
    memset(saving->copy, 0, bytes); /* pages are taken here, not in the first save */
    TRY(device->ops->event_create(device, &saving->taken));
out:
    return err;
}

void resume_release(struct resume_saving *saving)
{
    if (!saving->of)
        return;
    struct device *device = saving->of->net->device;
    device->ops->event_destroy(device, saving->taken);
    device->ops->unpin(device, saving->copy);
    saving->taken = NULL;
    saving->copy = NULL;
}

enum err resume_save(const struct resume_saving *saving, const struct resume *resume, bool is_final)
{
    enum err err = ERR_OK;
    const struct supernet *net = saving->of->net;
    char key[HASH_HEX_BYTES], dataset[HASH_HEX_BYTES];
    struct checkpoint_arrange arranging = {
        .start = start, .wait = wait, .arrange = arrange, .settle = settle, .own = saving};
    struct checkpoint checkpoint = {
        .position = {.step = resume->step,
                     .epoch = resume->step / saving->lr_schedule->steps_per_epoch,
                     .is_final = is_final},
        .tensor_count = 2 * net->param_count};
    checkpoint.tensors = list_tensors(saving);
    snprintf(checkpoint.position.stage, sizeof checkpoint.position.stage, "%s",
             saving->of->blueprint->plan.stages[saving->stage].name);
    fill_meta(saving, resume, key, dataset, &checkpoint.meta);
    TRY(checkpoint_save_arranged(saving->of->store, &checkpoint, &arranging));
out:
    mem_free(checkpoint.tensors); /* meta and values are borrowed: no checkpoint_fini */
    return err;
}
