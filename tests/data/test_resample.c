#include "base/mem.h"
#include "base/rng.h"
#include "kernels/image.h"
#include "tests/data/fixture.h"
#include "trainer/data/augment.h"
#include "trainer/data/render.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void expect_formula(const struct pixels *source, const struct area *area, bool is_mirrored,
                           int R)
{
    struct image_crop look = {.is_mirrored = is_mirrored};
    int shrink = resample_shrink(area, R), C = source->C;
    float *out = square_of(source, area, R, &look);
    for (int i = 0; i < R * R * C; i++) {
        int y = i / (R * C), x = i / C % R, c = i % C;
        int from = is_mirrored ? R - 1 - x : x;
        double expected = interpolated(source, shrink, area->y + (y + 0.5) * area->height / R,
                                       area->x + (from + 0.5) * area->width / R, c);
        if (fabs(out[i] - expected) > 1e-3)
            fail_msg("%d x %d x %d, area %g %g %g %g to %d: row %d, column %d, channel %d is %g, "
                     "expected %g",
                     source->H, source->W, C, area->y, area->x, area->height, area->width, R, y, x,
                     c, out[i], expected);
    }
    mem_free(out);
}

static void every_size_and_area_follows_the_formula(void **state)
{
    static const struct {
        int H, W;
        struct area area;
    } cases[] = {
        {28, 28, {0, 0, 28, 28}},     {28, 28, {3, 5, 20, 17}},        {1, 1, {0, 0, 1, 1}},
        {1, 50, {0, 0, 1, 50}},       {37, 23, {1, 2, 35, 20}},        {100, 90, {10, 0, 90, 90}},
        {201, 199, {0, 0, 201, 199}}, {64, 64, {4.5, 7.25, 50.5, 40}}, {255, 130, {5, 1, 250, 129}},
    };
    static const int sides[] = {1, 7, 20, 28, 32, 64};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t k = 0; k < sizeof sides / sizeof *sides; k++)
            for (int C = 1; C <= 3; C += 2) {
                struct image image = picture(cases[i].H, cases[i].W, C, i);
                struct pixels pixels = all_of(&image);
                expect_formula(&pixels, &cases[i].area, false, sides[k]);
                expect_formula(&pixels, &cases[i].area, true, sides[k]);
                mem_free(image.pixels);
            }
}

static void the_same_size_gives_the_same_pixels(void **state)
{
    struct image image = picture(31, 31, 3, 1);
    struct pixels pixels = all_of(&image);
    struct area area = {0, 0, 31, 31};
    (void)state;
    float *out = square_of(&pixels, &area, 31, &(struct image_crop){.H = 0});
    for (int i = 0; i < 31 * 31 * 3; i++)
        assert_true(out[i] == (float)image.pixels[i]);
    mem_free(out);
    mem_free(image.pixels);
}

static void the_shrink_leaves_at_least_the_wanted_size(void **state)
{
    (void)state;
    assert_int_equal(resample_shrink(&(struct area){0, 0, 255, 300}, 128), 1);
    assert_int_equal(resample_shrink(&(struct area){0, 0, 256, 300}, 128), 2);
    assert_int_equal(resample_shrink(&(struct area){0, 0, 1000, 512}, 128), 4);
    assert_int_equal(resample_shrink(&(struct area){0, 0, 9000, 9000}, 32), 8);
}

static const struct augment_cfg everything = {.crop_min = 0.08,
                                              .has_flip = true,
                                              .has_colour = true,
                                              .brightness = 32.0 / 255.0,
                                              .saturation = 0.5};

static void crops_have_the_area_ratio_and_place_they_should(void **state)
{
    const int side = 240, left = 30, draws = 20000;
    double area_sum = 0.0, log_ratio_sum = 0.0, centre_sum = 0.0;
    (void)state;
    for (int i = 0; i < draws; i++) {
        struct transform t = augment_draw(&everything, 3, 1, (uint32_t)i, side, side + 60);
        double ratio = t.area.width / t.area.height;
        double part = t.area.width * t.area.height / (side * side);
        assert_true(t.area.y >= 0 && t.area.y + t.area.height <= side);
        assert_true(t.area.x >= left && t.area.x + t.area.width <= left + side);
        assert_true(ratio > 0.73 && ratio < 1.37); /* sides are rounded to pixels */
        assert_true(part > 0.078 && part <= 1.0);
        area_sum += part;
        log_ratio_sum += log(ratio);
        centre_sum += (t.area.x - left + t.area.width / 2) / side;
    }
    /* The expected mean is that of a simulation of the same rule written elsewhere: big areas are
     * drawn again more often. */
    assert_float_equal(area_sum / draws, 0.4797, 0.006);
    assert_float_equal(log_ratio_sum / draws, 0.0, 0.005);
    assert_float_equal(centre_sum / draws, 0.5, 0.004);
}

