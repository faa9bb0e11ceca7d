/* Mutated inputs: nothing crashes, hangs or reads beyond its bytes (run under the address sanitizer
 * to see the last). Every mutation is a function of a number, which a failure prints. */
#include "base/rng.h"
#include "tests/data/fixture.h"
#include "trainer/data/idx.h"
#include "trainer/data/image_file.h"
#include "trainer/data/jpeg.h"
#include "trainer/data/record.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Flips, overwrites, cuts or repeats a few places; returns the new size. */
static size_t mutate(uint64_t number, const char *from, size_t size, char *to)
{
    memcpy(to, from, size);
    uint32_t changes = 1 + rng_below(rng(1, RNG_TEST, 2, number, 0), 4);
    for (uint32_t i = 0; i < changes && size > 1; i++) {
        uint64_t bits = rng(1, RNG_TEST, 3, number, i);
        bool is_early = rng_below(rng(1, RNG_TEST, 4, number, i), 2); /* headers are at the front */
        uint32_t at = rng_below(bits, (uint32_t)(is_early && size > 64 ? 64 : size));
        uint32_t kind = rng_below(rng(1, RNG_TEST, 5, number, i), 8);
        if (kind < 4)
            to[at] ^= (char)(1 << (bits & 7));
        else if (kind < 6)
            to[at] = (char)(kind == 4 ? 0xff : bits & 0xff);
        else if (kind == 6 && number % 4 == 0)
            size = at + 1;
        else
            memmove(to + at, to + at / 2, size - at);
    }
    return size;
}

static void mutated_idx_files_never_do_more_than_fail(void **state)
{
    struct scene *scene = *state;
    size_t size = 0;
    write_idx(scene->source, 12, 0, 6, PLAIN);
    char *good = read_file(scene->source, "train-images-idx3-ubyte", &size);
    char *bad = mem_alloc(size), *path = file_join(scene->folder, "mutated");
    int opened = 0, read_whole = 0;
    for (uint64_t number = 0; number < 3000; number++) {
        struct idx idx;
        size_t mutated = mutate(number, good, size, bad);
        write_packed(scene->folder, "mutated", bad, mutated, number % 3 ? PLAIN : GZIP);
        if (idx_open(path, &idx) != ERR_OK)
            continue;
        opened++;
        assert_true(idx.item_bytes <= (size_t)3 * IDX_MAX_SIDE * IDX_MAX_SIDE);
        uint8_t *item = mem_alloc(idx.item_bytes);
        enum err err = ERR_OK;
        while (err == ERR_OK && idx.next < idx.count)
            err = idx_read(&idx, item);
        read_whole += err == ERR_OK;
        mem_free(item);
        idx_close(&idx);
    }
    /* the mutations are neither all harmless nor all fatal */
    assert_in_range(opened, 100, 2900);
    assert_in_range(read_whole, 100, 2900);
    mem_free(path);
    mem_free(bad);
    mem_free(good);
}

static void mutated_image_files_never_do_more_than_fail(void **state)
{
    struct scene *scene = *state;
    struct image_limits limits = {.pixels = 20000, .side = 16};
    struct image image = {.room = 0}, good = picture(24, 31, 3, 1);
    size_t sizes[2];
    int read_well = 0;
    write_png(scene->folder, "good.png", &good);
    write_jpeg(scene->folder, "good.jpg", &good);
    char *goods[2] = {read_file(scene->folder, "good.png", &sizes[0]),
                      read_file(scene->folder, "good.jpg", &sizes[1])};
    char *bad = mem_alloc(sizes[0] + sizes[1]), *path = file_join(scene->folder, "mutated");
    for (uint64_t number = 0; number < 3000; number++) {
        enum image_fault fault = IMAGE_FAULT_NONE;
        size_t size = mutate(number, goods[number % 2], sizes[number % 2], bad);
        write_file(scene->folder, "mutated", bad, size);
        enum err err = image_file_read(path, &limits, &image, &fault);
        assert_true(err == ERR_OK || err == ERR_DATA);
        assert_int_equal(err == ERR_OK, fault == IMAGE_FAULT_NONE);
        if (err == ERR_OK)
            assert_true((uint64_t)image.H * (uint64_t)image.W <= limits.pixels);
        read_well += err == ERR_OK;
    }
    assert_in_range(read_well, 100, 2900);
    mem_free(path);
    mem_free(bad);
    mem_free(goods[0]);
    mem_free(goods[1]);
    mem_free(image.pixels);
    mem_free(good.pixels);
}

