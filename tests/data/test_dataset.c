#include "base/fault.h"
#include "base/rng.h"
#include "tests/data/fixture.h"
#include "trainer/data/dataset_store.h"
#include "trainer/data/loader.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int compare_u32(const void *left, const void *right)
{
    uint32_t l = *(const uint32_t *)left, r = *(const uint32_t *)right;
    return l < r ? -1 : l > r;
}

static void the_hold_out_is_the_same_for_everybody_and_disjoint(void **state)
{
    struct scene *scene = *state;
    uint32_t *held, *again, *train, held_count, again_count, train_count, order[200];
    int seen[200] = {0};
    write_idx(scene->source, 200, 10, 8, GZIP);
    struct dataset *dataset = must_import(&scene->cfg);
    assert_int_equal(dataset_split(dataset, SPLIT_HOLDOUT, 50, &held, &held_count), ERR_OK);
    assert_int_equal(dataset_split(dataset, SPLIT_HOLDOUT, 50, &again, &again_count), ERR_OK);
    assert_int_equal(dataset_split(dataset, SPLIT_TRAIN, 50, &train, &train_count), ERR_OK);
    assert_int_equal(held_count, 50);
    assert_int_equal(train_count, 150);
    assert_memory_equal(held, again, 50 * sizeof *held);
    for (uint32_t i = 0; i < 150; i++)
        seen[train[i]]++;
    for (uint32_t i = 0; i < 50; i++)
        seen[held[i]]++;
    for (int i = 0; i < 200; i++)
        assert_int_equal(seen[i], 1);
    rng_permute(0, RNG_HOLDOUT, 0, 200, order); /* as the header promises */
    for (int i = 0; i < 50; i++)
        assert_non_null(bsearch(&order[i], held, 50, sizeof *held, compare_u32));
    mem_free(held);
    mem_free(again);
    mem_free(train);
    dataset_close(&dataset);
}

static void splits_have_their_edges(void **state)
{
    struct scene *scene = *state;
    uint32_t *records, count;
    write_idx(scene->source, 20, 4, 8, GZIP);
    struct dataset *dataset = must_import(&scene->cfg);
    assert_int_equal(dataset_split(dataset, SPLIT_TEST, 0, &records, &count), ERR_OK);
    assert_int_equal(count, 4);
    assert_int_equal(records[0], 20);
    assert_int_equal(records[3], 23);
    mem_free(records);
    assert_int_equal(dataset_split(dataset, SPLIT_HOLDOUT, 0, &records, &count), ERR_OK);
    assert_int_equal(count, 0);
    mem_free(records);
    assert_int_equal(dataset_split(dataset, SPLIT_TRAIN, 20, &records, &count), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "has only 20 training images: set it to about 2"));
    assert_int_equal(dataset_split(dataset, SPLIT_TRAIN, 19, &records, &count), ERR_OK);
    assert_int_equal(count, 1);
    mem_free(records);
    dataset_close(&dataset);
}

/* A data set of three classes whose second image has the label 7, as no import writes it. */
static void forge_dataset(const char *path)
{
    char *names[] = {"a", "b", "c"};
    uint8_t pixels[4] = {1, 2, 3, 4}, bytes[64];
    uint32_t train_per_class[3] = {1, 1, 0}, test_per_class[3] = {0};
    struct dataset_writer *writer = NULL;
    struct dataset_info info = {.classes = 3,
                                .class_names = names,
                                .channels = 1,
                                .train_count = 2,
                                .max_height = 2,
                                .max_width = 2,
                                .deviation = {1},
                                .train_per_class = train_per_class,
                                .test_per_class = test_per_class};
    struct record record = {
        .H = 2, .W = 2, .C = 1, .format = IMAGE_RAW, .picture = pixels, .picture_bytes = 4};
    assert_int_equal(dataset_writer_open(path, &writer), ERR_OK);
    for (record.label = 0; record.label <= 7; record.label += 7) {
        record_write(&record, bytes);
        assert_int_equal(dataset_writer_add(writer, bytes, record_bytes(&record)), ERR_OK);
    }
    assert_int_equal(dataset_writer_finish(writer, &info), ERR_OK);
    dataset_writer_close(&writer);
}

