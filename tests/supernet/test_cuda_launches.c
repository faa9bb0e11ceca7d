/* How many kernels a training pass of mbv3's biggest sub-network launches: each costs a GPU some
 * microseconds whatever it computes. Counted on the emulated GPU at a small resolution, since
 * layers, not pixels, decide. */
#include "tests/kernels/cuda/launches.h"
#include "tests/supernet/rig.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { MOST_LAUNCHES = 250, N = 2, R = 32 };

static void a_pass_forward_and_backward_takes_few_launches(void **state)
{
    struct rig rig;
    struct subnet biggest;
    struct launches launches;
    struct space space = rig_space("configs/spaces/mbv3.yaml", 3);
    struct device_cfg cfg = {"cuda-emulated", 1, ISA_AUTO, PRECISION_BF16};
    (void)state;
    if (!rig_open_isa(&rig, &space, N, R, &cfg))
        fail_msg("%s", err_text());
    subnet_biggest(&rig.space, R, &biggest);
    struct forward forward = rig_forward(&rig, &biggest, PASS_TRAIN);
    must(rig.device->ops->sync(rig.device));
    launches_begin();
    rig_step(&rig, &forward);
    launches_end(rig.device, NULL, 0, &launches);
    print_message("%d launches\n", launches.count);
    assert_in_range(launches.count, 100, MOST_LAUNCHES);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pass_forward_and_backward_takes_few_launches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
