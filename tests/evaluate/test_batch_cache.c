/* What is kept between walks over the same images: that it is the same bits as what is loaded
 * again, how much of it there is, and who stays when not everything fits. A batch that is loaded is
 * uploaded once; one that is kept as crops or loaded is made into images. */
#include "base/hash.h"
#include "base/mem.h"
#include "tests/data/running.h"
#include "tests/support/test_device.h"
#include "trainer/evaluate/batch_cache.h"
#include "trainer/evaluate/eval_batches.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { PICTURES = 30, IMAGES = 11, BATCH = 4, LEAVES = 3, LISTS = 2, NOWHERE = -1 };
enum { SIDE = 48, OTHER = 40 }; /* larger than the pictures: a map takes many times a crop */

struct trial {
    struct scene *scene;
    struct dataset *dataset;
    struct device *device;
    struct comm comm;
    uint32_t *records, count;
    struct batch_cache *cache;
    struct eval_batches *lists[LISTS]; /* augmented, and as an evaluation has them */
};

static struct {
    const struct device_ops *plain;
    struct device_ops ops;
    int uploads, forwards;
} counted;

static void must(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
}

static void count_upload(struct device *device, void *to, const void *host, size_t size_bytes)
{
    counted.uploads++;
    counted.plain->upload_async(device, to, host, size_bytes);
}

static void count_forward(struct device *device, const struct image_batch *batch, void *images)
{
    counted.forwards++;
    counted.plain->image_forward(device, batch, images);
}

static void count_operations(struct device *device)
{
    counted.plain = device->ops;
    counted.ops = *device->ops;
    counted.ops.upload_async = count_upload;
    counted.ops.image_forward = count_forward;
    device->ops = &counted.ops;
}

static int open_trial(void **state)
{
    char name[64];
    void *scene = NULL;
    struct trial *trial = mem_alloc(sizeof *trial);
    if (scene_make(&scene) != 0)
        return -1;
    trial->scene = scene;
    for (int i = 0; i < PICTURES; i++) {
        snprintf(name, sizeof name, "%d/%02d.png", i % 3, i);
        write_picture(trial->scene->source, name, 20 + i % 5, 24 - i % 7, 3, (uint64_t)i);
    }
    trial->dataset = must_import(&trial->scene->cfg);
    must(dataset_split(trial->dataset, SPLIT_TRAIN, 0, &trial->records, &trial->count));
    struct device_cfg cfg = {.name = test_device(), .threads = 2, .precision = test_precision()};
    must(device_open(&cfg, &trial->device));
    count_operations(trial->device);
    comm_alone(&trial->comm);
    *state = trial;
    return 0;
}

static void close_lists(struct trial *trial)
{
    for (int i = 0; i < LISTS; i++)
        eval_batches_destroy(&trial->lists[i]);
    batch_cache_destroy(&trial->cache);
}

static int close_trial(void **state)
{
    struct trial *trial = *state;
    void *scene = trial->scene;
    close_lists(trial);
    trial->device->ops = counted.plain;
    device_close(&trial->device);
    dataset_close(&trial->dataset);
    mem_free(trial->records);
    mem_free(trial);
    return scene_remove(&scene);
}

static struct eval_batches *open_list(const struct trial *trial, struct batch_cache *cache,
                                      int list)
{
    struct eval_batches *batches = NULL;
    struct eval_batches_cfg cfg = {.comm = (struct comm *)&trial->comm,
                                   .device = trial->device,
                                   .cache = cache,
                                   .loader = {.dataset = trial->dataset,
                                              .records = trial->records + 7 * list,
                                              .count = IMAGES,
                                              .seed = 5,
                                              .augment = list == 0 ? &running_augment : NULL,
                                              .threads = 2,
                                              .max_batch = BATCH},
                                   .count = IMAGES};
    must(eval_batches_create(&cfg, &batches));
    return batches;
}

static struct batch_cache *open_cache(const struct trial *trial, size_t budget_bytes)
{
    return batch_cache_create(
        &(struct batch_cache_cfg){trial->device, trial->dataset, budget_bytes});
}

static void open_lists(struct trial *trial, size_t budget_bytes)
{
    close_lists(trial);
    trial->cache = open_cache(trial, budget_bytes);
    for (int i = 0; i < LISTS; i++)
        trial->lists[i] = open_list(trial, trial->cache, i);
}

struct seen {
    struct device *device;
    struct hasher hasher;
    int leaves, fails_at;
};

static enum err look(void *own, const struct prefetched *prefetched)
{
    struct seen *seen = own;
    const struct batch *host = &prefetched->host;
    size_t N = (size_t)host->N, R = (size_t)host->resolution, label_bytes = N * sizeof(int32_t);
    size_t bytes = N * R * R * (size_t)host->C * seen->device->map_bytes;
    if (seen->leaves++ == seen->fails_at)
        return err_set(ERR_DATA, "a visitor gives up");
    char *copy = mem_alloc(bytes + label_bytes);
    must(seen->device->ops->download(seen->device, copy, prefetched->images, bytes));
    must(seen->device->ops->download(seen->device, copy + bytes, prefetched->labels, label_bytes));
    assert_memory_equal(copy + bytes, host->labels, label_bytes);
    hasher_add(&seen->hasher, copy, bytes + label_bytes);
    hasher_add(&seen->hasher, host->records, N * sizeof *host->records);
    mem_free(copy);
    return ERR_OK;
}

