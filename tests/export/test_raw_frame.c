/* Raw frames: what a picture becomes on the sensor, and what comes back. */
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "trainer/data/image_file.h"
#include "trainer/export/raw_frame.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if ((call) != ERR_OK)                                                                      \
            fail_msg("%s: %s", #call, err_text());                                                 \
    } while (0)

static struct image picture(int H, int W, int C, uint8_t (*value)(int y, int x, int c))
{
    struct image made = {0};
    image_reserve(&made, (size_t)(H * W * C));
    made.H = H, made.W = W, made.C = C;
    for (int i = 0; i < H * W * C; i++)
        made.pixels[i] = value(i / C / W, i / C % W, i % C);
    return made;
}

/* Through a frame and back; the bytes of the frame returned owned. */
static uint8_t *pass(const struct image *image, struct image *seen)
{
    size_t size = raw_frame_bytes(image->H, image->W);
    uint8_t *bytes = mem_alloc(size);
    raw_frame_write(image, bytes);
    *seen = (struct image){.H = image->H, .W = image->W, .C = image->C};
    CHECK(raw_frame_read(bytes, size, seen));
    return bytes;
}

static uint8_t noise(int y, int x, int c)
{
    return (uint8_t)rng_below(rng(5, RNG_TEST, (uint64_t)y, (uint64_t)x, (uint64_t)c), 256);
}

static void words_are_little_endian_and_four_times_the_value(void **state)
{
    (void)state;
    struct image image = picture(4, 6, 1, noise), seen;
    uint8_t *bytes = pass(&image, &seen);
    for (int i = 0; i < 24; i++)
        assert_int_equal(bytes[2 * i] + 256 * bytes[2 * i + 1], 4 * image.pixels[i]);
    mem_free(bytes);
    mem_free(seen.pixels);
    mem_free(image.pixels);
}

static void a_grey_picture_is_itself(void **state)
{
    (void)state;
    struct image image = picture(7, 5, 1, noise), seen;
    mem_free(pass(&image, &seen));
    assert_memory_equal(seen.pixels, image.pixels, 35);
    mem_free(seen.pixels);
    mem_free(image.pixels);
}

static void a_mosaic_holds_red_green_green_blue(void **state)
{
    (void)state;
    static const int colours[2][2] = {{0, 1}, {1, 2}};
    struct image image = picture(5, 6, 3, noise), seen;
    uint8_t *bytes = pass(&image, &seen);
    for (int y = 0; y < 5; y++)
        for (int x = 0; x < 6; x++) {
            int c = colours[y % 2][x % 2], at = y * 6 + x;
            assert_int_equal(bytes[2 * at] + 256 * bytes[2 * at + 1], 4 * image.pixels[3 * at + c]);
            assert_int_equal(seen.pixels[3 * at + c], image.pixels[3 * at + c]);
        }
    mem_free(bytes);
    mem_free(seen.pixels);
    mem_free(image.pixels);
}

static uint8_t constant(int y, int x, int c)
{
    static const uint8_t values[] = {200, 31, 7};
    (void)y, (void)x;
    return values[c];
}

static void a_constant_picture_stays_as_it_is_to_the_border(void **state)
{
    (void)state;
    for (int side = 2; side < 7; side++) {
        struct image image = picture(side, side, 3, constant), seen;
        mem_free(pass(&image, &seen));
        assert_memory_equal(seen.pixels, image.pixels, (size_t)(side * side * 3));
        mem_free(seen.pixels);
        mem_free(image.pixels);
    }
}

static uint8_t ramp(int y, int x, int c)
{
    return (uint8_t)(3 * y + 5 * x + 20 * c);
}

/* A mean of neighbours on both sides is exact there; at the border the mirror is not. */
static void a_ramp_stays_as_it_is_inside(void **state)
{
    (void)state;
    struct image image = picture(12, 11, 3, ramp), seen;
    mem_free(pass(&image, &seen));
    for (int y = 1; y < 11; y++)
        for (int x = 1; x < 10; x++)
            for (int c = 0; c < 3; c++)
                assert_int_equal(seen.pixels[(y * 11 + x) * 3 + c], ramp(y, x, c));
    /* green of the red corner: right and below, each twice */
    assert_int_equal(seen.pixels[1], (ramp(0, 1, 1) + ramp(1, 0, 1) + 1) / 2);
    /* blue of it: the one below on the right, four times */
    assert_int_equal(seen.pixels[2], ramp(1, 1, 2));
    mem_free(seen.pixels);
    mem_free(image.pixels);
}

static void inside_it_is_opencv_s_bilinear_interpolation(void **state)
{
    (void)state;
    struct image image = picture(31, 24, 3, noise), seen;
    char folder[] = "/tmp/glowworm-frame-XXXXXX", path[64], command[256];
    assert_non_null(mkdtemp(folder));
    uint8_t *bytes = pass(&image, &seen);
    snprintf(path, sizeof path, "%s/frame.raw", folder);
    CHECK(file_write(path, bytes, raw_frame_bytes(31, 24)));
    snprintf(path, sizeof path, "%s/pixels.rgb", folder);
    CHECK(file_write(path, seen.pixels, 31 * 24 * 3));
    snprintf(command, sizeof command,
             "/usr/bin/python3 tests/export/demosaic.py %s/frame.raw %s/pixels.rgb 31 24", folder,
             folder);
    assert_int_equal(system(command), 0);
    CHECK(file_remove_folder(folder));
    mem_free(bytes);
    mem_free(seen.pixels);
    mem_free(image.pixels);
}

static void a_frame_of_another_size_or_of_more_bits_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[32] = {0};
    struct image seen = {.H = 4, .W = 4, .C = 3};
    assert_int_equal(raw_frame_read(bytes, 31, &seen), ERR_DATA);
    assert_int_equal(raw_frame_read(bytes, 30, &seen), ERR_DATA);
    assert_non_null(strstr(err_text(), "30 bytes is none of 4 x 4 words"));
    CHECK(raw_frame_read(bytes, 32, &seen));
    bytes[7] = 4;
    assert_int_equal(raw_frame_read(bytes, 32, &seen), ERR_DATA);
    assert_non_null(strstr(err_text(), "word 3 of a raw frame is 1024"));
    seen.W = 1, seen.H = 16;
    assert_int_equal(raw_frame_read(bytes, 32, &seen), ERR_DATA);
    mem_free(seen.pixels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_little_endian_and_four_times_the_value),
        cmocka_unit_test(a_grey_picture_is_itself),
        cmocka_unit_test(a_mosaic_holds_red_green_green_blue),
        cmocka_unit_test(a_constant_picture_stays_as_it_is_to_the_border),
        cmocka_unit_test(a_ramp_stays_as_it_is_inside),
        cmocka_unit_test(inside_it_is_opencv_s_bilinear_interpolation),
        cmocka_unit_test(a_frame_of_another_size_or_of_more_bits_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
