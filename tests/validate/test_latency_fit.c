/* A device's latency out of verdicts: what is found again, what one wrong measurement does, and
 * what becomes of the device's file. */
#include "base/rng.h"
#include "cluster/validate/device_latency.h"
#include "cluster/validate/fit_verdicts.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { POINTS = 12 };

static const struct latency_model truth = {17.5, {0.09, 0.11, 0.28, 0.4}};
static const struct latency_model known = {19.3, {0.105, 0.105, 0.105, 0.105}};

/* Networks that differ in all kinds; noise: of their times. */
static void measure(struct latency_point points[POINTS], double noise)
{
    static const double most[COST_KINDS] = {40, 250, 30, 4};
    for (uint64_t i = 0; i < POINTS; i++) {
        for (uint64_t k = 0; k < COST_KINDS; k++)
            points[i].mmac[k] = most[k] * rng_unit(rng(5, RNG_TEST, 0, i, k));
        double off = noise * (2 * rng_unit(rng(6, RNG_TEST, 0, i, 0)) - 1);
        points[i].measured_ms = latency_model_ms(&truth, &points[i]) * (1 + off);
    }
}

/* Largest relative error of the predictions of exact networks. */
static double worst_error(const struct latency_model *model)
{
    struct latency_point exact[POINTS];
    double worst = 0;
    measure(exact, 0);
    for (int i = 0; i < POINTS; i++)
        worst = fmax(worst, fabs(latency_model_ms(model, &exact[i]) / exact[i].measured_ms - 1));
    return worst;
}

static void the_times_of_each_kind_are_found_again(void **state)
{
    struct latency_point points[POINTS];
    struct latency_model fitted;
    (void)state;
    measure(points, 0);
    assert_true(worst_error(&known) > 0.05);
    latency_fit(points, POINTS, &known, &fitted);
    assert_float_equal(fitted.fixed_ms, truth.fixed_ms, 0.3);
    for (int k = 0; k < 3; k++)
        assert_float_equal(fitted.rate_ms[k], truth.rate_ms[k], 0.1 * truth.rate_ms[k]);
    assert_true(worst_error(&fitted) < 0.01);
}

static void one_wrong_measurement_spoils_nothing(void **state)
{
    struct latency_point points[POINTS];
    struct latency_model fitted;
    (void)state;
    measure(points, 0.01);
    points[3].measured_ms *= 3; /* another program had the camera, say */
    latency_fit(points, POINTS, &known, &fitted);
    assert_true(worst_error(&fitted) < 0.04);
}

static void what_one_network_does_not_tell_stays_as_it_was_known(void **state)
{
    struct latency_point point = {.mmac = {10, 50, 0, 1}, .measured_ms = 40};
    struct latency_model fitted;
    (void)state;
    latency_fit(&point, 1, &known, &fitted);
    assert_float_equal(latency_model_ms(&fitted, &point), 40, 0.1);
    assert_float_equal(fitted.rate_ms[2], known.rate_ms[2], 0); /* it has no such layer */
    assert_true(fitted.fixed_ms > 0);
}

static void no_time_is_below_nothing(void **state)
{
    struct latency_point points[2] = {{.mmac = {10, 0, 0, 0}, .measured_ms = 30},
                                      {.mmac = {90, 0, 0, 0}, .measured_ms = 20}};
    struct latency_model fitted;
    (void)state;
    latency_fit(points, 2, &known, &fitted);
    assert_true(fitted.rate_ms[0] >= 0 && fitted.fixed_ms >= 0);
}

static void a_devices_file_keeps_all_but_its_latency(void **state)
{
    static const char *const files[] = {
        "# mine\ndevice: own\nlatency: {fixed_ms: 1, per_mmac_ms: 2} # old\ntakes: [Mono8]\n",
        "# mine\ndevice: own\nlatency:\n  fixed_ms: 1\n\n  per_mmac_ms: 2\ntakes: [Mono8]\n",
        "# mine\ndevice: own\ntakes: [Mono8]\n"};
    struct text made;
    (void)state;
    for (int f = 0; f < 3; f++) {
        text_init(&made);
        assert_int_equal(device_latency_replace(files[f], &truth, &made), ERR_OK);
        assert_string_equal(text_get(&made),
                            "# mine\ndevice: own\nlatency: {fixed_ms: 17.5, convolution_ms: 0.09, "
                            "pointwise_ms: 0.11, depthwise_ms: 0.28, linear_ms: 0.4}\ntakes: "
                            "[Mono8]\n");
        text_fini(&made);
    }
    text_init(&made);
    assert_int_equal(device_latency_replace("takes: [Mono8]\n", &truth, &made), ERR_DATA);
    text_fini(&made);
}

static void what_is_no_verdict_is_refused(void **state)
{
    static const char *const texts[] = {
        "[]", "{}", "{\"work\": {\"pointwise\": {\"mmac\": 1}}}",
        ("{\"work\": {\"pointwise\": {\"mmac\": -1}}, \"latency\": {\"median_ms\": 3}, "
         "\"network\": {\"device\": \"a\"}}"),
        "{\"work\": {\"pointwise\": {\"mmac\": 1}}, \"latency\": {\"median_ms\": 3}}"};
    struct latency_point point;
    const char *device = NULL;
    bool is_simulated = false;
    (void)state;
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
        json_t *json = json_loads(texts[t], 0, NULL);
        assert_int_equal(fit_take_verdict(json, &point, &device, &is_simulated), ERR_DATA);
        json_decref(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_times_of_each_kind_are_found_again),
        cmocka_unit_test(one_wrong_measurement_spoils_nothing),
        cmocka_unit_test(what_one_network_does_not_tell_stays_as_it_was_known),
        cmocka_unit_test(no_time_is_below_nothing),
        cmocka_unit_test(a_devices_file_keeps_all_but_its_latency),
        cmocka_unit_test(what_is_no_verdict_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
