/* DESIGN's first rule, counted: a training step writes raw convolution outputs once, residual sums,
 * one gradient per map that is read, and nothing else; no operation holds more than 1 MB of
 * activated scratch. */
#include "base/mem.h"
#include "tests/supernet/rig.h"
#include "trainer/spec/cost.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { N = 4 };

struct expected { /* elements per image */
    uint64_t raw, residual, gradient;
};

static int out_side(int side, int stride)
{
    return (side - 1) / stride + 1;
}

/* Counted from the space, on its own way. */
static struct expected count_maps(const struct space *space, const struct subnet *subnet)
{
    struct expected count = {0};
    int side = out_side(subnet->resolution, space->stem_stride);
    uint64_t map = (uint64_t)(side * side);
    count.gradient += map * (uint64_t)space->stem_width; /* of the stem's map, by block 0 */
    side = out_side(side, space->first_stride);
    map = (uint64_t)(side * side);
    count.gradient += map * (uint64_t)space->stem_width; /* of its depthwise map */
    count.residual += space->first_has_shortcut ? map * (uint64_t)space->first_width : 0;
    for (int b = 0; b < space->block_count; b++) {
        if (!subnet_has_block(space, subnet, b))
            continue;
        const struct block_spec *spec = &space->blocks[b];
        uint64_t middle = (uint64_t)space_middle(spec, subnet->expansion[b]);
        count.gradient += map * (uint64_t)spec->C; /* what it read */
        count.gradient += map * middle;            /* its expanded map */
        side = out_side(side, spec->stride);
        map = (uint64_t)(side * side);
        count.gradient += map * middle; /* its depthwise map */
        count.residual += spec->has_shortcut ? map * (uint64_t)spec->K : 0;
    }
    uint64_t last = (uint64_t)space->blocks[space->block_count - 1].K;
    count.gradient += space->expand_width ? map * last : 0; /* the head's convolution read it */
    count.raw = (uint64_t)cost_of(space, subnet).map_elements;
    return count;
}

static void check_bytes(const char *what, uint64_t found, uint64_t elements)
{
    uint64_t expected = elements * N * sizeof(float);
    if (found != expected)
        fail_msg("%s: %" PRIu64 " bytes written, %" PRIu64 " expected", what, found, expected);
}

static void check_step(const char *file, const char *genes, int R)
{
    struct rig rig;
    struct subnet subnet;
    struct space space = rig_space(file, 3);
    rig_open(&rig, &space, N, R, 2);
    must(subnet_parse(&rig.space, genes, &subnet));
    struct forward forward = rig_forward(&rig, &subnet, PASS_TRAIN);
    struct device_traffic before = rig.device->traffic;
    rig_step(&rig, &forward);
    struct device_traffic after = rig.device->traffic;
    struct expected expected = count_maps(&rig.space, &subnet);
    check_bytes("raw outputs", after.raw_bytes - before.raw_bytes, expected.raw);
    check_bytes("residual sums", after.residual_bytes - before.residual_bytes, expected.residual);
    check_bytes("gradients", after.gradient_bytes - before.gradient_bytes, expected.gradient);
    if (after.scratch_peak_bytes > 1 << 20)
        fail_msg("an operation held %" PRIu64 " bytes of scratch", after.scratch_peak_bytes);
    assert_true(after.scratch_peak_bytes > 0); /* it is counted at all */
    rig_close(&rig);
}

static void a_step_writes_raw_maps_sums_and_gradients_only(void **state)
{
    (void)state;
    check_step("configs/spaces/mbv3.yaml", "r=128 k=7 e=6 d=4", 128);
    check_step("configs/spaces/mbv3.yaml", "r=96 k=3 e=3 d=2", 128);
    check_step("configs/spaces/proxyless.yaml", "r=100 k=5 e=4 d=3", 100);
    check_step("configs/spaces/firefly-tiny.yaml", "r=28 k=3 e=2 d=1", 28);
}

/* Evaluation takes no other road to an activated map either. */
static void forward_only_writes_no_more(void **state)
{
    (void)state;
    struct rig rig;
    struct subnet subnet;
    struct space space = rig_space("configs/spaces/mbv3.yaml", 3);
    rig_open(&rig, &space, N, 64, 2);
    must(subnet_parse(&rig.space, "r=64 k=5 e=4 d=3", &subnet));
    struct expected expected = count_maps(&rig.space, &subnet);
    for (enum pass_mode mode = PASS_BATCH_NORM; mode <= PASS_FIXED; mode++) {
        struct forward forward = rig_forward(&rig, &subnet, mode);
        struct device_traffic before = rig.device->traffic;
        mem_free(rig_logits(&rig, &forward));
        struct device_traffic after = rig.device->traffic;
        check_bytes("raw outputs", after.raw_bytes - before.raw_bytes, expected.raw);
        check_bytes("residual sums", after.residual_bytes - before.residual_bytes,
                    expected.residual);
        check_bytes("gradients", after.gradient_bytes - before.gradient_bytes, 0);
        assert_in_range(after.scratch_peak_bytes, 1, 1 << 20);
    }
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_writes_raw_maps_sums_and_gradients_only),
        cmocka_unit_test(forward_only_writes_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
