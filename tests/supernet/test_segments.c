/* Where tensors lie in the flat arrays: by what the update does to them; and that their first
 * values do not depend on it. */
#include "base/mem.h"
#include "base/rng.h"
#include "tests/supernet/rig.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* By the reference's rule, from the name alone. */
static enum segment_kind segment_by_name(const char *name)
{
    if (strstr(name, "bn") || strstr(name, "bias"))
        return SEGMENT_NO_DECAY;
    return strstr(name, "_matrix") ? SEGMENT_MATRICES : SEGMENT_WEIGHTS;
}

/* Segments follow one another, and every tensor is inside its own. Returns how many matrices. */
static int check_segments(const struct space *space, struct device *device)
{
    struct supernet *net = NULL;
    size_t end = 0;
    int matrices = 0;
    must(supernet_create(space, device, &net));
    for (int i = 0; i < SEGMENTS; i++) {
        assert_int_equal(net->segments[i].offset, end);
        end += net->segments[i].count;
    }
    assert_int_equal(end, net->weight_count);
    for (int p = 0; p < net->param_count; p++) {
        const struct param *param = &net->params[p];
        const struct segment *segment = &net->segments[segment_by_name(param->name)];
        if (param->offset < segment->offset ||
            param->offset + param->count > segment->offset + segment->count)
            fail_msg("%s lies outside its segment", param->name);
        matrices += segment == &net->segments[SEGMENT_MATRICES];
    }
    assert_true((matrices > 0) == (net->segments[SEGMENT_MATRICES].count > 0));
    supernet_destroy(&net);
    return matrices;
}

static void every_tensor_lies_in_the_segment_of_its_kind(void **state)
{
    (void)state;
    struct device *device = NULL;
    must(device_open(&(struct device_cfg){.name = "cpu", .threads = 1}, &device));
    struct space space = rig_space("configs/spaces/mbv3.yaml", 3);
    assert_int_equal(check_segments(&space, device), 2 * 20);
    space.has_kernel_transform = false;
    assert_int_equal(check_segments(&space, device), 0);
    space.has_kernel_transform = true;
    space.kernels = (struct choices){1, {5}};
    assert_int_equal(check_segments(&space, device), 0);
    device_close(&device);
}

/* The classifier's weights are the last that decay, kernel matrices counted: their number is part
 * of their first values, and runs of a seed must stay what they were. */
static void first_values_do_not_depend_on_segments(void **state)
{
    (void)state;
    struct rig rig;
    int number = -1;
    struct space space = rig_space("configs/spaces/firefly-tiny.yaml", 3);
    rig_open(&rig, &space, 2, 20, 1);
    supernet_init_weights(rig.net, 9);
    for (int p = 0; p < rig.net->param_count; p++)
        number += segment_by_name(rig.net->params[p].name) != SEGMENT_NO_DECAY;
    const struct param *param = supernet_find(rig.net, "classifier.linear.weight");
    float *host = mem_array(param->count, sizeof *host);
    must(supernet_get_param(rig.net, rig.net->weights, param, host));
    for (size_t i = 0; i < param->count; i++) {
        double unit = rng_unit(rng(9, RNG_INIT, 0, (uint64_t)number, 2 * i));
        assert_float_equal(host[i], (2 * unit - 1) / sqrt((double)param->shape[1]), 1e-7);
    }
    mem_free(host);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tensor_lies_in_the_segment_of_its_kind),
        cmocka_unit_test(first_values_do_not_depend_on_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
