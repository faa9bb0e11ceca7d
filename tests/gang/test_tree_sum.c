#include "base/mem.h"
#include "base/rng.h"
#include "tests/count_allocations.h"
#include "tests/gang/gang.h"
#include "tests/support/test_device.h"
#include "trainer/gang/comm.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT 37 /* odd, and not a multiple of any gang's size */
#define MOST  17 /* leaves */

struct trial {
    struct device *device; /* whose memory the leaves lie in; NULL: the host's */
    int leaves;
    bool is_double;
    uint64_t seed;
    int rounds;
    double totals[MOST + 1]
                 [COUNT]; /* by rank; floats in the first half where the sum is of floats */
    int computed[MOST];   /* how often each leaf was */
};

/* Values of very different size: any other order of additions shows in the last bits. */
static double value(const struct trial *trial, int leaf, int item)
{
    double unit = rng_unit(
        rng(trial->seed, RNG_TEST, (uint64_t)leaf, (uint64_t)item, (uint64_t)trial->leaves));
    return (unit - 0.5) * (double)(1 << (leaf * 5 % 17));
}

static void fill(const struct trial *trial, int leaf, void *values)
{
    for (int item = 0; item < COUNT; item++) {
        if (trial->is_double)
            ((double *)values)[item] += value(trial, leaf, item);
        else
            ((float *)values)[item] += (float)value(trial, leaf, item);
    }
}

/* The leaf is zeroed, so that what is added may as well be copied there. */
static void fill_leaf(const struct trial *trial, int leaf, void *values)
{
    double host[COUNT] = {0}; /* floats use half of it */
    if (!trial->device) {
        fill(trial, leaf, values);
        return;
    }
    fill(trial, leaf, host);
    trial->device->ops->upload(trial->device, values, host,
                               COUNT * (trial->is_double ? sizeof(double) : sizeof(float)));
}

static void read_total(const struct trial *trial, const void *total, size_t bytes, void *host)
{
    if (!trial->device)
        memcpy(host, total, bytes);
    else if (trial->device->ops->download(trial->device, host, total, bytes) != ERR_OK)
        BUG("%s", err_text());
}

/* The definition itself, without a single shortcut. */
static double sum_double(const struct trial *trial, int lo, int hi, int item)
{
    if (hi - lo == 1)
        return value(trial, lo, item);
    int middle = (lo + hi) / 2;
    return sum_double(trial, lo, middle, item) + sum_double(trial, middle, hi, item);
}

static float sum_float(const struct trial *trial, int lo, int hi, int item)
{
    if (hi - lo == 1)
        return (float)value(trial, lo, item);
    int middle = (lo + hi) / 2;
    return sum_float(trial, lo, middle, item) + sum_float(trial, middle, hi, item);
}

static void work(struct comm *comm, void *own)
{
    struct trial *trial = own;
    struct tree_sum *sum = NULL;
    size_t item_bytes = trial->is_double ? sizeof(double) : sizeof(float);
    struct device_comm *on_device = trial->device ? comm_staged(comm, trial->device) : NULL;
    struct tree_sum_cfg cfg = {.comm = comm,
                               .on_device = on_device,
                               .leaves = trial->leaves,
                               .count = COUNT,
                               .is_double = trial->is_double};
    if (tree_sum_create(&cfg, &sum) != ERR_OK)
        BUG("%s", err_text());
    for (int round = 0; round < trial->rounds; round++) {
        void *total = NULL;
        for (int leaf = comm_first(trial->leaves, comm->size, comm->rank);
             leaf < comm_first(trial->leaves, comm->size, comm->rank + 1); leaf++) {
            fill_leaf(trial, leaf, tree_sum_leaf(sum));
            tree_sum_close_leaf(sum);
            trial->computed[leaf]++;
        }
        if (tree_sum_total(sum, &total) != ERR_OK)
            BUG("%s", err_text());
        read_total(trial, total, COUNT * item_bytes, trial->totals[comm->rank]);
    }
    tree_sum_destroy(&sum);
    device_comm_close(&on_device);
}

