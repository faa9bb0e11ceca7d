#include "base/rng.h"
#include "tests/data/running.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What the device makes of a batch: (N,R,R,C), owned. */
static float *values_of(const struct running *running, const struct batch *batch)
{
    size_t R = (size_t)batch->resolution;
    float *values = mem_array((size_t)batch->N * R * R, (size_t)batch->C * sizeof *values);
    struct image_batch images =
        loader_image_batch(dataset_info(running->dataset), batch, batch->pinned);
    running->device->ops->image_forward(running->device, &images, values);
    return values;
}

static void add_values(const struct running *running, const struct batch *batch,
                       struct hasher *hasher)
{
    size_t R = (size_t)batch->resolution;
    float *values = values_of(running, batch);
    hasher_add(hasher, values, (size_t)batch->N * R * R * (size_t)batch->C * sizeof *values);
    mem_free(values);
}

/* "KEY VALUE" is a line of the file. */
static void expect_line(const char *path, const char *key, const char *value)
{
    char line[256];
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ' ') {
            line[strcspn(line, "\n")] = 0;
            assert_string_equal(line + strlen(key) + 1, value);
            fclose(file);
            return;
        }
    fail_msg("%s says nothing of \"%s\"", path, key);
}

/* A hash over 24 batches of changing size and resolution, always three ahead. */
static struct hash hash_batches(struct running *running)
{
    static const int sizes[] = {16, 1, 7, 16, 0, 13}, resolutions[] = {28, 20, 64, 33};
    struct hasher hasher;
    hasher_init(&hasher);
    for (uint64_t i = 0; i < 27; i++) {
        if (i < 24)
            running_ask(running, i, sizes[i % 6], resolutions[i % 4]);
        if (i < 3)
            continue;
        struct batch batch = running_take(running);
        assert_int_equal(batch.N, sizes[(i - 3) % 6]);
        assert_int_equal(batch.resolution, resolutions[(i - 3) % 4]);
        add_values(running, &batch, &hasher);
        hasher_add(&hasher, batch.labels, (size_t)batch.N * sizeof(int32_t));
        hasher_add(&hasher, batch.records, (size_t)batch.N * sizeof(uint32_t));
        loader_release(running->loader, &batch);
    }
    return hasher_end(&hasher);
}

static void expect_same_batches(const struct import_cfg *cfg, const struct augment_cfg *augment)
{
    static const int threads[] = {1, 2, 3, 4};
    struct hash first = {{0}};
    for (int i = 0; i < 4; i++) {
        struct running running = running_start(cfg, augment, threads[i]);
        struct hash hash = hash_batches(&running);
        running_stop(&running);
        if (i == 0)
            first = hash;
        assert_memory_equal(first.bytes, hash.bytes, HASH_BYTES);
    }
}

static void write_pictures(const char *folder, int count, int H, int W)
{
    char name[64];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%d/%02d.png", i % 4, i);
        write_picture(folder, name, H + i % 5, W - i % 7, 3, (uint64_t)i);
    }
}

static void batches_are_the_same_bits_for_any_number_of_threads(void **state)
{
    struct scene *scene = *state;
    write_idx(scene->source, 300, 0, 28, GZIP);
    expect_same_batches(&scene->cfg, &running_augment);
    expect_same_batches(&scene->cfg, NULL);
}

static void jpeg_batches_are_the_same_bits_for_any_number_of_threads(void **state)
{
    struct scene *scene = *state;
    write_pictures(scene->source, 24, 90, 150);
    expect_same_batches(&scene->cfg, &running_augment);
    expect_same_batches(&scene->cfg, NULL);
}

