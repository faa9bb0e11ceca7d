/* The fused loss against the plain formula, against finite differences, and at extreme logits. */
#include "tests/kernels/check.h"
#include "tests/kernels/fixture.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 7 };

static const int classes[] = {2, 10, 16, 37, 1000};

struct numbers { /* a loss with random logits and labels */
    struct loss loss;
    double *logits;
};

static struct numbers make(struct fixture *fixture, int K, float label_weight, bool has_teacher)
{
    struct numbers n = {.loss = {.N = N, .K = K, .smoothing = 0.1f, .label_weight = label_weight}};
    size_t count = (size_t)(N * K);
    int32_t *labels = fixture_keep(fixture, malloc(N * sizeof *labels));
    n.loss.logits = fixture_random(fixture, count, 1, 3);
    n.loss.distil_weight = 0.7f;
    n.loss.divisor = 96;
    if (has_teacher)
        n.loss.teacher_logits = fixture_random(fixture, count, -2, 4);
    for (int i = 0; i < N; i++)
        labels[i] = (int32_t)((i * 7 + 1) % K);
    n.loss.labels = labels;
    n.logits = fixture_widen(fixture, n.loss.logits, count);
    return n;
}

static double log_sum_exp(const double *x, int K)
{
    double largest = x[0], sum = 0;
    for (int k = 1; k < K; k++)
        largest = fmax(largest, x[k]);
    for (int k = 0; k < K; k++)
        sum += exp(x[k] - largest);
    return largest + log(sum);
}

static double plain_row(const struct loss *loss, const double *x, int n)
{
    int K = loss->K;
    double total = log_sum_exp(x, K), sum = 0, teacher[1000], teacher_total = 0;
    for (int k = 0; loss->teacher_logits && k < K; k++)
        teacher[k] = (double)loss->teacher_logits[n * K + k];
    if (loss->teacher_logits)
        teacher_total = log_sum_exp(teacher, K);
    for (int k = 0; k < K; k++) {
        double target = (double)loss->smoothing / K;
        if (k == loss->labels[n])
            target += 1 - (double)loss->smoothing;
        target *= (double)loss->label_weight;
        if (loss->teacher_logits)
            target += (double)loss->distil_weight * exp(teacher[k] - teacher_total);
        sum -= target * (x[k] - total);
    }
    return sum;
}

static double plain_loss(const struct numbers *n)
{
    double sum = 0;
    for (int i = 0; i < N; i++)
        sum += plain_row(&n->loss, n->logits + i * n->loss.K, i);
    return sum;
}

static int64_t plain_correct(const struct loss *loss)
{
    int64_t correct = 0;
    for (int n = 0; n < loss->N; n++) {
        int best = 0;
        for (int k = 1; k < loss->K; k++)
            if (loss->logits[n * loss->K + k] > loss->logits[n * loss->K + best])
                best = k;
        correct += best == loss->labels[n];
    }
    return correct;
}

static void check_slopes(struct numbers *n, const float *dlogits)
{
    const double h = 1e-5;
    int count = N * n->loss.K;
    for (int i = 0; i < count; i += count / 60 + 1) {
        double before = n->logits[i];
        n->logits[i] = before + h;
        double above = plain_loss(n);
        n->logits[i] = before - h;
        double want = (above - plain_loss(n)) / (2 * h) / (double)n->loss.divisor;
        n->logits[i] = before;
        if (!(fabs((double)dlogits[i] - want) <= 1e-8))
            fail_msg("K %d: dlogits[%d] is %.9g, should be %.9g", n->loss.K, i, (double)dlogits[i],
                     want);
    }
}

/* The distillation part is what a loss of it alone would be. */
static void check_distillation(const struct numbers *n, double got)
{
    struct numbers alone = *n;
    alone.loss.label_weight = 0;
    alone.loss.distil_weight = 1;
    double want = n->loss.teacher_logits ? plain_loss(&alone) : 0;
    if (!(fabs(got - want) <= 2e-6 * (1 + fabs(want))))
        fail_msg("K %d: the distillation is %.9g, should be %.9g", n->loss.K, got, want);
}

