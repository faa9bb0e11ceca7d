/* What prune lets go and what it never does. */
#include "base/fault.h"
#include "tests/checkpoint/fixture.h"
#include "trainer/checkpoint/prune.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h> /* needs the four above */

#define PLENTY 100 /* retention keeps all of them */

static void must(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
}

struct save {
    const char *stage, *key;
    uint64_t step;
    bool is_final;
    const struct hash *parent; /* NULL: none */
};

static void save(struct checkpoint_store *store, const struct save *what, struct hash *content)
{
    struct checkpoint checkpoint;
    struct checkpoint_saved saved;
    char hex[HASH_HEX_BYTES];
    make_checkpoint(what->stage, what->step, &checkpoint);
    checkpoint.position.is_final = what->is_final;
    checkpoint.meta.stage_key = mem_string(what->key);
    if (what->parent) {
        hash_hex(what->parent, hex);
        checkpoint.meta.parent = mem_string(hex);
    }
    must(checkpoint_save(store, &checkpoint));
    must(checkpoint_wait(store));
    assert_true(checkpoint_saved(store, &saved));
    *content = saved.content;
    checkpoint_fini(&checkpoint);
}

enum {
    TEACHER_10,
    TEACHER_20,
    TEACHER_30,
    KERNEL_9,
    AGAIN_6,
    AGAIN_10,
    DEPTH_4,
    DEPTH_7,
    DEPTH_8,
    SAVES
};

/* A teacher, a kernel phase that was done, edited and done again, and a depth phase in the middle.
 */
static struct checkpoint_store *make_run(const char *path, struct hash saves[SAVES])
{
    const struct save all[SAVES] = {{"teacher", "t", 10, false, NULL},
                                    {"teacher", "t", 20, false, NULL},
                                    {"teacher", "t", 30, true, NULL},
                                    {"kernel", "k1", 9, true, &saves[TEACHER_30]},
                                    {"kernel", "k2", 6, false, &saves[TEACHER_30]},
                                    {"kernel", "k2", 10, true, &saves[TEACHER_30]},
                                    {"depth-1", "d", 4, false, &saves[AGAIN_10]},
                                    {"depth-1", "d", 7, false, &saves[AGAIN_10]},
                                    {"depth-1", "d", 8, false, &saves[AGAIN_10]}};
    struct checkpoint_store *store = NULL;
    must(open_at(path, true, PLENTY, &store));
    for (int i = 0; i < SAVES; i++)
        save(store, &all[i], &saves[i]);
    return store;
}

static bool is_there(struct checkpoint_store *store, const struct hash *content)
{
    char hex[HASH_HEX_BYTES];
    struct checkpoint checkpoint = {0};
    hash_hex(content, hex);
    enum err err = checkpoint_load(store, hex, &checkpoint);
    checkpoint_fini(&checkpoint);
    if (err != ERR_OK)
        assert_int_equal(err, ERR_NOT_FOUND);
    return err == ERR_OK;
}

static const struct prune_row *row_of(const struct prune_plan *plan, const struct hash *content)
{
    for (int i = 0; i < plan->count; i++)
        if (hash_equal(&plan->rows[i].content, content))
            return &plan->rows[i];
    fail_msg("a checkpoint that the plan does not have");
    return NULL;
}

/* `went`: a letter for each save, '-' where it goes. */
static void assert_goes(struct checkpoint_store *store, const struct prune_cfg *cfg,
                        const struct hash saves[SAVES], const char *went)
{
    struct prune_plan plan = {0};
    char got[SAVES + 1] = "";
    must(prune_look(store, cfg, &plan));
    assert_int_equal(plan.count, SAVES);
    for (int i = 0; i < SAVES; i++)
        got[i] = row_of(&plan, &saves[i])->is_kept ? "TTTKkkDDD"[i] : '-';
    assert_string_equal(got, went);
    for (int i = 0; i < SAVES; i++)
        assert_true(is_there(store, &saves[i])); /* looking changes nothing */
    prune_plan_fini(&plan);
}

static void what_a_stage_needs_never_goes(void **state)
{
    struct hash saves[SAVES];
    struct checkpoint_store *store = make_run(*state, saves);
    struct prune_cfg cfg = {.keep = 3};
    assert_goes(store, &cfg, saves, "TTTKkkDDD");
    cfg.keep = 2;
    assert_goes(store, &cfg, saves, "-TTKkk-DD");
    cfg.keep = 1;
    assert_goes(store, &cfg, saves, "--TK-k--D"); /* finals, and the newest of what goes on */
    cfg.needed = &saves[DEPTH_4];
    cfg.needed_count = 1;
    assert_goes(store, &cfg, saves, "--TK-kD-D"); /* the journal's word */
    cfg.what = PRUNE_FORMER;
    assert_goes(store, &cfg, saves, "--T--kD-D"); /* an edit can no longer be taken back */
    must(checkpoint_name(store, "mine/best", &saves[KERNEL_9]));
    assert_goes(store, &cfg, saves, "--TK-kD-D");
    checkpoint_store_close(&store);
}

