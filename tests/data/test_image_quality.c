/* Measures of pictures: sharp and blurred, blank and white, and which ones look alike. */
#include "base/rng.h"
#include "tests/data/fixture.h"
#include "trainer/data/image_quality.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct image_quality quality_of(const struct image *image)
{
    struct image_quality quality;
    image_quality_of(image, &quality);
    return quality;
}

static struct image flat(int H, int W, int C, int value)
{
    struct image image = {.H = H, .W = W, .C = C};
    image_reserve(&image, (size_t)(H * W * C));
    memset(image.pixels, value, (size_t)(H * W * C));
    return image;
}

static void a_flat_picture_is_blank_and_a_white_one_is_white(void **state)
{
    (void)state;
    struct image grey = flat(20, 30, 1, 249), white = flat(20, 30, 3, 250);
    struct image_quality of_grey = quality_of(&grey), of_white = quality_of(&white);
    assert_true(of_grey.deviation < 1e-6 && of_grey.sharpness < 1e-6);
    assert_true(of_grey.white < 1e-6);
    assert_true(fabs(of_white.white - 1) < 1e-6);
    assert_true(of_grey.look.across == 0 && of_white.look.down == 0);
    mem_free(grey.pixels);
    mem_free(white.pixels);
}

/* Laplacian of a checkerboard of 0 and 2: -8 and 8; of one with cells in colour the same luma. */
static void sharpness_is_the_variance_of_the_laplacian(void **state)
{
    (void)state;
    struct image board = flat(12, 12, 1, 0), colour = flat(12, 12, 3, 0);
    for (int i = 0; i < 144; i++)
        board.pixels[i] = (uint8_t)((i / 12 + i) % 2 * 2);
    for (int i = 0; i < 432; i++)
        colour.pixels[i] = board.pixels[i / 3];
    assert_true(fabs(quality_of(&board).sharpness - 64) < 1e-9);
    assert_true(fabs(quality_of(&colour).sharpness - 64) < 1e-9);
    assert_true(fabs(quality_of(&board).deviation - 1) < 1e-9);
    mem_free(board.pixels);
    mem_free(colour.pixels);
}

static void a_blurred_picture_is_less_sharp(void **state)
{
    (void)state;
    struct image sharp = picture(40, 40, 1, 1), blurred = flat(40, 40, 1, 0);
    for (int y = 1; y < 39; y++)
        for (int x = 1; x < 39; x++) {
            int sum = 0;
            for (int k = 0; k < 9; k++)
                sum += sharp.pixels[(y - 1 + k / 3) * 40 + x - 1 + k % 3];
            blurred.pixels[y * 40 + x] = (uint8_t)(sum / 9);
        }
    struct image inner = flat(38, 38, 1, 0);
    for (int i = 0; i < 38 * 38; i++)
        inner.pixels[i] = blurred.pixels[(i / 38 + 1) * 40 + i % 38 + 1];
    assert_true(quality_of(&inner).sharpness < 0.2 * quality_of(&sharp).sharpness);
    mem_free(sharp.pixels);
    mem_free(blurred.pixels);
    mem_free(inner.pixels);
}

static bool looks_alike(const struct image *one, const struct image *other)
{
    struct image_quality left = quality_of(one), right = quality_of(other);
    return image_looks_alike(&left.look, &right.look);
}

static void a_picture_looks_the_same_in_another_light_and_size(void **state)
{
    (void)state;
    struct image image = picture(64, 72, 1, 1), darker = picture(64, 72, 1, 1);
    struct image small = flat(32, 36, 1, 0), other = picture(64, 72, 1, 2);
    for (int i = 0; i < 64 * 72; i++)
        darker.pixels[i] = (uint8_t)(darker.pixels[i] * 9 / 10);
    for (int i = 0; i < 32 * 36; i++) {
        const uint8_t *at = image.pixels + i / 36 * 2 * 72 + i % 36 * 2;
        small.pixels[i] = (uint8_t)((at[0] + at[1] + at[72] + at[73]) / 4);
    }
    assert_true(looks_alike(&image, &darker));
    assert_true(looks_alike(&image, &small));
    assert_false(looks_alike(&image, &other));
    mem_free(image.pixels);
    mem_free(darker.pixels);
    mem_free(small.pixels);
    mem_free(other.pixels);
}

static void pictures_of_any_size_are_measured(void **state)
{
    (void)state;
    for (int H = 1; H <= 4; H++)
        for (int W = 1; W <= 4; W++) {
            struct image image = picture(H, W, 3, 1);
            struct image_quality quality = quality_of(&image);
            assert_true(isfinite(quality.sharpness) && isfinite(quality.deviation));
            mem_free(image.pixels);
        }
}

/* A dark spot on a plain ground, at two places: hashes hardly differ, cells do. */
static void what_hashes_do_not_tell_apart_the_cells_do(void **state)
{
    (void)state;
    struct image one = flat(64, 64, 1, 0), other = flat(64, 64, 1, 0);
    for (int i = 0; i < 64; i++) {
        one.pixels[(2 + i / 8) * 64 + 2 + i % 8] = 200;
        other.pixels[(50 + i / 8) * 64 + 50 + i % 8] = 200;
    }
    struct image_quality left = quality_of(&one), right = quality_of(&other);
    left.look.across = right.look.across = left.look.down = right.look.down = 0;
    assert_false(image_looks_alike(&left.look, &right.look));
    assert_true(image_looks_alike(&left.look, &left.look));
    mem_free(one.pixels);
    mem_free(other.pixels);
}

/* Held against a comparison of every two. */
static void groups_are_those_of_comparing_every_two(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    static struct image_look looks[COUNT]; /* of no cells: the hashes decide */
    bool left_out[COUNT] = {false};
    uint32_t group[COUNT], slow[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        looks[i].across = rng(3, RNG_TEST, 0, 0, i % 90);
        for (uint32_t b = 0; b < i / 90; b++) /* up to three bits off */
            looks[i].across ^= 1ull << rng(3, RNG_TEST, 1, b, i) % 64;
        left_out[i] = i % 17 == 0;
        slow[i] = i;
    }
    alike_groups(looks, left_out, COUNT, group);
    for (bool has_changed = true; has_changed;) {
        has_changed = false;
        for (uint32_t i = 0; i < COUNT; i++)
            for (uint32_t k = 0; k < COUNT; k++)
                if (!left_out[i] && !left_out[k] && slow[k] < slow[i] &&
                    image_looks_alike(&looks[i], &looks[k])) {
                    slow[i] = slow[k];
                    has_changed = true;
                }
    }
    assert_memory_equal(group, slow, sizeof group);
    assert_int_not_equal(group[91], 91);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flat_picture_is_blank_and_a_white_one_is_white),
        cmocka_unit_test(sharpness_is_the_variance_of_the_laplacian),
        cmocka_unit_test(a_blurred_picture_is_less_sharp),
        cmocka_unit_test(a_picture_looks_the_same_in_another_light_and_size),
        cmocka_unit_test(pictures_of_any_size_are_measured),
        cmocka_unit_test(what_hashes_do_not_tell_apart_the_cells_do),
        cmocka_unit_test(groups_are_those_of_comparing_every_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