static void check_loss(int K, float label_weight, bool has_teacher)
{
    struct fixture fixture = {.seed = (uint64_t)K << 8};
    struct numbers n = make(&fixture, K, label_weight, has_teacher);
    size_t count = (size_t)(N * K);
    float *first = fixture_keep(&fixture, check_filled(count, NAN));
    double want = plain_loss(&n), first_loss = NAN;
    for (int threads = 1; threads <= CHECK_THREADS; threads++) {
        float *dlogits = fixture_keep(&fixture, check_filled(count, NAN));
        double sums[LOSS_SUMS] = {0}, again[LOSS_SUMS] = {0};
        struct device *device = check_open(threads);
        n.loss.sums = sums;
        device->ops->loss_forward(device, &n.loss, threads == 1 ? first : dlogits);
        double loss = sums[LOSS_TOTAL];
        if (!(fabs(loss - want) <= 2e-6 * (1 + fabs(want))))
            fail_msg("K %d: the loss is %.9g, should be %.9g", K, loss, want);
        assert_int_equal((int64_t)sums[LOSS_CORRECT], plain_correct(&n.loss));
        assert_true(sums[LOSS_IMAGES] == N);
        check_distillation(&n, sums[LOSS_DISTIL]);
        if (threads == 1)
            first_loss = loss;
        else
            check_same("dlogits", dlogits, first, count * sizeof *first);
        check_same("loss", &loss, &first_loss, sizeof loss);
        n.loss.sums = again;
        device->ops->loss_forward(device, &n.loss, NULL);
        check_same("loss without gradient", again, sums, sizeof sums);
        n.loss.sums = sums;
        device->ops->loss_forward(device, &n.loss, NULL);
        for (int i = 0; i < LOSS_SUMS; i++)
            assert_true(sums[i] == 2 * again[i]); /* added to */
        device_close(&device);
    }
    check_slopes(&n, first);
    fixture_fini(&fixture);
}

static void the_loss_and_its_gradient_are_the_plain_ones(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        check_loss(classes[i], 1, false);
        check_loss(classes[i], 1, true);
        check_loss(classes[i], 0, true); /* in-place distillation */
    }
}

static void huge_logits_neither_overflow_nor_vanish(void **state)
{
    (void)state;
    float logits[] = {3e4f, -3e4f, 0, -3e4f, -3e4f, 3e4f}, dlogits[6];
    int32_t labels[] = {0, 1};
    struct loss loss = {
        .N = 2, .K = 3, .logits = logits, .labels = labels, .label_weight = 1, .divisor = 2};
    double sums[LOSS_SUMS] = {0};
    loss.sums = sums;
    struct device *device = check_open(1);
    device->ops->loss_forward(device, &loss, dlogits);
    device_close(&device);
    assert_int_equal((int)sums[LOSS_CORRECT], 1);
    assert_true(fabs(sums[LOSS_TOTAL] - 6e4) < 1);
    const double want[] = {0, 0, 0, 0, -0.5, 0.5};
    check_near("dlogits", dlogits, want, 6, 1e-6);
}

static void a_tie_goes_to_the_lowest_class(void **state)
{
    (void)state;
    float logits[] = {0, 2, 2, 2, 2, 2}, dlogits[6];
    int32_t labels[] = {1, 1};
    struct loss loss = {
        .N = 2, .K = 3, .logits = logits, .labels = labels, .label_weight = 1, .divisor = 1};
    double sums[LOSS_SUMS] = {0};
    loss.sums = sums;
    struct device *device = check_open(1);
    device->ops->loss_forward(device, &loss, dlogits);
    device_close(&device);
    assert_int_equal((int)sums[LOSS_CORRECT],
                     1); /* row 0: class 1 of {1, 2}; row 1: class 0 of {0, 1, 2} */
}

static void a_logit_that_is_no_number_shows_in_the_loss(void **state)
{
    (void)state;
    float logits[] = {0, NAN, 2}, dlogits[3];
    int32_t labels[] = {2};
    struct loss loss = {
        .N = 1, .K = 3, .logits = logits, .labels = labels, .label_weight = 1, .divisor = 1};
    double sums[LOSS_SUMS] = {0};
    uint64_t word = FLAW_NONE;
    loss.sums = sums;
    loss.flaw = (struct flaw){&word, 77};
    struct device *device = check_open(1);
    device->ops->loss_forward(device, &loss, dlogits);
    device_close(&device);
    assert_true(isnan(sums[LOSS_TOTAL]));
    assert_true(word == 77);
}

static int run_group(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_loss_and_its_gradient_are_the_plain_ones),
        cmocka_unit_test(huge_logits_neither_overflow_nor_vanish),
        cmocka_unit_test(a_tie_goes_to_the_lowest_class),
        cmocka_unit_test(a_logit_that_is_no_number_shows_in_the_loss),
    };
    return cmocka_run_group_tests_name("loss", tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv, run_group);
}
