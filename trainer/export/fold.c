#include "trainer/export/fold.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Everything fold needs at hand: host copies of the statistics, and the network it grows. */
struct fold {
    const struct supernet *net;
    const struct subnet *subnet;
    struct folded *out;
    struct arena *scratch;
    float *means, *variances; /* (statistic_count) */
    int side, channels;       /* of the map the next layer reads */
    int last;                 /* the layer that wrote it, or FOLDED_INPUT */
    enum err err;             /* the first trouble with a parameter */
};

/* A parameter in PyTorch order; a missing one is our bug: the supernet made the names. */
static const float *get_param(struct fold *fold, const char *prefix, const char *suffix,
                              const struct param **found)
{
    char name[160]; /* the longest prefix here is 127, the longest suffix 14 */
    snprintf(name, sizeof name, "%s%s", prefix, suffix);
    const struct param *param = supernet_find(fold->net, name);
    if (!param)
        BUG("fold: the supernet has no parameter %s", name);
    float *host = arena_alloc(fold->scratch, param->count * sizeof *host);
    if (fold->err == ERR_OK)
        fold->err = supernet_get_param(fold->net, fold->net->weights, param, host);
    if (found)
        *found = param;
    return host;
}

#define NO_BLOCK (-1)

static struct folded_layer *add_layer(struct fold *fold, enum folded_kind kind, int block,
                                      const char *part)
{
    struct folded_layer *layer = &fold->out->layers[fold->out->count];
    layer->kind = kind;
    if (block == NO_BLOCK)
        snprintf(layer->name, sizeof layer->name, "%s", part);
    else
        snprintf(layer->name, sizeof layer->name, "block%d_%s", block, part);
    layer->input = fold->last;
    layer->H = layer->W = fold->side;
    layer->C = fold->channels;
    layer->groups = 1;
    layer->pad = fold->net->space->padding;
    layer->R = 1;
    layer->S = 1;
    fold->last = fold->out->count++;
    return layer;
}

/* The map behind a finished layer becomes what the next one reads. */
static void advance(struct fold *fold, const struct folded_layer *layer)
{
    fold->side = folded_side(layer);
    fold->channels = folded_channels(layer);
}

static void alloc_weights(struct fold *fold, struct folded_layer *layer)
{
    size_t taps = (size_t)(layer->C / layer->groups) * (size_t)(layer->R * layer->R);
    layer->w = arena_alloc(fold->out->arena, (size_t)layer->K * taps * sizeof *layer->w);
    layer->b = arena_alloc(fold->out->arena, (size_t)layer->K * sizeof *layer->b);
}

/* w (K, taps) in double is scaled by the batch norm `norm_name` and stored. */
static void fold_norm(struct fold *fold, struct folded_layer *layer, const char *norm_name,
                      const double *w)
{
    const struct supernet *net = fold->net;
    const struct norm_slot *slot = NULL;
    for (int i = 0; i < net->norm_count && !slot; i++)
        if (strcmp(net->norms[i].name, norm_name) == 0)
            slot = &net->norms[i];
    if (!slot)
        BUG("fold: the supernet has no batch norm %s", norm_name);
    const float *gamma = get_param(fold, norm_name, ".weight", NULL);
    const float *beta = get_param(fold, norm_name, ".bias", NULL);
    size_t taps = (size_t)(layer->C / layer->groups) * (size_t)(layer->R * layer->R);
    alloc_weights(fold, layer);
    for (int k = 0; k < layer->K; k++) {
        double scale =
            gamma[k] / sqrt(fold->variances[slot->statistic + (size_t)k] + net->space->norm_eps);
        layer->b[k] = (float)(beta[k] - fold->means[slot->statistic + (size_t)k] * scale);
        for (size_t t = 0; t < taps; t++)
            layer->w[(size_t)k * taps + t] = (float)(w[(size_t)k * taps + t] * scale);
    }
}

