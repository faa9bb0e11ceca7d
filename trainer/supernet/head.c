#include "trainer/supernet/head.h"

static struct conv linear(int N, int C, int K)
{
    return (struct conv){.in = {.N = N, .H = 1, .W = 1, .C = C}, .K = K, .R = 1, .S = 1, .ld = C};
}

static bool is_residual_sum(const struct map *map)
{
    return map->view.scale == NULL;
}

static void pool(struct run *run, struct head *head)
{
    const struct map *map = &head->pooled;
    const float *mean = map->branch->norm.mean;
    bool is_training = run->forward->mode == PASS_TRAIN;
    double *sums = is_training ? head->pool_sums : NULL;
    if (!is_residual_sum(map)) {
        run->ops->pool_forward(run->device, map->dims, map->view, mean, head->pool, sums);
        return;
    }
    run->ops->pool_forward(run->device, map->dims, map->view, NULL, head->pool, NULL);
    /* the backward wants the sums of the branch whose norm the gradient meets first */
    if (is_training)
        run->ops->pool_forward(run->device, map->dims, layer_view(map->branch), mean,
                               head->branch_pool, sums);
}

void head_forward(struct run *run, struct head *head, const struct map *input)
{
    const struct space *space = run->net->space;
    const struct param_table *param_table = run->net->param_table;
    const struct forward *forward = run->forward;
    head->input = *input;
    head->pooled = *input;
    if (space->expand_width) {
        head->expand.conv = (struct conv){.in = input->dims,
                                          .K = space->expand_width,
                                          .R = 1,
                                          .S = 1,
                                          .ld = param_table->expand.ld};
        layer_forward(run, &head->expand, input->view,
                      run_conv_weight(run, param_table->expand.weight));
        head->pooled = (struct map){.dims = conv_out(&head->expand.conv),
                                    .view = layer_view(&head->expand),
                                    .branch = &head->expand};
    }
    poison_until(run->poison, run->turn);
    pool(run, head);
    head->features = (struct view){.z = head->pool, .act = ACT_NONE};
    if (space->mix_width) {
        struct conv mix = linear(forward->N, param_table->pooled, space->mix_width);
        run->ops->linear_forward(run->device, &mix, head->features,
                                 forward->weights + param_table->mix, NULL, head->mixed);
        head->features = (struct view){.z = head->mixed, .act = space->mix_act};
    }
    if (forward->mode == PASS_TRAIN && forward->dropout > 0) {
        run->ops->dropout_mask(run->device, forward->N, param_table->features, forward->dropout,
                               forward->seed, forward->step,
                               forward->first_image * (uint64_t)param_table->features, head->mask);
        head->features.gate = head->mask;
    }
    struct conv classifier = linear(forward->N, param_table->features, space->classes);
    run->ops->linear_forward(run->device, &classifier, head->features,
                             forward->weights + param_table->classifier_w,
                             forward->weights + param_table->classifier_b, head->logits);
}

/* Down to the gradient of the pooled vector. */
static const float *linear_backward(struct run *run, struct head *head, const float *dlogits)
{
    const struct space *space = run->net->space;
    const struct param_table *param_table = run->net->param_table;
    const float *weights = run->forward->weights;
    struct conv classifier = linear(run->forward->N, param_table->features, space->classes);
    run->ops->linear_backward(run->device, &classifier, dlogits, head->features,
                              weights + param_table->classifier_w, head->dfeatures,
                              run->gradient + param_table->classifier_w,
                              run->gradient + param_table->classifier_b);
    if (!space->mix_width)
        return head->dfeatures;
    struct conv mix = linear(run->forward->N, param_table->pooled, space->mix_width);
    struct view pooled = {.z = head->pool, .act = ACT_NONE};
    run->ops->linear_backward(run->device, &mix, head->dfeatures, pooled,
                              weights + param_table->mix, head->dpool,
                              run->gradient + param_table->mix, NULL);
    return head->dpool;
}

const void *head_backward(struct run *run, struct head *head, const float *dlogits, void *q)
{
    const struct param_table *param_table = run->net->param_table;
    const float *dpool = linear_backward(run, head, dlogits);
    struct layer *branch = head->pooled.branch;
    struct pool_grad pooled = {.dpooled = dpool,
                               .pool_sums = head->pool_sums,
                               .p = head->p,
                               .sums = branch->grad_sums,
                               .norm = layer_norm_backward(run, branch)};
    run->ops->pool_backward(run->device, head->pooled.dims, &pooled);
    if (run->net->space->expand_width) {
        branch->p = head->p;
        struct grad_sink sink = map_sink(run, &head->input, q, NULL);
        layer_backward(run, branch, NULL, head->input.view,
                       run_conv_weight(run, param_table->expand.weight),
                       run->gradient + param_table->expand.weight, &sink);
        return q;
    }
    if (!is_residual_sum(&head->input)) {
        branch->p = head->p;
        return NULL;
    }
    /* The shortcut wants the gradient as a map: p everywhere, spelled as views of what is there. */
    struct view spread = {.z = head->input.view.z,
                          .scale = run->zeros,
                          .shift = run->ones,
                          .gate = head->p,
                          .act = ACT_NONE};
    struct view nothing = {.z = spread.z, .scale = run->zeros, .shift = run->zeros};
    run->ops->residual_forward(run->device, head->input.dims, spread, nothing, q);
    return q;
}