static void a_label_outside_the_classes_is_refused_when_it_is_read(void **state)
{
    struct scene *scene = *state;
    struct dataset *dataset = NULL;
    struct image image = {.room = 0};
    struct loader *loader = NULL;
    struct batch batch = {0};
    uint32_t records[2] = {0, 1};
    const char *words = ": label 7, but there are 3 classes, 0 to 2";
    forge_dataset(scene->destination);
    assert_int_equal(dataset_open(scene->destination, &dataset), ERR_OK);
    assert_int_equal(dataset_read(dataset, 0, &image), ERR_OK);
    assert_int_equal(dataset_read(dataset, 1, &image), ERR_DATA);
    assert_non_null(strstr(err_text(), "record 1 of the dataset"));
    assert_non_null(strstr(err_text(), words));
    struct device *device = must_open_device();
    struct loader_cfg cfg = {.device = device,
                             .dataset = dataset,
                             .records = records,
                             .count = 2,
                             .threads = 1,
                             .max_batch = 2,
                             .max_resolution = 2};
    struct batch_request request = {.resolution = 2, .N = 2, .positions = records};
    assert_int_equal(loader_create(&cfg, &loader), ERR_OK);
    assert_int_equal(loader_ask(loader, &request), ERR_OK);
    assert_int_equal(loader_take(loader, &batch), ERR_DATA);
    assert_non_null(strstr(err_text(), words));
    loader_destroy(&loader);
    mem_free(image.pixels);
    dataset_close(&dataset);
    device_close(&device);
}

static void a_record_that_is_not_there_is_an_error_with_its_number(void **state)
{
    struct scene *scene = *state;
    struct image image = {.room = 0};
    char name[64];
    write_idx(scene->source, 20, 4, 8, GZIP);
    struct dataset *dataset = must_import(&scene->cfg);
    assert_int_equal(dataset_read(dataset, 24, &image), ERR_DATA);
    assert_non_null(strstr(err_text(), "record 24"));
    assert_non_null(strstr(err_text(), scene->destination));
    assert_int_equal(dataset_read(dataset, 1000, &image), ERR_DATA);
    assert_int_equal(dataset_record_name(dataset, 23, name, sizeof name), ERR_OK);
    assert_string_equal(name, "test[3]");
    dataset_close(&dataset);
}

static void what_is_no_dataset_is_refused(void **state)
{
    struct scene *scene = *state;
    struct dataset *dataset = NULL;
    struct store *store = NULL;
    assert_int_equal(dataset_open(scene->destination, &dataset), ERR_NOT_FOUND);
    write_file(scene->destination, "data.mdb", "not really", 10);
    assert_int_equal(dataset_open(scene->destination, &dataset), ERR_DATA);
    assert_int_equal(file_remove_folder(scene->destination), ERR_OK);
    assert_int_equal(dataset_store_open(scene->destination, STORE_WRITE, &store), ERR_OK);
    store_close(&store);
    assert_int_equal(dataset_open(scene->destination, &dataset), ERR_DATA);
    assert_non_null(strstr(err_text(), "not finished"));
    assert_null(dataset);
}

static void a_file_cut_short_is_refused_at_opening(void **state)
{
    struct scene *scene = *state;
    struct dataset *dataset = NULL;
    write_idx(scene->source, 2000, 0, 16, GZIP);
    dataset = must_import(&scene->cfg);
    dataset_close(&dataset);
    char *file = file_join(scene->destination, "data.mdb");
    struct stat status;
    assert_int_equal(stat(file, &status), 0);
    assert_int_equal(truncate(file, status.st_size / 2), 0);
    assert_int_equal(dataset_open(scene->destination, &dataset), ERR_DATA);
    mem_free(file);
}

/* Where some bytes lie in a file, or -1. */
static long find_bytes(const char *bytes, size_t size, const void *wanted, size_t wanted_size)
{
    const char *found = memmem(bytes, size, wanted, wanted_size);
    return found ? (long)(found - bytes) : -1;
}

static void verify_names_the_record_of_a_flipped_byte(void **state)
{
    struct scene *scene = *state;
    struct dataset_check check;
    uint8_t pixels[64];
    size_t size = 0;
    write_idx(scene->source, 300, 20, 8, GZIP);
    struct dataset *dataset = must_import(&scene->cfg);
    assert_int_equal(dataset_verify(dataset, 3, &check), ERR_OK);
    assert_int_equal(check.fault_count, 0);
    assert_true(check.content_agrees);
    dataset_close(&dataset);
    char *bytes = read_file(scene->destination, "data.mdb", &size);
    for (int k = 0; k < 64; k++)
        pixels[k] = idx_pixel(0, 123, k);
    long at = find_bytes(bytes, size, pixels, sizeof pixels);
    assert_in_range(at, 4096, size);
    bytes[at + 17] ^= 4;
    write_file(scene->destination, "data.mdb", bytes, size);
    mem_free(bytes);
    assert_int_equal(dataset_open(scene->destination, &dataset), ERR_OK);
    assert_int_equal(dataset_verify(dataset, 3, &check), ERR_OK);
    assert_int_equal(check.fault_count, 1);
    assert_int_equal(check.faults[0].record, 123);
    assert_string_equal(check.faults[0].name, "train[123]");
    assert_non_null(strstr(check.faults[0].reason, "not those that were imported"));
    assert_false(check.content_agrees);
    mem_free(check.faults);
    dataset_close(&dataset);
}