static void check_on(struct device *device, int leaves, int ranks, bool is_double)
{
    struct trial *trial = mem_alloc(sizeof *trial);
    *trial = (struct trial){
        .device = device, .leaves = leaves, .is_double = is_double, .seed = 5, .rounds = 2};
    gang_run(ranks, work, trial);
    for (int rank = 0; rank < ranks; rank++) {
        for (int item = 0; item < COUNT; item++) {
            double got = is_double ? ((double *)trial->totals[rank])[item]
                                   : (double)((float *)trial->totals[rank])[item];
            double wanted = is_double ? sum_double(trial, 0, leaves, item)
                                      : (double)sum_float(trial, 0, leaves, item);
            if (memcmp(&got, &wanted, sizeof got) != 0)
                fail_msg("M=%d ranks=%d rank=%d item=%d seed=5: got %.17g, the tree is %.17g",
                         leaves, ranks, rank, item, got, wanted);
        }
    }
    for (int leaf = 0; leaf < leaves; leaf++)
        if (trial->computed[leaf] != trial->rounds)
            fail_msg("M=%d ranks=%d: leaf %d computed %d times in %d rounds", leaves, ranks, leaf,
                     trial->computed[leaf], trial->rounds);
    mem_free(trial);
}

static void check(int leaves, int ranks, bool is_double)
{
    check_on(NULL, leaves, ranks, is_double);
}

/* Ranks share the device here, one thread each: it has no state between two operations but its
 * scratch, which sums do not use. */
static void leaves_in_device_memory_are_summed_alike(void **state)
{
    (void)state;
    struct device *device = NULL;
    struct device_cfg cfg = {.name = test_device(), .threads = 1, .precision = test_precision()};
    assert_int_equal(device_open(&cfg, &device), ERR_OK);
    for (int leaves = 1; leaves <= 6; leaves++)
        for (int is_double = 0; is_double <= 1; is_double++)
            check_on(device, leaves, 1, is_double);
    device_close(&device);
}

static void every_gang_gets_the_bits_of_the_definition(void **state)
{
    (void)state;
    for (int leaves = 1; leaves <= 9; leaves++)
        for (int ranks = 1; ranks <= leaves; ranks++)
            for (int is_double = 0; is_double <= 1; is_double++)
                check(leaves, ranks, is_double);
}

static void larger_trees_and_odd_gangs_agree_too(void **state)
{
    (void)state;
    check(16, 3, false);
    check(16, 5, true);
    check(17, 7, false);
    check(17, 16, true);
}

static void ranks_without_a_leaf_still_get_the_total(void **state)
{
    (void)state;
    check(2, 5, false);
    check(3, 4, true);
    check(1, 3, true);
}

static void leaves_are_dealt_in_runs_that_differ_by_one_at_most(void **state)
{
    (void)state;
    for (int leaves = 1; leaves < 40; leaves++)
        for (int size = 1; size <= leaves; size++) {
            assert_int_equal(comm_first(leaves, size, 0), 0);
            assert_int_equal(comm_first(leaves, size, size), leaves);
            for (int rank = 0; rank < size; rank++) {
                int run = comm_first(leaves, size, rank + 1) - comm_first(leaves, size, rank);
                assert_in_range(run, leaves / size, (leaves + size - 1) / size);
            }
        }
}

static void a_forgotten_sum_starts_again_at_the_first_leaf(void **state)
{
    (void)state;
    struct comm comm;
    struct tree_sum *sum = NULL;
    void *total = NULL;
    comm_alone(&comm);
    struct tree_sum_cfg cfg = {.comm = &comm, .leaves = 3, .count = 1, .is_double = true};
    assert_int_equal(tree_sum_create(&cfg, &sum), ERR_OK);
    *(double *)tree_sum_leaf(sum) = 100;
    tree_sum_close_leaf(sum);
    *(double *)tree_sum_leaf(sum) = 1000; /* left open, as after an error in a leaf */
    tree_sum_forget(sum);
    for (int leaf = 0; leaf < 3; leaf++) {
        *(double *)tree_sum_leaf(sum) += leaf + 1;
        tree_sum_close_leaf(sum);
    }
    assert_int_equal(tree_sum_total(sum, &total), ERR_OK);
    assert_float_equal(*(const double *)total, 6.0, 0.0);
    tree_sum_destroy(&sum);
}

struct words {
    uint64_t said[3], heard[3];
};