/* A dense convolution, first K rows and first C columns of the stored (K', C', R, R). */
static void fold_conv(struct fold *fold, struct folded_layer *layer, const char *prefix,
                      const char *norm_name)
{
    const struct param *param = NULL;
    const float *full = get_param(fold, prefix, ".weight", &param);
    size_t row = (size_t)layer->C * (size_t)(layer->R * layer->R);
    size_t full_row = (size_t)param->shape[1] * (size_t)(layer->R * layer->R);
    double *w = arena_alloc(fold->scratch, (size_t)layer->K * row * sizeof *w);
    for (int k = 0; k < layer->K; k++)
        for (size_t t = 0; t < row; t++)
            w[(size_t)k * row + t] = full[(size_t)k * full_row + t];
    fold_norm(fold, layer, norm_name, w);
    advance(fold, layer);
}

/* The centre of `from` (sides big and small, odd), then the matrix (small^2, small^2) or NULL. */
static void shrink_kernel(const double *from, int big, int small, const float *matrix, double *to)
{
    double centre[25];
    int start = big / 2 - small / 2, taps = small * small;
    for (int i = 0; i < taps; i++)
        centre[i] = from[(i / small + start) * big + i % small + start];
    for (int i = 0; i < taps; i++) {
        to[i] = matrix ? 0 : centre[i];
        for (int j = 0; matrix && j < taps; j++)
            to[i] += matrix[i * taps + j] * centre[j];
    }
}

/* The depthwise kernel of side R of the first K channels: 7 -> 5 -> 3 in a chain (OFA sec. 3.2). */
static void fold_depthwise(struct fold *fold, struct folded_layer *layer, const char *prefix,
                           const char *norm_name)
{
    const struct param *param = NULL;
    char name[128];
    snprintf(name, sizeof name, "%s.conv", prefix);
    const float *full = get_param(fold, name, ".weight", &param);
    int full_side = param->shape[2], taps = layer->R * layer->R;
    bool has_matrices = fold->net->space->has_kernel_transform && layer->R < full_side;
    const float *m75 =
        has_matrices && full_side == 7 ? get_param(fold, prefix, ".7to5_matrix", NULL) : NULL;
    const float *m53 =
        has_matrices && layer->R == 3 ? get_param(fold, prefix, ".5to3_matrix", NULL) : NULL;
    double *w = arena_alloc(fold->scratch, (size_t)(layer->K * taps) * sizeof *w);
    for (int k = 0; k < layer->K; k++) {
        double kernel[49], smaller[25];
        int side = full_side;
        for (int t = 0; t < side * side; t++)
            kernel[t] = full[k * side * side + t];
        for (; side > layer->R; side -= 2) {
            shrink_kernel(kernel, side, side - 2, side == 7 ? m75 : m53, smaller);
            memcpy(kernel, smaller, sizeof smaller);
        }
        memcpy(w + k * taps, kernel, (size_t)taps * sizeof *w);
    }
    fold_norm(fold, layer, norm_name, w);
    advance(fold, layer);
}

static void fold_se(struct fold *fold, int number, const char *block)
{
    char prefix[128];
    snprintf(prefix, sizeof prefix, "%s.depth_conv.se.fc", block);
    struct folded_layer *layer = add_layer(fold, FOLDED_SE, number, "se");
    struct arena *arena = fold->out->arena;
    int C = layer->C, hidden = space_hidden(fold->net->space, C);
    const struct param *reduce = NULL, *expand = NULL;
    const float *reduce_w = get_param(fold, prefix, ".reduce.weight", &reduce);
    const float *expand_w = get_param(fold, prefix, ".expand.weight", &expand);
    layer->hidden = hidden;
    layer->reduce_w = arena_alloc(arena, (size_t)(hidden * C) * sizeof(float));
    layer->expand_w = arena_alloc(arena, (size_t)(hidden * C) * sizeof(float));
    layer->reduce_b = arena_alloc(arena, (size_t)hidden * sizeof(float));
    layer->expand_b = arena_alloc(arena, (size_t)C * sizeof(float));
    memcpy(layer->reduce_b, get_param(fold, prefix, ".reduce.bias", NULL),
           (size_t)hidden * sizeof(float));
    memcpy(layer->expand_b, get_param(fold, prefix, ".expand.bias", NULL),
           (size_t)C * sizeof(float));
    for (int j = 0; j < hidden; j++)
        for (int c = 0; c < C; c++) {
            layer->reduce_w[j * C + c] = reduce_w[j * reduce->shape[1] + c];
            layer->expand_w[c * hidden + j] = expand_w[c * expand->shape[1] + j];
        }
}

