#include "trainer/supernet/activation_arena.h"

static enum err check_forward(const struct supernet *net, const struct activation_arena *arena,
                              const struct forward *forward)
{
    enum err err = ERR_OK;
    TRY(subnet_check(net->space, forward->subnet));
    if (forward->subnet->resolution < 1 || forward->subnet->resolution > arena->resolution)
        TRY(err_set(ERR_CONFIG, "images of %d pixels, this pass has room for 1 to %d",
                    forward->subnet->resolution, arena->resolution));
    if (forward->N < 1 || forward->N > arena->N)
        TRY(err_set(ERR_CONFIG, "a batch of %d images, this pass has room for 1 to %d", forward->N,
                    arena->N));
    if (forward->mode == PASS_TRAIN && arena->mode != PASS_TRAIN)
        BUG("a training forward in a pass made for forward only");
    if (forward->mode == PASS_FIXED && !net->has_statistics)
        TRY(err_set(ERR_DATA, "the batch norms have no statistics: calibrate this sub-network or "
                              "import weights with running statistics first"));
out:
    return err;
}

static struct run run_of(struct supernet *net, struct activation_arena *arena,
                         const struct forward *forward)
{
    struct run run = arena->shared;
    run.net = net;
    run.device = net->device;
    run.ops = net->device->ops;
    run.forward = forward;
    run.poison = &arena->poison;
    return run;
}

static struct map forward_stem(struct run *run, struct activation_arena *arena)
{
    const struct space *space = run->net->space;
    int r = run->forward->subnet->resolution;
    struct layer *stem = &arena->stem;
    stem->conv = (struct conv){.in = {.N = run->forward->N, .H = r, .W = r, .C = space->channels},
                               .K = space->stem_width,
                               .R = 3,
                               .S = space->stem_stride,
                               .ld = stem->slot->ld,
                               .pad = space->padding};
    arena->image = (struct view){.z = run->forward->images, .act = ACT_NONE};
    layer_forward(run, stem, arena->image, run_conv_weight(run, stem->slot->weight));
    return (struct map){.dims = conv_out(&stem->conv), .view = layer_view(stem), .branch = stem};
}

static struct block_shape shape_of(const struct supernet *net, const struct subnet *subnet, int b)
{
    if (b == 0) /* the first block is the same in every sub-network */
        return (struct block_shape){.middle = net->param_table->blocks[0].middle, .R = 3};
    const struct block_spec *spec = &net->space->blocks[b - 1];
    return (struct block_shape){.middle = space_middle(spec, subnet->expansion[b - 1]),
                                .R = subnet->kernel[b - 1]};
}

/* Which blocks are active, and all their kernels, made at once. */
static void forward_kernels(struct run *run, struct activation_arena *arena)
{
    const struct supernet *net = run->net;
    const struct subnet *subnet = run->forward->subnet;
    struct kernel_transform transforms[SPACE_MAX_BLOCKS + 1];
    int count = 0;
    arena->active_count = 0;
    for (int b = 0; b < arena->block_count; b++) {
        if (b > 0 && !subnet_has_block(net->space, subnet, b - 1))
            continue;
        arena->active[arena->active_count++] = b;
        count += block_kernel(run, &arena->blocks[b], shape_of(net, subnet, b), &transforms[count]);
    }
    if (count > 0)
        run->ops->kernel_forward(run->device, count, transforms);
}

/* What is not seen in the sums of a convolution. */
static void look_at_logits(const struct run *run, const struct activation_arena *arena)
{
    const struct space *space = run->net->space;
    const struct flaw *flaw = &run->forward->flaw;
    size_t N = (size_t)run->forward->N;
    if (!flaw->word)
        return;
    if (space->mix_width)
        run->ops->find_nonfinite(run->device, N * (size_t)space->mix_width, arena->head.mixed,
                                 supernet_flaw(flaw, run->net->norm_count));
    run->ops->find_nonfinite(run->device, N * (size_t)space->classes, arena->head.logits,
                             supernet_flaw(flaw, run->net->norm_count + 1));
}

enum err supernet_forward(struct supernet *net, struct activation_arena *arena,
                          const struct forward *forward, const float **logits)
{
    enum err err = ERR_OK;
    struct run run = run_of(net, arena, forward);
    TRY(check_forward(net, arena, forward));
    poison_begin(&arena->poison);
    arena->memory->maps_of = forward->mode == PASS_TRAIN ? arena : NULL;
    forward_kernels(&run, arena);
    struct map map = forward_stem(&run, arena);
    for (int i = 0; i < arena->active_count; i++) {
        struct block *block = &arena->blocks[arena->active[i]];
        block_forward(&run, block, &map);
        map = block->output;
        if (forward->moved)
            atomic_fetch_add(forward->moved, 1);
    }
    head_forward(&run, &arena->head, &map);
    look_at_logits(&run, arena);
    *logits = arena->head.logits;
out:
    return err;
}

/* Room for the gradients of the active transformed kernels, one behind the other, and zeroed. */
static void begin_kernel_gradients(struct run *run, struct activation_arena *arena)
{
    size_t used = 0;
    for (int i = 0; i < arena->active_count; i++) {
        struct block *block = &arena->blocks[arena->active[i]];
        block->kernel_grad = run->kernel_grads + used;
        if (block_is_transformed(block))
            used += block_kernel_floats(block);
    }
    if (used > 0)
        run->ops->zero(run->device, used * sizeof(float), run->kernel_grads);
}

static void backward_kernels(struct run *run, struct activation_arena *arena)
{
    struct kernel_gradient gradients[SPACE_MAX_BLOCKS + 1];
    int count = 0;
    for (int i = 0; i < arena->active_count; i++) {
        const struct block *block = &arena->blocks[arena->active[i]];
        if (block_is_transformed(block))
            gradients[count++] = block_kernel_gradient(run, block);
    }
    if (count > 0)
        run->ops->kernel_backward(run->device, count, gradients);
}

void supernet_backward(struct supernet *net, struct activation_arena *arena,
                       const struct forward *forward, const float *dlogits, float *gradient)
{
    if (arena->memory->maps_of != arena)
        BUG("a backward without a training forward in front of it");
    arena->memory->maps_of = NULL; /* gradients take the place of maps: there is no second one */
    struct run run = run_of(net, arena, forward);
    run.gradient = gradient;
    begin_kernel_gradients(&run, arena);
    const void *q = head_backward(&run, &arena->head, dlogits,
                                  arena->blocks[arena->active[arena->active_count - 1]].q);
    for (int i = arena->active_count - 1; i >= 0; i--) {
        void *q_in = i > 0 ? arena->blocks[arena->active[i - 1]].q : arena->q_stem;
        block_backward(&run, &arena->blocks[arena->active[i]], q, q_in);
        q = q_in;
    }
    layer_backward(&run, &arena->stem, q, arena->image,
                   run_conv_weight(&run, arena->stem.slot->weight),
                   gradient + arena->stem.slot->weight, NULL);
    backward_kernels(&run, arena);
}

struct flaw supernet_flaw(const struct flaw *of, int layer)
{
    return (struct flaw){of->word, of->code + ((uint64_t)layer << FLAW_LAYER_SHIFT)};
}

const char *supernet_flaw_name(const struct supernet *net, uint64_t word)
{
    int layer = (int)(word >> FLAW_LAYER_SHIFT & FLAW_LAYER_MASK);
    if (layer < net->norm_count)
        return net->norms[layer].name;
    if (layer == net->norm_count)
        return "feature_mix_layer";
    return layer == net->norm_count + 1 ? "classifier.linear" : "the loss";
}
