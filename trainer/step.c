#include "trainer/step.h"
#include "base/mem.h"
#include "trainer/memory.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* What a leaf reports beside its gradient; behind these one counter for each leaf. */
enum { NUMBER_LOSS, NUMBER_DISTIL, NUMBER_CORRECT, NUMBER_PASSES, NUMBERS };

#define LAYER_BYTES 128

struct step {
    struct step_cfg cfg;
    int leaves, next; /* next leaf of this rank */
    uint64_t computed;
    struct pass *pass, *evaluation_pass; /* in one block of memory */
    struct tree_sum *gradients, *numbers;
    float *momentum;           /* device (weight_count) */
    float *gradient;           /* device (weight_count); NULL where host memory is device memory */
    float *dlogits;            /* device (micro,classes) */
    char culprit[LAYER_BYTES]; /* first layer of this rank that was not finite in this step */
};

static enum err create_passes(struct step *step)
{
    enum err err = ERR_OK;
    struct pass *passes[2];
    const struct space *space = step->cfg.net->space;
    int side = space->resolutions[space->resolution_count - 1];
    int micro = step->cfg.campaign->batch.micro, evaluation = step->cfg.evaluation_batch;
    const struct pass_room rooms[2] = {
        {micro, side, PASS_TRAIN},
        {evaluation > micro ? evaluation : micro, side, PASS_BATCH_NORM}};
    TRY(pass_create_shared(step->cfg.net, rooms, passes));
    step->pass = passes[0];
    step->evaluation_pass = passes[1];
out:
    return err;
}

enum err step_create(const struct step_cfg *cfg, struct step **result)
{
    enum err err = ERR_OK;
    struct supernet *net = cfg->net;
    const struct space *space = net->space;
    int micro = cfg->campaign->batch.micro;
    struct step *step = mem_alloc(sizeof *step);
    *step = (struct step){.cfg = *cfg, .leaves = cfg->campaign->batch.global / micro};
    if (cfg->comm->size > step->leaves)
        TRY(err_set(ERR_CONFIG,
                    "%d ranks for %d micro-batches: lower resources.ranks or batch.micro",
                    cfg->comm->size, step->leaves));
    step->next = comm_first(step->leaves, cfg->comm->size, cfg->comm->rank);
    TRY(create_passes(step));
    TRY(tree_sum_create(cfg->comm, step->leaves, net->weight_count, false, &step->gradients));
    TRY(tree_sum_create(cfg->comm, step->leaves, NUMBERS + (size_t)step->leaves, true,
                        &step->numbers));
    TRY(memory_array(net->device, net->weight_count, sizeof(float), (void **)&step->momentum));
    if (!memory_is_shared(net->device))
        TRY(memory_array(net->device, net->weight_count, sizeof(float), (void **)&step->gradient));
    TRY(memory_array(net->device, (size_t)micro * (size_t)space->classes, sizeof(float),
                     (void **)&step->dlogits));
    *result = step;
    step = NULL;
out:
    step_destroy(&step);
    return err;
}

void step_destroy(struct step **pointer)
{
    struct step *step = *pointer;
    if (!step)
        return;
    struct device *device = step->cfg.net->device;
    pass_destroy(&step->pass);
    pass_destroy(&step->evaluation_pass);
    tree_sum_destroy(&step->gradients);
    tree_sum_destroy(&step->numbers);
    memory_free(device, step->momentum);
    memory_free(device, step->gradient);
    memory_free(device, step->dlogits);
    mem_free(step);
    *pointer = NULL;
}

float *step_momentum(struct step *step)
{
    return step->momentum;
}

struct pass *step_evaluation_pass(struct step *step)
{
    return step->evaluation_pass;
}

uint64_t step_computed(const struct step *step)
{
    return step->computed;
}

/* Remembers where a loss that is not finite came from; the gang hears of it in step_update. */
static void blame(struct step *step)
{
    const char *who = "";
    const char *layer = supernet_find_nonfinite(step->cfg.net, step->pass);
    if (!layer && step->cfg.teacher) {
        layer = distil_find_nonfinite(step->cfg.teacher);
        who = layer ? "the teacher's " : "";
    }
    if (step->culprit[0] == '\0')
        snprintf(step->culprit, sizeof step->culprit, "%s%s", who, layer ? layer : "the loss");
}