/* Blue, green, red instead of red, green, blue. */
static void turn_channels(struct folded_layer *stem)
{
    int taps = stem->R * stem->R;
    for (int k = 0; k < stem->K; k++)
        for (int t = 0; t < taps; t++) {
            float *red = stem->w + k * stem->C * taps + t, *blue = red + 2 * taps, kept = *red;
            *red = *blue;
            *blue = kept;
        }
}

/* stem: conv 3x3, then the block without expansion. */
static void fold_stem(struct fold *fold)
{
    const struct space *space = fold->net->space;
    struct folded_layer *stem = add_layer(fold, FOLDED_CONV, NO_BLOCK, "stem");
    stem->K = space->stem_width, stem->R = 3, stem->S = space->stem_stride,
    stem->act = space->stem_act;
    fold_conv(fold, stem, "first_conv.conv", "first_conv.bn");
    if (fold->out->is_bgr)
        turn_channels(stem);
    int before = fold->last;
    struct folded_layer *dw = add_layer(fold, FOLDED_CONV, 0, "depthwise");
    dw->K = dw->groups = dw->C, dw->R = 3, dw->S = space->first_stride, dw->act = space->first_act;
    fold_depthwise(fold, dw, "blocks.0.conv.depth_conv", "blocks.0.conv.depth_conv.bn");
    struct folded_layer *project = add_layer(fold, FOLDED_CONV, 0, "project");
    project->K = space->first_width;
    fold_conv(fold, project, "blocks.0.conv.point_linear.conv", "blocks.0.conv.point_linear.bn");
    if (space->first_has_shortcut) {
        struct folded_layer *sum = add_layer(fold, FOLDED_ADD, 0, "sum");
        sum->other = before;
    }
}

static void fold_block(struct fold *fold, int b)
{
    const struct block_spec *spec = &fold->net->space->blocks[b];
    int number = b + 1, before = fold->last; /* the reference counts the first block as 0 */
    char block[64], name[128], norm[128];
    snprintf(block, sizeof block, "blocks.%d.conv", number);

    struct folded_layer *expand = add_layer(fold, FOLDED_CONV, number, "expand");
    expand->K = space_middle(spec, fold->subnet->expansion[b]), expand->act = spec->act;
    snprintf(name, sizeof name, "%s.inverted_bottleneck.conv.conv", block);
    snprintf(norm, sizeof norm, "%s.inverted_bottleneck.bn.bn", block);
    fold_conv(fold, expand, name, norm);

    struct folded_layer *dw = add_layer(fold, FOLDED_CONV, number, "depthwise");
    dw->K = dw->groups = dw->C, dw->R = fold->subnet->kernel[b], dw->S = spec->stride,
    dw->act = spec->act;
    snprintf(name, sizeof name, "%s.depth_conv.conv", block);
    snprintf(norm, sizeof norm, "%s.depth_conv.bn.bn", block);
    fold_depthwise(fold, dw, name, norm);
    if (spec->has_se)
        fold_se(fold, number, block);

    struct folded_layer *project = add_layer(fold, FOLDED_CONV, number, "project");
    project->K = spec->K;
    snprintf(name, sizeof name, "%s.point_linear.conv.conv", block);
    snprintf(norm, sizeof norm, "%s.point_linear.bn.bn", block);
    fold_conv(fold, project, name, norm);
    if (spec->has_shortcut) {
        struct folded_layer *sum = add_layer(fold, FOLDED_ADD, number, "sum");
        sum->other = before;
    }
}