static void what_a_kept_one_started_from_stays(void **state)
{
    struct hash saves[SAVES], child;
    struct checkpoint_store *store = make_run(*state, saves);
    struct prune_cfg cfg = {.keep = 1, .what = PRUNE_FORMER};
    struct prune_plan plan = {0};
    struct save grown = {"side", "s", 1, false, &saves[TEACHER_10]};
    save(store, &grown, &child);
    must(prune_look(store, &cfg, &plan));
    assert_int_equal(row_of(&plan, &child)->reason, PRUNE_KEPT_NAMED); /* side/latest */
    assert_int_equal(row_of(&plan, &saves[TEACHER_10])->reason, PRUNE_KEPT_PARENT);
    assert_int_equal(row_of(&plan, &saves[TEACHER_20])->reason, PRUNE_SURPLUS_GOES);
    assert_int_equal(row_of(&plan, &saves[KERNEL_9])->reason, PRUNE_FORMER_GOES);
    prune_plan_fini(&plan);
    checkpoint_store_close(&store);
}

static void what_goes_is_gone_and_the_rest_is_whole(void **state)
{
    struct hash saves[SAVES];
    struct checkpoint_store *store = make_run(*state, saves);
    struct prune_cfg cfg = {.keep = 1};
    struct prune_plan look = {0}, plan = {0};
    uint64_t read_bytes, freed = 0;
    must(prune_look(store, &cfg, &look));
    must(prune_apply(store, &cfg, &plan));
    assert_int_equal(plan.going, 5);
    assert_int_equal(plan.bytes, look.bytes);
    /* 605,107 values of each that no other has; the 300,000 of the last tensor all share, and what
     * one that stays has too (here a teacher's, of the same step) is still needed */
    assert_int_equal(plan.bytes, 4 * 605107 * sizeof(float));
    assert_int_equal(row_of(&plan, &saves[TEACHER_10])->bytes, 0);
    assert_int_equal(row_of(&plan, &saves[DEPTH_7])->bytes, 605107 * sizeof(float));
    assert_int_equal(plan.unfinished_bytes, 0);
    must(prune_compact(&store, &freed));
    assert_null(store);
    assert_true(freed >= plan.bytes);
    must(open_at(*state, true, PLENTY, &store));
    for (int i = 0; i < SAVES; i++)
        assert_int_equal(is_there(store, &saves[i]), row_of(&plan, &saves[i])->is_kept);
    must(checkpoint_verify(store, NULL, &read_bytes));
    must(save_step(store, "depth-1", 9, false, NULL)); /* it goes on */
    prune_plan_fini(&look);
    prune_plan_fini(&plan);
    checkpoint_store_close(&store);
}

static void a_failed_prune_leaves_everything(void **state)
{
    struct hash saves[SAVES];
    struct checkpoint_store *store = make_run(*state, saves);
    struct prune_cfg cfg = {.keep = 1};
    struct prune_plan plan = {0};
    static const char *const faults[] = {"checkpoint.prune:1", "store.commit:1:full"};
    for (int i = 0; i < 2; i++) {
        setenv("GLOWWORM_FAULT", faults[i], 1);
        fault_reset();
        enum err err = prune_apply(store, &cfg, &plan);
        unsetenv("GLOWWORM_FAULT");
        fault_reset();
        assert_int_equal(err, i == 0 ? ERR_IO : ERR_FULL);
        assert_null(plan.rows);
        for (int s = 0; s < SAVES; s++)
            assert_true(is_there(store, &saves[s]));
    }
    checkpoint_store_close(&store);
}

static void blobs_of_a_save_that_did_not_end_are_told_apart(void **state)
{
    struct hash saves[SAVES];
    struct checkpoint_store *store = make_run(*state, saves);
    struct prune_cfg cfg = {.keep = 3};
    struct prune_plan plan = {0};
    struct checkpoint checkpoint;
    setenv("GLOWWORM_FAULT", "checkpoint.manifest:1", 1);
    fault_reset();
    make_checkpoint("depth-1", 99, &checkpoint);
    must(checkpoint_save(store, &checkpoint));
    assert_int_equal(checkpoint_wait(store), ERR_IO);
    unsetenv("GLOWWORM_FAULT");
    fault_reset();
    must(prune_look(store, &cfg, &plan));
    assert_int_equal(plan.unfinished_bytes, 605107 * sizeof(float));
    assert_int_equal(plan.bytes, plan.unfinished_bytes);
    assert_int_equal(plan.going, 0);
    prune_plan_fini(&plan);
    checkpoint_fini(&checkpoint);
    checkpoint_store_close(&store);
}

#define T(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_a_stage_needs_never_goes),
        T(what_a_kept_one_started_from_stays),
        T(what_goes_is_gone_and_the_rest_is_whole),
        T(a_failed_prune_leaves_everything),
        T(blobs_of_a_save_that_did_not_end_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