static void flips_and_colours_are_fair(void **state)
{
    const int draws = 20000;
    int mirrored = 0, saturation_first = 0;
    double brightness = 0.0, saturation = 0.0;
    (void)state;
    for (int i = 0; i < draws; i++) {
        struct transform t = augment_draw(&everything, 3, 1, (uint32_t)i, 64, 64);
        mirrored += t.is_mirrored;
        saturation_first += t.saturation_first;
        brightness += t.brightness;
        saturation += t.saturation;
        assert_true(fabs(t.brightness - 1.0) <= 32.0 / 255.0 + 1e-6);
        assert_true(t.saturation >= 0.5f && t.saturation <= 1.5f);
    }
    assert_in_range(mirrored, 9700, 10300);
    assert_in_range(saturation_first, 9700, 10300);
    assert_true(fabs(brightness / draws - 1.0) < 0.003);
    assert_true(fabs(saturation / draws - 1.0) < 0.01);
}

static void what_is_switched_off_does_not_happen(void **state)
{
    struct augment_cfg none = {.crop_min = 1.0};
    (void)state;
    for (uint32_t i = 0; i < 100; i++) {
        struct transform t = augment_draw(&none, 3, 1, i, 50, 40);
        assert_true(t.area.y == 5 && t.area.x == 0 && t.area.height == 40 && t.area.width == 40);
        assert_false(t.is_mirrored);
        assert_false(t.has_colour);
    }
}

static void draws_differ_by_seed_epoch_and_record_and_by_nothing_else(void **state)
{
    (void)state;
    struct transform a = augment_draw(&everything, 1, 2, 3, 200, 200);
    struct transform b = augment_draw(&everything, 1, 2, 3, 200, 200);
    assert_true(a.area.x == b.area.x && a.area.height == b.area.height);
    struct transform others[] = {augment_draw(&everything, 2, 2, 3, 200, 200),
                                 augment_draw(&everything, 1, 3, 3, 200, 200),
                                 augment_draw(&everything, 1, 2, 4, 200, 200)};
    for (int i = 0; i < 3; i++)
        assert_true(a.area.x != others[i].area.x || a.area.height != others[i].area.height);
}

static void expect_draw(enum geometry geometry, int H, int W, const char *expected)
{
    struct augment_cfg cfg = everything;
    char text[160];
    cfg.geometry = geometry;
    struct transform t = augment_draw(&cfg, 1, 2, 3, H, W);
    snprintf(text, sizeof text, "%g %g %g %g %d %d %.5f %.5f", t.area.y, t.area.x, t.area.height,
             t.area.width, t.is_mirrored, t.saturation_first, t.brightness, t.saturation);
    assert_string_equal(text, expected);
}

/* Pinned: a change of these numbers changes every training result (raise TRAINING_VERSION). The
 * same crop of a square, wherever that lies. */
static void the_draws_are_pinned(void **state)
{
    (void)state;
    expect_draw(GEOMETRY_CROP, 200, 200, "29 9 139 177 1 0 1.04373 0.55836");
    expect_draw(GEOMETRY_STRETCH, 200, 200, "29 9 139 177 1 0 1.04373 0.55836");
    expect_draw(GEOMETRY_PAD, 200, 200, "29 9 139 177 1 0 1.04373 0.55836");
    expect_draw(GEOMETRY_CROP, 200, 300, "29 59 139 177 1 0 1.04373 0.55836");
    expect_draw(GEOMETRY_STRETCH, 100, 200, "15 9 69 177 1 0 1.04373 0.55836");
    expect_draw(GEOMETRY_PAD, 100, 200, "-21 9 139 177 1 0 1.04373 0.55836");
}

