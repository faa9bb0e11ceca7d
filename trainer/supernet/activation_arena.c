#include "trainer/supernet/activation_arena.h"
#include "base/mem.h"
#include <string.h>

/* Moments: the stem is 0, block i's three convolutions 3i+1..3i+3, the head's convolution follows,
 * then the pool; the backward walks the same moments down from 2 T. */
struct plan {
    struct activation_arena *arena;
    const struct param_table *param_table;
    const struct space *space;
    struct memory_plan memory_plan;
    int turn;         /* T: the moment of the pool */
    int widest;       /* channels of any layer */
    size_t map_bytes; /* of an element */
};

static int moment(int block, int conv)
{
    return 3 * block + conv;
}

static int end_of(const struct plan *plan)
{
    return plan->arena->mode == PASS_TRAIN ? 2 * plan->turn : plan->turn;
}

static int backward_of(const struct plan *plan, int forward)
{
    return 2 * plan->turn - forward;
}

static size_t map_bytes(const struct plan *plan, struct dims dims)
{
    return (size_t)dims.N * (size_t)dims.H * (size_t)dims.W * (size_t)dims.C * plan->map_bytes;
}

/* A raw output: kept until its own backward in training, else until `last`. */
static void *ask_raw(struct plan *plan, struct dims dims, int first, int last)
{
    if (plan->arena->mode == PASS_TRAIN)
        last = backward_of(plan, first);
    return memory_plan_ask(&plan->memory_plan, map_bytes(plan, dims), first, last);
}

static float *ask_vector(struct plan *plan, size_t count)
{
    return memory_plan_ask(&plan->memory_plan, count * sizeof(float), 0, end_of(plan));
}

static double *ask_sums(struct plan *plan, size_t count)
{
    return memory_plan_ask(&plan->memory_plan, count * sizeof(double), 0, end_of(plan));
}

/* Index of the first block behind block b's stage (block_count: the head). Blocks in between may be
 * skipped, so it may be the next reader of b's output. */
static int next_stage(const struct plan *plan, int b)
{
    int next = b + 1;
    while (next < plan->param_table->block_count &&
           plan->param_table->blocks[next].stage == plan->param_table->blocks[b].stage)
        next++;
    return next;
}

/* The last moment at which somebody reads the output of block b in the forward. */
static int last_read(const struct plan *plan, int b)
{
    int next = next_stage(plan, b);
    return next < plan->param_table->block_count ? moment(next, 3) : plan->turn;
}

static void lay_out_excite(struct plan *plan, struct block *block)
{
    const struct block_slot *slot = block->slot;
    size_t N = (size_t)plan->arena->N, C = (size_t)slot->middle;
    block->excitation.pooled = ask_vector(plan, N * C);
    block->excitation.hidden = ask_vector(plan, N * (size_t)slot->hidden);
    block->excitation.gate = ask_vector(plan, N * C);
    if (plan->arena->mode == PASS_TRAIN) {
        block->p = ask_vector(plan, N * C);
        block->excitation.pool_sums = ask_sums(plan, 2 * N * C);
    }
}

static void lay_out_vectors(struct plan *plan, struct block *block)
{
    const struct block_slot *slot = block->slot;
    if (slot->has_expand)
        layer_lay_out(&block->expand, &plan->memory_plan, slot->middle, end_of(plan));
    layer_lay_out(&block->depthwise, &plan->memory_plan, slot->middle, end_of(plan));
    layer_lay_out(&block->project, &plan->memory_plan, slot->K, end_of(plan));
    if (slot->side == 7)
        block->kernel = memory_plan_ask(
            &plan->memory_plan, 25 * (size_t)slot->middle * plan->map_bytes, 0, end_of(plan));
    if (slot->has_se)
        lay_out_excite(plan, block);
}

/* The gradient of the output of b's stage: written by whoever reads that output, updated in place
 * by the blocks with a shortcut, read by the stage's first block to the end. */
static void *ask_stage_gradient(struct plan *plan, int b, struct dims out)
{
    int next = next_stage(plan, b);
    int head = plan->space->expand_width ? plan->turn - 1 : plan->turn;
    int writer = next < plan->param_table->block_count ? moment(next, 1) : head;
    return memory_plan_ask(&plan->memory_plan, map_bytes(plan, out), backward_of(plan, writer),
                           backward_of(plan, moment(b, 1)));
}

static void lay_out_gradients(struct plan *plan, int b, struct dims in, struct dims wide,
                              struct dims out)
{
    struct block *block = &plan->arena->blocks[b];
    if (plan->arena->mode != PASS_TRAIN)
        return;
    block->q_depthwise =
        memory_plan_ask(&plan->memory_plan, map_bytes(plan, wide), backward_of(plan, moment(b, 3)),
                        backward_of(plan, moment(b, 2)));
    if (block->slot->has_expand)
        block->q_expand =
            memory_plan_ask(&plan->memory_plan, map_bytes(plan, in),
                            backward_of(plan, moment(b, 2)), backward_of(plan, moment(b, 1)));
    bool opens_stage = b == 0 || plan->param_table->blocks[b - 1].stage != block->slot->stage;
    block->q = opens_stage ? ask_stage_gradient(plan, b, out) : plan->arena->blocks[b - 1].q;
}

