/* What the kernels ask of the GEMM library: right, the same bits for the same call whatever thread
 * makes it and however its operands are aligned, and pinned to one instruction set. */
#include "kernels/cpu/gemm.h"
#include "tests/kernels/check.h"
#include "tests/kernels/fixture.h"
#include "tests/kernels/reference.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int shapes[][3] = {{1, 1, 1},     {3, 5, 2},       {64, 96, 16},  {256, 24, 96},
                                {37, 80, 480}, {112, 160, 960}, {25, 100, 25}, {128, 17, 1000}};
enum { SHAPES = sizeof shapes / sizeof *shapes, SPARE = 16 };

struct call {
    int m, n, k;
    void (*function)(const struct gemm *);
    const float *a, *b; /* the larger of both layouts */
    int shift;          /* floats off alignment */
    float *c;
};

static float *moved(const float *from, size_t count, int shift)
{
    float *to = aligned_alloc(64, (count + 2 * SPARE) * sizeof *to / 64 * 64 + 64);
    if (!to)
        abort();
    memcpy(to + shift, from, count * sizeof *to);
    return to;
}

static void *run_call(void *argument)
{
    struct call *call = argument;
    size_t m = (size_t)call->m, n = (size_t)call->n, k = (size_t)call->k;
    float *a = moved(call->a, m * k, call->shift), *b = moved(call->b, k * n, call->shift);
    float *c = moved(call->c, m * n, call->shift);
    struct gemm gemm = {.m = call->m,
                        .n = call->n,
                        .k = call->k,
                        .a = a + call->shift,
                        .lda = call->function == gemm_tn ? call->m : call->k,
                        .b = b + call->shift,
                        .ldb = call->function == gemm_nt ? call->k : call->n,
                        .c = c + call->shift,
                        .ldc = call->n};
    call->function(&gemm);
    memcpy(call->c, c + call->shift, m * n * sizeof *c);
    free(a);
    free(b);
    free(c);
    return NULL;
}

static double *plain(const struct call *call, struct fixture *fixture)
{
    struct product p = {
        .rows = (size_t)call->m, .columns = (size_t)call->n, .inner = (size_t)call->k};
    p.a = fixture_widen(fixture, call->a, p.rows * p.inner);
    p.b = fixture_widen(fixture, call->b, p.columns * p.inner);
    double *c = call->function == gemm_nn   ? reference_product(&p)
                : call->function == gemm_nt ? reference_product_nt(&p)
                                            : reference_product_tn(&p);
    return fixture_keep(fixture, c);
}

static void check_call(int number, void (*function)(const struct gemm *))
{
    struct fixture fixture = {.seed = (uint64_t)number << 16};
    const int *shape = shapes[number];
    struct call call = {shape[0], shape[1], shape[2], function, NULL, NULL, 0, NULL};
    size_t count = (size_t)(call.m * call.n);
    call.a = fixture_random(&fixture, (size_t)(call.m * call.k), 0, 1);
    call.b = fixture_random(&fixture, (size_t)(call.k * call.n), 0, 1);
    float *first = fixture_keep(&fixture, check_filled(count, NAN));
    call.c = first;
    run_call(&call);
    check_near("product", first, plain(&call, &fixture), count, 3e-6);
    for (int shift = 0; shift < SPARE; shift += 3) {
        pthread_t thread;
        call.shift = shift;
        call.c = fixture_keep(&fixture, check_filled(count, NAN));
        assert_int_equal(pthread_create(&thread, NULL, run_call, &call), 0);
        pthread_join(thread, NULL);
        char what[80];
        snprintf(what, sizeof what, "%d x %d x %d, %d floats off", call.m, call.n, call.k, shift);
        check_same(what, call.c, first, count * sizeof *first);
    }
    fixture_fini(&fixture);
}

static void a_product_has_the_same_bits_on_any_thread_and_alignment(void **state)
{
    (void)state;
    struct device *device = check_open(1); /* pins the library */
    for (int number = 0; number < SHAPES; number++) {
        check_call(number, gemm_nn);
        check_call(number, gemm_nt);
        check_call(number, gemm_tn);
    }
    device_close(&device);
}

static void leading_dimensions_and_accumulation_hold(void **state)
{
    (void)state;
    struct device *device = check_open(1);
    float a[] = {1, 2, 9, 3, 4, 9}, b[] = {1, 0, 9, 9, 0, 1, 9, 9};
    float c[] = {10, 10, 7, 10, 10, 7};
    struct gemm gemm = {.m = 2, .n = 2, .k = 2, .a = a, .lda = 3, .b = b, .ldb = 4, .c = c};
    gemm.ldc = 3;
    gemm.accumulates = true;
    gemm_nn(&gemm);
    const double want[] = {11, 12, 7, 13, 14, 7};
    check_near("c += a b", c, want, 6, 0);
    device_close(&device);
}

static void a_process_is_pinned_to_one_instruction_set(void **state)
{
    (void)state;
    struct device *device = check_open(1), *other = NULL;
    enum isa isas[] = {ISA_V2, ISA_V3, ISA_V4};
    int opened = 0;
    for (int i = 0; i < 3; i++) {
        struct device_cfg cfg = {"cpu", 1, isas[i], PRECISION_FP32};
        if (device_open(&cfg, &other) == ERR_OK) {
            opened++;
            assert_string_equal(other->lineage, device->lineage);
            device_close(&other);
        } else {
            assert_non_null(strstr(err_text(), "pinned"));
        }
    }
    assert_int_equal(opened, 1);
    device_close(&device);
}

static int run_group(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_product_has_the_same_bits_on_any_thread_and_alignment),
        cmocka_unit_test(leading_dimensions_and_accumulation_hold),
        cmocka_unit_test(a_process_is_pinned_to_one_instruction_set),
    };
    return cmocka_run_group_tests_name("gemm", tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv, run_group);
}
