/* The loader's memory: whose it is while, and that it stays the same. */
#include "base/mem.h"
#include "tests/count_allocations.h"
#include "tests/data/running.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A device that reads uploads late: until `event` is waited for, what `read` holds must stay. */
static struct {
    struct event *event;
    const void *read;
    void *copy;
    size_t size_bytes;
    int waits;
    bool was_intact;
} late;

static enum err wait_late(struct device *device, struct event *event)
{
    (void)device;
    if (event && event == late.event) {
        late.waits++;
        late.was_intact = memcmp(late.read, late.copy, late.size_bytes) == 0;
        late.event = NULL; /* passed */
    }
    return ERR_OK;
}

static enum err create_late(struct device *device, struct event **event)
{
    (void)device;
    *event = mem_alloc(1);
    return ERR_OK;
}

static void destroy_late(struct device *device, struct event *event)
{
    (void)device;
    mem_free(event);
}

static void upload_late(const struct batch *batch)
{
    late.event = batch->uploaded;
    late.read = batch->pinned;
    late.size_bytes = batch->size_bytes;
    late.copy = memcpy(mem_alloc(batch->size_bytes), batch->pinned, batch->size_bytes);
    late.waits = 0;
}

static void pinned_memory_is_written_again_only_when_its_upload_has_passed(void **state)
{
    struct scene *scene = *state;
    write_idx(scene->source, 300, 0, 28, GZIP);
    struct running running = running_start(&scene->cfg, NULL, 1);
    struct device_ops ops = *running.device->ops;
    const struct device_ops *plain = running.device->ops;
    ops.event_wait = wait_late;
    ops.event_create = create_late;
    ops.event_destroy = destroy_late;
    running.device->ops = &ops;
    for (uint64_t epoch = 0; epoch < 10; epoch++) {
        running_ask(&running, 2 * epoch, RUNNING_MOST, 28);
        struct batch first = running_take(&running);
        upload_late(&first);
        loader_release(running.loader, &first);
        running_ask(&running, 2 * epoch + 1, RUNNING_MOST, 28);
        struct batch second = running_take(&running);
        assert_ptr_equal(second.pinned, late.read);
        assert_int_equal(late.waits, 1);
        assert_true(late.was_intact);
        assert_memory_not_equal(second.pinned, late.copy, late.size_bytes);
        loader_release(running.loader, &second);
        mem_free(late.copy);
    }
    loader_destroy(&running.loader);
    running.device->ops = plain;
    running_stop(&running);
}

static void a_batch_that_is_held_is_not_written_to(void **state)
{
    struct scene *scene = *state;
    write_idx(scene->source, 300, 0, 28, GZIP);
    struct running running = running_start(&scene->cfg, &running_augment, 2);
    running_ask(&running, 0, RUNNING_MOST, 28);
    struct batch held = running_take(&running);
    void *copy = memcpy(mem_alloc(held.size_bytes), held.pinned, held.size_bytes);
    for (uint64_t epoch = 1; epoch < 30; epoch++) {
        running_ask(&running, epoch, RUNNING_MOST, 28);
        running_ask(&running, epoch, RUNNING_MOST, 20);
        for (int k = 0; k < 2; k++) {
            struct batch other = running_take(&running);
            assert_ptr_not_equal(other.pinned, held.pinned);
            loader_release(running.loader, &other);
        }
    }
    assert_memory_equal(held.pinned, copy, held.size_bytes);
    loader_release(running.loader, &held);
    mem_free(copy);
    running_stop(&running);
}

static void steady_state_allocates_nothing(void **state)
{
    struct scene *scene = *state;
    write_idx(scene->source, 300, 0, 64, GZIP);
    struct running running = running_start(&scene->cfg, &running_augment, 2);
    int before = 0;
    for (uint64_t i = 0; i < 60; i++) {
        running_ask(&running, i, RUNNING_MOST, i % 2 ? 20 : 64);
        running_ask(&running, i, RUNNING_MOST, 28);
        for (int k = 0; k < 2; k++) {
            struct batch batch = running_take(&running);
            loader_release(running.loader, &batch);
        }
        if (i == 40)
            before = atomic_load(&allocations);
    }
    assert_int_equal(atomic_load(&allocations), before);
    running_stop(&running);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pinned_memory_is_written_again_only_when_its_upload_has_passed),
        TEST(a_batch_that_is_held_is_not_written_to),
        TEST(steady_state_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
