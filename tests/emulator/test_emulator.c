/* The emulator: in fp32 against the exporter's runner, which sums in double; in fp16 against a
 * plain walk of every layer in double, rounded by the definition; and what it counts. */
#include "base/rng.h"
#include "tests/emulator/tiny_folded.h"
#include "trainer/emulator/emulator.h"
#include "trainer/emulator/readers.h"
#include "trainer/export/onnx_run.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if ((call) != ERR_OK)                                                                      \
            fail_msg("%s: %s", #call, err_text());                                                 \
    } while (0)

enum { VALUES = TINY_SIDE * TINY_SIDE * TINY_CHANNELS, IMAGES = 5 };

static void draw_image(uint64_t which, float *image)
{
    for (uint64_t i = 0; i < VALUES; i++)
        image[i] = (float)(4 * rng_unit(rng(6, RNG_TEST, 0, which, i)) - 2);
}

/* One image in this arithmetic. */
static void run(const struct exported *net, enum arithmetic arithmetic, const float *image,
                struct emulation *emulation)
{
    struct emulator *emulator = emulator_create(net, arithmetic);
    CHECK(emulation_init(net, emulation));
    emulator_run(emulator, image, emulation);
    emulator_destroy(&emulator);
}

static void compare_with_runner(const struct bytes *onnx)
{
    struct exported net;
    struct onnx_net *runner = NULL;
    CHECK(onnx_read(onnx->data, onnx->size, &net));
    CHECK(onnx_open(onnx->data, onnx->size, &runner));
    for (uint64_t i = 0; i < IMAGES; i++) {
        float image[VALUES], logits[TINY_CLASSES], probabilities[TINY_CLASSES];
        struct emulation emulation;
        draw_image(i, image);
        CHECK(onnx_run(runner, image, logits, probabilities));
        run(&net, ARITHMETIC_FP32, image, &emulation);
        for (int k = 0; k < TINY_CLASSES; k++) {
            assert_float_equal(emulation.maps[net.logits][k], logits[k], 1e-5);
            assert_float_equal(emulation.maps[net.count - 1][k], probabilities[k], 1e-5);
        }
        emulation_fini(&emulation);
    }
    onnx_close(&runner);
    exported_fini(&net);
}

static void make_net(int which, struct folded *folded)
{
    if (which == 3)
        tiny_gated(folded);
    else
        tiny_folded(which == 2 ? PAD_SAME : PAD_SYMMETRIC, which == 0 ? ACT_RELU : ACT_RELU6,
                    folded);
}

static void in_fp32_it_answers_as_the_runner_of_exported_networks(void **state)
{
    (void)state;
    for (int n = 0; n < 4; n++) {
        struct folded folded;
        struct tiny_files files;
        make_net(n, &folded);
        tiny_write(&folded, &files);
        compare_with_runner(&files.onnx);
        tiny_files_fini(&files);
        folded_fini(&folded);
    }
}

/* Whatever the format, the same bits come out. */
static void every_format_gives_the_same_answers(void **state)
{
    struct folded folded;
    struct tiny_files files;
    struct exported nets[3];
    struct emulation found[3];
    float image[VALUES];
    (void)state;
    make_net(0, &folded);
    tiny_write(&folded, &files);
    draw_image(0, image);
    CHECK(onnx_read(files.onnx.data, files.onnx.size, &nets[0]));
    CHECK(tensorflow_read(files.graphdef.data, files.graphdef.size, &nets[1]));
    CHECK(caffe_read(text_get(&files.prototxt), files.prototxt.size, files.caffemodel.data,
                     files.caffemodel.size, &nets[2]));
    for (int n = 0; n < 3; n++) {
        run(&nets[n], ARITHMETIC_FP16, image, &found[n]);
        assert_memory_equal(found[n].maps[nets[n].count - 1], found[0].maps[nets[0].count - 1],
                            TINY_CLASSES * sizeof(float));
    }
    for (int n = 0; n < 3; n++) {
        emulation_fini(&found[n]);
        exported_fini(&nets[n]);
    }
    tiny_files_fini(&files);
    folded_fini(&folded);
}

/* The nearest binary16 by the definition. */
static double to_half(double value)
{
    if (value == 0 || !isfinite(value))
        return value;
    int exponent = ilogb(value);
    double quantum = ldexp(1, (exponent < -14 ? -14 : exponent) - 10);
    return nearbyint(value / quantum) * quantum;
}

struct slow { /* the plain walk */
    const struct exported_layer *layer;
    bool sums_half;
    const float *x, *other;
};