static void an_unaugmented_image_is_its_pixels_normalised(void **state)
{
    struct scene *scene = *state;
    write_idx(scene->source, 50, 0, 28, GZIP);
    struct running running = running_start(&scene->cfg, NULL, 2);
    const struct dataset_info *info = dataset_info(running.dataset);
    running_ask(&running, 3, 9, 28);
    struct batch batch = running_take(&running);
    float *values = values_of(&running, &batch);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(batch.labels[i], batch.records[i] % IDX_CLASSES);
        for (int k = 0; k < 784; k++) {
            double pixel = idx_pixel(0, batch.records[i], k);
            assert_float_equal(values[i * 784 + k], (pixel - info->mean[0]) / info->deviation[0],
                               1e-5);
        }
    }
    mem_free(values);
    loader_release(running.loader, &batch);
    running_stop(&running);
}

/* One batch of every resolution, as hashes of its values. */
static void expect_recorded(const struct import_cfg *cfg, const char *name,
                            const struct augment_cfg *augment)
{
    static const int resolutions[] = {7, 20, 28, 33, 64};
    struct running running = running_start(cfg, augment, 2);
    for (int i = 0; i < 5; i++) {
        char key[64], hex[HASH_HEX_BYTES];
        running_ask(&running, (uint64_t)i, RUNNING_MOST, resolutions[i]);
        struct batch batch = running_take(&running);
        struct hasher hasher;
        hasher_init(&hasher);
        add_values(&running, &batch, &hasher);
        struct hash hash = hasher_end(&hasher);
        hash_hex(&hash, hex);
        snprintf(key, sizeof key, "%s %s %d", name, augment ? "train" : "evaluate", resolutions[i]);
        expect_line("tests/data/recorded_batches.txt", key, hex);
        loader_release(running.loader, &batch);
    }
    running_stop(&running);
}

/* What a batch is changes by no bit: those of pictures without a second side or a smaller one were
 * recorded when the host still did all of it, the others when dataset.geometry came. */
static void batches_are_those_that_were_recorded(void **state)
{
    struct scene *scene = *state;
    struct import_cfg grey = scene->cfg;
    char *source = file_join(scene->folder, "grey"), *other = file_join(scene->folder, "grey-set");
    grey.sources = (const char *const *)&source;
    grey.destination = other;
    write_pictures(scene->source, 24, 90, 150);
    scene->cfg.format = IMPORT_RAW;
    write_idx(source, 50, 0, 28, GZIP);
    for (int mode = 0; mode < 2; mode++) {
        expect_recorded(&scene->cfg, "colour", mode ? &running_augment : NULL);
        expect_recorded(&grey, "grey", mode ? &running_augment : NULL);
    }
    mem_free(source);
    mem_free(other);
}

static double clamped(double value)
{
    return fmin(fmax(value, 0.0), 255.0);
}

/* One pixel of C channels: brightness, and away from its grey, in the drawn order. */
static void expect_colour(const struct transform *draw, double *pixel, int C)
{
    for (int turn = 0; turn < 2; turn++) {
        bool saturates = draw->saturation_first ? turn == 0 : turn == 1;
        double grey = C == 3 ? 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2] : 0;
        for (int c = 0; c < C; c++) {
            if (!saturates)
                pixel[c] = clamped(pixel[c] * (double)draw->brightness);
            else if (C == 3)
                pixel[c] = clamped(grey + (double)draw->saturation * (pixel[c] - grey));
        }
    }
}

/* Every value of one image of a batch: the drawn window alone, resized, mirrored, coloured,
 * normalised. */
