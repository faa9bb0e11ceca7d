/* Colour from a Bayer mosaic: exact where the picture is flat or a slope, on its sites at the
 * border, defined for the smallest pictures. */
#include "trainer/data/demosaic.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 9, MOST = SIDE * SIDE };

/* The colour a pixel sees, 0 to 2, from the four letters of the upper left pixels. */
static int colour_at(enum bayer bayer, int y, int x)
{
    static const char *const letters[] = {"RGGB", "GRBG", "GBRG", "BGGR"};
    char letter = letters[bayer - BAYER_RG][2 * (y & 1) + (x & 1)];
    return letter == 'R' ? 0 : letter == 'G' ? 1 : 2;
}

/* What a camera sees of (H,W,3). */
static void make_mosaic(const uint16_t *rgb, int H, int W, enum bayer bayer, uint16_t *mosaic)
{
    for (int i = 0; i < H * W; i++)
        mosaic[i] = rgb[3 * i + colour_at(bayer, i / W, i % W)];
}

static void a_flat_colour_comes_out_exactly_to_the_border_in_every_order(void **state)
{
    (void)state;
    uint16_t flat[3 * MOST], mosaic[MOST], rgb[3 * MOST];
    for (int i = 0; i < 3 * MOST; i++)
        flat[i] = (const uint16_t[]){65535, 1022, 0}[i % 3];
    for (enum bayer bayer = BAYER_RG; bayer <= BAYER_BG; bayer++)
        for (int H = 2; H <= SIDE; H++)
            for (int W = 2; W <= SIDE; W++) {
                make_mosaic(flat, H, W, bayer, mosaic);
                demosaic_u16(mosaic, H, W, bayer, rgb);
                assert_memory_equal(rgb, flat, (size_t)(H * W) * 3 * sizeof *rgb);
            }
}

static void a_slope_comes_out_exactly_inside(void **state)
{
    (void)state;
    uint16_t slope[3 * MOST], mosaic[MOST], rgb[3 * MOST];
    for (int i = 0; i < MOST; i++)
        for (int c = 0; c < 3; c++)
            slope[3 * i + c] = (uint16_t)(1000 * (c + 1) + 37 * (i / SIDE) - 11 * c * (i % SIDE));
    for (enum bayer bayer = BAYER_RG; bayer <= BAYER_BG; bayer++) {
        make_mosaic(slope, SIDE, SIDE, bayer, mosaic);
        demosaic_u16(mosaic, SIDE, SIDE, bayer, rgb);
        for (int i = 0; i < MOST; i++)
            for (int c = 0; c < 3; c++)
                if (i / SIDE % (SIDE - 1) != 0 && i % SIDE % (SIDE - 1) != 0)
                    assert_int_equal(rgb[3 * i + c], slope[3 * i + c]);
    }
}

/* One pixel is lit: its colour's neighbours get a half of it or a quarter, every other colour none.
 */
static void a_pixel_spreads_by_halves_and_quarters(void **state)
{
    (void)state;
    uint8_t mosaic[25] = {0}, rgb[75];
    mosaic[12] = 200; /* (2,2): red in RG */
    demosaic_u8(mosaic, 5, 5, BAYER_RG, rgb);
    static const uint8_t red[25] = {0,   0, 0, 0,  0,   0,  50, 100, 50, 0, 0, 100, 200,
                                    100, 0, 0, 50, 100, 50, 0,  0,   0,  0, 0, 0};
    for (int i = 0; i < 25; i++) {
        assert_int_equal(rgb[3 * i], red[i]);
        assert_int_equal(rgb[3 * i + 1], 0);
        assert_int_equal(rgb[3 * i + 2], 0);
    }
}

static void a_neighbour_beyond_the_border_is_mirrored_at_the_pixel_of_the_border(void **state)
{
    (void)state;
    static const uint8_t mosaic[6] = {10, 20, 30, /* R G R */
                                      40, 50, 60 /*  G B G */};
    static const uint8_t expected[18] = {
        10, 30, 50, 20, 20, 50, 30, 40, 50, /* green of (0,0): (20 + 20 + 40 + 40) / 4 */
        10, 40, 50, 20, 35, 50, 30, 60, 50 /* green of (1,1): (20 + 20 + 40 + 60) / 4 */};
    uint8_t rgb[18];
    demosaic_u8(mosaic, 2, 3, BAYER_RG, rgb);
    assert_memory_equal(rgb, expected, 18);
}

static void pictures_of_one_row_or_column_have_a_stated_answer(void **state)
{
    (void)state;
    static const uint8_t row[4] = {10, 20, 30, 40}, one[1] = {77};
    uint8_t wide[12], high[12], single[3];
    demosaic_u8(row, 1, 4, BAYER_RG, wide);
    static const uint8_t first[6] = {10, 15, 20, 20, 20, 20};
    assert_memory_equal(wide, first, 6); /* blue: of the same column, in the row itself */
    demosaic_u8(row, 4, 1, BAYER_RG, high);
    assert_memory_equal(high, first, 3);
    for (enum bayer bayer = BAYER_RG; bayer <= BAYER_BG; bayer++) {
        demosaic_u8(one, 1, 1, bayer, single);
        assert_memory_equal(single, ((uint8_t[]){77, 77, 77}), 3);
    }
}

static void eight_bits_answer_as_sixteen_do(void **state)
{
    (void)state;
    uint8_t bytes[MOST], narrow[3 * MOST];
    uint16_t words[MOST], wide[3 * MOST];
    for (int i = 0; i < MOST; i++)
        words[i] = bytes[i] = (uint8_t)(i * 89 + i * i);
    for (enum bayer bayer = BAYER_RG; bayer <= BAYER_BG; bayer++) {
        demosaic_u8(bytes, SIDE, SIDE, bayer, narrow);
        demosaic_u16(words, SIDE, SIDE, bayer, wide);
        for (int i = 0; i < 3 * MOST; i++)
            assert_int_equal(narrow[i], wide[i]);
    }
}

static void orders_have_the_names_of_pixel_formats(void **state)
{
    (void)state;
    enum bayer bayer = BAYER_NONE;
    for (enum bayer each = BAYER_RG; each <= BAYER_BG; each++) {
        assert_true(bayer_named(bayer_name(each), &bayer));
        assert_int_equal(bayer, each);
    }
    assert_false(bayer_named("none", &bayer));
    assert_false(bayer_named("RGGB", &bayer));
    assert_int_equal(bayer, BAYER_BG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flat_colour_comes_out_exactly_to_the_border_in_every_order),
        cmocka_unit_test(a_slope_comes_out_exactly_inside),
        cmocka_unit_test(a_pixel_spreads_by_halves_and_quarters),
        cmocka_unit_test(a_neighbour_beyond_the_border_is_mirrored_at_the_pixel_of_the_border),
        cmocka_unit_test(pictures_of_one_row_or_column_have_a_stated_answer),
        cmocka_unit_test(eight_bits_answer_as_sixteen_do),
        cmocka_unit_test(orders_have_the_names_of_pixel_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
