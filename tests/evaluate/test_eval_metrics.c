#include "base/mem.h"
#include "base/rng.h"
#include "tests/gang/gang.h"
#include "trainer/evaluate/eval_metrics.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CLASSES 5
#define LEAVES  7
#define MICRO   9

struct trial {
    struct eval_metrics scores[LEAVES];
};

static float logit(uint32_t record, int c)
{
    return (float)(4 * rng_unit(rng(3, RNG_TEST, 0, record, (uint64_t)c)) - 2);
}

static int32_t label_of(uint32_t record)
{
    return (int32_t)(rng(3, RNG_TEST, 1, record, 0) % CLASSES);
}

/* Leaf `leaf` has images leaf * MICRO ..., the last leaf fewer. */
static void make_leaf(int leaf, struct batch *batch, float *logits)
{
    batch->N = leaf == LEAVES - 1 ? 4 : MICRO;
    for (int n = 0; n < batch->N; n++) {
        batch->records[n] = (uint32_t)(leaf * MICRO + n);
        batch->labels[n] = label_of(batch->records[n]);
        for (int c = 0; c < CLASSES; c++)
            logits[n * CLASSES + c] = logit(batch->records[n], c);
    }
}

static void work(struct comm *comm, void *own)
{
    struct trial *trial = own;
    struct scorer *scorer = NULL;
    int32_t labels[MICRO];
    uint32_t records[MICRO];
    float logits[MICRO * CLASSES];
    struct batch batch = {.labels = labels, .records = records};
    if (scorer_create(comm, LEAVES, CLASSES, EVAL_DETAILED, &scorer) != ERR_OK)
        BUG("%s", err_text());
    for (int leaf = comm_first(LEAVES, comm->size, comm->rank);
         leaf < comm_first(LEAVES, comm->size, comm->rank + 1); leaf++) {
        make_leaf(leaf, &batch, logits);
        scorer_add(scorer, &batch, logits);
    }
    if (scorer_total(scorer, &trial->scores[comm->rank]) != ERR_OK)
        BUG("%s", err_text());
    scorer_destroy(&scorer);
}

static void scores_are_the_same_for_every_gang(void **state)
{
    (void)state;
    struct trial alone = {0};
    gang_run(1, work, &alone);
    for (int ranks = 2; ranks <= LEAVES; ranks++) {
        struct trial trial = {0};
        gang_run(ranks, work, &trial);
        for (int rank = 0; rank < ranks; rank++) {
            const struct eval_metrics *got = &trial.scores[rank], *wanted = &alone.scores[0];
            if (memcmp(&got->loss, &wanted->loss, sizeof got->loss) != 0)
                fail_msg("%d ranks: loss %.17g, alone %.17g", ranks, got->loss, wanted->loss);
            assert_int_equal(got->images, wanted->images);
            assert_memory_equal(got->confusion, wanted->confusion,
                                CLASSES * CLASSES * sizeof *got->confusion);
            assert_int_equal(got->worst_count, wanted->worst_count);
            assert_memory_equal(got->worst, wanted->worst, sizeof got->worst);
            eval_metrics_fini(&trial.scores[rank]);
        }
    }
    eval_metrics_fini(&alone.scores[0]);
}

static void counts_and_loss_are_those_of_the_definition(void **state)
{
    (void)state;
    struct trial trial = {0};
    double loss = 0, worst = 0, right = 0;
    int images = (LEAVES - 1) * MICRO + 4;
    gang_run(3, work, &trial);
    for (uint32_t record = 0; record < (uint32_t)images; record++) {
        double sum = 0, best = -1e9;
        int predicted = 0;
        for (int c = 0; c < CLASSES; c++) {
            sum += exp(logit(record, c));
            if (logit(record, c) > best) {
                best = logit(record, c);
                predicted = c;
            }
        }
        double one = log(sum) - logit(record, label_of(record));
        loss += one;
        worst = one > worst ? one : worst;
        right += predicted == label_of(record);
    }
    const struct eval_metrics *metrics = &trial.scores[0];
    assert_int_equal(metrics->images, images);
    assert_float_equal(metrics->loss, loss / images, 1e-12);
    assert_float_equal(metrics->accuracy, right / images, 1e-12);
    assert_float_equal(metrics->worst[0].loss, worst, 1e-12);
    double cells = 0;
    for (int c = 0; c < CLASSES; c++) {
        double row = 0, column = 0;
        for (int i = 0; i < CLASSES; i++) {
            row += metrics->confusion[c * CLASSES + i];
            column += metrics->confusion[i * CLASSES + c];
        }
        assert_float_equal(metrics->per_class[c].images, row, 0);
        assert_float_equal(metrics->per_class[c].predicted, column, 0);
        assert_float_equal(metrics->per_class[c].right, metrics->confusion[c * CLASSES + c], 0);
        cells += row;
    }
    assert_float_equal(cells, images, 0);
    for (int rank = 0; rank < 3; rank++)
        eval_metrics_fini(&trial.scores[rank]);
}