static void a_crop_stays_in_the_frame_of_its_geometry(void **state)
{
    struct augment_cfg cfg = {.crop_min = 0.01};
    (void)state;
    for (uint32_t i = 0; i < 30000; i++) {
        int H = 1 + (int)(rng(1, 1, 1, i, 0) % 90), W = 1 + (int)(rng(1, 1, 1, i, 1) % 90);
        cfg.geometry = (enum geometry)(i % GEOMETRY_COUNT);
        struct area frame = augment_evaluate(cfg.geometry, H, W).area;
        struct area area = augment_draw(&cfg, 1, 1, i, H, W).area;
        bool is_whole = area.y == floor(area.y) && area.x == floor(area.x) &&
                        area.height == floor(area.height) && area.width == floor(area.width);
        if (!is_whole || area.height < 1 || area.width < 1 || area.y < frame.y ||
            area.x < frame.x || area.y + area.height > frame.y + frame.height ||
            area.x + area.width > frame.x + frame.width)
            fail_msg("record %u, %d x %d: %g x %g at %g %g", i, H, W, area.height, area.width,
                     area.y, area.x);
    }
}

/* One pixel of C channels under the colours of `look`, owned. */
static float *coloured(const struct image_crop *look, const uint8_t *pixel, int C)
{
    struct pixels pixels = {.data = pixel, .row_bytes = (size_t)C, .H = 1, .W = 1, .C = C};
    return square_of(&pixels, &(struct area){0, 0, 1, 1}, 1, look);
}

static void expect_colour(const struct image_crop *look, const uint8_t *pixel, int C,
                          const double *expected)
{
    float *found = coloured(look, pixel, C);
    for (int c = 0; c < C; c++)
        assert_float_equal(found[c], expected[c], 1e-3);
    mem_free(found);
}

static void colour_changes_follow_their_formulas(void **state)
{
    const uint8_t grey[2] = {100, 250}, rgb[3] = {200, 100, 50}, white[3] = {250, 250, 250};
    struct image_crop look = {.has_colour = true, .brightness = 1.1f, .saturation = 0.5f};
    (void)state;
    expect_colour(&look, &grey[0], 1, (double[]){110});
    expect_colour(&look, &grey[1], 1, (double[]){255});
    /* brightness first: 220 110 55, luminance 136.62 */
    double dull[3] = {(220.0 + 136.62) / 2, (110.0 + 136.62) / 2, (55.0 + 136.62) / 2};
    expect_colour(&look, rgb, 3, dull);
    expect_colour(&look, white, 3, (double[]){255, 255, 255});
    look.saturation_first = true;
    for (int c = 0; c < 3; c++)
        dull[c] = (rgb[c] + 124.2) / 2 * 1.1;
    expect_colour(&look, rgb, 3, dull);
}

static void expect_room(const struct transform *transform, int H, int W, int R, double ratio)
{
    struct pixels source = {.H = H, .W = W, .C = 3};
    struct image_crop crop;
    resample_place(&source, &transform->area, R, &crop);
    size_t bytes = (size_t)crop.H * (size_t)crop.W * 3;
    if (bytes > resample_room(H, W, 3, R, ratio))
        fail_msg("%d x %d to %d, ratio %g: %d x %d", H, W, R, ratio, crop.H, crop.W);
    assert_true(bytes <= resample_room(H + 50, W + 70, 3, R, ratio));
    assert_true(bytes <= resample_room(H, W, 3, R + 9, ratio));
}

static void a_crop_fits_the_room_that_is_kept_for_it(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 20000; i++) {
        int H = 1 + (int)(rng(1, 1, 1, i, 0) % 900), W = 1 + (int)(rng(1, 1, 1, i, 1) % 900);
        int R = 1 + (int)(rng(1, 1, 1, i, 2) % 96);
        for (int geometry = 0; geometry < GEOMETRY_COUNT; geometry++) {
            struct augment_cfg crops = {.geometry = (enum geometry)geometry, .crop_min = 0.05};
            struct transform whole = augment_evaluate(crops.geometry, H, W);
            struct transform cut = augment_draw(&crops, 1, 1, i, H, W);
            expect_room(&whole, H, W, R, augment_ratio(crops.geometry, NULL));
            expect_room(&cut, H, W, R, augment_ratio(crops.geometry, &crops));
        }
    }
}

static void what_is_left_has_up_to_twice_the_wanted_pixels(void **state)
{
    (void)state;
    for (int side = 64; side < 500; side++) {
        struct pixels source = {.H = side, .W = side, .C = 1};
        struct area area = {0, 0, side, side};
        struct image_crop crop;
        resample_place(&source, &area, 32, &crop);
        assert_true(crop.H >= 32 && crop.H <= 64 && crop.W == crop.H);
    }
}