static void expect_image(const struct running *running, const struct transform *draw,
                         uint32_t record, int R, const float *found)
{
    const struct dataset_info *info = dataset_info(running->dataset);
    struct image image = {.H = 0};
    assert_int_equal(dataset_read(running->dataset, record, &image), ERR_OK);
    int C = image.C, top = (int)draw->area.y, left = (int)draw->area.x;
    struct pixels window = all_of(&image);
    window.data += (size_t)top * window.row_bytes + (size_t)(left * C);
    window.H = (int)draw->area.height;
    window.W = (int)draw->area.width;
    int shrink = resample_shrink(&draw->area, R);
    for (int i = 0; i < R * R; i++) {
        int y = i / R, x = draw->is_mirrored ? R - 1 - i % R : i % R;
        double pixel[3];
        for (int c = 0; c < C; c++)
            pixel[c] = interpolated(&window, shrink, (y + 0.5) * window.H / R,
                                    (x + 0.5) * window.W / R, c);
        if (draw->has_colour)
            expect_colour(draw, pixel, C);
        for (int c = 0; c < C; c++) {
            double expected = (pixel[c] - info->mean[c]) / info->deviation[c];
            if (!(fabs((double)found[i * C + c] - expected) <= 2e-4))
                fail_msg("record %u, pixel %d of %d, channel %d: %g, expected %g", record, i, R * R,
                         c, (double)found[i * C + c], expected);
        }
    }
    mem_free(image.pixels);
}

/* The draws themselves are test_resample's; this is what becomes of them. Only what is switched on
 * may happen, and must happen to some of the images. */
static void expect_augmented(const struct import_cfg *cfg, const struct augment_cfg *augment, int R)
{
    const uint64_t epoch = 6;
    struct running running = running_start(cfg, augment, 2);
    int cut = 0, mirrored = 0, coloured = 0;
    running_ask(&running, epoch, RUNNING_MOST, R);
    struct batch batch = running_take(&running);
    float *values = values_of(&running, &batch);
    for (int i = 0; i < RUNNING_MOST; i++) {
        struct image image = {.H = 0};
        assert_int_equal(dataset_read(running.dataset, batch.records[i], &image), ERR_OK);
        struct transform draw = augment_draw(augment, 5, epoch, batch.records[i], image.H, image.W);
        expect_image(&running, &draw, batch.records[i], R, values + i * R * R * batch.C);
        struct area frame = augment_evaluate(augment->geometry, image.H, image.W).area;
        cut += draw.area.height < frame.height || draw.area.width < frame.width;
        mirrored += draw.is_mirrored;
        coloured += draw.has_colour;
        mem_free(image.pixels);
    }
    assert_int_equal(cut > RUNNING_MOST / 2, augment->crop_min < 1);
    assert_int_equal(mirrored > 2, augment->has_flip);
    assert_int_equal(coloured, augment->has_colour ? RUNNING_MOST : 0);
    mem_free(values);
    loader_release(running.loader, &batch);
    running_stop(&running);
}

static void an_augmented_image_is_what_the_draws_say_switch_by_switch(void **state)
{
    const struct augment_cfg switches[] = {
        {.crop_min = 1}, /* all off */
        {.crop_min = 0.3},
        {.crop_min = 1, .has_flip = true},
        {.crop_min = 1, .has_colour = true, .brightness = 0.4, .saturation = 0.5},
        running_augment};
    struct scene *scene = *state;
    struct import_cfg grey = scene->cfg;
    char *source = file_join(scene->folder, "grey"), *other = file_join(scene->folder, "grey-set");
    grey.sources = (const char *const *)&source;
    grey.destination = other;
    write_pictures(scene->source, 24, 90, 150); /* three channels, some shrunk first */
    scene->cfg.format = IMPORT_RAW;
    write_idx(source, 50, 0, 28, GZIP); /* one channel */
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++) {
        expect_augmented(&scene->cfg, &switches[i], 20);
        expect_augmented(&scene->cfg, &switches[i], 64);
        expect_augmented(&grey, &switches[i], 28);
    }
    mem_free(source);
    mem_free(other);
}

