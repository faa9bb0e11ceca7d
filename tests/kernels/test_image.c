/* Images out of u8 pixels and the numbers of their crops, against the formula in double precision:
 * odd sizes, grey and colour, mirrored or not, crops that end at a border and such that do not. */
#include "base/rng.h"
#include "kernels/image.h"
#include "tests/kernels/check.h"
#include "tests/kernels/fixture.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 7, SIDE = 61 };

struct scene {
    struct fixture fixture;
    struct image_crop crops[N];
    struct image_batch batch;
    size_t count; /* of the images' values */
};

static double draw(int image, uint64_t what)
{
    return rng_unit(rng(11, 0, 0, (uint64_t)image, what));
}

/* Whole pixels of a picture that begins `top` rows and `left` columns before the crop's own. */
static struct image_crop draw_crop(int i, int R)
{
    struct image_crop crop = {.H = 1 + (int)(draw(i, 1) * SIDE),
                              .W = 1 + (int)(draw(i, 2) * SIDE),
                              .top = i % 3 * 5,
                              .left = i % 2 * 3,
                              .is_mirrored = i % 2,
                              .has_colour = i > 1,
                              .saturation_first = i % 4 > 1,
                              .brightness = (float)(0.5 + draw(i, 3)),
                              .saturation = (float)(0.5 + draw(i, 4))};
    double height = i == 0 ? crop.H : crop.H * (0.3 + 0.7 * draw(i, 5));
    double width = i == 0 ? crop.W : crop.W * (0.3 + 0.7 * draw(i, 6));
    crop.y = crop.top + (i % 3 == 2 ? crop.H - height : 0); /* at the lower border */
    crop.x = crop.left + (i % 3 == 1 ? crop.W - width : 0);
    crop.step_y = height / R;
    crop.step_x = width / R;
    return crop;
}

static void make(struct scene *scene, int R, int C)
{
    const float scale[3] = {0.02f, 0.017f, 0.021f}, shift[3] = {-2, -1.9f, -1.8f};
    size_t bytes = 0;
    *scene = (struct scene){.batch = {.N = N, .R = R, .C = C, .crops = scene->crops},
                            .count = (size_t)(N * R * R * C)};
    for (int i = 0; i < N; i++)
        scene->crops[i] = draw_crop(i, R);
    for (int i = N; i-- > 0;) { /* in another order than the images */
        scene->crops[i].first = bytes;
        bytes += (size_t)(scene->crops[i].H * scene->crops[i].W * C);
    }
    uint8_t *pixels = fixture_keep(&scene->fixture, malloc(bytes));
    for (size_t i = 0; i < bytes; i++)
        pixels[i] = (uint8_t)(rng(12, 0, 0, 0, i) >> 56);
    scene->batch.pixels = pixels;
    memcpy(scene->batch.scale, scale, sizeof scale);
    memcpy(scene->batch.shift, shift, sizeof shift);
}

/* Channel c between pixels, at (y, x) counted from the centre of the first. */
static double between(const struct image_batch *batch, const struct image_crop *crop, double y,
                      double x, int c)
{
    double sum = 0;
    y = fmin(fmax(y, 0), crop->H - 1);
    x = fmin(fmax(x, 0), crop->W - 1);
    for (int row = 0; row < crop->H; row++)
        for (int column = 0; column < crop->W; column++) {
            double weight = fmax(0, 1 - fabs(y - row)) * fmax(0, 1 - fabs(x - column));
            size_t at = crop->first + (size_t)((row * crop->W + column) * batch->C + c);
            sum += weight > 0 ? weight * batch->pixels[at] : 0;
        }
    return sum;
}

static double clamped(double value)
{
    return fmin(fmax(value, 0), 255);
}

static void colour(const struct image_crop *crop, double *value, int C)
{
    for (int turn = 0; turn < 2; turn++) {
        bool saturates = crop->saturation_first ? turn == 0 : turn == 1;
        double grey = C == 3 ? 0.299 * value[0] + 0.587 * value[1] + 0.114 * value[2] : 0;
        for (int c = 0; c < C; c++)
            if (!saturates)
                value[c] = clamped(value[c] * (double)crop->brightness);
            else if (C == 3)
                value[c] = clamped(grey + (double)crop->saturation * (value[c] - grey));
    }
}

static void expect_pixel(const struct image_batch *batch, int n, int row, int column, double *to)
{
    const struct image_crop *crop = &batch->crops[n];
    int from = crop->is_mirrored ? batch->R - 1 - column : column;
    double y = crop->y - crop->top + (row + 0.5) * crop->step_y - 0.5;
    double x = crop->x - crop->left + (from + 0.5) * crop->step_x - 0.5;
    for (int c = 0; c < batch->C; c++)
        to[c] = between(batch, crop, y, x, c);
    if (crop->has_colour)
        colour(crop, to, batch->C);
    for (int c = 0; c < batch->C; c++)
        to[c] = to[c] * (double)batch->scale[c] + (double)batch->shift[c];
}

