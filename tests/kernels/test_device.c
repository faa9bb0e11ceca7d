/* Opening devices: names, instruction sets and what is refused. */
#include "kernels/cpu/processor.h"
#include "tests/kernels/check.h"
#include <string.h>

static void instruction_sets_have_names(void **state)
{
    (void)state;
    static const char *const names[] = {"auto", "x86-64-v2", "x86-64-v3", "x86-64-v4"};
    enum isa isa = ISA_AUTO;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(isa_parse(names[i], &isa), ERR_OK);
        assert_int_equal(isa, i);
    }
    assert_int_equal(isa_parse("avx2", &isa), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "\"avx2\""));
    assert_int_equal(isa, ISA_V4); /* untouched */
}

static void an_unknown_device_is_refused_by_name(void **state)
{
    (void)state;
    struct device *device = NULL;
    struct device_cfg cfg = {"abacus", 1, ISA_AUTO, PRECISION_FP32};
    assert_int_equal(device_open(&cfg, &device), ERR_UNAVAILABLE);
    assert_non_null(strstr(err_text(), "abacus"));
    assert_null(device);
}

static void a_device_says_what_its_results_depend_on(void **state)
{
    (void)state;
    struct device *device = NULL;
    struct device_cfg cfg = {"auto", 2, ISA_AUTO, PRECISION_FP32};
    assert_int_equal(device_open(&cfg, &device), ERR_OK);
    assert_string_equal(device->ops->name, "cpu");
    assert_non_null(strstr(device->lineage, "cpu x86-64-v"));
    assert_non_null(strstr(device->lineage, "oneDNN"));
    struct processor processor;
    char model[160];
    processor_read(&processor);
    processor_model(&processor, model, sizeof model);
    const char *on = strstr(device->lineage, DEVICE_LINEAGE_ON);
    assert_non_null(on); /* and it is not cut */
    assert_string_equal(on + strlen(DEVICE_LINEAGE_ON), model);
    print_message("%s\n", device->lineage);
    device_close(&device);
    assert_null(device);
}

static void a_convolution_keeps_the_map_or_halves_it_rounding_up(void **state)
{
    (void)state;
    struct conv conv = {.in = {2, 7, 8, 3}, .K = 5, .R = 3, .S = 2, .ld = 3};
    struct dims out = conv_out(&conv);
    assert_int_equal(out.N, 2);
    assert_int_equal(out.H, 4);
    assert_int_equal(out.W, 4);
    assert_int_equal(out.C, 5);
    conv.S = 1;
    assert_int_equal(conv_out(&conv).H, 7);
}

/* The numbers of zeros that TensorFlow's documentation gives for SAME. */
static void zeros_go_where_the_padding_says(void **state)
{
    static const struct {
        int in, R, S, before, behind;
    } same[] = {{224, 3, 2, 0, 1}, {225, 3, 2, 1, 1}, {112, 5, 2, 1, 2}, {56, 7, 2, 2, 3},
                {7, 7, 2, 3, 3},   {28, 5, 1, 2, 2},  {2, 3, 2, 0, 1},   {1, 3, 2, 1, 1},
                {9, 1, 1, 0, 0},   {2, 7, 2, 2, 3}};
    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        int in = same[i].in, R = same[i].R, S = same[i].S;
        assert_int_equal(pad_before(PAD_SAME, in, R, S), same[i].before);
        assert_int_equal(pad_behind(PAD_SAME, in, R, S), same[i].behind);
        assert_int_equal(pad_before(PAD_SYMMETRIC, in, R, S), R / 2);
        assert_int_equal(pad_behind(PAD_SYMMETRIC, in, R, S), R / 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instruction_sets_have_names),
        cmocka_unit_test(an_unknown_device_is_refused_by_name),
        cmocka_unit_test(a_device_says_what_its_results_depend_on),
        cmocka_unit_test(a_convolution_keeps_the_map_or_halves_it_rounding_up),
        cmocka_unit_test(zeros_go_where_the_padding_says),
    };
    return cmocka_run_group_tests_name("device", tests, NULL, NULL);
}