static void verify_blames_no_record_for_a_read_that_failed(void **state)
{
    struct scene *scene = *state;
    struct dataset_check check;
    write_idx(scene->source, 300, 20, 8, GZIP);
    struct dataset *dataset = must_import(&scene->cfg);
    setenv("GLOWWORM_FAULT", "store.view:100", 1);
    fault_reset();
    assert_int_equal(dataset_verify(dataset, 3, &check), ERR_IO);
    assert_non_null(strstr(err_text(), "store.view"));
    assert_int_equal(check.fault_count, 0);
    unsetenv("GLOWWORM_FAULT");
    fault_reset();
    mem_free(check.faults);
    dataset_close(&dataset);
}

static void verify_finds_damage_in_jpeg_records_too(void **state)
{
    struct scene *scene = *state;
    struct dataset_check check;
    char name[64];
    size_t size = 0;
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "%d/%d.png", i % 3, i);
        write_picture(scene->source, name, 90, 90, 3, (uint64_t)i);
    }
    struct dataset *dataset = must_import(&scene->cfg);
    dataset_close(&dataset);
    char *bytes = read_file(scene->destination, "data.mdb", &size);
    long at = find_bytes(bytes, size, "1/7.png", 7);
    assert_in_range(at, 4096, size);
    bytes[at - 200] ^= 0x10; /* the picture lies before its name */
    write_file(scene->destination, "data.mdb", bytes, size);
    mem_free(bytes);
    assert_int_equal(dataset_open(scene->destination, &dataset), ERR_OK);
    assert_int_equal(dataset_verify(dataset, 2, &check), ERR_OK);
    assert_int_equal(check.fault_count, 1);
    assert_string_equal(check.faults[0].name, "1/7.png");
    mem_free(check.faults);
    dataset_close(&dataset);
}

struct reader {
    const struct dataset *dataset;
    uint32_t wrong;
};

static void *read_all(void *own)
{
    struct reader *reader = own;
    struct image image = {.room = 0};
    for (uint32_t i = 0; i < 600; i++) {
        uint32_t number = i * 7 % 200;
        if (dataset_read(reader->dataset, number, &image) != ERR_OK ||
            image.pixels[5] != idx_pixel(0, number, 5))
            reader->wrong++;
    }
    mem_free(image.pixels);
    return NULL;
}

static void many_threads_read_at_once(void **state)
{
    struct scene *scene = *state;
    struct reader readers[6];
    pthread_t threads[6];
    write_idx(scene->source, 200, 0, 8, GZIP);
    struct dataset *dataset = must_import(&scene->cfg);
    for (int i = 0; i < 6; i++) {
        readers[i] = (struct reader){dataset, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, read_all, &readers[i]), 0);
    }
    for (int i = 0; i < 6; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(readers[i].wrong, 0);
    }
    dataset_close(&dataset);
}

static void many_processes_read_at_once(void **state)
{
    struct scene *scene = *state;
    pid_t children[8];
    write_idx(scene->source, 200, 0, 8, GZIP);
    struct dataset *dataset = must_import(&scene->cfg);
    dataset_close(&dataset);
    assert_int_equal(chmod(scene->destination, 0555), 0);
    for (int i = 0; i < 8; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            struct reader reader = {NULL, 0};
            struct dataset *opened = NULL;
            if (dataset_open(scene->destination, &opened) != ERR_OK)
                _exit(1);
            reader.dataset = opened;
            read_all(&reader);
            dataset_close(&opened);
            _exit(reader.wrong ? 2 : 0);
        }
    }
    for (int i = 0; i < 8; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(chmod(scene->destination, 0755), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_hold_out_is_the_same_for_everybody_and_disjoint),
        TEST(splits_have_their_edges),
        TEST(a_label_outside_the_classes_is_refused_when_it_is_read),
        TEST(a_record_that_is_not_there_is_an_error_with_its_number),
        TEST(what_is_no_dataset_is_refused),
        TEST(a_file_cut_short_is_refused_at_opening),
        TEST(verify_names_the_record_of_a_flipped_byte),
        TEST(verify_blames_no_record_for_a_read_that_failed),
        TEST(verify_finds_damage_in_jpeg_records_too),
        TEST(many_threads_read_at_once),
        TEST(many_processes_read_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
