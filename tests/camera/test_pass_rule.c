/* When a network on a camera passes, at each bound. */
#include "camera/pass_rule.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct pass_figures sound(void)
{
    return (struct pass_figures){.images = 300,
                                 .agree = 300,
                                 .clear = 200,
                                 .clear_agree = 200,
                                 .certain = 100,
                                 .certain_agree = 100,
                                 .labelled = 300,
                                 .correct = 290,
                                 .fp32_correct = 290,
                                 .confidence_difference = 0.001,
                                 .latencies = 50,
                                 .latency_median_ms = 20,
                                 .latency_p95_ms = 21,
                                 .predicted_ms = 20,
                                 .budget_ms = 20};
}

static int failures(struct pass_figures figures)
{
    struct pass_verdict verdict;
    pass_rule_judge(&figures, &verdict);
    return verdict.failures;
}

static int warnings(struct pass_figures figures)
{
    struct pass_verdict verdict;
    pass_rule_judge(&figures, &verdict);
    return verdict.warnings;
}

static void what_is_sound_passes_without_a_word(void **state)
{
    (void)state;
    assert_int_equal(failures(sound()), 0);
    assert_int_equal(warnings(sound()), 0);
}

static void of_clear_images_99_in_100_must_agree(void **state)
{
    struct pass_figures figures = sound();
    (void)state;
    figures.clear_agree = 198;
    assert_int_equal(failures(figures), 0);
    figures.clear_agree = 197;
    assert_int_equal(failures(figures), 1);
    figures.clear = figures.clear_agree = figures.certain = figures.certain_agree = 0;
    assert_int_equal(failures(figures), 1); /* nothing was compared */
}

static void of_certain_images_all_must_agree(void **state)
{
    struct pass_figures figures = sound();
    (void)state;
    figures.certain_agree = figures.certain - 1;
    assert_int_equal(failures(figures), 1);
}

static void the_median_confidence_may_be_2_in_100_off(void **state)
{
    struct pass_figures figures = sound();
    (void)state;
    figures.confidence_difference = 0.02;
    assert_int_equal(failures(figures), 0);
    figures.confidence_difference = 0.0201;
    assert_int_equal(failures(figures), 1);
    figures.confidence_difference = NAN;
    assert_int_equal(failures(figures), 1);
}

static void accuracy_may_be_a_point_or_an_image_lower(void **state)
{
    struct pass_figures figures = sound();
    (void)state;
    figures.correct = figures.fp32_correct - 3;
    assert_int_equal(failures(figures), 0);
    figures.correct = figures.fp32_correct - 4;
    assert_int_equal(failures(figures), 1);
    figures.labelled = 10, figures.fp32_correct = 10, figures.correct = 9;
    assert_int_equal(failures(figures), 0); /* one image is chance */
    figures.correct = 8;
    assert_int_equal(failures(figures), 1);
    figures.labelled = figures.fp32_correct = figures.correct = 0;
    assert_int_equal(failures(figures), 0);
}

static void latency_is_within_its_budget_and_near_its_prediction(void **state)
{
    struct pass_figures figures = sound();
    (void)state;
    figures.latency_median_ms = 20.01;
    assert_int_equal(failures(figures), 1);
    figures.fixed_ms = 20; /* another sentence, not one more */
    assert_int_equal(failures(figures), 1);
    figures.budget_ms = 0;
    assert_int_equal(failures(figures), 0);
    figures.latency_median_ms = 23;
    assert_int_equal(warnings(figures), 0);
    figures.latency_median_ms = 23.01;
    assert_int_equal(warnings(figures), 1);
    figures.latency_median_ms = 16.99;
    assert_int_equal(warnings(figures), 1);
    figures.predicted_ms = 0;
    assert_int_equal(warnings(figures), 0);
    figures.latencies = 49;
    assert_int_equal(failures(figures), 1);
}

static void frames_that_were_left_out_are_told_from_1_in_20_on(void **state)
{
    struct pass_figures figures = sound();
    (void)state;
    figures.frames = 100;
    figures.left_out = 5;
    assert_int_equal(warnings(figures), 0);
    figures.left_out = 6;
    assert_int_equal(warnings(figures), 1);
    assert_int_equal(failures(figures), 0);
}

static const struct validated_image sure = {.label = 1,
                                            .fp32_class = 1,
                                            .fp32_margin = 0.9,
                                            .expected_class = 1,
                                            .expected_confidence = 0.95,
                                            .found_class = 1,
                                            .found_confidence = 0.95,
                                            .is_steady = true};

