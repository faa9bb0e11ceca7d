/* Two passes in one block of memory: a training step's, and one that computes forward only with
 * more images than the step has (calibration). One runs at a time, and neither leaves a trace in
 * what the other computes. */
#include "base/mem.h"
#include "tests/supernet/rig.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { N = 4, FEW = 2, R = 32, TRAIN = 0, FORWARD = 1 };

static int open_rig(void **state)
{
    struct rig *rig = mem_alloc(sizeof *rig);
    struct space space = rig_space("configs/spaces/mbv3.yaml", 3);
    rig_open(rig, &space, N, R, 2);
    *state = rig;
    return 0;
}

static int close_rig(void **state)
{
    struct rig *rig = *state;
    rig_close(rig);
    mem_free(rig);
    return 0;
}

/* The rig's gradient of a training step on FEW images, in this pass: mem_free. */
static float *gradient_in(struct rig *rig, struct activation_arena *arena,
                          const struct subnet *subnet)
{
    struct activation_arena *own = rig->arena;
    struct forward forward = rig_forward(rig, subnet, PASS_TRAIN);
    size_t bytes = rig->net->weight_count * sizeof(float);
    float *gradient = mem_alloc(bytes);
    forward.N = FEW;
    rig->arena = arena;
    rig_step(rig, &forward);
    rig->arena = own;
    must(rig->device->ops->download(rig->device, gradient, rig->gradient, bytes));
    return gradient;
}

/* Logits with batch statistics of all N images: mem_free. */
static float *logits_in(struct rig *rig, struct activation_arena *arena,
                        const struct subnet *subnet)
{
    struct activation_arena *own = rig->arena;
    struct forward forward = rig_forward(rig, subnet, PASS_BATCH_NORM);
    rig->arena = arena;
    float *logits = rig_logits(rig, &forward);
    rig->arena = own;
    return logits;
}

static void each_computes_what_it_computes_alone(void **state)
{
    struct rig *rig = *state;
    const struct activation_room rooms[2] = {{FEW, R, PASS_TRAIN}, {N, R, PASS_BATCH_NORM}};
    struct activation_arena *passes[2];
    must(activation_arena_create_shared(rig->net, rooms, passes));
    for (int round = 0; round < 4; round++) {
        struct subnet subnet;
        subnet_uniform(&rig->space, 3 + 2 * (round % 3), round % 2 ? 3 : 6, 2 + round % 3, R,
                       &subnet);
        float *gradient = gradient_in(rig, rig->arena, &subnet);
        float *logits = logits_in(rig, rig->arena, &subnet);
        float *shared_logits = logits_in(rig, passes[FORWARD], &subnet);
        float *shared_gradient = gradient_in(rig, passes[TRAIN], &subnet);
        assert_memory_equal(gradient, shared_gradient, rig->net->weight_count * sizeof(float));
        assert_memory_equal(logits, shared_logits, 10 * N * sizeof(float));
        mem_free(gradient);
        mem_free(logits);
        mem_free(shared_gradient);
        mem_free(shared_logits);
    }
    activation_arena_destroy(&passes[TRAIN]);
    activation_arena_destroy(&passes[FORWARD]);
}

/* Whichever of the two needs more: the block is that large and no larger. */
static void the_block_is_as_large_as_the_larger_needs(void **state)
{
    struct rig *rig = *state;
    const struct activation_room pairs[2][2] = {{{FEW, R, PASS_TRAIN}, {N, R, PASS_BATCH_NORM}},
                                                {{1, R, PASS_TRAIN}, {16 * N, R, PASS_BATCH_NORM}}};
    for (int i = 0; i < 2; i++) {
        struct activation_arena *passes[2];
        size_t train = activation_room_bytes(rig->net, &pairs[i][TRAIN]);
        size_t forward = activation_room_bytes(rig->net, &pairs[i][FORWARD]);
        assert_true(i == 0 ? train > forward : forward > train);
        must(activation_arena_create_shared(rig->net, pairs[i], passes));
        assert_int_equal(activation_arena_size_bytes(passes[TRAIN]), i == 0 ? train : forward);
        assert_int_equal(activation_arena_size_bytes(passes[FORWARD]), i == 0 ? train : forward);
        activation_arena_destroy(&passes[FORWARD]);
        activation_arena_destroy(&passes[TRAIN]);
    }
}

/* What a plan works out before there is a device. */
static void a_described_supernet_gives_the_same_room(void **state)
{
    struct rig *rig = *state;
    const struct activation_room room = {N, R, PASS_TRAIN};
    struct supernet *described = NULL;
    supernet_describe(&rig->space, rig->device->map_bytes, &described);
    assert_int_equal(described->weight_count, rig->net->weight_count);
    assert_int_equal(described->statistic_count, rig->net->statistic_count);
    assert_int_equal(activation_room_bytes(described, &room),
                     activation_arena_size_bytes(rig->arena));
    supernet_destroy(&described);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_computes_what_it_computes_alone),
        cmocka_unit_test(the_block_is_as_large_as_the_larger_needs),
        cmocka_unit_test(a_described_supernet_gives_the_same_room),
    };
    return cmocka_run_group_tests(tests, open_rig, close_rig);
}
