/* A device that was prepared has the scratch of every work of its workload, and no more: an
 * operation beyond it leaves an error that names it. */
#include "kernels/workload.h"
#include "tests/count_allocations.h"
#include "tests/kernels/check.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { C = 24, K = 40, SIDE = 12, N = 3, ROWS = N * SIDE * SIDE };

static struct work pointwise(int channels, int side)
{
    return (struct work){
        .kind = WORK_PW_FORWARD,
        .conv = {.in = {N, side, side, channels}, .K = K, .R = 1, .S = 1, .ld = channels}};
}

static enum err prepare(struct device *device, struct work work)
{
    struct workload workload = {0};
    workload_add(&workload, &work);
    enum err err = device->ops->prepare(device, &workload);
    workload_fini(&workload);
    return err;
}

static void must(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s", err_text());
}

/* z (ROWS,K), which is NaN where the operation did not run. */
static float *run(struct device *device, struct work work)
{
    size_t count = (size_t)work.conv.in.N * (size_t)work.conv.in.H * (size_t)work.conv.in.W;
    size_t channels = (size_t)work.conv.in.C;
    float *x = check_random(count * channels, 1, 0, 1), *w = check_random(channels * K, 2, 0, 1);
    float *z = check_filled(count * K, (float)NAN);
    device->ops->pw_forward(device, &work.conv, (struct view){.z = x}, w, z, NULL);
    free(x);
    free(w);
    return z;
}

static bool has_run(const float *z)
{
    return !isnan(z[0]);
}

static void check_left(enum err err, const char *text)
{
    if (err != ERR_FAILED || !strstr(err_text(), text))
        fail_msg("error %d, no \"%s\" in: %s", err, text, err_text());
}

static void what_was_prepared_for_runs_and_allocates_nothing(void **state)
{
    (void)state;
    for (int threads = 1; threads <= CHECK_THREADS; threads++) {
        struct device *device = check_open(threads);
        must(prepare(device, pointwise(C, SIDE)));
        int before = atomic_load(&allocations);
        float *z = run(device, pointwise(C, SIDE));
        assert_int_equal(atomic_load(&allocations), before);
        must(device->ops->sync(device));
        assert_true(has_run(z));
        free(z);
        device_close(&device);
    }
}

static void an_operation_beyond_it_leaves_an_error_that_names_its_shape(void **state)
{
    (void)state;
    float word = 0;
    void *memory = NULL;
    struct device *device = check_open(2);
    must(prepare(device, pointwise(C, SIDE)));
    float *beyond = run(device, pointwise(2 * C, SIDE));
    assert_false(has_run(beyond));
    free(run(device, pointwise(4 * C, SIDE))); /* the first one stays */
    const char *shape = "pw_forward of 3x12x12, 48 to 40 channels, kernel 1, stride 1: ";
    check_left(device->ops->sync(device), shape);
    check_left(device->ops->download(device, &word, &word, sizeof word), shape);
    check_left(device->ops->event_wait(device, NULL), shape);
    check_left(device->ops->alloc(device, 1, &memory), shape);
    check_left(prepare(device, pointwise(2 * C, SIDE)), shape);
    print_message("%s\n", err_text());
    free(beyond);
    device_close(&device);
}

static void prepared_again_it_holds_what_the_largest_of_all_needs(void **state)
{
    (void)state;
    struct device *device = check_open(2);
    must(prepare(device, pointwise(2 * C, SIDE)));
    must(prepare(device, pointwise(C, SIDE)));
    must(prepare(device, (struct work){.kind = WORK_FIND_NONFINITE, .count = 1 << 24}));
    float *large = run(device, pointwise(2 * C, SIDE)), *small = run(device, pointwise(C, SIDE));
    must(device->ops->sync(device));
    assert_true(has_run(large) && has_run(small));
    free(large);
    free(small);
    device_close(&device);
}

static void memory_that_is_not_there_is_an_error_and_changes_nothing(void **state)
{
    (void)state;
    struct device *device = check_open(2);
    struct work vast = {
        .kind = WORK_EXCITE_BACKWARD, .conv = {.in = {1 << 24, 1, 1, 1 << 24}}, .Cr = 1};
    must(prepare(device, pointwise(C, SIDE)));
    assert_int_equal(prepare(device, vast), ERR_MEMORY);
    print_message("%s\n", err_text());
    float *z = run(device, pointwise(C, SIDE));
    must(device->ops->sync(device));
    assert_true(has_run(z));
    free(z);
    device_close(&device);
}

static void what_it_holds_is_said_without_opening_one(void **state)
{
    (void)state;
    struct workload workload = {0};
    struct device *device = check_open(3);
    struct device_cfg cfg = {"cpu", 3, ISA_AUTO, PRECISION_FP32};
    must(isa_parse(strstr(device->lineage, "x86-64-v4")   ? "x86-64-v4"
                   : strstr(device->lineage, "x86-64-v3") ? "x86-64-v3"
                                                          : "x86-64-v2",
                   &cfg.isa));
    workload_add(&workload, &(struct work){.kind = WORK_FIND_NONFINITE, .count = 1 << 24});
    struct work work = pointwise(C, SIDE);
    workload_add(&workload, &work);
    size_t before = atomic_load(&allocated_bytes);
    must(device->ops->prepare(device, &workload));
    size_t bytes = atomic_load(&allocated_bytes) - before;
    size_t said = device_scratch_bytes(&cfg, &workload);
    assert_in_range(bytes, said, said + 4 * 63); /* four blocks in whole cache lines */
    assert_int_equal(device->traffic.shared_peak_bytes, 0);
    workload_fini(&workload);
    device_close(&device);
}

static void a_device_that_nobody_prepared_grows(void **state)
{
    (void)state;
    struct device *device = check_open(1);
    float *small = run(device, pointwise(C, SIDE)), *large = run(device, pointwise(4 * C, SIDE));
    must(device->ops->sync(device));
    assert_true(has_run(small) && has_run(large));
    free(small);
    free(large);
    device_close(&device);
}

static void a_workload_holds_every_work_once(void **state)
{
    (void)state;
    enum { MANY = 3000 };
    struct workload workload = {0};
    for (int i = 0; i < 2 * MANY; i++) {
        struct work work = pointwise(1 + i % MANY, SIDE);
        workload_add(&workload, &work);
    }
    assert_int_equal(workload.count, MANY);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(workload.works[i].conv.in.C, 1 + i);
    workload_fini(&workload);
    assert_int_equal(workload.count, 0);
}

static int run_group(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_prepared_for_runs_and_allocates_nothing),
        cmocka_unit_test(an_operation_beyond_it_leaves_an_error_that_names_its_shape),
        cmocka_unit_test(prepared_again_it_holds_what_the_largest_of_all_needs),
        cmocka_unit_test(memory_that_is_not_there_is_an_error_and_changes_nothing),
        cmocka_unit_test(what_it_holds_is_said_without_opening_one),
        cmocka_unit_test(a_device_that_nobody_prepared_grows),
        cmocka_unit_test(a_workload_holds_every_work_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv, run_group);
}
