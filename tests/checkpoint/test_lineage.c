/* What computed a checkpoint, in words, and that it changes no hash. */
#include "kernels/device.h"
#include "tests/checkpoint/fixture.h"
#include "trainer/checkpoint/lineage.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#define V3      "cpu x86-64-v3 oneDNN 2.6.3"
#define V4      "cpu x86-64-v4 oneDNN 2.6.3"
#define BIG     V3 " on Big (6/1/1, caches 32K 512K)"
#define LITTLE  V3 " on Little (6/2/1, caches 32K 256K)"
#define BIG_V4  V4 " on Big (6/1/1, caches 32K 512K)"
#define CONTENT "2dfa2eaa4d24799a70fbf8b3af5280ea6222fef0a7382abd4bd964a03f40cfce"

static void assert_ok(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
}

static void a_lineage_is_program_and_device(void **state)
{
    (void)state;
    struct text text;
    text_init(&text);
    lineage_write("0.1.0 abc", BIG, &text);
    assert_string_equal(text_get(&text), "0.1.0 abc; " BIG);
    assert_string_equal(lineage_device(text_get(&text)), BIG);
    assert_string_equal(lineage_device("imported from a.pth by glowworm 0.1.0"), "");
    assert_string_equal(lineage_device(NULL), "");
    text_fini(&text);
}

static void devices_are_compared_by_kind_and_by_model(void **state)
{
    (void)state;
    assert_true(lineage_is_same(BIG, BIG));
    assert_true(lineage_is_same_kind(BIG, LITTLE));
    assert_false(lineage_is_same(BIG, LITTLE));
    assert_false(lineage_is_same_kind(BIG, BIG_V4));
    assert_false(lineage_is_same_kind(BIG, V3 "1 on Big (6/1/1, caches 32K 512K)"));
    assert_true(lineage_is_same(BIG, V3)); /* written by a program that did not know the model */
    assert_true(lineage_is_same(V3, LITTLE));
    assert_false(lineage_is_same(V3, V4));
    assert_false(lineage_is_same(BIG, V4));
}

static void a_gang_is_its_devices_rank_by_rank(void **state)
{
    (void)state;
    static const char *const gangs[][5] = {
        {BIG, NULL, NULL, NULL, BIG},
        {BIG, BIG, BIG, NULL, BIG},
        {BIG, LITTLE, NULL, NULL, "1 x " BIG ", 1 x " LITTLE},
        {LITTLE, BIG, BIG, LITTLE, "1 x " LITTLE ", 2 x " BIG ", 1 x " LITTLE}};
    for (size_t i = 0; i < sizeof gangs / sizeof *gangs; i++) {
        char devices[4][DEVICE_LINEAGE];
        struct text text;
        int ranks = 0;
        for (; ranks < 4 && gangs[i][ranks]; ranks++)
            snprintf(devices[ranks], sizeof devices[ranks], "%s", gangs[i][ranks]);
        text_init(&text);
        lineage_write_gang(devices[0], sizeof devices[0], ranks, &text);
        assert_string_equal(text_get(&text), gangs[i][4]);
        text_fini(&text);
    }
}

static void the_others_are_listed_once(void **state)
{
    (void)state;
    struct text mixed;
    text_init(&mixed);
    lineage_add(&mixed, BIG, BIG);
    lineage_add(&mixed, BIG, "");
    assert_string_equal(text_get(&mixed), "");
    lineage_add(&mixed, BIG, LITTLE);
    lineage_add(&mixed, BIG, V4 "\n" LITTLE "\n" BIG "\n" BIG_V4);
    assert_string_equal(text_get(&mixed), LITTLE "\n" V4 "\n" BIG_V4);
    text_fini(&mixed);
}

/* The hash of these tensors at this position, as it was before there was such a mark. */
static void a_mark_comes_back_and_changes_no_hash(void **state)
{
    struct checkpoint_store *store = NULL;
    struct checkpoint checkpoint, loaded = {0};
    char hex[HASH_HEX_BYTES];
    assert_ok(open_at(*state, true, 3, &store));
    for (int is_mixed = 0; is_mixed < 2; is_mixed++) {
        make_checkpoint("teacher", 70, &checkpoint);
        checkpoint.meta.mixed = is_mixed ? mem_string(LITTLE "\n" V4) : NULL;
        assert_ok(checkpoint_save(store, &checkpoint));
        assert_ok(checkpoint_wait(store));
        assert_ok(checkpoint_peek(store, "latest", &loaded));
        hash_hex(&loaded.content, hex);
        assert_string_equal(hex, CONTENT);
        assert_string_equal(loaded.meta.mixed, is_mixed ? LITTLE "\n" V4 : "");
        checkpoint_fini(&loaded);
        checkpoint_fini(&checkpoint);
    }
    checkpoint_store_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lineage_is_program_and_device),
        cmocka_unit_test(devices_are_compared_by_kind_and_by_model),
        cmocka_unit_test(a_gang_is_its_devices_rank_by_rank),
        cmocka_unit_test(the_others_are_listed_once),
        cmocka_unit_test_setup_teardown(a_mark_comes_back_and_changes_no_hash, scratch_make,
                                        scratch_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
