/* A device that was prepared with a dry run of the space has the scratch of every pass of every
 * sub-network: at all resolutions, in every mode, batches that are not full among them. Nothing is
 * allocated, and no operation asks for more. */
#include "base/mem.h"
#include "tests/count_allocations.h"
#include "tests/supernet/rig.h"
#include "tests/support/test_device.h"
#include "trainer/supernet/dry_run.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { N = 5, LAST = 2, SEED = 11 };

/* Whether host allocations on this device are the operations' own: the late one keeps copies of
 * arguments. */
static bool is_counted(void)
{
    return device_is_host(test_device());
}

static void check_nothing_was_allocated(int before, const struct subnet *subnet)
{
    int more = atomic_load(&allocations) - before;
    if (is_counted() && more != 0)
        fail_msg("%d allocations in a pass at r=%d", more, subnet->resolution);
}

static void add_loss(const struct rig *rig, struct workload *workload)
{
    struct work loss = {.kind = WORK_LOSS_FORWARD,
                        .conv = {.in = {.N = N}, .K = rig->space.classes}};
    workload_add(workload, &loss);
}

static void prepare(struct rig *rig)
{
    struct workload workload = {0};
    dry_run_space(rig->net, N, PASS_TRAIN, &workload);
    dry_run_space(rig->net, LAST, PASS_FIXED, &workload);
    add_loss(rig, &workload);
    must(rig->device->ops->prepare(rig->device, &workload));
    workload_fini(&workload);
}

/* A whole training step, then what calibration and evaluation run on a full and on a last batch. */
static void run_modes(struct rig *rig, const struct subnet *subnet)
{
    const float *logits = NULL;
    struct forward forward = rig_forward(rig, subnet, PASS_TRAIN);
    forward.dropout = 0.5f;
    forward.flaw = (struct flaw){.word = rig->flaw};
    int before = atomic_load(&allocations);
    rig_step(rig, &forward);
    forward.dropout = 0;
    for (enum pass_mode mode = PASS_BATCH_NORM; mode <= PASS_FIXED; mode++)
        for (forward.N = N; forward.N > 0; forward.N -= N - LAST) {
            forward.mode = mode;
            must(supernet_forward(rig->net, rig->arena, &forward, &logits));
        }
    must(rig->device->ops->sync(rig->device)); /* with the error's text */
    check_nothing_was_allocated(before, subnet);
}

static void check_space(const struct space *space, int subnets)
{
    struct rig rig;
    struct subnet subnet;
    const struct open_choices all = {space->kernels, space->expansions, space->depths};
    int last = space->resolution_count - 1;
    rig_open(&rig, space, N, space->resolutions[last], 2);
    prepare(&rig);
    for (int r = 0; r <= last; r++)
        for (int i = 0; i < subnets; i++) {
            subnet_sample(space, &all, SEED, (uint64_t)r, i, &subnet);
            subnet.resolution = space->resolutions[r];
            run_modes(&rig, &subnet);
        }
    rig_close(&rig);
}

static void any_subnet_of_a_prepared_space_allocates_nothing(void **state)
{
    (void)state;
    static const char *const files[] = {"tests/spaces/odd.yaml", /* divisor 1 */
                                        "tests/spaces/odd-gated.yaml", "tests/spaces/tf.yaml",
                                        "configs/spaces/firefly-tiny.yaml"};
    for (int i = 0; i < (int)(sizeof files / sizeof *files); i++) {
        struct space space = rig_space(files[i], 3);
        check_space(&space, 6);
    }
}

static void neither_do_large_ones(void **state)
{
    (void)state;
    static const char *const files[] = {"configs/spaces/mbv3.yaml",
                                        "configs/spaces/proxyless.yaml"};
    for (int i = 0; i < 2; i++) {
        struct space space = rig_space(files[i], 3);
        space.resolution_count = 3;
        memcpy(space.resolutions, (int[]){33, 40, 48}, 3 * sizeof(int));
        check_space(&space, 2);
    }
}

/* What makes the tests above tell: the same passes on a device that was prepared for smaller
 * images. */
static void a_larger_resolution_than_prepared_for_is_refused(void **state)
{
    (void)state;
    struct rig rig;
    struct subnet biggest;
    const float *logits = NULL;
    struct workload workload = {0};
    struct space space = rig_space("tests/spaces/tf.yaml", 3);
    rig_open(&rig, &space, N, 28, 2);
    subnet_biggest(&space, 16, &biggest);
    must(dry_run_subnet(rig.net, &biggest, N, PASS_FIXED, &workload));
    must(rig.device->ops->prepare(rig.device, &workload));
    biggest.resolution = 28;
    struct forward forward = rig_forward(&rig, &biggest, PASS_FIXED);
    must(supernet_forward(rig.net, rig.arena, &forward, &logits));
    assert_int_equal(rig.device->ops->sync(rig.device), ERR_FAILED);
    print_message("%s\n", err_text());
    assert_non_null(strstr(err_text(), "_forward of 5x"));
    workload_fini(&workload);
    rig_close(&rig);
}

static void a_subnet_of_another_space_is_refused(void **state)
{
    (void)state;
    struct supernet *net = NULL;
    struct subnet subnet;
    struct workload workload = {0};
    struct space space = rig_space("tests/spaces/tf.yaml", 3);
    supernet_describe(&space, sizeof(float), &net);
    subnet_biggest(&space, 28, &subnet);
    subnet.kernel[0] = 9;
    assert_int_equal(dry_run_subnet(net, &subnet, N, PASS_FIXED, &workload), ERR_CONFIG);
    workload_fini(&workload);
    supernet_destroy(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_subnet_of_a_prepared_space_allocates_nothing),
        cmocka_unit_test(neither_do_large_ones),
        cmocka_unit_test(a_larger_resolution_than_prepared_for_is_refused),
        cmocka_unit_test(a_subnet_of_another_space_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
