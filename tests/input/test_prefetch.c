/* What a prefetch brings is the same whether it was brought ahead or not, and then it was brought
 * before it was taken. */
#include "base/mem.h"
#include "tests/data/fixture.h"
#include "tests/support/test_device.h"
#include "trainer/input/prefetch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { BATCHES = 7, N = 6, R = 28, PIXELS = N * R * R };

static const struct device_ops *real; /* of the device behind the one that counts */
static int uploads;

static void count_upload(struct device *device, void *to, const void *host, size_t size_bytes)
{
    uploads++;
    real->upload_async(device, to, host, size_bytes);
}

static struct device *open_device(void)
{
    static struct device_ops face;
    struct device *device = NULL;
    struct device_cfg cfg = {test_device(), 1, test_isa(), test_precision()};
    if (device_open(&cfg, &device) != ERR_OK)
        fail_msg("%s", err_text());
    real = device->ops;
    face = *real;
    face.upload_async = count_upload;
    device->ops = &face;
    uploads = 0;
    return device;
}

static void fill(void *own, uint64_t index, struct batch_request *request)
{
    const uint32_t *count = own;
    request->epoch = index;
    request->resolution = R;
    request->N = N;
    for (int i = 0; i < N; i++)
        request->positions[i] = (uint32_t)(index * 31 + (uint64_t)i * 7) % *count;
}

static void must(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s", err_text());
}

/* Until batch `next` was brought; what the loader's threads have not made yet cannot be. */
static void bring_ahead(struct prefetch *prefetch, int next)
{
    const struct timespec pause = {.tv_nsec = 100000};
    for (int tries = 0; uploads <= next; tries++) {
        if (tries > 100000)
            fail_msg("batch %d is not brought ahead", next);
        prefetch_ahead(prefetch);
        nanosleep(&pause, NULL);
    }
    prefetch_ahead(prefetch); /* one is enough */
    assert_int_equal(uploads, next + 1);
}

static void add(struct hasher *hasher, struct device *device, const void *memory, size_t size_bytes)
{
    void *host = mem_alloc(size_bytes);
    must(device->ops->download(device, host, memory, size_bytes));
    hasher_add(hasher, host, size_bytes);
    mem_free(host);
}

struct stand {
    struct dataset *dataset;
    uint32_t *records, count;
    struct device *device;
    struct prefetch *prefetch;
};

static void stand_init(const struct scene *scene, struct stand *stand)
{
    must(dataset_open(scene->destination, &stand->dataset));
    must(dataset_split(stand->dataset, SPLIT_TRAIN, 0, &stand->records, &stand->count));
    stand->device = open_device();
    struct prefetch_cfg cfg = {.device = stand->device,
                               .loader = {.dataset = stand->dataset,
                                          .records = stand->records,
                                          .count = stand->count,
                                          .seed = 5,
                                          .threads = 2,
                                          .max_batch = N,
                                          .max_resolution = R},
                               .end = BATCHES,
                               .ahead = 2,
                               .own = &stand->count,
                               .fill = fill};
    must(prefetch_create(&cfg, &stand->prefetch));
}

static void stand_fini(struct stand *stand)
{
    prefetch_destroy(&stand->prefetch);
    mem_free(stand->records);
    dataset_close(&stand->dataset);
    device_close(&stand->device);
}

static struct hash hash_batches(const struct scene *scene, bool goes_ahead)
{
    struct stand stand;
    struct hasher hasher;
    stand_init(scene, &stand);
    hasher_init(&hasher);
    for (int i = 0; i < BATCHES; i++) {
        struct prefetched prefetched;
        must(prefetch_take(stand.prefetch, &prefetched));
        assert_int_equal(uploads, i + 1);
        add(&hasher, stand.device, prefetched.images, PIXELS * stand.device->map_bytes);
        add(&hasher, stand.device, prefetched.labels, N * sizeof *prefetched.labels);
        hasher_add(&hasher, prefetched.host.records, N * sizeof *prefetched.host.records);
        prefetch_release(stand.prefetch, &prefetched);
        if (goes_ahead && i + 1 < BATCHES)
            bring_ahead(stand.prefetch, i + 1);
    }
    prefetch_ahead(stand.prefetch); /* there is no more */
    assert_int_equal(uploads, BATCHES);
    stand_fini(&stand);
    return hasher_end(&hasher);
}

static int make_scene(void **state)
{
    int failed = scene_make(state);
    struct scene *scene = *state;
    write_idx(scene->source, 60, 0, R, GZIP);
    struct dataset *dataset = must_import(&scene->cfg);
    dataset_close(&dataset);
    return failed;
}

static void batches_that_were_brought_ahead_are_the_same(void **state)
{
    struct hash taken = hash_batches(*state, false), ahead = hash_batches(*state, true);
    assert_memory_equal(ahead.bytes, taken.bytes, HASH_BYTES);
}

static void what_was_brought_and_never_taken_is_let_go(void **state)
{
    struct stand stand;
    stand_init(*state, &stand);
    bring_ahead(stand.prefetch, 0);
    stand_fini(&stand);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_that_were_brought_ahead_are_the_same),
        cmocka_unit_test(what_was_brought_and_never_taken_is_let_go),
    };
    return cmocka_run_group_tests_name("prefetch", tests, make_scene, scene_remove);
}