/* Loss and its gradient of one sub-network on one leaf; adds to the leaf's numbers. */
static void take_loss(struct step *step, const struct fed *fed, const float *logits,
                      const float *soft, double *numbers)
{
    const struct campaign *campaign = step->cfg.campaign;
    struct device *device = step->cfg.net->device;
    double loss_sum = 0, distil_sum = 0;
    int64_t correct = 0, ignored = 0;
    struct loss loss = {.N = fed->host.N,
                        .K = step->cfg.net->space->classes,
                        .logits = logits,
                        .labels = fed->labels,
                        .teacher_logits = soft,
                        .smoothing = (float)campaign->optimiser.smoothing,
                        .label_weight = 1,
                        .distil_weight = soft ? (float)campaign->distil.ratio : 0,
                        .divisor = (float)campaign->batch.global};
    device->ops->loss_forward(device, &loss, step->dlogits, &loss_sum, &correct);
    if (soft) { /* its share alone, for the curves: the logits are small */
        loss.label_weight = 0;
        loss.distil_weight = 1;
        device->ops->loss_forward(device, &loss, NULL, &distil_sum, &ignored);
    }
    numbers[NUMBER_LOSS] += loss_sum;
    numbers[NUMBER_DISTIL] += distil_sum;
    numbers[NUMBER_CORRECT] += (double)correct;
    numbers[NUMBER_PASSES] += fed->host.N;
    if (!isfinite(loss_sum))
        blame(step);
}

/* Sub-network `index` of the step on one leaf: its gradient is added. */
static enum err run_subnet(struct step *step, uint64_t schedule_step, int index,
                           const struct fed *fed, const float *soft, float *gradient,
                           double *numbers)
{
    enum err err = ERR_OK;
    const struct campaign *campaign = step->cfg.campaign;
    struct supernet *net = step->cfg.net;
    struct subnet subnet;
    const float *logits = NULL;
    subnet_sample(net->space, &step->cfg.phase->open, campaign->seed, schedule_step, index,
                  &subnet);
    subnet.resolution = fed->host.resolution;
    /* every sub-network of the step drops its own features: their images are numbered one after
     * another */
    uint64_t image = (uint64_t)index * (uint64_t)campaign->batch.global +
                     (uint64_t)step->next * (uint64_t)campaign->batch.micro;
    struct forward forward = {.subnet = &subnet,
                              .weights = net->weights,
                              .images = fed->images,
                              .N = fed->host.N,
                              .mode = PASS_TRAIN,
                              .dropout = (float)campaign->optimiser.dropout,
                              .seed = campaign->seed,
                              .step = schedule_step,
                              .first_image = image};
    TRY(supernet_forward(net, step->pass, &forward, &logits));
    take_loss(step, fed, logits, soft, numbers);
    supernet_backward(net, step->pass, &forward, step->dlogits, gradient);
out:
    return err;
}

enum err step_leaf(struct step *step, uint64_t schedule_step, const struct fed *fed)
{
    enum err err = ERR_OK;
    struct supernet *net = step->cfg.net;
    struct device *device = net->device;
    float *leaf = tree_sum_leaf(step->gradients);
    double *numbers = tree_sum_leaf(step->numbers);
    float *gradient = step->gradient ? step->gradient : leaf;
    const float *soft = NULL;
    if (step->gradient)
        device->ops->zero(device, net->weight_count * sizeof(float), step->gradient);
    if (step->cfg.teacher)
        TRY(distil_logits(step->cfg.teacher, fed->images, fed->host.N, fed->host.resolution,
                          &soft));
    for (int index = 0; index < step->cfg.phase->subnets_per_step; index++)
        TRY(run_subnet(step, schedule_step, index, fed, soft, gradient, numbers));
    if (step->gradient)
        device->ops->download(device, leaf, step->gradient, net->weight_count * sizeof(float));
    device->ops->sync(device);
    numbers[NUMBERS + step->next] += 1;
    tree_sum_close_leaf(step->gradients);
    tree_sum_close_leaf(step->numbers);
    step->next++;
    step->computed++;
out:
    return err;
}

