/* A network on many images in three arithmetics: nothing depends on threads, the figures are the
 * converter's, and the layer that is to blame is named. */
#include "base/rng.h"
#include "tests/emulator/tiny_folded.h"
#include "trainer/emulator/divergence.h"
#include "trainer/emulator/readers.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if ((call) != ERR_OK)                                                                      \
            fail_msg("%s: %s", #call, err_text());                                                 \
    } while (0)

enum { VALUES = TINY_SIDE * TINY_SIDE * TINY_CHANNELS, IMAGES = 40 };

static enum err give_image(int index, float *values, int *label, void *own)
{
    int failing = own ? *(int *)own : -1;
    if (index == failing)
        return err_set(ERR_DATA, "image %d is damaged", index);
    for (uint64_t i = 0; i < VALUES; i++)
        values[i] = (float)(4 * rng_unit(rng(8, RNG_TEST, 0, (uint64_t)index, i)) - 2);
    *label = index % 4 == 3 ? -1 : index % TINY_CLASSES;
    return ERR_OK;
}

static void read_net(struct exported *net)
{
    struct folded folded;
    struct tiny_files files;
    tiny_folded(PAD_SYMMETRIC, ACT_RELU6, &folded);
    tiny_write(&folded, &files);
    CHECK(tensorflow_read(files.graphdef.data, files.graphdef.size, net));
    tiny_files_fini(&files);
    folded_fini(&folded);
}

static enum err compare(const struct exported *net, int threads, int *failing,
                        struct divergence *divergence)
{
    struct divergence_cfg cfg = {
        .net = net, .images = IMAGES, .threads = threads, .image = give_image, .own = failing};
    return divergence_run(&cfg, divergence);
}

static void check_same(const struct divergence *left, const struct divergence *right)
{
    assert_int_equal(left->clear, right->clear);
    assert_int_equal(left->labelled, right->labelled);
    for (int a = 0; a < ARITHMETICS; a++) {
        const struct compared *one = &left->of[a], *other = &right->of[a];
        size_t layers = (size_t)left->net->count * sizeof *one->layers;
        assert_memory_equal(one->layers, other->layers, layers);
        assert_memory_equal(&one->figures, &other->figures, sizeof one->figures);
        assert_int_equal(one->correct, other->correct);
        assert_int_equal(one->agree, other->agree);
        assert_int_equal(one->agree_clear, other->agree_clear);
    }
}

static void threads_decide_nothing(void **state)
{
    struct exported net;
    struct divergence alone, together;
    (void)state;
    read_net(&net);
    CHECK(compare(&net, 1, NULL, &alone));
    CHECK(compare(&net, 7, NULL, &together));
    check_same(&alone, &together);
    assert_int_equal(alone.images, IMAGES);
    assert_int_equal(alone.labelled, IMAGES - IMAGES / 4);
    divergence_fini(&alone);
    divergence_fini(&together);
    exported_fini(&net);
}

static void fp32_agrees_with_itself_and_fp16_nearly(void **state)
{
    struct exported net;
    struct divergence divergence;
    (void)state;
    read_net(&net);
    CHECK(compare(&net, 2, NULL, &divergence));
    assert_int_equal(divergence.of[ARITHMETIC_FP32].agree, IMAGES);
    assert_true(divergence.of[ARITHMETIC_FP32].figures.largest == 0);
    for (int a = ARITHMETIC_FP16_SUM32; a < ARITHMETICS; a++) {
        const struct compared *of = &divergence.of[a];
        assert_int_equal(of->agree_clear, divergence.clear);
        assert_true(of->figures.largest > 0 && of->figures.largest < 2);
        assert_true(of->layers[0].worst_error > 0x1p-14 && of->layers[0].worst_error < 0.01);
        assert_in_range(of->layers[0].worst_image, 0, IMAGES - 1);
        assert_int_equal(of->layers[0].counts.values,
                         IMAGES * (TINY_SIDE / 2) * (TINY_SIDE / 2) * TINY_WIDTH);
    }
    assert_true(divergence.of[ARITHMETIC_FP16].layers[0].worst_error >
                divergence.of[ARITHMETIC_FP16_SUM32].layers[0].worst_error);
    assert_int_equal(divergence_overflow(&divergence, ARITHMETIC_FP16), -1);
    divergence_fini(&divergence);
    exported_fini(&net);
}

/* A weight that is no binary16 any more, and one that overflows. */
static void the_layer_to_blame_is_named(void **state)
{
    struct exported net;
    struct divergence divergence;
    (void)state;
    read_net(&net);
    for (int i = 0; i < 16 * TINY_WIDTH; i++)
        net.layers[TINY_HEAD].w[i] *= 1e-7f;
    memset(net.layers[TINY_HEAD].b, 0, 16 * sizeof(float));
    CHECK(compare(&net, 2, NULL, &divergence));
    assert_int_equal(divergence_culprit(&divergence, ARITHMETIC_FP16_SUM32), TINY_HEAD);
    assert_true(divergence.of[ARITHMETIC_FP16].layers[TINY_HEAD].weights.subnormals > 0);
    divergence_fini(&divergence);
    net.layers[TINY_PROJECT].w[0] = 1e6f;
    CHECK(compare(&net, 2, NULL, &divergence));
    assert_int_equal(divergence_overflow(&divergence, ARITHMETIC_FP16_SUM32), TINY_PROJECT);
    divergence_fini(&divergence);
    exported_fini(&net);
}

