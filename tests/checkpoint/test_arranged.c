/* Saves of which more is to be done than writing: values that are brought into order, or are still
 * on their way (struct checkpoint_arrange). */
#include "tests/checkpoint/fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h> /* needs the four above */

static void assert_ok(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
}

static const int arranged_by = 7;

/* Reverses a tensor: its own inverse. */
static enum err reverse(const void *own, int tensor, float *values, float *room)
{
    uint64_t count = elements_of(tensor);
    assert_ptr_equal(own, &arranged_by);
    for (uint64_t e = 0; e < count; e++)
        room[e] = values[count - 1 - e];
    memcpy(values, room, count * sizeof *values);
    return ERR_OK;
}

static void values_are_arranged_behind_the_step(void **state)
{
    struct checkpoint_store *store = NULL;
    struct checkpoint checkpoint, loaded = {0};
    struct hash plain = {{0}};
    float room[600000];
    const struct checkpoint_arrange arrange = {.arrange = reverse, .own = &arranged_by};
    assert_ok(open_at(*state, true, 1, &store));
    assert_ok(save_step(store, "teacher", 1, false, &plain));
    make_checkpoint("teacher", 1, &checkpoint);
    for (int i = 0; i < TENSORS; i++)
        assert_ok(reverse(arrange.own, i, checkpoint.tensors[i].values, room));
    assert_ok(checkpoint_save_arranged(store, &checkpoint, &arrange));
    assert_ok(checkpoint_wait(store));
    assert_ok(checkpoint_load(store, "latest", &loaded));
    assert_null(find_difference(&loaded));
    assert_true(hash_equal(&loaded.content, &plain));
    assert_true(checkpoint.tensors[0].values[0] == value_of(1, 0, 6)); /* ours is untouched */
    checkpoint_fini(&loaded);
    checkpoint_fini(&checkpoint);
    checkpoint_store_close(&store);
}

static enum err refuse_tensor(const void *own, int tensor, float *values, float *room)
{
    (void)own, (void)values, (void)room;
    return tensor == 2 ? err_set(ERR_NUMERIC, "tensor 2 is odd") : ERR_OK;
}

static enum err refuse_to_settle(const void *own)
{
    (void)own;
    return err_set(ERR_FULL, "there is no room");
}

static void what_the_writer_cannot_arrange_is_not_saved(void **state)
{
    struct checkpoint_store *store = NULL;
    struct checkpoint checkpoint, peeked = {0};
    const struct checkpoint_arrange odd = {.arrange = refuse_tensor},
                                    full = {.settle = refuse_to_settle};
    assert_ok(open_at(*state, true, 1, &store));
    make_checkpoint("teacher", 8, &checkpoint);
    assert_ok(checkpoint_save_arranged(store, &checkpoint, &odd));
    checkpoint_finish(store);
    assert_false(checkpoint_is_busy(store));
    assert_int_equal(checkpoint_wait(store), ERR_NUMERIC);
    assert_non_null(strstr(err_text(), "not saved: stage teacher, step 8: tensor 2 is odd"));
    assert_ok(checkpoint_save_arranged(store, &checkpoint, &full));
    assert_int_equal(checkpoint_wait(store), ERR_FULL);
    assert_int_equal(checkpoint_peek(store, "latest", &peeked), ERR_NOT_FOUND);
    checkpoint_fini(&checkpoint);
    checkpoint_store_close(&store);
}

/* Values that are still on their way when the save returns. */
struct under_way {
    float *values; /* (600000) where the first tensor will be */
    int starts;
};

static enum err begin(const void *own)
{
    struct under_way *under_way = (struct under_way *)(uintptr_t)own;
    under_way->starts++;
    return ERR_OK;
}

static enum err arrive(const void *own)
{
    const struct under_way *under_way = own;
    for (uint64_t e = 0; e < elements_of(0); e++)
        under_way->values[e] = value_of(1, 0, e);
    return ERR_OK;
}

static void values_may_arrive_behind_the_save(void **state)
{
    struct checkpoint_store *store = NULL;
    struct checkpoint checkpoint, loaded = {0};
    assert_ok(open_at(*state, true, 1, &store));
    make_checkpoint("teacher", 1, &checkpoint);
    memset(checkpoint.tensors[0].values, 0xff, elements_of(0) * sizeof(float));
    struct under_way under_way = {.values = checkpoint.tensors[0].values};
    const struct checkpoint_arrange arrange = {.start = begin, .wait = arrive, .own = &under_way};
    assert_ok(checkpoint_save_arranged(store, &checkpoint, &arrange));
    assert_int_equal(under_way.starts, 1);
    assert_ok(checkpoint_wait(store));
    assert_ok(checkpoint_load(store, "latest", &loaded));
    assert_null(find_difference(&loaded));
    checkpoint_fini(&loaded);
    checkpoint_store_close(&store);
    checkpoint_fini(&checkpoint);
}

#define T(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(values_are_arranged_behind_the_step),
        T(what_the_writer_cannot_arrange_is_not_saved),
        T(values_may_arrive_behind_the_save),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
