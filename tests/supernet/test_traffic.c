/* DESIGN's first rule, counted: a training step writes raw convolution outputs once, residual sums,
 * one gradient per map that is read, and nothing else; no operation holds more than 1 MB of
 * activated scratch. What operations say of themselves is held against the memory they have:
 * scratch and shared blocks are too small for a map, and a step allocates nothing. */
#include "base/mem.h"
#include "tests/count_allocations.h"
#include "tests/supernet/rig.h"
#include "tests/support/test_device.h"
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
    uint64_t expected = elements * N * precision_map_bytes(test_precision());
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

/* The device's own operations, while those below stand in front of them. */
static const struct device_ops *plain;
static int too_big_for_a_map; /* operations whose maps would not fit what they may share */

/* An operation's shared block holds weights (packed, and gradients of up to 32 jobs) and
 * per-channel numbers, partial sums of 32 jobs among them. */
static void check_shared(struct device *device, const char *op, const struct conv *conv,
                         size_t weight_bytes)
{
    size_t channels = (size_t)(conv->in.C + conv->K + 64), most = weight_bytes + 1024 * channels;
    size_t map = (size_t)conv->in.N * (size_t)conv->in.H * (size_t)conv->in.W * (size_t)conv->in.C *
                 sizeof(float);
    if (device->traffic.shared_peak_bytes > most)
        fail_msg("%s of %dx%d, %d to %d channels shared %" PRIu64 " bytes, at most %zu expected",
                 op, conv->in.H, conv->in.W, conv->in.C, conv->K, device->traffic.shared_peak_bytes,
                 most);
    too_big_for_a_map += map > most;
    device->traffic.shared_peak_bytes = 0;
}

/* (K,C) padded to panels, so many times. */
static size_t dense_bytes(const struct conv *conv, int times)
{
    return (size_t)times * (size_t)(conv->in.C + 16) * (size_t)(conv->K + 16) * sizeof(float);
}

static void watch_pw_forward(struct device *device, const struct conv *conv, struct view x,
                             const void *w, void *z, const struct norm_forward *norm)
{
    device->traffic.shared_peak_bytes = 0;
    plain->pw_forward(device, conv, x, w, z, norm);
    check_shared(device, "pw_forward", conv, dense_bytes(conv, 1));
}

static void watch_pw_backward(struct device *device, const struct conv *conv, const struct grad *dz,
                              struct view x, const void *w, const struct grad_sink *sink, float *dw)
{
    device->traffic.shared_peak_bytes = 0;
    plain->pw_backward(device, conv, dz, x, w, sink, dw);
    check_shared(device, "pw_backward", conv, dense_bytes(conv, 17));
}

static void watch_dw_forward(struct device *device, const struct conv *conv, struct view x,
                             const void *w, void *z, const struct norm_forward *norm)
{
    device->traffic.shared_peak_bytes = 0;
    plain->dw_forward(device, conv, x, w, z, norm);
    check_shared(device, "dw_forward", conv, 0);
}

static void watch_dw_backward(struct device *device, const struct conv *conv, const struct grad *dz,
                              struct view x, const void *w, const struct grad_sink *sink, float *dw)
{
    size_t weights = (size_t)(conv->R * conv->R) * (size_t)conv->in.C;
    device->traffic.shared_peak_bytes = 0;
    plain->dw_backward(device, conv, dz, x, w, sink, dw);
    check_shared(device, "dw_backward", conv, 32 * weights * sizeof(double));
}

static void watch_residual_forward(struct device *device, struct dims map, struct view x,
                                   struct view y, void *sum)
{
    device->traffic.shared_peak_bytes = 0;
    plain->residual_forward(device, map, x, y, sum);
    check_shared(device, "residual_forward", &(struct conv){.in = map}, 0);
}

static void watch_pool_forward(struct device *device, struct dims map, struct view x,
                               const float *mean, float *pooled, double *pool_sums)
{
    device->traffic.shared_peak_bytes = 0;
    plain->pool_forward(device, map, x, mean, pooled, pool_sums);
    check_shared(device, "pool_forward", &(struct conv){.in = map}, 0);
}

/* Nowhere is there room for a map that was not asked for: the pass's buffers are counted above. */
static void no_operation_has_memory_for_another_map(void **state)
{
    (void)state;
    struct rig rig;
    struct subnet subnet;
    struct space space = rig_space("configs/spaces/mbv3.yaml", 3);
    rig_open(&rig, &space, N, 128, 2);
    must(subnet_parse(&rig.space, "r=128 k=7 e=6 d=4", &subnet));
    plain = rig.device->ops;
    struct device_ops watching = *plain;
    watching.pw_forward = watch_pw_forward;
    watching.pw_backward = watch_pw_backward;
    watching.dw_forward = watch_dw_forward;
    watching.dw_backward = watch_dw_backward;
    watching.residual_forward = watch_residual_forward;
    watching.pool_forward = watch_pool_forward;
    rig.device->ops = &watching;
    struct forward forward = rig_forward(&rig, &subnet, PASS_TRAIN);
    rig_step(&rig, &forward);
    uint64_t scratch = rig.device->traffic.working_peak_bytes;
    if (scratch > 2 << 20)
        fail_msg("an operation asked for %" PRIu64 " bytes of scratch a thread", scratch);
    assert_true(scratch > 0);
    assert_true(too_big_for_a_map > 30); /* of some 150 operations: the bound tells */
    int before = atomic_load(&allocations);
    rig_step(&rig, &forward);
    assert_int_equal(atomic_load(&allocations), before);
    rig.device->ops = plain;
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_operation_has_memory_for_another_map),
        cmocka_unit_test(a_step_writes_raw_maps_sums_and_gradients_only),
        cmocka_unit_test(forward_only_writes_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