static struct dims lay_out_block(struct plan *plan, int b, struct dims in)
{
    struct block *block = &plan->arena->blocks[b];
    const struct block_slot *slot = &plan->param_table->blocks[b];
    block->slot = slot;
    block->expand.slot = &slot->expand;
    block->expand.act = slot->act;
    block->expand.kind = LAYER_POINTWISE;
    block->expand.moment = moment(b, 1);
    block->depthwise.slot = &slot->depthwise;
    block->depthwise.act = slot->act;
    block->depthwise.kind = LAYER_DEPTHWISE;
    block->depthwise.moment = moment(b, 2);
    block->project.slot = &slot->project;
    block->project.act = ACT_NONE;
    block->project.kind = LAYER_POINTWISE;
    block->project.moment = moment(b, 3);

    in.C = slot->middle;
    struct conv depthwise = {.in = in, .K = slot->middle, .R = slot->side, .S = slot->stride};
    struct dims wide = conv_out(&depthwise);
    struct dims out = wide;
    out.C = slot->K;
    if (slot->has_expand)
        block->expand.z = ask_raw(plan, in, moment(b, 1), moment(b, 2));
    block->depthwise.z = ask_raw(plan, wide, moment(b, 2), moment(b, 3));
    block->project.z =
        ask_raw(plan, out, moment(b, 3), slot->has_shortcut ? moment(b, 3) : last_read(plan, b));
    if (slot->has_shortcut)
        block->sum = ask_raw(plan, out, moment(b, 3), last_read(plan, b));
    lay_out_vectors(plan, block);
    lay_out_gradients(plan, b, in, wide, out);
    return out;
}

static void lay_out_head(struct plan *plan, struct dims in)
{
    struct head *head = &plan->arena->head;
    size_t N = (size_t)in.N, pooled = (size_t)plan->param_table->pooled;
    bool is_training = plan->arena->mode == PASS_TRAIN;
    if (plan->space->expand_width) {
        head->expand.slot = &plan->param_table->expand;
        head->expand.act = plan->space->expand_act;
        head->expand.kind = LAYER_POINTWISE;
        head->expand.moment = plan->turn - 1;
        in.C = plan->space->expand_width;
        head->expand.z = ask_raw(plan, in, plan->turn - 1, plan->turn);
        layer_lay_out(&head->expand, &plan->memory_plan, in.C, end_of(plan));
    }
    head->pool = ask_vector(plan, N * pooled);
    head->mixed = ask_vector(plan, N * (size_t)plan->space->mix_width);
    head->logits = ask_vector(plan, N * (size_t)plan->space->classes);
    if (!is_training)
        return;
    head->branch_pool = ask_vector(plan, N * pooled);
    head->pool_sums = ask_sums(plan, 2 * N * pooled);
    head->mask = ask_vector(plan, N * (size_t)plan->param_table->features);
    head->dfeatures = ask_vector(plan, N * (size_t)plan->param_table->features);
    head->dpool = ask_vector(plan, N * pooled);
    head->p = ask_vector(plan, N * pooled);
}

/* Of all kernels that can be made from larger ones, each in whole cache lines. */
static size_t kernel_floats(const struct param_table *param_table)
{
    size_t floats = 0;
    for (int b = 0; b < param_table->block_count; b++)
        if (param_table->blocks[b].side == 7)
            floats += (25 * (size_t)param_table->blocks[b].middle + 15) / 16 * 16;
    return floats;
}

static void lay_out_shared(struct plan *plan)
{
    struct run *shared = &plan->arena->shared;
    size_t widest = (size_t)plan->widest;
    shared->turn = plan->turn;
    if (plan->arena->mode != PASS_TRAIN)
        return;
    shared->kernel_grads = ask_vector(plan, kernel_floats(plan->param_table));
    shared->gate_sums = ask_sums(plan, 3 * (size_t)plan->arena->N * widest);
}

/* Asks for every buffer, in a fixed order: run once to measure and once to hand out. */
static void lay_out(struct plan *plan)
{
    struct activation_arena *arena = plan->arena;
    const struct space *space = plan->space;
    struct conv stem = {
        .in = {.N = arena->N, .H = arena->resolution, .W = arena->resolution, .C = space->channels},
        .K = space->stem_width,
        .R = 3,
        .S = space->stem_stride};
    struct dims dims = conv_out(&stem);
    arena->stem.slot = &plan->param_table->stem;
    arena->stem.act = space->stem_act;
    arena->stem.kind = LAYER_STEM;
    arena->stem.z = ask_raw(plan, dims, 0, moment(0, 3));
    layer_lay_out(&arena->stem, &plan->memory_plan, space->stem_width, end_of(plan));
    if (arena->mode == PASS_TRAIN)
        arena->q_stem = memory_plan_ask(&plan->memory_plan, map_bytes(plan, dims),
                                        backward_of(plan, moment(0, 2)), backward_of(plan, 0));
    for (int b = 0; b < plan->param_table->block_count; b++)
        dims = lay_out_block(plan, b, dims);
    lay_out_head(plan, dims);
    lay_out_shared(plan);
}