static double add(const struct slow *slow, double sum, double term)
{
    return slow->sums_half ? to_half(sum + to_half(term)) : (float)(sum + term);
}

static double slow_conv(const struct slow *slow, int at)
{
    const struct exported_layer *layer = slow->layer;
    int k = at % layer->K, column = at / layer->K % layer->out.W,
        row = at / layer->K / layer->out.W;
    int inner = layer->in.C / layer->groups, first = k / (layer->K / layer->groups) * inner;
    double sum = 0;
    for (int t = 0; t < layer->R * layer->R; t++)
        for (int c = 0; c < inner; c++) {
            int h = row * layer->S - layer->pads[0] + t / layer->R;
            int w = column * layer->S - layer->pads[1] + t % layer->R;
            if (h >= 0 && w >= 0 && h < layer->in.H && w < layer->in.W)
                sum = add(slow, sum,
                          to_half(layer->w[(t * inner + c) * layer->K + k]) *
                              slow->x[(h * layer->in.W + w) * layer->in.C + first + c]);
        }
    return add(slow, sum, to_half(layer->b[k]));
}

static double slow_pool(const struct slow *slow, int at)
{
    int pixels = slow->layer->in.H * slow->layer->in.W;
    double sum = 0;
    for (int i = 0; i < pixels; i++)
        sum = add(slow, sum, slow->x[i * slow->layer->in.C + at]);
    return slow->sums_half ? to_half(sum / pixels) : (float)sum / (float)pixels;
}

static double slow_value(const struct slow *slow, int at)
{
    const struct exported_layer *layer = slow->layer;
    double result = layer->kind == EXPORTED_CONV   ? slow_conv(slow, at)
                    : layer->kind == EXPORTED_POOL ? slow_pool(slow, at)
                                                   : (double)slow->x[at] + slow->other[at];
    return to_half(fmin(fmax(result, layer->clip_low), layer->clip_high));
}

static void check_layers(const struct exported *net, const struct emulation *found, bool sums_half)
{
    for (int l = 0; l < net->count - 1; l++) {
        const struct exported_layer *layer = &net->layers[l];
        struct slow slow = {.layer = layer, .sums_half = sums_half};
        slow.x = layer->input < 0 ? found->input : found->maps[layer->input];
        slow.other = layer->other < 0 ? found->input : found->maps[layer->other];
        for (int i = 0; i < (int)exported_values(&layer->out); i++)
            if (found->maps[l][i] != (float)slow_value(&slow, i))
                fail_msg("%s[%d] is %a, not %a", layer->name, i, found->maps[l][i],
                         slow_value(&slow, i));
    }
}

static void in_fp16_every_value_is_the_defined_one(void **state)
{
    (void)state;
    for (int n = 0; n < 3; n++)
        for (int sums_half = 0; sums_half < 2; sums_half++) {
            struct folded folded;
            struct tiny_files files;
            struct exported net;
            struct emulation found;
            float image[VALUES];
            make_net(n, &folded);
            tiny_write(&folded, &files);
            draw_image((uint64_t)n, image);
            CHECK(tensorflow_read(files.graphdef.data, files.graphdef.size, &net));
            run(&net, sums_half ? ARITHMETIC_FP16 : ARITHMETIC_FP16_SUM32, image, &found);
            check_layers(&net, &found, sums_half);
            emulation_fini(&found);
            exported_fini(&net);
            tiny_files_fini(&files);
            folded_fini(&folded);
        }
}

/* A classifier of two classes on a 1x1 map of C channels, all weights and biases alike. */
static void make_classifier(int C, float w, float b, double clip_high, struct exported *net)
{
    CHECK(exported_begin(net, (struct exported_map){1, 1, C}, 0));
    struct exported_layer layer = exported_layer(EXPORTED_CONV, EXPORTED_INPUT);
    snprintf(layer.name, sizeof layer.name, "logits");
    layer.K = 2, layer.clip_high = clip_high;
    layer.w = arena_alloc(net->arena, 2 * (size_t)C * sizeof(float));
    layer.b = arena_alloc(net->arena, 2 * sizeof(float));
    for (int i = 0; i < 2 * C; i++)
        layer.w[i] = w;
    layer.b[0] = layer.b[1] = b;
    CHECK(exported_add(net, &layer));
    layer = exported_layer(EXPORTED_SOFTMAX, 0);
    snprintf(layer.name, sizeof layer.name, "probabilities");
    CHECK(exported_add(net, &layer));
    CHECK(exported_finish(net));
}

