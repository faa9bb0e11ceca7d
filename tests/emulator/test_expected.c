/* What a camera is to answer to an injected picture. */
#include "base/mem.h"
#include "base/rng.h"
#include "tests/emulator/tiny_folded.h"
#include "trainer/data/image_file.h"
#include "trainer/emulator/emulator.h"
#include "trainer/emulator/expected.h"
#include "trainer/emulator/readers.h"
#include "trainer/export/bundle.h"
#include "trainer/export/raw_frame.h"
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

static const struct dataset_info dataset = {.mean = {120, 110, 100}, .deviation = {60, 61, 62}};

static struct image draw(void)
{
    struct image image = {0};
    image_reserve(&image, TINY_SIDE * TINY_SIDE * TINY_CHANNELS);
    image.H = image.W = TINY_SIDE, image.C = TINY_CHANNELS;
    for (uint64_t i = 0; i < TINY_SIDE * TINY_SIDE * TINY_CHANNELS; i++)
        image.pixels[i] = (uint8_t)rng_below(rng(3, RNG_TEST, 0, 0, i), 256);
    return image;
}

/* Of the picture as it is given, in one arithmetic. */
static void run(const struct folded *folded, const struct image *image, enum arithmetic arithmetic,
                float *outputs)
{
    struct tiny_files files;
    struct exported net;
    struct emulation emulation;
    float values[TINY_SIDE * TINY_SIDE * TINY_CHANNELS];
    tiny_write(folded, &files);
    CHECK(tensorflow_read(files.graphdef.data, files.graphdef.size, &net));
    struct emulator *emulator = emulator_create(&net, arithmetic);
    CHECK(emulation_init(&net, &emulation));
    bundle_normalise(&dataset, image, folded->is_bgr, values);
    emulator_run(emulator, values, &emulation);
    memcpy(outputs, emulation.maps[net.count - 1], TINY_CLASSES * sizeof *outputs);
    emulator_destroy(&emulator);
    emulation_fini(&emulation);
    exported_fini(&net);
    tiny_files_fini(&files);
}

static void answer(const struct folded *folded, const struct image *image,
                   float outputs[BUNDLE_EXPECTED][TINY_CLASSES])
{
    struct expected *expected = NULL;
    CHECK(expected_open(folded, &dataset, &expected));
    CHECK(expected_answer(expected, image, outputs[0]));
    expected_close(&expected);
}

/* Of the file that the converter takes, whatever file it was worked out from. */
static void a_colour_picture_is_answered_behind_mosaic_and_interpolation(void **state)
{
    (void)state;
    struct folded folded;
    float found[BUNDLE_EXPECTED][TINY_CLASSES], fp32[TINY_CLASSES], fp16[TINY_CLASSES];
    uint8_t frame[2 * TINY_SIDE * TINY_SIDE];
    struct image image = draw(), seen = {.H = TINY_SIDE, .W = TINY_SIDE, .C = TINY_CHANNELS};
    tiny_folded(PAD_SYMMETRIC, ACT_RELU, &folded);
    folded.is_bgr = true;
    answer(&folded, &image, found);
    raw_frame_write(&image, frame);
    CHECK(raw_frame_read(frame, sizeof frame, &seen));
    run(&folded, &seen, ARITHMETIC_FP32, fp32);
    run(&folded, &seen, ARITHMETIC_FP16_SUM32, fp16);
    assert_memory_equal(found[0], fp32, sizeof fp32);
    assert_memory_equal(found[1], fp16, sizeof fp16);
    assert_memory_not_equal(found[0], found[1], sizeof fp32);
    run(&folded, &image, ARITHMETIC_FP32, fp32); /* the mosaic is not without effect */
    assert_memory_not_equal(found[0], fp32, sizeof fp32);
    mem_free(seen.pixels);
    mem_free(image.pixels);
    folded_fini(&folded);
}

static void probabilities_are_told_for_every_output(void **state)
{
    (void)state;
    struct folded folded;
    float found[BUNDLE_EXPECTED][TINY_CLASSES];
    struct image image = draw();
    tiny_folded(PAD_SAME, ACT_RELU6, &folded);
    answer(&folded, &image, found);
    for (int e = 0; e < BUNDLE_EXPECTED; e++) {
        double sum = 0;
        for (int k = 0; k < TINY_CLASSES; k++)
            sum += (double)found[e][k];
        assert_true(fabs(sum - 1) < 2e-3);
        assert_string_equal(bundle_expected_names[e], arithmetic_names[e]);
    }
    mem_free(image.pixels);
    folded_fini(&folded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_colour_picture_is_answered_behind_mosaic_and_interpolation),
        cmocka_unit_test(probabilities_are_told_for_every_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