static double *expect(const struct scene *scene)
{
    const struct image_batch *batch = &scene->batch;
    double *want = malloc(scene->count * sizeof *want), *to = want;
    for (int n = 0; n < N; n++)
        for (int row = 0; row < batch->R; row++)
            for (int column = 0; column < batch->R; column++, to += batch->C)
                expect_pixel(batch, n, row, column, to);
    return want;
}

static float *run(const struct scene *scene, int threads)
{
    struct device *device = check_open(threads);
    float *images = check_filled(scene->count, NAN);
    device->ops->image_forward(device, &scene->batch, images);
    device_close(&device);
    return images;
}

static void images_are_the_formula_at_any_size(void **state)
{
    static const int sides[] = {1, 7, 20, 33};
    (void)state;
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++)
        for (int C = 1; C <= 3; C += 2) {
            struct scene scene;
            make(&scene, sides[i], C);
            double *want = fixture_keep(&scene.fixture, expect(&scene));
            float *first = fixture_keep(&scene.fixture, run(&scene, 1));
            check_near_map("images", first, want, scene.count, 1e-5);
            for (int threads = 2; threads <= CHECK_THREADS; threads++) {
                float *other = fixture_keep(&scene.fixture, run(&scene, threads));
                check_same("images", other, first, scene.count * sizeof *first);
            }
            fixture_fini(&scene.fixture);
        }
}

static void a_mirrored_image_is_the_image_mirrored(void **state)
{
    struct scene scene;
    enum { R = 17 };
    (void)state;
    make(&scene, R, 3);
    float *one = fixture_keep(&scene.fixture, run(&scene, 1));
    for (int n = 0; n < N; n++)
        scene.crops[n].is_mirrored = !scene.crops[n].is_mirrored;
    float *other = fixture_keep(&scene.fixture, run(&scene, 1));
    for (int row = 0; row < N * R; row++)
        for (int x = 0; x < R; x++)
            check_same("a pixel", one + (row * R + x) * 3, other + (row * R + R - 1 - x) * 3,
                       3 * sizeof *one);
    fixture_fini(&scene.fixture);
}

/* The instruction set decides nothing: a pixel worked out by hand, product and sum rounded. */
static void no_product_is_fused_with_a_sum(void **state)
{
    (void)state;
    const uint8_t pixels[2] = {3, 250};
    struct image_crop crop = {.H = 1, .W = 2, .step_y = 1, .step_x = 2.0 / 3};
    struct image_batch batch = {.N = 1,
                                .R = 3,
                                .C = 1,
                                .pixels = pixels,
                                .crops = &crop,
                                .scale = {0.0137f},
                                .shift = {-1.7361f}};
    float found[9];
    struct device *device = check_open(1);
    device->ops->image_forward(device, &batch, found);
    device_close(&device);
    volatile float weight = (float)(1.5 * (2.0 / 3) - 0.5), product = weight * 247.0f;
    volatile float value = 3.0f + product, scaled = value * 0.0137f, want = scaled - 1.7361f;
    double rounded = (double)want;
    check_round_operands(&rounded, 1);
    float expected = (float)rounded;
    check_same("the middle", &found[1], &expected, sizeof expected);
}

/* What the host makes of the same crops, rounded as maps are. */
static float *make_on_the_host(const struct scene *scene)
{
    const struct image_batch *batch = &scene->batch;
    size_t values = scene->count / N;
    float *images = check_filled(scene->count, NAN);
    for (int n = 0; n < N; n++) {
        const struct image_crop *crop = &batch->crops[n];
        void *scratch = malloc(image_scratch_bytes(crop->W, batch->R, batch->C));
        image_make(crop, batch->pixels + crop->first, batch->R, batch->C, batch->scale,
                   batch->shift, scratch, images + (size_t)n * values);
        free(scratch);
    }
    for (size_t i = 0; i < scene->count; i++) {
        double held = (double)images[i];
        check_round_operands(&held, 1);
        images[i] = (float)held;
    }
    return images;
}

static void images_are_the_hosts_bit_for_bit(void **state)
{
    static const int sides[] = {20, 33};
    (void)state;
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++)
        for (int C = 1; C <= 3; C += 2) {
            struct scene scene;
            make(&scene, sides[i], C);
            float *want = fixture_keep(&scene.fixture, make_on_the_host(&scene));
            float *got = fixture_keep(&scene.fixture, run(&scene, 1));
            check_same("images", got, want, scene.count * sizeof *got);
            fixture_fini(&scene.fixture);
        }
}

static int run_group(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_are_the_formula_at_any_size),
        cmocka_unit_test(a_mirrored_image_is_the_image_mirrored),
        cmocka_unit_test(no_product_is_fused_with_a_sum),
        cmocka_unit_test(images_are_the_hosts_bit_for_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return check_main_maps(argc, argv, run_group);
}