static void expect_frame(enum geometry geometry, int H, int W, struct area expected)
{
    struct transform t = augment_evaluate(geometry, H, W);
    assert_float_equal(t.area.y, expected.y, 0);
    assert_float_equal(t.area.x, expected.x, 0);
    assert_float_equal(t.area.height, expected.height, 0);
    assert_float_equal(t.area.width, expected.width, 0);
    assert_false(t.is_mirrored || t.has_colour);
}

static void evaluation_takes_the_frame_of_its_geometry(void **state)
{
    (void)state;
    for (int geometry = 0; geometry < GEOMETRY_COUNT; geometry++)
        expect_frame((enum geometry)geometry, 28, 28, (struct area){0, 0, 28, 28});
    expect_frame(GEOMETRY_CROP, 1080, 1440, (struct area){0, 180, 1080, 1080});
    expect_frame(GEOMETRY_CROP, 341, 256, (struct area){42, 0, 256, 256});
    expect_frame(GEOMETRY_STRETCH, 256, 341, (struct area){0, 0, 256, 341});
    expect_frame(GEOMETRY_PAD, 256, 341, (struct area){-43, 0, 341, 341});
    expect_frame(GEOMETRY_PAD, 9, 1, (struct area){0, -4, 9, 9});
}

/* R x R of an area of a record, as the loader and a device make it; owned. */
static float *rendered(struct renderer *renderer, const struct record *record,
                       const struct area *area, int R)
{
    struct transform transform = {.area = *area};
    struct image_crop crop;
    assert_int_equal(render_crop(renderer, record, &transform, R, &crop), ERR_OK);
    uint8_t *pixels = mem_array((size_t)crop.H * (size_t)crop.W, (size_t)record->C);
    void *scratch = mem_alloc(image_scratch_bytes(crop.W, R, record->C));
    float *out = mem_array((size_t)R * (size_t)R * (size_t)record->C, sizeof *out);
    render_pixels(renderer, &crop, pixels);
    image_make(&crop, pixels, R, record->C, NULL, NULL, scratch, out);
    mem_free(scratch);
    mem_free(pixels);
    return out;
}

/* A record of a picture in its own format, and what renders it. */
struct stored {
    struct image image;
    struct record record;
    struct jpeg_encoder *encoder;
    struct renderer renderer;
};

static void store(struct stored *stored, int H, int W, enum image_format format)
{
    const struct dataset_info info = {
        .max_height = H, .max_width = W, .channels = 3, .format = format};
    *stored = (struct stored){.image = picture(H, W, 3, 1),
                              .record = {.H = H, .W = W, .C = 3, .format = format},
                              .encoder = jpeg_encoder_create()};
    struct pixels pixels = all_of(&stored->image);
    size_t size_bytes = (size_t)H * (size_t)W * 3;
    stored->record.picture = stored->image.pixels;
    if (format == IMAGE_JPEG)
        assert_int_equal(
            jpeg_encode(stored->encoder, &pixels, 95, &stored->record.picture, &size_bytes), 0);
    stored->record.picture_bytes = (uint32_t)size_bytes;
    renderer_init(&stored->renderer, &info);
}

static void discard(struct stored *stored)
{
    renderer_fini(&stored->renderer);
    mem_free(stored->image.pixels);
    jpeg_encoder_destroy(&stored->encoder);
}

/* Halved by its decoding, a picture's crop ends in the middle of a pixel: that one belongs to it,
 * and the last column lies between it and the one before. */
static void a_jpeg_crop_sees_the_pixels_that_it_cuts(void **state)
{
    enum { R = 60, SIDE = 200 };
    const struct area area = {.y = 10, .x = 10, .height = 121, .width = 121};
    struct jpeg_decoder *decoder = jpeg_decoder_create(SIDE, SIDE, 3);
    struct stored stored;
    struct pixels pixels;
    struct area part;
    (void)state;
    store(&stored, SIDE, SIDE, IMAGE_JPEG);
    struct jpeg_request request = {.bytes = stored.record.picture,
                                   .size_bytes = stored.record.picture_bytes,
                                   .H = SIDE,
                                   .W = SIDE,
                                   .C = 3,
                                   .shrink = 2,
                                   .area = area};
    assert_int_equal(jpeg_decode(decoder, &request, &pixels, &part), ERR_OK);
    float *cut = rendered(&stored.renderer, &stored.record, &area, R);
    float *expected = square_of(&pixels, &part, R, &(struct image_crop){.H = 0});
    assert_memory_equal(cut, expected, (size_t)R * R * 3 * sizeof *cut);
    mem_free(expected);
    mem_free(cut);
    discard(&stored);
    jpeg_decoder_destroy(&decoder);
}