static void mutated_jpeg_records_never_do_more_than_fail(void **state)
{
    struct jpeg_encoder *encoder = jpeg_encoder_create();
    struct jpeg_decoder *decoder = jpeg_decoder_create(70, 90, 3);
    struct image good = picture(70, 90, 3, 2);
    struct pixels pixels = {good.pixels, 270, 70, 90, 3};
    const uint8_t *bytes = NULL;
    size_t size = 0;
    int sound = 0;
    (void)state;
    assert_int_equal(jpeg_encode(encoder, &pixels, 90, &bytes, &size), ERR_OK);
    char *bad = mem_alloc(size);
    for (uint64_t number = 0; number < 4000; number++) {
        struct area area;
        int shrink = 1 << (number % 4), top = (int)(number % 50), left = (int)(number % 60);
        size_t mutated = mutate(number, (const char *)bytes, size, bad);
        struct jpeg_request request = {.bytes = (const uint8_t *)bad,
                                       .size_bytes = mutated,
                                       .H = 70,
                                       .W = 90,
                                       .C = number % 5 ? 3 : 1,
                                       .shrink = shrink,
                                       .area = {top, left, 20, 30}};
        enum err err = jpeg_decode(decoder, &request, &pixels, &area);
        assert_true(err == ERR_OK || err == ERR_DATA);
        if (err != ERR_OK)
            continue;
        sound++;
        assert_true(area.y >= 0 && area.y + area.height <= pixels.H + 1e-9);
        assert_true(area.x >= 0 && area.x + area.width <= pixels.W + 1e-9);
    }
    assert_in_range(sound, 100, 3900);
    mem_free(bad);
    mem_free(good.pixels);
    jpeg_decoder_destroy(&decoder);
    jpeg_encoder_destroy(&encoder);
}

static void mutated_records_and_packs_never_point_outside(void **state)
{
    uint8_t picture_bytes[48] = {1, 2, 3}, bytes[160];
    struct record record = {.label = 3,
                            .H = 6,
                            .W = 8,
                            .C = 1,
                            .format = IMAGE_RAW,
                            .picture = picture_bytes,
                            .picture_bytes = 48,
                            .name = "a/b.png",
                            .name_bytes = 7};
    uint32_t size = (uint32_t)record_bytes(&record);
    uint8_t pack[PACK_HEADER_BYTES(1) + 160];
    int parsed_well = 0;
    (void)state;
    record_write(&record, bytes);
    pack_write_header(pack, 1, &size);
    memcpy(pack + PACK_HEADER_BYTES(1), bytes, size);
    for (uint64_t number = 0; number < 20000; number++) {
        char bad[sizeof pack];
        const uint8_t *found;
        size_t found_size, all = PACK_HEADER_BYTES(1) + size;
        struct record parsed;
        size_t mutated = mutate(number, (const char *)pack, all, bad);
        if (pack_find((const uint8_t *)bad, mutated, 0, &found, &found_size) != ERR_OK)
            continue;
        assert_true(found >= (const uint8_t *)bad);
        assert_true(found + found_size <= (const uint8_t *)bad + mutated);
        if (record_parse(found, found_size, &parsed) != ERR_OK)
            continue;
        parsed_well++;
        assert_true(parsed.picture + parsed.picture_bytes <= found + found_size);
        assert_true(parsed.name + parsed.name_bytes <= (const char *)found + found_size);
    }
    assert_in_range(parsed_well, 100, 19900);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

int main(void)
{
    if (image_file_start() != ERR_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        TEST(mutated_idx_files_never_do_more_than_fail),
        TEST(mutated_image_files_never_do_more_than_fail),
        cmocka_unit_test(mutated_jpeg_records_never_do_more_than_fail),
        cmocka_unit_test(mutated_records_and_packs_never_point_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
