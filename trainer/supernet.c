#include "trainer/supernet.h"
#include "base/mem.h"
#include "trainer/pass.h"
#include <math.h>

enum err supernet_create(const struct space *space, struct device *device, struct supernet **result)
{
    enum err err = ERR_OK;
    void *memory = NULL; /* three arrays that net takes one by one */
    struct supernet *net = mem_alloc(sizeof *net);
    net->space = space;
    net->device = device;
    wiring_build(net);
    TRY(device->ops->alloc(device, net->weight_count * sizeof(float), &memory));
    net->weights = memory;
    TRY(device->ops->alloc(device, net->statistic_count * sizeof(float), &memory));
    net->means = memory;
    TRY(device->ops->alloc(device, net->statistic_count * sizeof(float), &memory));
    net->variances = memory;
    *result = net;
    net = NULL;
out:
    supernet_destroy(&net);
    return err;
}

void supernet_describe(const struct space *space, struct supernet **result)
{
    struct supernet *net = mem_alloc(sizeof *net);
    net->space = space;
    wiring_build(net);
    *result = net;
}

static void free_tensors(struct supernet *net)
{
    const struct device_ops *ops = net->device->ops;
    ops->free(net->device, net->weights);
    ops->free(net->device, net->means);
    ops->free(net->device, net->variances);
}

void supernet_destroy(struct supernet **net)
{
    if (!net || !*net)
        return;
    if ((*net)->device)
        free_tensors(*net);
    mem_free((*net)->params);
    mem_free((*net)->norms);
    mem_free((*net)->wiring);
    mem_free(*net);
    *net = NULL;
}

static enum err check_forward(const struct supernet *net, const struct pass *pass,
                              const struct forward *forward)
{
    enum err err = ERR_OK;
    TRY(subnet_check(net->space, forward->subnet));
    if (forward->subnet->resolution < 1 || forward->subnet->resolution > pass->resolution)
        TRY(err_set(ERR_CONFIG, "images of %d pixels, this pass has room for 1 to %d",
                    forward->subnet->resolution, pass->resolution));
    if (forward->N < 1 || forward->N > pass->N)
        TRY(err_set(ERR_CONFIG, "a batch of %d images, this pass has room for 1 to %d", forward->N,
                    pass->N));
    if (forward->mode == PASS_TRAIN && pass->mode != PASS_TRAIN)
        BUG("a training forward in a pass made for forward only");
    if (forward->mode == PASS_FIXED && !net->has_statistics)
        TRY(err_set(ERR_DATA, "the batch norms have no statistics: calibrate this sub-network or "
                              "import weights with running statistics first"));
out:
    return err;
}

static struct run run_of(struct supernet *net, struct pass *pass, const struct forward *forward)
{
    struct run run = pass->shared;
    run.net = net;
    run.device = net->device;
    run.ops = net->device->ops;
    run.forward = forward;
    run.poison = &pass->poison;
    return run;
}

static struct map forward_stem(struct run *run, struct pass *pass)
{
    const struct space *space = run->net->space;
    int r = run->forward->subnet->resolution;
    struct layer *stem = &pass->stem;
    stem->conv = (struct conv){.in = {.N = run->forward->N, .H = r, .W = r, .C = space->channels},
                               .K = space->stem_width,
                               .R = 3,
                               .S = space->stem_stride,
                               .ld = stem->slot->ld};
    pass->image = (struct view){.z = run->forward->images, .act = ACT_NONE};
    layer_forward(run, stem, pass->image, run->forward->weights + stem->slot->weight);
    return (struct map){.dims = conv_out(&stem->conv), .view = layer_view(stem), .branch = stem};
}

static struct block_shape shape_of(const struct supernet *net, const struct subnet *subnet, int b)
{
    if (b == 0) /* the first block is the same in every sub-network */
        return (struct block_shape){.middle = net->wiring->blocks[0].middle, .R = 3};
    const struct block_spec *spec = &net->space->blocks[b - 1];
    return (struct block_shape){.middle = space_middle(spec, subnet->expansion[b - 1]),
                                .R = subnet->kernel[b - 1]};
}

struct calibration_visit {
    struct run *run;
    struct pass *pass;
};