/* An area of whole pixels as a picture of its own, the border's pixels where it has none; owned. */
static struct image cut_out(const struct pixels *from, const struct area *area)
{
    int top = (int)area->y, left = (int)area->x;
    struct image cut = picture((int)area->height, (int)area->width, from->C, 1);
    for (int y = 0; y < cut.H; y++)
        for (int x = 0; x < cut.W; x++) {
            int row = top + y < 0 ? 0 : top + y < from->H ? top + y : from->H - 1;
            int column = left + x < 0 ? 0 : left + x < from->W ? left + x : from->W - 1;
            memcpy(cut.pixels + (y * cut.W + x) * from->C,
                   from->data + (size_t)row * from->row_bytes + column * from->C, (size_t)from->C);
        }
    return cut;
}

/* As if the border had been there in the picture: for all of the frame, parts of it, and parts that
 * lie outside of the picture altogether. */
static void what_lies_beside_a_picture_is_its_border(void **state)
{
    enum { H = 20, W = 60, R = 48 };
    const struct area areas[] = {
        {-20, 0, 60, 60}, {-20, 3, 30, 40}, {10, 20, 30, 40}, {-15, 30, 9, 12}, {30, 0, 10, 10}};
    (void)state;
    for (int format = IMAGE_RAW; format <= IMAGE_JPEG; format++) {
        struct stored stored;
        struct renderer whole;
        float tolerance =
            format == IMAGE_JPEG ? 12.0f : 1e-3f; /* a part's chroma lacks neighbours */
        store(&stored, H, W, (enum image_format)format);
        renderer_init(&whole, &(struct dataset_info){.max_height = H,
                                                     .max_width = W,
                                                     .channels = 3,
                                                     .format = (enum image_format)format});
        mem_free(rendered(&whole, &stored.record, &(struct area){0, 0, H, W}, R));
        for (size_t i = 0; i < sizeof areas / sizeof *areas; i++) {
            struct image cut = cut_out(&whole.pixels, &areas[i]);
            struct pixels pixels = all_of(&cut);
            float *found = rendered(&stored.renderer, &stored.record, &areas[i], R);
            float *expected = square_of(&pixels, &(struct area){0, 0, cut.H, cut.W}, R,
                                        &(struct image_crop){.H = 0});
            for (int k = 0; k < R * R * 3; k++)
                if (fabsf(found[k] - expected[k]) > tolerance)
                    fail_msg("format %d, area %zu, element %d: %g, expected %g", format, i, k,
                             (double)found[k], (double)expected[k]);
            mem_free(expected);
            mem_free(found);
            mem_free(cut.pixels);
        }
        renderer_fini(&whole);
        discard(&stored);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_and_area_follows_the_formula),
        cmocka_unit_test(the_same_size_gives_the_same_pixels),
        cmocka_unit_test(the_shrink_leaves_at_least_the_wanted_size),
        cmocka_unit_test(crops_have_the_area_ratio_and_place_they_should),
        cmocka_unit_test(flips_and_colours_are_fair),
        cmocka_unit_test(what_is_switched_off_does_not_happen),
        cmocka_unit_test(draws_differ_by_seed_epoch_and_record_and_by_nothing_else),
        cmocka_unit_test(the_draws_are_pinned),
        cmocka_unit_test(a_crop_stays_in_the_frame_of_its_geometry),
        cmocka_unit_test(colour_changes_follow_their_formulas),
        cmocka_unit_test(a_crop_fits_the_room_that_is_kept_for_it),
        cmocka_unit_test(what_is_left_has_up_to_twice_the_wanted_pixels),
        cmocka_unit_test(evaluation_takes_the_frame_of_its_geometry),
        cmocka_unit_test(a_jpeg_crop_sees_the_pixels_that_it_cuts),
        cmocka_unit_test(what_lies_beside_a_picture_is_its_border),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