static void an_image_whose_frames_differ_is_wrong_if_any_is(void **state)
{
    struct validated_image image = sure;
    double latency = 1;
    struct pass_figures figures;
    (void)state;
    image.is_steady = false;
    pass_figures_of(&image, 1, &latency, 1, &figures);
    assert_int_equal(figures.certain_agree, 1); /* of one class all the same */
    image.is_torn = true;
    pass_figures_of(&image, 1, &latency, 1, &figures);
    assert_int_equal(figures.agree + figures.clear_agree + figures.certain_agree, 0);
    assert_int_equal(figures.correct, 0);
}

static void what_is_no_number_counts_against_it(void **state)
{
    struct validated_image images[] = {sure, sure, sure};
    double latencies[] = {NAN, 3, 0, INFINITY, 1, -1};
    struct pass_figures figures;
    (void)state;
    images[0].found_confidence = images[1].found_confidence = NAN;
    pass_figures_of(images, 3, latencies, 6, &figures);
    assert_int_equal(figures.latencies, 2);
    assert_float_equal(figures.latency_median_ms, 2, 1e-9);
    assert_float_equal(figures.confidence_difference, 1, 1e-9);
}

static void every_failure_says_what_to_do(void **state)
{
    struct pass_figures figures = {.clear = 1,
                                   .certain = 1,
                                   .labelled = 10,
                                   .fp32_correct = 10,
                                   .confidence_difference = NAN,
                                   .latency_median_ms = NAN,
                                   .budget_ms = 1,
                                   .predicted_ms = 1,
                                   .unsteady = 1};
    struct pass_verdict verdict;
    (void)state;
    pass_rule_judge(&figures, &verdict);
    assert_int_equal(verdict.failures, 6);
    assert_int_equal(verdict.warnings, 2);
    for (int f = 0; f < verdict.failures; f++)
        assert_non_null(strchr(verdict.failure[f], ':'));
    for (int w = 0; w < verdict.warnings; w++)
        assert_non_null(strchr(verdict.warning[w], ':'));
}

static void figures_are_counted_by_margin_label_and_order(void **state)
{
    struct validated_image images[] = {
        {.label = 1,
         .fp32_class = 1,
         .fp32_margin = 0.9,
         .expected_class = 1,
         .expected_confidence = 0.95,
         .found_class = 1,
         .found_confidence = 0.94,
         .is_steady = true},
        {.label = 1,
         .fp32_class = 1,
         .fp32_margin = 0.3,
         .expected_class = 1,
         .expected_confidence = 0.60,
         .found_class = 2,
         .found_confidence = 0.50,
         .is_steady = true},
        {.label = -1,
         .fp32_class = 0,
         .fp32_margin = 0.05,
         .expected_class = 0,
         .expected_confidence = 0.40,
         .found_class = 0,
         .found_confidence = 0.43},
    };
    double latencies[20];
    struct pass_figures figures;
    (void)state;
    for (int i = 0; i < 20; i++)
        latencies[i] = 20 - i;
    pass_figures_of(images, 3, latencies, 20, &figures);
    assert_int_equal(figures.images, 3);
    assert_int_equal(figures.agree, 2);
    assert_int_equal(figures.clear, 2);
    assert_int_equal(figures.clear_agree, 1);
    assert_int_equal(figures.certain, 1);
    assert_int_equal(figures.certain_agree, 1);
    assert_int_equal(figures.labelled, 2);
    assert_int_equal(figures.correct, 1);
    assert_int_equal(figures.fp32_correct, 2);
    assert_int_equal(figures.unsteady, 1);
    assert_float_equal(figures.confidence_difference, 0.03, 1e-9);
    assert_float_equal(figures.largest_confidence_difference, 0.10, 1e-9);
    assert_float_equal(figures.latency_median_ms, 10.5, 1e-9);
    assert_float_equal(figures.latency_p95_ms, 19, 1e-9);
    pass_figures_of(images, 0, latencies, 0, &figures);
    assert_true(isnan(figures.latency_median_ms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sound_passes_without_a_word),
        cmocka_unit_test(of_clear_images_99_in_100_must_agree),
        cmocka_unit_test(of_certain_images_all_must_agree),
        cmocka_unit_test(the_median_confidence_may_be_2_in_100_off),
        cmocka_unit_test(accuracy_may_be_a_point_or_an_image_lower),
        cmocka_unit_test(latency_is_within_its_budget_and_near_its_prediction),
        cmocka_unit_test(frames_that_were_left_out_are_told_from_1_in_20_on),
        cmocka_unit_test(an_image_whose_frames_differ_is_wrong_if_any_is),
        cmocka_unit_test(what_is_no_number_counts_against_it),
        cmocka_unit_test(every_failure_says_what_to_do),
        cmocka_unit_test(figures_are_counted_by_margin_label_and_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