static struct hash images_of(const struct trial *trial, struct eval_batches *batches, int R)
{
    struct seen seen = {.device = trial->device, .fails_at = NOWHERE};
    hasher_init(&seen.hasher);
    must(eval_batches_walk(batches, R, look, &seen));
    assert_int_equal(seen.leaves, LEAVES);
    return hasher_end(&seen.hasher);
}

/* A walk must upload and make this many leaves, and show what one without a cache does. */
static void walk(const struct trial *trial, int list, int R, int uploads, int forwards)
{
    struct batch_cache *none = open_cache(trial, 0);
    struct eval_batches *batches = open_list(trial, none, list);
    struct hash wanted = images_of(trial, batches, R);
    assert_int_equal(batch_cache_bytes(none), 0);
    eval_batches_destroy(&batches);
    batch_cache_destroy(&none);
    counted.uploads = counted.forwards = 0;
    struct hash got = images_of(trial, trial->lists[list], R);
    assert_int_equal(counted.uploads, uploads);
    assert_int_equal(counted.forwards, forwards);
    assert_memory_equal(got.bytes, wanted.bytes, HASH_BYTES);
}

#define MAP_BYTES ((size_t)IMAGES * SIDE * SIDE * 3 * sizeof(float)) /* of a list at most */

/* What a list takes as crops: far less than as maps. */
static size_t crop_bytes(struct trial *trial, int list)
{
    open_lists(trial, MAP_BYTES / 2);
    walk(trial, list, SIDE, LEAVES, LEAVES);
    size_t bytes = batch_cache_bytes(trial->cache);
    assert_in_range(bytes, 1, MAP_BYTES / 8);
    return bytes;
}

static void maps_that_fit_are_made_once(void **state)
{
    struct trial *trial = *state;
    open_lists(trial, 4 * MAP_BYTES);
    for (int list = 0; list < LISTS; list++)
        walk(trial, list, SIDE, LEAVES, LEAVES);
    for (int list = 0; list < LISTS; list++)
        walk(trial, list, SIDE, 0, 0);
    assert_in_range(batch_cache_bytes(trial->cache), 1, 4 * MAP_BYTES);
}

static void crops_are_kept_where_maps_do_not_fit(void **state)
{
    struct trial *trial = *state;
    for (int list = 0; list < LISTS; list++) {
        crop_bytes(trial, list);
        walk(trial, list, SIDE, 0, LEAVES);
        walk(trial, list, SIDE, 0, LEAVES);
    }
}

static void the_first_leaves_stay_where_not_all_fit(void **state)
{
    struct trial *trial = *state;
    size_t budget = crop_bytes(trial, 0) - 1;
    open_lists(trial, budget);
    walk(trial, 0, SIDE, LEAVES, LEAVES);
    walk(trial, 0, SIDE, 1, LEAVES);
    walk(trial, 0, SIDE, 1, LEAVES);
    assert_in_range(batch_cache_bytes(trial->cache), 1, budget);
}

static void lists_of_one_resolution_do_not_push_out_each_other(void **state)
{
    struct trial *trial = *state;
    size_t first = crop_bytes(trial, 0), budget = first + crop_bytes(trial, 1) - 1;
    open_lists(trial, budget);
    walk(trial, 0, SIDE, LEAVES, LEAVES);
    walk(trial, 1, SIDE, LEAVES, LEAVES);
    for (int i = 0; i < 2; i++) {
        walk(trial, 0, SIDE, 0, LEAVES);
        walk(trial, 1, SIDE, 1, LEAVES);
    }
    assert_in_range(batch_cache_bytes(trial->cache), 1, budget);
}

/* The other resolution has the same crops: the pictures are smaller than both. */
static void another_resolution_pushes_out_what_was_walked_longest_ago(void **state)
{
    struct trial *trial = *state;
    size_t first = crop_bytes(trial, 0), budget = first + crop_bytes(trial, 1);
    open_lists(trial, budget);
    walk(trial, 0, SIDE, LEAVES, LEAVES);
    walk(trial, 1, SIDE, LEAVES, LEAVES);
    walk(trial, 0, OTHER, LEAVES, LEAVES);
    walk(trial, 1, SIDE, 0, LEAVES);
    walk(trial, 0, OTHER, 0, LEAVES);
    walk(trial, 0, SIDE, LEAVES, LEAVES);
    walk(trial, 1, SIDE, 0, LEAVES);
    walk(trial, 0, OTHER, LEAVES, LEAVES);
    assert_in_range(batch_cache_bytes(trial->cache), 1, budget);
}

static void a_walk_that_was_given_up_is_gone_on_with(void **state)
{
    struct trial *trial = *state;
    struct seen seen = {.device = trial->device, .fails_at = 1};
    hasher_init(&seen.hasher);
    open_lists(trial, 4 * MAP_BYTES);
    assert_int_equal(eval_batches_walk(trial->lists[0], SIDE, look, &seen), ERR_DATA);
    assert_int_equal(seen.leaves, 2);
    walk(trial, 0, SIDE, LEAVES - 2, LEAVES - 2);
    walk(trial, 0, SIDE, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_that_fit_are_made_once),
        cmocka_unit_test(crops_are_kept_where_maps_do_not_fit),
        cmocka_unit_test(the_first_leaves_stay_where_not_all_fit),
        cmocka_unit_test(lists_of_one_resolution_do_not_push_out_each_other),
        cmocka_unit_test(another_resolution_pushes_out_what_was_walked_longest_ago),
        cmocka_unit_test(a_walk_that_was_given_up_is_gone_on_with),
    };
    return cmocka_run_group_tests(tests, open_trial, close_trial);
}