/* Each rank on a device of its own. */
static void take_least(struct comm *comm, void *own)
{
    struct words *words = own;
    struct device *device = NULL;
    struct device_cfg cfg = {.name = test_device(), .threads = 1, .precision = test_precision()};
    uint64_t *word = NULL;
    if (device_open(&cfg, &device) != ERR_OK ||
        device->ops->alloc(device, sizeof *word, (void **)&word) != ERR_OK)
        BUG("%s", err_text());
    struct device_comm *on_device = comm_staged(comm, device);
    device->ops->set_word(device, words->said[comm->rank], word);
    if (on_device->least(on_device, word) != ERR_OK ||
        device->ops->download(device, &words->heard[comm->rank], word, sizeof *word) != ERR_OK)
        BUG("%s", err_text());
    device_comm_close(&on_device);
    device->ops->free(device, word);
    device_close(&device);
}

static void the_least_word_of_all_ranks_reaches_each(void **state)
{
    (void)state;
    static const uint64_t said[][3] = {{FLAW_NONE, FLAW_NONE, 7}, {5, FLAW_NONE, 7}, {9, 8, 9}};
    static const uint64_t least[] = {7, 5, 8};
    for (int i = 0; i < 3; i++) {
        struct words words;
        memcpy(words.said, said[i], sizeof words.said);
        gang_run(3, take_least, &words);
        for (int rank = 0; rank < 3; rank++)
            assert_int_equal(words.heard[rank], least[i]);
    }
}

struct opinions {
    enum err said[8], heard[8];
    char texts[8][128];
};

static void say(struct comm *comm, void *own)
{
    struct opinions *opinions = own;
    enum err mine = opinions->said[comm->rank];
    if (mine != ERR_OK)
        err_set(mine, "the trouble of %d", comm->rank);
    opinions->heard[comm->rank] = comm_agree(comm, mine);
    snprintf(opinions->texts[comm->rank], 128, "%s",
             opinions->heard[comm->rank] != ERR_OK ? err_text() : "");
}

static void all_ranks_leave_with_the_error_of_the_lowest_that_failed(void **state)
{
    (void)state;
    struct opinions opinions = {.said = {ERR_OK, ERR_OK, ERR_DATA, ERR_IO}};
    gang_run(4, say, &opinions);
    for (int rank = 0; rank < 4; rank++) {
        assert_int_equal(opinions.heard[rank], ERR_DATA);
        assert_non_null(strstr(opinions.texts[rank], "the trouble of 2"));
    }
    struct opinions calm = {.said = {ERR_OK}};
    gang_run(4, say, &calm);
    for (int rank = 0; rank < 4; rank++)
        assert_int_equal(calm.heard[rank], ERR_OK);
}

/* What the rank that holds most asks for; between ranks what its exchanges are staged in comes on
 * top, no more than its subtrees and the larger of what it receives. */
static void the_bytes_that_are_foretold_are_those_that_are_taken(void **state)
{
    (void)state;
    enum { MANY = 200000, ROOM = 65536 };
    for (int leaves = 1; leaves <= 9; leaves++)
        for (int size = 1; size <= leaves + 1; size++) {
            size_t most = 0, foretold = tree_sum_bytes(size, leaves, MANY * sizeof(float));
            for (int rank = 0; rank < size; rank++) {
                struct comm comm = {.rank = rank, .size = size};
                struct tree_sum_cfg cfg = {.comm = &comm, .leaves = leaves, .count = MANY};
                struct tree_sum *sum = NULL;
                size_t before = atomic_load(&allocated_bytes);
                assert_int_equal(tree_sum_create(&cfg, &sum), ERR_OK);
                size_t taken = atomic_load(&allocated_bytes) - before;
                most = taken > most ? taken : most;
                tree_sum_destroy(&sum);
            }
            size_t staged = size > 1 ? 4 * MANY * sizeof(float) : 0;
            assert_in_range(foretold + ROOM, most, most + staged + ROOM);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_gang_gets_the_bits_of_the_definition),
        cmocka_unit_test(leaves_in_device_memory_are_summed_alike),
        cmocka_unit_test(larger_trees_and_odd_gangs_agree_too),
        cmocka_unit_test(ranks_without_a_leaf_still_get_the_total),
        cmocka_unit_test(leaves_are_dealt_in_runs_that_differ_by_one_at_most),
        cmocka_unit_test(a_forgotten_sum_starts_again_at_the_first_leaf),
        cmocka_unit_test(the_least_word_of_all_ranks_reaches_each),
        cmocka_unit_test(all_ranks_leave_with_the_error_of_the_lowest_that_failed),
        cmocka_unit_test(the_bytes_that_are_foretold_are_those_that_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