static void copy_param(struct fold *fold, const char *prefix, const char *suffix, float *to)
{
    const struct param *param = NULL;
    const float *host = get_param(fold, prefix, suffix, &param);
    memcpy(to, host, param->count * sizeof *to);
}

/* Its first outputs; what is more than the parameters have stays zero. */
static struct folded_layer *fold_linear(struct fold *fold, const char *layer_name,
                                        const char *prefix, int K, enum act act)
{
    struct folded_layer *layer = add_layer(fold, FOLDED_LINEAR, NO_BLOCK, layer_name);
    layer->K = K, layer->act = act;
    alloc_weights(fold, layer);
    copy_param(fold, prefix, ".weight", layer->w);
    char bias[128];
    snprintf(bias, sizeof bias, "%s.bias", prefix);
    if (supernet_find(fold->net, bias))
        copy_param(fold, prefix, ".bias", layer->b);
    advance(fold, layer);
    return layer;
}

/* Weights of outputs that no class has are zero as they were made. */
static void fold_logits(struct fold *fold)
{
    const struct folded_layer *logits =
        fold_linear(fold, "logits", "classifier.linear", fold->out->outputs, ACT_NONE);
    for (int k = fold->out->classes; k < logits->K; k++)
        logits->b[k] = FOLD_UNUSED_BIAS;
}

static void fold_head(struct fold *fold)
{
    const struct space *space = fold->net->space;
    char name[128], norm[128];
    if (space->expand_width) {
        struct folded_layer *expand = add_layer(fold, FOLDED_CONV, NO_BLOCK, "head");
        expand->K = space->expand_width, expand->act = space->expand_act;
        snprintf(name, sizeof name, "%s.conv", space->expand_name);
        snprintf(norm, sizeof norm, "%s.bn", space->expand_name);
        fold_conv(fold, expand, name, norm);
    }
    advance(fold, add_layer(fold, FOLDED_POOL, NO_BLOCK, "pool"));
    if (space->mix_width)
        (void)fold_linear(fold, "mix", "feature_mix_layer.conv", space->mix_width, space->mix_act);
    fold_logits(fold);
}

enum err fold_subnet(const struct supernet *net, const struct subnet *subnet,
                     const struct fold_cfg *cfg, struct folded *folded)
{
    enum err err = ERR_OK;
    const struct space *space = net->space;
    struct fold fold = {.net = net, .subnet = subnet, .out = folded, .last = FOLDED_INPUT};
    memset(folded, 0, sizeof *folded);
    TRY(subnet_check(space, subnet));
    if (!net->has_statistics)
        TRY(err_set(ERR_DATA, "the checkpoint has no batch-norm statistics: calibrate it for the "
                              "sub-network before it is compiled"));
    folded->arena = arena_create();
    folded->side = subnet->resolution, folded->channels = space->channels,
    folded->classes = space->classes, folded->outputs = cfg->outputs, folded->is_bgr = cfg->is_bgr;
    folded->layers =
        arena_alloc(folded->arena, (size_t)(5 * space->block_count + 10) * sizeof *folded->layers);
    fold.scratch = arena_create();
    fold.side = folded->side, fold.channels = folded->channels;
    fold.means = arena_alloc(fold.scratch, net->statistic_count * sizeof(float));
    fold.variances = arena_alloc(fold.scratch, net->statistic_count * sizeof(float));
    struct device *device = net->device;
    TRY(device->ops->download(device, fold.means, net->means,
                              net->statistic_count * sizeof(float)));
    TRY(device->ops->download(device, fold.variances, net->variances,
                              net->statistic_count * sizeof(float)));
    fold_stem(&fold);
    for (int b = 0; b < space->block_count; b++)
        if (subnet_has_block(space, subnet, b))
            fold_block(&fold, b);
    fold_head(&fold);
    TRY(fold.err);
out:
    arena_destroy(fold.scratch);
    return err;
}
