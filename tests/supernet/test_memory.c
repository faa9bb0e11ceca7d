/* A rank's memory: mbv3, the biggest sub-network, 128 px, micro-batch 64. In a process of its own,
 * because the peak is the process's. */
#include "base/mem.h"
#include "tests/supernet/rig.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { N = 64, R = 128 };

/* A line of /proc/self/status in bytes. */
static double status_bytes(const char *format)
{
    char line[256];
    unsigned long long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    assert_non_null(status);
    while (kib == 0 && fgets(line, sizeof line, status))
        if (sscanf(line, format, &kib) != 1)
            kib = 0;
    fclose(status);
    return (double)kib * 1024;
}

static void a_rank_s_peak_stays_below_1400_megabytes(void **state)
{
    (void)state;
    struct rig rig;
    struct subnet biggest;
    void *momentum = NULL;
    struct space space = rig_space("configs/spaces/mbv3.yaml", 3);
    rig_open(&rig, &space, N, R, 2);
    const struct device_ops *ops = rig.device->ops;
    size_t bytes = rig.net->weight_count * sizeof(float);
    must(ops->alloc(rig.device, bytes, &momentum));
    subnet_biggest(&rig.space, R, &biggest);
    struct forward forward = rig_forward(&rig, &biggest, PASS_TRAIN);
    rig_step(&rig, &forward);
    ops->sgd_step(rig.device, &(struct sgd){.segment_count = 1,
                                            .segments = {{0, rig.net->weight_count, 3e-5f}},
                                            .w = rig.net->weights,
                                            .v = momentum,
                                            .g = rig.gradient,
                                            .shadow = rig.net->shadow,
                                            .rate = 0.1f,
                                            .momentum = 0.9f,
                                            .is_nesterov = true});
    must(ops->sync(rig.device));
    /* the high-water mark counts the program's own pages too: an upper bound */
    double peak = status_bytes("VmHWM: %llu"), anonymous = status_bytes("RssAnon: %llu");
    print_message("pass %.0f MB, weights %.0f MB each; peak %.0f MB, anonymous now %.0f MB\n",
                  (double)activation_arena_size_bytes(rig.arena) / 1e6, (double)bytes / 1e6,
                  peak / 1e6, anonymous / 1e6);
    assert_true(anonymous > 785e6); /* the step ran: its raw maps are there */
    assert_true(peak < 1.4e9);
    ops->free(rig.device, momentum);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rank_s_peak_stays_below_1400_megabytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