static bool add_calibration(void *user, struct layer *layer)
{
    const struct calibration_visit *visit = user;
    const struct supernet *net = visit->run->net;
    const struct forward *forward = visit->run->forward;
    const double *sums = visit->pass->host_sums;
    const struct norm_slot *slot = &net->norms[layer->slot->norm];
    int C = layer->conv.K;
    net->device->ops->download(net->device, visit->pass->host_sums, layer->sums,
                               2 * (size_t)C * sizeof *sums);
    for (int c = 0; c < C; c++) {
        forward->calibration[slot->statistic + (size_t)c] += sums[c];
        forward->calibration[net->statistic_count + slot->statistic + (size_t)c] += sums[C + c];
    }
    if (forward->calibration_counts) {
        struct dims out = conv_out(&layer->conv);
        forward->calibration_counts[layer->slot->norm] += (double)out.N * out.H * out.W;
    }
    return true;
}

enum err supernet_forward(struct supernet *net, struct pass *pass, const struct forward *forward,
                          const float **logits)
{
    enum err err = ERR_OK;
    struct run run = run_of(net, pass, forward);
    TRY(check_forward(net, pass, forward));
    poison_begin(&pass->poison);
    pass->last = forward->mode;
    pass->N_last = forward->N;
    pass->memory->maps_of = forward->mode == PASS_TRAIN ? pass : NULL;
    pass->active_count = 0;
    struct map map = forward_stem(&run, pass);
    for (int b = 0; b < pass->block_count; b++) {
        if (b > 0 && !subnet_has_block(net->space, forward->subnet, b - 1))
            continue;
        block_forward(&run, &pass->blocks[b], &map, shape_of(net, forward->subnet, b));
        map = pass->blocks[b].output;
        pass->active[pass->active_count++] = b;
    }
    head_forward(&run, &pass->head, &map);
    if (forward->calibration && forward->mode != PASS_FIXED)
        pass_visit_layers(pass, net->space, add_calibration,
                          &(struct calibration_visit){&run, pass});
    *logits = pass->head.logits;
out:
    return err;
}

void supernet_backward(struct supernet *net, struct pass *pass, const struct forward *forward,
                       const float *dlogits, float *gradient)
{
    if (pass->memory->maps_of != pass)
        BUG("a backward without a training forward in front of it");
    pass->memory->maps_of = NULL; /* gradients take the place of maps: there is no second one */
    struct run run = run_of(net, pass, forward);
    run.gradient = gradient;
    const float *q = head_backward(&run, &pass->head, dlogits,
                                   pass->blocks[pass->active[pass->active_count - 1]].q);
    for (int i = pass->active_count - 1; i >= 0; i--) {
        float *q_in = i > 0 ? pass->blocks[pass->active[i - 1]].q : pass->q_stem;
        block_backward(&run, &pass->blocks[pass->active[i]], q, q_in);
        q = q_in;
    }
    layer_backward(&run, &pass->stem, q, pass->image, forward->weights + pass->stem.slot->weight,
                   gradient + pass->stem.slot->weight, NULL);
}

struct nonfinite_visit {
    const struct supernet *net;
    struct pass *pass;
    const char *name;
};

/* A map that is not finite makes its sums so, and sums are kept when maps are not. */
static bool look_at_sums(void *user, struct layer *layer)
{
    struct nonfinite_visit *visit = user;
    double *sums = visit->pass->host_sums;
    int C = layer->conv.K;
    visit->net->device->ops->download(visit->net->device, sums, layer->sums,
                                      2 * (size_t)C * sizeof *sums);
    for (int c = 0; c < 2 * C; c++)
        if (!isfinite(sums[c])) {
            visit->name = visit->net->norms[layer->slot->norm].name;
            return false;
        }
    return true;
}

static bool is_finite(const struct supernet *net, size_t count, const float *x)
{
    return net->device->ops->find_nonfinite(net->device, count, x) == count;
}

const char *supernet_find_nonfinite(struct supernet *net, struct pass *pass)
{
    struct nonfinite_visit visit = {.net = net, .pass = pass};
    const struct space *space = net->space;
    size_t N = (size_t)pass->N_last;
    if (pass->last != PASS_FIXED)
        pass_visit_layers(pass, space, look_at_sums, &visit);
    if (visit.name)
        return visit.name;
    if (space->mix_width && !is_finite(net, N * (size_t)space->mix_width, pass->head.mixed))
        return "feature_mix_layer";
    return is_finite(net, N * (size_t)space->classes, pass->head.logits) ? NULL
                                                                         : "classifier.linear";
}