/* The camera takes the best of all outputs. */
static void an_output_of_no_class_that_wins_is_wrong(void **state)
{
    struct exported net;
    struct divergence divergence;
    (void)state;
    read_net(&net);
    net.layers[TINY_LOGITS].b[2] = 100;
    struct divergence_cfg cfg = {
        .net = &net, .images = IMAGES, .threads = 2, .classes = 2, .image = give_image};
    CHECK(divergence_run(&cfg, &divergence));
    for (int a = 0; a < ARITHMETICS; a++) {
        assert_int_equal(divergence.of[a].strays, IMAGES);
        assert_int_equal(divergence.of[a].agree, 0);
        assert_int_equal(divergence.of[a].agree_clear, 0);
        assert_int_equal(divergence.of[a].correct, 0);
    }
    divergence_fini(&divergence);
    exported_fini(&net);
}

/* Logits of which one is infinite: their softmax is no number. */
static void a_confidence_that_is_no_number_is_as_far_off_as_any(void **state)
{
    struct exported net;
    struct divergence divergence;
    (void)state;
    read_net(&net);
    for (int k = 0; k < TINY_CLASSES; k++)
        net.layers[TINY_LOGITS].b[k] = 1e6f;
    CHECK(compare(&net, 2, NULL, &divergence));
    assert_true(divergence.of[ARITHMETIC_FP16].largest_confidence_difference == 1);
    assert_true(isinf(divergence.of[ARITHMETIC_FP16].figures.largest));
    divergence_fini(&divergence);
    exported_fini(&net);
}

/* The error of the logits is of the largest one of a class, not of the others' -100. */
static void outputs_of_no_class_hide_no_error(void **state)
{
    struct exported net;
    struct divergence divergences[2];
    (void)state;
    read_net(&net);
    net.layers[TINY_LOGITS].b[2] = -100;
    for (int classes = 2; classes <= 3; classes++) {
        struct divergence_cfg cfg = {
            .net = &net, .images = IMAGES, .threads = 2, .classes = classes, .image = give_image};
        CHECK(divergence_run(&cfg, &divergences[classes - 2]));
    }
    assert_true(divergences[0].of[ARITHMETIC_FP16].layers[TINY_LOGITS].worst_error >
                divergences[1].of[ARITHMETIC_FP16].layers[TINY_LOGITS].worst_error);
    for (int d = 0; d < 2; d++)
        divergence_fini(&divergences[d]);
    exported_fini(&net);
}

static void the_first_bad_image_ends_it(void **state)
{
    struct exported net;
    struct divergence divergence;
    int failing = 11;
    (void)state;
    read_net(&net);
    assert_int_equal(compare(&net, 3, &failing, &divergence), ERR_DATA);
    assert_non_null(strstr(err_text(), "image 11 is damaged"));
    divergence_fini(&divergence);
    exported_fini(&net);
}

static void the_four_figures_are_those_of_the_converter_s_check(void **state)
{
    const float expected[4] = {0.5f, 0.25f, -1, 0.25f}, found[4] = {0.5f, 0.25f, -1.03125f, 0.25f};
    (void)state;
    struct error_figures figures = error_figures(expected, found, 4);
    assert_float_equal(figures.largest, 3.125, 1e-9);
    assert_float_equal(figures.mean, 3.125 / 4, 1e-9);
    assert_float_equal(figures.far, 25, 1e-9);
    assert_float_equal(figures.l2, 3.125 / 2, 1e-9);
    assert_false(error_figures_pass(&figures));
    figures = error_figures(expected, expected, 4);
    assert_true(error_figures_pass(&figures));
    const float lost[4] = {0.5f, NAN, -1, 0.25f};
    figures = error_figures(expected, lost, 4);
    assert_false(error_figures_pass(&figures));
    const float endless[4] = {0.5f, INFINITY, -1, 0.25f};
    for (int i = 0; i < 2; i++) {
        figures = error_figures(endless, i ? endless : expected, 4);
        assert_true(isinf(figures.largest) && isinf(figures.mean) && isinf(figures.l2));
        assert_float_equal(figures.far, 100, 1e-9);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_decide_nothing),
        cmocka_unit_test(fp32_agrees_with_itself_and_fp16_nearly),
        cmocka_unit_test(the_layer_to_blame_is_named),
        cmocka_unit_test(outputs_of_no_class_hide_no_error),
        cmocka_unit_test(an_output_of_no_class_that_wins_is_wrong),
        cmocka_unit_test(a_confidence_that_is_no_number_is_as_far_off_as_any),
        cmocka_unit_test(the_first_bad_image_ends_it),
        cmocka_unit_test(the_four_figures_are_those_of_the_converter_s_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