static void assert_equal(const struct eval_metrics *got, const struct eval_metrics *wanted)
{
    assert_int_equal(got->images, wanted->images);
    assert_int_equal(got->correct, wanted->correct);
    assert_memory_equal(&got->accuracy, &wanted->accuracy, sizeof got->accuracy);
    assert_memory_equal(&got->loss, &wanted->loss, sizeof got->loss);
    assert_int_equal(got->classes, wanted->classes);
    assert_int_equal(got->worst_count, wanted->worst_count);
    assert_memory_equal(got->worst, wanted->worst, sizeof got->worst);
    if (got->classes == 0)
        return;
    assert_memory_equal(got->per_class, wanted->per_class, CLASSES * sizeof *got->per_class);
    assert_memory_equal(got->confusion, wanted->confusion,
                        CLASSES * CLASSES * sizeof *got->confusion);
}

static void a_packed_score_comes_back_with_the_same_bits(void **state)
{
    (void)state;
    struct trial trial = {0};
    gang_run(1, work, &trial);
    const struct eval_metrics plain = {.images = 3, .correct = 1, .accuracy = 1.0 / 3, .loss = 0.1};
    const struct eval_metrics *const scores[] = {&trial.scores[0], &plain};
    for (int i = 0; i < 2; i++) {
        struct text packed;
        struct eval_metrics back = {0};
        text_init(&packed);
        eval_metrics_pack(scores[i], &packed);
        assert_int_equal(eval_metrics_unpack(packed.bytes, packed.size, &back), ERR_OK);
        assert_equal(&back, scores[i]);
        eval_metrics_fini(&back);
        for (size_t size = 0; size < 2; size++) /* no images, or no message */
            assert_int_equal(eval_metrics_unpack(packed.bytes, size, &back), ERR_DATA);
        text_fini(&packed);
    }
    eval_metrics_fini(&trial.scores[0]);
}

static void precision_and_recall_are_shares_of_what_was_predicted_and_of_what_is_there(void **state)
{
    (void)state;
    struct eval_class classes[] = {{10, 9, 8}, {4, 5, 3}, {0, 0, 0}};
    struct eval_metrics metrics = {.classes = 3, .per_class = classes};
    assert_float_equal(eval_metrics_recall(&metrics, 0), 0.8, 1e-15);
    assert_float_equal(eval_metrics_precision(&metrics, 0), 8.0 / 9, 1e-15);
    assert_float_equal(eval_metrics_recall(&metrics, 1), 0.75, 1e-15);
    assert_float_equal(eval_metrics_precision(&metrics, 1), 0.6, 1e-15);
    assert_true(isnan(eval_metrics_precision(&metrics, 2))); /* never predicted, never there */
    assert_true(isnan(eval_metrics_recall(&metrics, 2)));
}

#define MANY 30000 /* classes: the square of them would be 7 GB */

static void score_many(struct comm *comm, void *own)
{
    struct eval_metrics *metrics = own;
    struct scorer *scorer = NULL;
    float *logits = mem_array(MANY, sizeof *logits);
    for (uint32_t record = 0; record < 3; record++) {
        int32_t label = MANY - 1;
        struct batch batch = {.N = 1, .labels = &label, .records = &record};
        if (record == 0 && scorer_create(comm, 3, MANY, EVAL_DETAILED, &scorer) != ERR_OK)
            BUG("%s", err_text());
        logits[record == 0 ? 7 : MANY - 1] = (float)(record + 1);
        scorer_add(scorer, &batch, logits);
    }
    if (scorer_total(scorer, metrics) != ERR_OK)
        BUG("%s", err_text());
    scorer_destroy(&scorer);
    mem_free(logits);
}

static void many_classes_are_counted_without_their_square(void **state)
{
    (void)state;
    struct eval_metrics metrics = {0};
    gang_run(1, score_many, &metrics);
    assert_null(metrics.confusion);
    assert_int_equal(metrics.classes, MANY);
    assert_float_equal(eval_metrics_recall(&metrics, MANY - 1), 2.0 / 3, 1e-15);
    assert_float_equal(eval_metrics_precision(&metrics, MANY - 1), 1, 0);
    assert_float_equal(eval_metrics_precision(&metrics, 7), 0, 0);
    eval_metrics_fini(&metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_the_same_for_every_gang),
        cmocka_unit_test(counts_and_loss_are_those_of_the_definition),
        cmocka_unit_test(a_packed_score_comes_back_with_the_same_bits),
        cmocka_unit_test(
            precision_and_recall_are_shares_of_what_was_predicted_and_of_what_is_there),
        cmocka_unit_test(many_classes_are_counted_without_their_square),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