static int widest_layer(const struct param_table *param_table)
{
    int widest = param_table->pooled;
    for (int b = 0; b < param_table->block_count; b++) {
        const struct block_slot *slot = &param_table->blocks[b];
        if (slot->middle > widest)
            widest = slot->middle;
        if (slot->K > widest)
            widest = slot->K;
    }
    return widest;
}

/* Of one vector of constants, in whole cache lines. */
static size_t constant_bytes(int widest)
{
    return ((size_t)widest * sizeof(float) + 63) / 64 * 64;
}

/* Zeros, then ones, both (widest): in front of what the passes share, where nobody writes. */
static enum err memory_create(struct device *device, int widest, size_t room_bytes,
                              struct activation_memory **result)
{
    enum err err = ERR_OK;
    struct activation_memory *memory = mem_alloc(sizeof *memory);
    float *ones = mem_array((size_t)widest, sizeof *ones);
    for (int c = 0; c < widest; c++)
        ones[c] = 1.0f;
    *memory = (struct activation_memory){.device = device,
                                         .size_bytes = 2 * constant_bytes(widest) + room_bytes};
    TRY(device->ops->alloc(device, memory->size_bytes, &memory->block));
    device->ops->upload(device, (char *)memory->block + constant_bytes(widest), ones,
                        (size_t)widest * sizeof *ones);
    *result = memory;
    memory = NULL;
out:
    mem_free(memory);
    mem_free(ones);
    return err;
}

static void measure(const struct supernet *net, const struct activation_room *room,
                    struct plan *plan)
{
    *plan = (struct plan){.arena = mem_alloc(sizeof *plan->arena),
                          .param_table = net->param_table,
                          .space = net->space,
                          .turn = moment(net->param_table->block_count, 2),
                          .widest = widest_layer(net->param_table),
                          .map_bytes = net->map_bytes};
    plan->arena->N = room->N;
    plan->arena->resolution = room->resolution;
    plan->arena->mode = room->mode;
    plan->arena->block_count = net->param_table->block_count;
    lay_out(plan);
    memory_plan_place(&plan->memory_plan);
}

static void hand_out(struct plan *plan, struct activation_memory *memory)
{
    struct activation_arena *arena = plan->arena;
    char *block = memory->block;
    arena->memory = memory;
    memory->users++;
    arena->shared.zeros = (const float *)(const void *)block;
    arena->shared.ones = (const float *)(const void *)(block + constant_bytes(plan->widest));
    memory_plan_hand_out(&plan->memory_plan, block + 2 * constant_bytes(plan->widest));
    lay_out(plan);
    poison_init(&arena->poison, memory->device, &plan->memory_plan,
                block + 2 * constant_bytes(plan->widest));
}

static enum err create_passes(const struct supernet *net, const struct activation_room *rooms,
                              int count, struct activation_arena **passes)
{
    enum err err = ERR_OK;
    struct plan plans[2];
    struct activation_memory *memory = NULL;
    size_t most = 0;
    for (int i = 0; i < count; i++) {
        measure(net, &rooms[i], &plans[i]);
        most = plans[i].memory_plan.total_bytes > most ? plans[i].memory_plan.total_bytes : most;
    }
    TRY(memory_create(net->device, plans[0].widest, most, &memory));
    for (int i = 0; i < count; i++) {
        hand_out(&plans[i], memory);
        passes[i] = plans[i].arena;
        plans[i].arena = NULL;
    }
out:
    for (int i = 0; i < count; i++) {
        memory_plan_fini(&plans[i].memory_plan);
        mem_free(plans[i].arena);
    }
    return err;
}

enum err activation_arena_create(const struct supernet *net, int N, int resolution,
                                 enum pass_mode mode, struct activation_arena **arena)
{
    return create_passes(net, &(struct activation_room){N, resolution, mode}, 1, arena);
}

enum err activation_arena_create_shared(const struct supernet *net,
                                        const struct activation_room rooms[2],
                                        struct activation_arena *passes[2])
{
    return create_passes(net, rooms, 2, passes);
}

size_t activation_room_bytes(const struct supernet *net, const struct activation_room *room)
{
    struct plan plan;
    measure(net, room, &plan);
    size_t size_bytes = 2 * constant_bytes(plan.widest) + plan.memory_plan.total_bytes;
    memory_plan_fini(&plan.memory_plan);
    mem_free(plan.arena);
    return size_bytes;
}

void activation_arena_destroy(struct activation_arena **arena)
{
    if (!arena || !*arena)
        return;
    struct activation_memory *memory = (*arena)->memory;
    if (--memory->users == 0) {
        memory->device->ops->free(memory->device, memory->block);
        mem_free(memory);
    }
    poison_fini(&(*arena)->poison);
    mem_free(*arena);
    *arena = NULL;
}

size_t activation_arena_size_bytes(const struct activation_arena *arena)
{
    return arena->memory->size_bytes;
}
