#include "trainer/train/step.h"
#include "base/mem.h"
#include "kernels/memory.h"

/* A flaw's pass: leaf, then teacher or sub-network; above all of them the gradient, whose code
 * counts its elements. */
enum { PASS_TEACHER = 0, PASS_SUBNET = 1, PASSES_PER_LEAF = 256, LAST_LEAF = (1 << 14) - 2 };
#define FLAW_GRADIENT ((uint64_t)((1 << 22) - 1) << FLAW_PASS_SHIFT)

/* What the host reads of a step, all at once. */
struct report {
    double sums[LOSS_SUMS];
    uint64_t flaw;
};

struct step {
    struct step_cfg cfg;
    int leaves, next; /* next leaf of this rank */
    uint64_t computed;
    struct activation_arena *arena, *evaluation_pass; /* in one block of memory */
    struct tree_sum *gradients, *numbers;
    float *momentum;       /* device (weight_count) */
    float *dlogits;        /* device (micro,classes) */
    struct report *report; /* device */
};

static enum err create_passes(struct step *step)
{
    enum err err = ERR_OK;
    struct activation_arena *passes[2];
    const struct space *space = step->cfg.net->space;
    int side = space->resolutions[space->resolution_count - 1];
    int micro = step->cfg.campaign->batch.micro, evaluation = step->cfg.evaluation_batch;
    const struct activation_room rooms[2] = {
        {micro, side, PASS_TRAIN},
        {evaluation > micro ? evaluation : micro, side, PASS_BATCH_NORM}};
    TRY(activation_arena_create_shared(step->cfg.net, rooms, passes));
    step->arena = passes[0];
    step->evaluation_pass = passes[1];
out:
    return err;
}

static enum err create_sums(struct step *step)
{
    enum err err = ERR_OK;
    struct tree_sum_cfg cfg = {.comm = step->cfg.comm,
                               .on_device = step->cfg.device_comm,
                               .leaves = step->leaves,
                               .count = step->cfg.net->weight_count};
    TRY(tree_sum_create(&cfg, &step->gradients));
    cfg.count = LOSS_SUMS;
    cfg.is_double = true;
    TRY(tree_sum_create(&cfg, &step->numbers));
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
    TRY(create_sums(step));
    TRY(memory_array(net->device, net->weight_count, sizeof(float), (void **)&step->momentum));
    TRY(memory_array(net->device, (size_t)micro * (size_t)space->classes, sizeof(float),
                     (void **)&step->dlogits));
    TRY(memory_array(net->device, 1, sizeof *step->report, (void **)&step->report));
    net->device->ops->set_word(net->device, FLAW_NONE, &step->report->flaw);
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
    activation_arena_destroy(&step->arena);
    activation_arena_destroy(&step->evaluation_pass);
    tree_sum_destroy(&step->gradients);
    tree_sum_destroy(&step->numbers);
    memory_free(device, step->momentum);
    memory_free(device, step->dlogits);
    memory_free(device, step->report);
    mem_free(step);
    *pointer = NULL;
}

float *step_momentum(struct step *step)
{
    return step->momentum;
}

struct activation_arena *step_evaluation_arena(struct step *step)
{
    return step->evaluation_pass;
}

uint64_t step_computed(const struct step *step)
{
    return step->computed;
}

/* Where the pass in hand notes what is not finite: ordered by leaf, then teacher before
 * sub-networks.
 */
static struct flaw flaw_of(const struct step *step, int pass)
{
    uint64_t leaf = (uint64_t)(step->next < LAST_LEAF ? step->next : LAST_LEAF);
    uint64_t who = (uint64_t)(pass < PASSES_PER_LEAF ? pass : PASSES_PER_LEAF - 1);
    return (struct flaw){&step->report->flaw, (leaf * PASSES_PER_LEAF + who) << FLAW_PASS_SHIFT};
}

/* Loss and its gradient of one sub-network on one leaf; adds to the leaf's numbers. */
static void take_loss(struct step *step, const struct prefetched *prefetched, const float *logits,
                      const float *soft, double *sums, struct flaw flaw)
{
    const struct campaign *campaign = step->cfg.campaign;
    const struct supernet *net = step->cfg.net;
    struct loss loss = {.N = prefetched->host.N,
                        .K = net->space->classes,
                        .logits = logits,
                        .labels = prefetched->labels,
                        .teacher_logits = soft,
                        .smoothing = (float)campaign->optimiser.smoothing,
                        .label_weight = 1,
                        .distil_weight = soft ? (float)campaign->distil.ratio : 0,
                        .divisor = (float)campaign->batch.global,
                        .sums = sums,
                        .flaw = supernet_flaw(&flaw, net->norm_count + 2)};
    net->device->ops->loss_forward(net->device, &loss, step->dlogits);
}

struct leaf {        /* where one goes, device */
    float *gradient; /* (weight_count) */
    double *sums;    /* (LOSS_SUMS) */
};

