/* Dead activations are NaN where they are poisoned: a step reads none, and if it did it would be
 * seen. Poison is switched on here, however the program was built. */
#include "base/mem.h"
#include "tests/supernet/rig.h"
#include "tests/support/test_device.h"
#include "trainer/supernet/activation_arena.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { N = 4, SPACES = 3 };

static const struct {
    const char *file;
    int channels, resolution;
} spaces[SPACES] = {{"configs/spaces/firefly-tiny.yaml", 1, 28},
                    {"configs/spaces/mbv3.yaml", 3, 32},
                    {"configs/spaces/proxyless.yaml", 3, 32}};

/* Two buffers that share bytes, the second one living behind the first, and one that lives on. */
static void a_buffer_is_nan_when_its_last_moment_is_over(void **state)
{
    (void)state;
    struct device *device = NULL;
    struct memory_plan memory_plan = {0};
    struct poison poison;
    void *memory = NULL;
    const float one = 1;
    must(device_open(
        &(struct device_cfg){
            .name = test_device(), .threads = 1, .isa = ISA_AUTO, .precision = test_precision()},
        &device));
    memory_plan_ask(&memory_plan, 64, 0, 1);
    memory_plan_ask(&memory_plan, 64, 2, 3);
    memory_plan_ask(&memory_plan, 64, 0, 3);
    memory_plan_place(&memory_plan);
    assert_int_equal(memory_plan.total_bytes, 128);
    must(device->ops->alloc(device, memory_plan.total_bytes, &memory));
    memory_plan_hand_out(&memory_plan, memory);
    float *early = memory_plan_ask(&memory_plan, 64, 0, 1),
          *late = memory_plan_ask(&memory_plan, 64, 2, 3);
    float *lasting = memory_plan_ask(&memory_plan, 64, 0, 3), read = 0;
    poison_init(&poison, device, &memory_plan, memory);
    poison.is_on = true;
    poison_begin(&poison);
    device->ops->upload(device, early, &one, sizeof one);
    device->ops->upload(device, lasting, &one, sizeof one);
    poison_until(&poison, 1);
    must(device->ops->download(device, &read, early, sizeof read));
    assert_true(read == one); /* it still lives */
    poison_until(&poison, 2);
    must(device->ops->download(device, &read, early, sizeof read));
    assert_true(isnan(read)); /* read after its death */
    device->ops->upload(device, late, &one, sizeof one);
    poison_until(&poison, 3);
    must(device->ops->download(device, &read, late, sizeof read));
    assert_true(read == one);
    poison_begin(&poison); /* the next pass: not yet there */
    must(device->ops->download(device, &read, late, sizeof read));
    assert_true(isnan(read));
    must(device->ops->download(device, &read, lasting, sizeof read));
    assert_true(read == one);
    poison_fini(&poison);
    memory_plan_fini(&memory_plan);
    device->ops->free(device, memory);
    device_close(&device);
}

/* Loss and gradient of a training step, poisoned or not: returns owned. */
static float *step(struct rig *rig, const struct subnet *subnet, bool is_poisoned)
{
    size_t count = rig->net->weight_count;
    float *result = mem_array(count + 1, sizeof *result);
    struct forward forward = rig_forward(rig, subnet, PASS_TRAIN);
    rig->arena->poison.is_on = is_poisoned;
    result[count] = (float)rig_step(rig, &forward);
    must(rig->device->ops->download(rig->device, result, rig->gradient, count * sizeof *result));
    return result;
}

static void a_step_reads_nothing_dead(void **state)
{
    (void)state;
    for (int i = 0; i < SPACES; i++) {
        struct rig rig;
        struct subnet subnets[2];
        struct space space = rig_space(spaces[i].file, spaces[i].channels);
        rig_open(&rig, &space, N, spaces[i].resolution, 2);
        subnet_biggest(&rig.space, spaces[i].resolution, &subnets[0]);
        subnet_smallest(&rig.space, spaces[i].resolution, &subnets[1]);
        for (int s = 0; s < 2; s++) {
            float *plain = step(&rig, &subnets[s], false),
                  *poisoned = step(&rig, &subnets[s], true);
            size_t bytes = (rig.net->weight_count + 1) * sizeof *plain;
            assert_false(isnan(plain[rig.net->weight_count]));
            assert_memory_equal(plain, poisoned, bytes);
            mem_free(plain);
            mem_free(poisoned);
        }
        rig_close(&rig);
    }
}

static void an_evaluation_reads_nothing_dead(void **state)
{
    (void)state;
    for (int i = 0; i < SPACES; i++) {
        struct rig rig;
        struct subnet biggest;
        struct space space = rig_space(spaces[i].file, spaces[i].channels);
        rig_open(&rig, &space, N, spaces[i].resolution, 2);
        activation_arena_destroy(&rig.arena);
        must(activation_arena_create(rig.net, N, spaces[i].resolution, PASS_FIXED, &rig.arena));
        subnet_biggest(&rig.space, spaces[i].resolution, &biggest);
        struct forward forward = rig_forward(&rig, &biggest, PASS_FIXED);
        rig.arena->poison.is_on = false;
        float *plain = rig_logits(&rig, &forward);
        rig.arena->poison.is_on = true;
        float *poisoned = rig_logits(&rig, &forward);
        assert_memory_equal(plain, poisoned, N * 10 * sizeof *plain);
        mem_free(plain);
        mem_free(poisoned);
        rig_close(&rig);
    }
}

/* Each map in turn is said to die behind the moment that wrote it: its reader gets NaN. */
static void a_read_of_a_dead_map_spoils_the_step(void **state)
{
    (void)state;
    struct rig rig;
    struct subnet biggest;
    struct space space = rig_space(spaces[0].file, spaces[0].channels);
    rig_open(&rig, &space, N, spaces[0].resolution, 2);
    subnet_biggest(&rig.space, spaces[0].resolution, &biggest);
    struct poison *poison = &rig.arena->poison;
    int end = 2 * rig.arena->shared.turn, maps = 0;
    size_t count = rig.net->weight_count;
    for (int b = 0; b < poison->count; b++) {
        struct buffer *buffer = &poison->buffers[b];
        bool is_stem = poison->memory + buffer->offset == (char *)rig.arena->stem.z;
        bool is_vector = buffer->first == 0 && buffer->last == end && !is_stem;
        if (is_vector || buffer->first == buffer->last)
            continue; /* lives through the pass, or is read where it was written */
        int last = buffer->last;
        buffer->last = buffer->first;
        float *spoilt = step(&rig, &biggest, true);
        bool is_seen = false;
        for (size_t i = 0; i <= count && !is_seen; i++)
            is_seen = isnan(spoilt[i]);
        if (!is_seen)
            fail_msg("nobody reads buffer %d behind moment %d of %d", b, buffer->first, last);
        buffer->last = last;
        mem_free(spoilt);
        maps++;
    }
    assert_true(maps > 4 * rig.arena->block_count);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_is_nan_when_its_last_moment_is_over),
        cmocka_unit_test(a_step_reads_nothing_dead),
        cmocka_unit_test(an_evaluation_reads_nothing_dead),
        cmocka_unit_test(a_read_of_a_dead_map_spoils_the_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
