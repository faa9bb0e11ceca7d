/* The gradient of kernel matrices that rest. In a space whose largest kernel is a 5x5, which the
 * 7x7 to 5x5 matrix makes of what is stored, there is one in the teacher's phase too. */
#include "base/mem.h"
#include "tests/supernet/rig.h"
#include "trainer/train/step.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { N = 4, R = 20 };

static struct { /* stands before the device, and keeps what the update is about to be given */
    const struct device_ops *ops;
    struct device_ops watched;
    float *gradient;
} watch;

static void keep_gradient(struct device *device, size_t count, const float *x, struct flaw flaw)
{
    must(watch.ops->download(device, watch.gradient, x, count * sizeof *x));
    watch.ops->find_nonfinite(device, count, x, flaw);
}

/* The same step of the biggest sub-network twice, with a rate of 0. */
static void take_two_steps(struct rig *rig, float *gradients[2])
{
    struct comm comm;
    struct step *step = NULL;
    struct step_result result;
    struct campaign campaign = {.batch = {.global = N, .micro = N}};
    struct phase phase = {.subnets_per_step = 1};
    struct prefetched prefetched = {
        .images = rig->images, .labels = rig->labels, .host = {.N = N, .resolution = R, .C = 3}};
    schedule_open_biggest(&rig->space, &phase.open);
    comm_alone(&comm);
    struct step_cfg cfg = {.comm = &comm,
                           .device_comm = comm_staged(&comm, rig->device),
                           .net = rig->net,
                           .campaign = &campaign,
                           .phase = &phase};
    must(step_create(&cfg, &step));
    for (int i = 0; i < 2; i++) {
        watch.gradient = gradients[i];
        must(step_leaf(step, 7, &prefetched));
        must(step_update(step, 0, &result));
    }
    step_destroy(&step);
    device_comm_close(&cfg.device_comm);
}

static void a_resting_matrix_s_gradient_does_not_pile_up(void **state)
{
    (void)state;
    struct rig rig;
    struct space space = rig_space("configs/spaces/firefly-tiny.yaml", 3);
    space.kernels = (struct choices){2, {3, 5}};
    rig_open(&rig, &space, N, R, 1);
    size_t count = rig.net->weight_count;
    const struct segment *matrices = &rig.net->segments[SEGMENT_MATRICES];
    float *gradients[2] = {mem_array(count, sizeof(float)), mem_array(count, sizeof(float))};
    watch.ops = rig.device->ops;
    watch.watched = *watch.ops;
    watch.watched.find_nonfinite = keep_gradient;
    rig.device->ops = &watch.watched;
    take_two_steps(&rig, gradients);
    rig.device->ops = watch.ops;
    assert_true(largest(gradients[0] + matrices->offset, matrices->count) > 0);
    assert_memory_equal(gradients[0], gradients[1], count * sizeof(float));
    mem_free(gradients[0]);
    mem_free(gradients[1]);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resting_matrix_s_gradient_does_not_pile_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