/* Stored as JPEG a batch is nearly what it is stored raw: the same crops, flips and colours. */
static void jpeg_and_raw_records_give_nearly_the_same_batches(void **state)
{
    struct scene *scene = *state;
    struct import_cfg raw = scene->cfg;
    char *other = file_join(scene->folder, "raw");
    static const int resolutions[] = {20, 40, 64};
    write_pictures(scene->source, 24, 200, 300);
    raw.format = IMPORT_RAW;
    raw.destination = other;
    for (int mode = 0; mode < 2; mode++) {
        struct running a = running_start(&scene->cfg, mode ? &running_augment : NULL, 2);
        struct running b = running_start(&raw, mode ? &running_augment : NULL, 2);
        double deviation = dataset_info(a.dataset)->deviation[0];
        for (int r = 0; r < 3; r++) {
            running_ask(&a, 4, 16, resolutions[r]);
            running_ask(&b, 4, 16, resolutions[r]);
            struct batch x = running_take(&a), y = running_take(&b);
            float *of_x = values_of(&a, &x), *of_y = values_of(&b, &y);
            int count = 16 * x.resolution * x.resolution * 3;
            double sum = 0.0;
            for (int i = 0; i < count; i++)
                sum += fabs((double)(of_x[i] - of_y[i])) * deviation;
            if (sum / count > 6.0)
                fail_msg("%d px, augmentation %d: %g grey levels apart", x.resolution, mode,
                         sum / count);
            mem_free(of_x);
            mem_free(of_y);
            loader_release(a.loader, &x);
            loader_release(b.loader, &y);
        }
        running_stop(&a);
        running_stop(&b);
    }
    mem_free(other);
}

/* Turns the first bytes of a stored JPEG into nonsense. */
static void damage(const struct scene *scene, const char *name)
{
    size_t size = 0;
    char *bytes = read_file(scene->destination, "data.mdb", &size);
    char *at = memmem(bytes, size, name, strlen(name));
    assert_non_null(at);
    while (memcmp(at, "\xff\xd8\xff", 3) != 0)
        at--;
    memset(at, 0, 3);
    write_file(scene->destination, "data.mdb", bytes, size);
    mem_free(bytes);
}

static void a_record_that_cannot_be_decoded_is_named_and_the_loader_goes_on(void **state)
{
    struct scene *scene = *state;
    struct batch batch;
    write_pictures(scene->source, 24, 90, 90);
    struct dataset *dataset = must_import(&scene->cfg);
    dataset_close(&dataset);
    damage(scene, "1/05.png"); /* record 7: classes 0 and then 1/01, 1/05 */
    struct running running = running_start(&scene->cfg, NULL, 4);
    uint32_t all[RUNNING_MOST] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    struct batch_request request = {.resolution = 32, .N = 16, .positions = all};
    assert_int_equal(loader_ask(running.loader, &request), ERR_OK);
    request.N = 7;
    assert_int_equal(loader_ask(running.loader, &request), ERR_OK);
    assert_int_equal(loader_take(running.loader, &batch), ERR_DATA);
    if (!strstr(err_text(), "record 7") || !strstr(err_text(), scene->destination))
        fail_msg("the error says: %s", err_text());
    assert_int_equal(loader_take(running.loader, &batch), ERR_OK);
    assert_int_equal(batch.N, 7);
    loader_release(running.loader, &batch);
    running_stop(&running);
}

static void too_many_or_impossible_requests_are_refused(void **state)
{
    struct scene *scene = *state;
    uint32_t positions[RUNNING_MOST + 1] = {0};
    write_idx(scene->source, 50, 0, 28, GZIP);
    struct running running = running_start(&scene->cfg, NULL, 2);
    struct batch_request request = {
        .resolution = 28, .N = RUNNING_MOST + 1, .positions = positions};
    assert_int_equal(loader_ask(running.loader, &request), ERR_CONFIG);
    request = (struct batch_request){.resolution = 65, .N = 1, .positions = positions};
    assert_int_equal(loader_ask(running.loader, &request), ERR_CONFIG);
    request.resolution = 28;
    positions[0] = 50;
    assert_int_equal(loader_ask(running.loader, &request), ERR_CONFIG);
    for (int i = 0; i < LOADER_QUEUE; i++)
        running_ask(&running, 1, 4, 28);
    positions[0] = 0;
    assert_int_equal(loader_ask(running.loader, &request), ERR_AGAIN);
    struct batch batch = running_take(&running);
    assert_int_equal(loader_ask(running.loader, &request), ERR_OK);
    loader_release(running.loader, &batch);
    loader_release(running.loader, &batch);
    running_stop(&running); /* with seven batches queued */
}