/* What all inputs `x` give in the first layer: its output, and what was counted there. */
static float classify(const struct exported *net, enum arithmetic arithmetic, float x,
                      struct emulated_layer *counts)
{
    struct emulation found;
    float image[4096];
    for (int i = 0; i < net->input.C; i++)
        image[i] = x;
    run(net, arithmetic, image, &found);
    float answer = found.maps[0][0];
    *counts = found.layers[0];
    emulation_fini(&found);
    return answer;
}

/* 2048 + 1 is 2048 in binary16. */
static void a_long_sum_in_fp16_stops_growing(void **state)
{
    struct exported net;
    struct emulated_layer counts;
    (void)state;
    make_classifier(4096, 1, 0, INFINITY, &net);
    assert_true(classify(&net, ARITHMETIC_FP32, 1, &counts) == 4096);
    assert_true(classify(&net, ARITHMETIC_FP16_SUM32, 1, &counts) == 4096);
    assert_true(classify(&net, ARITHMETIC_FP16, 1, &counts) == 2048);
    exported_fini(&net);
}

static void a_sum_that_overflows_is_counted_even_where_a_clip_hides_it(void **state)
{
    struct exported net;
    struct emulated_layer counts;
    (void)state;
    make_classifier(64, 64, 0, 6, &net);
    assert_true(classify(&net, ARITHMETIC_FP16_SUM32, 64, &counts) == 6); /* 262144, clipped */
    assert_int_equal(counts.overflows, 0);
    assert_int_equal(counts.saturated, 2);
    assert_true(classify(&net, ARITHMETIC_FP16, 64, &counts) == 6);
    assert_int_equal(counts.overflows, 2);
    exported_fini(&net);
    make_classifier(64, 64, 0, INFINITY, &net);
    assert_true(isinf(classify(&net, ARITHMETIC_FP16_SUM32, 64, &counts)));
    assert_int_equal(counts.overflows, 2);
    assert_true(classify(&net, ARITHMETIC_FP32, 64, &counts) == 262144);
    assert_int_equal(counts.overflows, 0);
    exported_fini(&net);
}

static void numbers_too_small_or_too_large_for_fp16_are_counted_among_weights(void **state)
{
    struct exported net;
    struct emulator *emulator;
    struct emulated_layer counts;
    (void)state;
    make_classifier(4, 1e-6f, 1e5f, INFINITY, &net);
    emulator = emulator_create(&net, ARITHMETIC_FP16);
    counts = emulator_weights(emulator, 0);
    assert_int_equal(counts.values, 10);
    assert_int_equal(counts.subnormals, 8);
    assert_int_equal(counts.overflows, 2);
    emulator_destroy(&emulator);
    exported_fini(&net);
    make_classifier(4, 0.0009765625f, 0, INFINITY, &net);
    classify(&net, ARITHMETIC_FP16, 0.0009765625f, &counts);
    assert_int_equal(counts.subnormals, 2); /* 4 x 2^-20 */
    classify(&net, ARITHMETIC_FP32, 0.0009765625f, &counts);
    assert_int_equal(counts.subnormals, 0);
    exported_fini(&net);
}

/* exp(11) is beyond 65504 / 1.1; without the maximum taken off it would overflow. */
static void a_softmax_of_large_logits_is_finite(void **state)
{
    struct exported net;
    struct emulation found;
    float image[4] = {10, 10, 10, 10};
    (void)state;
    make_classifier(4, 10, 0, INFINITY, &net);
    net.layers[0].b[1] = -4;
    run(&net, ARITHMETIC_FP16, image, &found);
    assert_float_equal(found.maps[1][0], 1 / (1 + exp(-4)), 1e-3);
    assert_float_equal(found.maps[1][1], exp(-4) / (1 + exp(-4)), 1e-4);
    emulation_fini(&found);
    exported_fini(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_fp32_it_answers_as_the_runner_of_exported_networks),
        cmocka_unit_test(every_format_gives_the_same_answers),
        cmocka_unit_test(in_fp16_every_value_is_the_defined_one),
        cmocka_unit_test(a_long_sum_in_fp16_stops_growing),
        cmocka_unit_test(a_sum_that_overflows_is_counted_even_where_a_clip_hides_it),
        cmocka_unit_test(numbers_too_small_or_too_large_for_fp16_are_counted_among_weights),
        cmocka_unit_test(a_softmax_of_large_logits_is_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