/* Sub-network `index` of the step on one leaf: its gradient is added. */
static enum err run_subnet(struct step *step, uint64_t schedule_step, int index,
                           const struct prefetched *prefetched, const float *soft,
                           const struct leaf *leaf)
{
    enum err err = ERR_OK;
    const struct campaign *campaign = step->cfg.campaign;
    struct supernet *net = step->cfg.net;
    struct subnet subnet;
    const float *logits = NULL;
    subnet_sample(net->space, &step->cfg.phase->open, campaign->seed, schedule_step, index,
                  &subnet);
    subnet.resolution = prefetched->host.resolution;
    /* every sub-network of the step drops its own features: their images are numbered one after
     * another */
    uint64_t image = (uint64_t)index * (uint64_t)campaign->batch.global +
                     (uint64_t)step->next * (uint64_t)campaign->batch.micro;
    struct forward forward = {.subnet = &subnet,
                              .weights = net->weights,
                              .shadow = net->shadow,
                              .images = prefetched->images,
                              .N = prefetched->host.N,
                              .mode = PASS_TRAIN,
                              .dropout = (float)campaign->optimiser.dropout,
                              .seed = campaign->seed,
                              .step = schedule_step,
                              .first_image = image,
                              .flaw = flaw_of(step, PASS_SUBNET + index)};
    TRY(supernet_forward(net, step->arena, &forward, &logits));
    take_loss(step, prefetched, logits, soft, leaf->sums, forward.flaw);
    supernet_backward(net, step->arena, &forward, step->dlogits, leaf->gradient);
out:
    return err;
}

enum err step_leaf(struct step *step, uint64_t schedule_step, const struct prefetched *prefetched)
{
    enum err err = ERR_OK;
    struct leaf leaf = {tree_sum_leaf(step->gradients), tree_sum_leaf(step->numbers)};
    const float *soft = NULL;
    if (step->cfg.teacher)
        TRY(teacher_logits(step->cfg.teacher, prefetched, flaw_of(step, PASS_TEACHER), &soft));
    for (int index = 0; index < step->cfg.phase->subnets_per_step; index++)
        TRY(run_subnet(step, schedule_step, index, prefetched, soft, &leaf));
    tree_sum_close_leaf(step->gradients);
    tree_sum_close_leaf(step->numbers);
    step->next++;
    step->computed++;
out:
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

static enum err explain(const struct step *step, uint64_t flaw)
{
    const struct supernet *net = step->cfg.net;
    if (flaw >= FLAW_GRADIENT)
        return err_set(ERR_NUMERIC, "the gradient of %s is not finite; lower the rate",
                       param_at(net, (size_t)(flaw - FLAW_GRADIENT)));
    bool is_teacher = (flaw >> FLAW_PASS_SHIFT) % PASSES_PER_LEAF == PASS_TEACHER;
    return err_set(ERR_NUMERIC, "the loss is not finite, first at %s%s; lower the rate",
                   is_teacher ? "the teacher's " : "", supernet_flaw_name(net, flaw));
}

/* Segment by segment; momentum and decay act whether a weight was touched in this step or not. */
static void update_weights(struct step *step, float *gradient, double rate)
{
    struct supernet *net = step->cfg.net;
    const struct campaign *campaign = step->cfg.campaign;
    const double decays[SEGMENTS] = {[SEGMENT_WEIGHTS] = campaign->optimiser.decay,
                                     [SEGMENT_MATRICES] = campaign->optimiser.matrix_decay};
    struct sgd sgd = {.w = net->weights,
                      .v = step->momentum,
                      .g = gradient,
                      .shadow = net->shadow,
                      .rate = (float)rate,
                      .momentum = (float)campaign->optimiser.momentum,
                      .is_nesterov = true,
                      .flaw = &step->report->flaw};
    for (int i = 0; i < SEGMENTS; i++) {
        const struct segment *segment = &net->segments[i];
        if (i == SEGMENT_MATRICES && !step->cfg.trains_matrices)
            net->device->ops->zero(net->device, segment->count * sizeof *gradient,
                                   gradient + segment->offset); /* as the update leaves it */
        else
            sgd.segments[sgd.segment_count++] =
                (struct sgd_segment){segment->offset, segment->count, (float)decays[i]};
    }
    net->device->ops->sgd_step(net->device, &sgd);
}

/* The one moment of a step at which the host waits for the device. */
static enum err read_report(struct step *step, const double *sums, struct report *report)
{
    enum err err = ERR_OK;
    struct device *device = step->cfg.net->device;
    device->ops->copy(device, sizeof report->sums, sums, step->report->sums);
    TRY(device->ops->download(device, report, step->report, sizeof *report));
    device->ops->set_word(device, FLAW_NONE, &step->report->flaw);
out:
    return err;
}

enum err step_update(struct step *step, double rate, struct step_result *result)
{
    enum err err = ERR_OK;
    struct supernet *net = step->cfg.net;
    struct device_comm *comm = step->cfg.device_comm;
    uint64_t *flaw = &step->report->flaw;
    void *gradient = NULL, *sums = NULL;
    struct report report;
    TRY(tree_sum_total(step->numbers, &sums));
    TRY(tree_sum_total(step->gradients, &gradient));
    step->next = comm_first(step->leaves, comm->size, comm->rank);
    net->device->ops->find_nonfinite(net->device, net->weight_count, gradient,
                                     (struct flaw){flaw, FLAW_GRADIENT});
    TRY(comm->least(comm, flaw));
    update_weights(step, gradient, rate);
    TRY(read_report(step, sums, &report));
    if (report.flaw != FLAW_NONE)
        TRY(explain(step, report.flaw));
    tree_sum_cleared(step->gradients);
    double images = report.sums[LOSS_IMAGES];
    if (images != (double)step->cfg.campaign->batch.global * step->cfg.phase->subnets_per_step)
        BUG("a step of %g images", images);
    result->loss = report.sums[LOSS_TOTAL] / images;
    result->distil = report.sums[LOSS_DISTIL] / images;
    result->accuracy = report.sums[LOSS_CORRECT] / images;
out:
    return err;
}