/* The layer that the lowest rank with a culprit names. Collective; only on the way out. */
static enum err find_culprit(struct step *step, char layer[LAYER_BYTES])
{
    enum err err = ERR_OK;
    struct comm *comm = step->cfg.comm;
    size_t size = (size_t)comm->size;
    char *all = mem_array(size, LAYER_BYTES);
    size_t *numbers = mem_array(2 * size, sizeof *numbers);
    for (size_t rank = 0; rank < size; rank++) {
        numbers[rank] = 1;
        numbers[size + rank] = rank;
    }
    TRY(comm->gather_all(comm, step->culprit, all, numbers, numbers + size, LAYER_BYTES));
    snprintf(layer, LAYER_BYTES, "an unknown layer");
    for (size_t rank = size; rank-- > 0;)
        if (all[rank * LAYER_BYTES] != '\0')
            memcpy(layer, all + rank * LAYER_BYTES, LAYER_BYTES);
out:
    mem_free(numbers);
    mem_free(all);
    return err;
}

static const char *param_at(const struct supernet *net, size_t element)
{
    for (int i = 0; i < net->param_count; i++) {
        const struct param *param = &net->params[i];
        if (param->offset <= element && element < param->offset + param->count)
            return param->name;
    }
    return "no parameter";
}

static enum err check_finite(struct step *step, double loss, const float *gradient)
{
    enum err err = ERR_OK;
    struct supernet *net = step->cfg.net;
    char layer[LAYER_BYTES];
    if (!isfinite(loss)) {
        TRY(find_culprit(step, layer));
        TRY(err_set(ERR_NUMERIC, "the loss is not finite, first at %s; lower the rate", layer));
    }
    size_t bad = net->device->ops->find_nonfinite(net->device, net->weight_count, gradient);
    if (bad < net->weight_count)
        TRY(err_set(ERR_NUMERIC, "the gradient of %s is not finite; lower the rate",
                    param_at(net, bad)));
out:
    return err;
}

/* Decay on the first decayed_count weights only; both act whether a weight was touched or not. */
static void update_weights(struct step *step, const float *gradient, double rate)
{
    struct supernet *net = step->cfg.net;
    const struct campaign *campaign = step->cfg.campaign;
    size_t decayed = net->decayed_count;
    struct sgd sgd = {.count = decayed,
                      .w = net->weights,
                      .v = step->momentum,
                      .g = gradient,
                      .rate = (float)rate,
                      .momentum = (float)campaign->optimiser.momentum,
                      .decay = (float)campaign->optimiser.decay,
                      .is_nesterov = true};
    net->device->ops->sgd_step(net->device, &sgd);
    sgd.count = net->weight_count - decayed;
    sgd.w += decayed;
    sgd.v += decayed;
    sgd.g += decayed;
    sgd.decay = 0;
    net->device->ops->sgd_step(net->device, &sgd);
    net->device->ops->sync(net->device);
}

enum err step_update(struct step *step, double rate, struct step_result *result)
{
    enum err err = ERR_OK;
    struct supernet *net = step->cfg.net;
    struct comm *comm = step->cfg.comm;
    const void *total = NULL, *totals = NULL;
    TRY(tree_sum_total(step->numbers, &totals));
    TRY(tree_sum_total(step->gradients, &total));
    step->next = comm_first(step->leaves, comm->size, comm->rank);
    const double *numbers = totals;
    const float *gradient = total;
    for (int leaf = 0; leaf < step->leaves; leaf++)
        if (numbers[NUMBERS + leaf] < 1 || numbers[NUMBERS + leaf] > 1)
            BUG("micro-batch %d computed %g times", leaf, numbers[NUMBERS + leaf]);
    if (step->gradient) {
        net->device->ops->upload(net->device, step->gradient, total,
                                 net->weight_count * sizeof(float));
        gradient = step->gradient;
    }
    TRY(check_finite(step, numbers[NUMBER_LOSS], gradient));
    update_weights(step, gradient, rate);
    result->loss = numbers[NUMBER_LOSS] / numbers[NUMBER_PASSES];
    result->distil = numbers[NUMBER_DISTIL] / numbers[NUMBER_PASSES];
    result->accuracy = numbers[NUMBER_CORRECT] / numbers[NUMBER_PASSES];
out:
    return err;
}