/* A device whose events are told apart, and that looks at a batch when its upload is waited for. */
static struct spy {
    struct event *uploaded;
    const void *pinned;
    size_t size_bytes;
    struct hash content; /* as it was taken */
    int waits, spoilt;
} spy;

static enum err make_event(struct device *device, struct event **event)
{
    (void)device;
    *event = mem_alloc(1);
    return ERR_OK;
}

static void drop_event(struct device *device, struct event *event)
{
    (void)device;
    mem_free(event);
}

static enum err wait_and_look(struct device *device, struct event *event)
{
    (void)device;
    if (event != spy.uploaded)
        return ERR_OK;
    struct hash now = hash_of(spy.pinned, spy.size_bytes);
    spy.spoilt += !hash_equal(&now, &spy.content);
    spy.waits++;
    return ERR_OK;
}

static void replace_loader(struct running *running, struct device *device)
{
    struct loader_cfg cfg = {.device = device,
                             .dataset = running->dataset,
                             .records = running->records,
                             .count = running->count,
                             .threads = 1,
                             .max_batch = RUNNING_MOST,
                             .max_resolution = 64};
    loader_destroy(&running->loader);
    assert_int_equal(loader_create(&cfg, &running->loader), ERR_OK);
}

static void memory_is_written_again_only_behind_its_upload(void **state)
{
    enum { ONE_RUN = 8 };
    struct scene *scene = *state;
    write_idx(scene->source, 50, 0, 28, GZIP);
    struct running running = running_start(&scene->cfg, NULL, 1);
    struct device_ops ops = *running.device->ops;
    struct device device = *running.device;
    ops.event_create = make_event;
    ops.event_destroy = drop_event;
    ops.event_wait = wait_and_look;
    device.ops = &ops;
    replace_loader(&running, &device);
    running_ask(&running, 1, ONE_RUN, 28);
    struct batch batch = running_take(&running);
    spy = (struct spy){.uploaded = batch.uploaded,
                       .pinned = batch.pinned,
                       .size_bytes = batch.size_bytes,
                       .content = hash_of(batch.pinned, batch.size_bytes)};
    loader_release(running.loader, &batch);
    running_ask(&running, 2, ONE_RUN, 28);
    batch = running_take(&running);
    assert_ptr_equal(batch.pinned, spy.pinned);
    assert_int_equal(spy.waits, 1);
    assert_int_equal(spy.spoilt, 0);
    loader_release(running.loader, &batch);
    running_stop(&running);
}

static void a_shuffle_is_a_permutation_of_its_own(void **state)
{
    uint32_t first[100], second[100];
    int seen[100] = {0};
    (void)state;
    loader_shuffle(1, 1, 100, first);
    loader_shuffle(1, 2, 100, second);
    for (int i = 0; i < 100; i++)
        seen[first[i]]++;
    for (int i = 0; i < 100; i++)
        assert_int_equal(seen[i], 1);
    assert_memory_not_equal(first, second, sizeof first);
    loader_shuffle(1, 1, 100, second);
    assert_memory_equal(first, second, sizeof first);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(batches_are_the_same_bits_for_any_number_of_threads),
        TEST(jpeg_batches_are_the_same_bits_for_any_number_of_threads),
        TEST(an_unaugmented_image_is_its_pixels_normalised),
        TEST(batches_are_those_that_were_recorded),
        TEST(an_augmented_image_is_what_the_draws_say_switch_by_switch),
        TEST(jpeg_and_raw_records_give_nearly_the_same_batches),
        TEST(a_record_that_cannot_be_decoded_is_named_and_the_loader_goes_on),
        TEST(too_many_or_impossible_requests_are_refused),
        TEST(memory_is_written_again_only_behind_its_upload),
        cmocka_unit_test(a_shuffle_is_a_permutation_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
