/* What the supernet promises its callers: the same bits for any number of threads, statistics that
 * make evaluation what calibration saw, a sort that changes nothing it should not, and clear
 * refusals. */
#include "base/mem.h"
#include "tests/supernet/rig.h"
#include "tests/support/test_device.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { N = 6, R = 28 };

static int open_tiny(void **state)
{
    struct rig *rig = mem_alloc(sizeof *rig);
    struct space space = rig_space("configs/spaces/firefly-tiny.yaml", 3);
    rig_open(rig, &space, N, R, 2);
    *state = rig;
    return 0;
}

static int close_tiny(void **state)
{
    rig_close(*state);
    mem_free(*state);
    return 0;
}

static float *all_gradients(const struct rig *rig)
{
    float *host = mem_array(rig->net->weight_count, sizeof *host);
    must(rig->device->ops->download(rig->device, host, rig->gradient,
                                    rig->net->weight_count * sizeof *host));
    return host;
}

static void check_threads(const char *file, const char *genes)
{
    float *first = NULL;
    double first_loss = 0;
    struct space space = rig_space(file, 3);
    for (int threads = 1; threads <= 3; threads++) {
        struct rig rig;
        struct subnet subnet;
        rig_open(&rig, &space, N, 36, threads);
        must(subnet_parse(&rig.space, genes, &subnet));
        struct forward forward = rig_forward(&rig, &subnet, PASS_TRAIN);
        double loss = rig_step(&rig, &forward);
        float *gradient = all_gradients(&rig);
        if (!first) {
            first = gradient;
            first_loss = loss;
        } else {
            assert_true(loss == first_loss);
            assert_memory_equal(gradient, first, rig.net->weight_count * sizeof *gradient);
            mem_free(gradient);
        }
        rig_close(&rig);
    }
    mem_free(first);
}

static void threads_never_change_a_bit(void **state)
{
    (void)state;
    check_threads("configs/spaces/firefly-tiny.yaml", "r=36 k=5 e=3 d=2");
    check_threads("configs/spaces/mbv3.yaml", "r=36 k=7 e=4 d=3");
    check_threads("configs/spaces/proxyless.yaml", "r=36 k=3 e=6 d=2");
    check_threads("tests/spaces/odd.yaml", "r=36 k=5 e=2 d=2");
    check_threads("tests/spaces/odd-gated.yaml", "r=36 k=3 e=3 d=1");
}

static void a_pass_can_be_used_for_one_subnet_after_the_other(void **state)
{
    struct rig *rig = *state;
    struct subnet big, small;
    subnet_biggest(&rig->space, R, &big);
    subnet_smallest(&rig->space, 20, &small);
    struct forward one = rig_forward(rig, &small, PASS_TRAIN);
    struct forward other = rig_forward(rig, &big, PASS_TRAIN);
    rig_step(rig, &one);
    float *before = all_gradients(rig);
    rig_step(rig, &other);
    rig_step(rig, &one);
    float *after = all_gradients(rig);
    assert_memory_equal(before, after, rig->net->weight_count * sizeof *before);
    mem_free(before);
    mem_free(after);
}

static void gradients_add_up(void **state)
{
    struct rig *rig = *state;
    struct subnet big;
    const float *logits = NULL;
    subnet_biggest(&rig->space, R, &big);
    struct forward forward = rig_forward(rig, &big, PASS_TRAIN);
    rig_step(rig, &forward);
    float *once = all_gradients(rig);
    must(supernet_forward(rig->net, rig->arena, &forward, &logits));
    supernet_backward(rig->net, rig->arena, &forward, rig->dlogits, rig->gradient);
    float *twice = all_gradients(rig);
    for (size_t i = 0; i < rig->net->weight_count; i++)
        once[i] *= 2;
    double off = distance(once, twice, rig->net->weight_count);
    if (!(off <= 1e-5 * largest(twice, rig->net->weight_count)))
        fail_msg("twice the gradient is off by %.3g", off);
    mem_free(once);
    mem_free(twice);
}

static void modes_with_batch_statistics_agree(void **state)
{
    struct rig *rig = *state;
    struct subnet big;
    struct activation_arena *narrow = NULL;
    subnet_biggest(&rig->space, R, &big);
    struct forward train = rig_forward(rig, &big, PASS_TRAIN);
    struct forward teacher = rig_forward(rig, &big, PASS_BATCH_NORM);
    float *one = rig_logits(rig, &train), *two = rig_logits(rig, &teacher);
    assert_memory_equal(one, two, 10 * N * sizeof *one);
    mem_free(two);
    /* a pass that keeps nothing reuses its few buffers and computes the same */
    must(activation_arena_create(rig->net, N, R, PASS_BATCH_NORM, &narrow));
    assert_true(activation_arena_size_bytes(narrow) < activation_arena_size_bytes(rig->arena) / 2);
    struct activation_arena *wide = rig->arena;
    rig->arena = narrow;
    two = rig_logits(rig, &teacher);
    rig->arena = wide;
    assert_memory_equal(one, two, 10 * N * sizeof *one);
    mem_free(one);
    mem_free(two);
    activation_arena_destroy(&narrow);
}

/* Means and variances from a forward's sums into the net: what calibration does. */
static void set_statistics(struct rig *rig, const double *sums, const double *counts)
{
    struct supernet *net = rig->net;
    for (int i = 0; i < net->norm_count; i++) {
        const struct norm_slot *slot = &net->norms[i];
        float *mean = mem_array((size_t)slot->C, sizeof *mean);
        float *variance = mem_array((size_t)slot->C, sizeof *variance);
        for (int c = 0; c < slot->C && counts[i] > 0; c++) {
            double m = sums[slot->statistic + (size_t)c] / counts[i];
            double square = sums[net->statistic_count + slot->statistic + (size_t)c] / counts[i];
            mean[c] = (float)m;
            variance[c] = (float)(square - m * m);
        }
        const struct device_ops *ops = rig->device->ops;
        ops->upload(rig->device, net->means + slot->statistic, mean,
                    (size_t)slot->C * sizeof *mean);
        ops->upload(rig->device, net->variances + slot->statistic, variance,
                    (size_t)slot->C * sizeof *mean);
        must(ops->sync(rig->device));
        mem_free(mean);
        mem_free(variance);
    }
}

static void statistics_of_a_batch_evaluate_that_batch_alike(void **state)
{
    struct rig *rig = *state;
    struct subnet subnet;
    subnet_uniform(&rig->space, 5, 3, 2, R, &subnet);
    struct forward forward = rig_forward(rig, &subnet, PASS_BATCH_NORM);
    size_t bytes = 2 * rig->net->statistic_count * sizeof(double);
    double *sums = mem_alloc(bytes);
    void *on_device = NULL;
    must(rig->device->ops->alloc(rig->device, bytes, &on_device));
    forward.calibration = on_device;
    forward.calibration_counts = mem_array((size_t)rig->net->norm_count, sizeof(double));
    float *seen = rig_logits(rig, &forward);
    mem_free(rig_logits(rig, &forward)); /* sums add up: twice the same batch changes nothing */
    assert_true(forward.calibration_counts[0] == 2.0 * N * 14 * 14);
    must(rig->device->ops->download(rig->device, sums, on_device, bytes));
    rig->device->ops->free(rig->device, on_device);
    set_statistics(rig, sums, forward.calibration_counts);
    struct forward fixed = rig_forward(rig, &subnet, PASS_FIXED);
    float *logits = rig_logits(rig, &fixed);
    double off = distance(seen, logits, 10 * N), most = largest(seen, 10 * N);
    if (!(most > 0 && off <= 1e-4 * most))
        fail_msg("largest logit %.4g, off by %.3g", most, off);
    mem_free(seen);
    mem_free(logits);
    mem_free(sums);
    mem_free(forward.calibration_counts);
}

static float *uniform_logits(struct rig *rig, int e)
{
    struct subnet subnet;
    subnet_uniform(&rig->space, 7, e, choices_max(&rig->space.depths), R, &subnet);
    struct forward forward = rig_forward(rig, &subnet, PASS_FIXED);
    return rig_logits(rig, &forward);
}

static double change(const float *before, const float *after)
{
    return distance(before, after, 10 * N) / largest(before, 10 * N);
}

static void sorting_keeps_the_networks_it_should(void **state)
{
    struct rig *rig = *state;
    const int *e = rig->space.expansions.value;
    assert_int_equal(rig->space.expansions.count, 3);
    float *before[3], *after[3];
    for (int i = 0; i < 3; i++)
        before[i] = uniform_logits(rig, e[i]);
    const struct choices trained = {2, {e[1], e[2]}};
    must(supernet_sort_channels(rig->net, NULL, &trained, &trained));
    for (int i = 0; i < 3; i++) {
        after[i] = uniform_logits(rig, e[i]);
        double moved = change(before[i], after[i]);
        print_message("e=%d: changed by %.2g\n", e[i], moved);
        if (i == 0)
            assert_true(moved > 1e-2); /* being opened: other channels come first */
        else
            assert_true(moved < test_tolerance(1e-5, 2e-2));
        mem_free(before[i]);
        before[i] = after[i];
    }
    must(supernet_sort_channels(rig->net, NULL, &trained, &trained));
    for (int i = 0; i < 3; i++) { /* sorted already: not a bit moves */
        after[i] = uniform_logits(rig, e[i]);
        assert_memory_equal(before[i], after[i], 10 * N * sizeof(float));
        mem_free(before[i]);
        mem_free(after[i]);
    }
}

/* Schedule `random` opens all at once behind a teacher: no narrower network is there to be kept,
 * and all of them start from the best channels of the widest. */
static void a_sort_behind_the_teacher_has_no_borders(void **state)
{
    struct rig *rig = *state;
    const int *e = rig->space.expansions.value;
    const struct choices biggest = {1, {e[2]}};
    float *middle = uniform_logits(rig, e[1]), *widest = uniform_logits(rig, e[2]);
    must(supernet_sort_channels(rig->net, NULL, &biggest, &biggest));
    float *sorted = uniform_logits(rig, e[1]), *same = uniform_logits(rig, e[2]);
    assert_true(change(middle, sorted) > 1e-2);
    assert_true(change(widest, same) < test_tolerance(1e-5, 2e-2));
    mem_free(middle);
    mem_free(widest);
    mem_free(sorted);
    mem_free(same);
}

/* With momentum = weights, sorted momentum = sorted weights. */
static void sorting_moves_momentum_with_its_weights(void **state)
{
    struct rig *rig = *state;
    const struct choices none = {0};
    size_t bytes = rig->net->weight_count * sizeof(float);
    float *unsorted = mem_alloc(bytes), *weights = mem_alloc(bytes);
    const struct device_ops *ops = rig->device->ops;
    must(ops->download(rig->device, unsorted, rig->net->weights, bytes));
    ops->upload(rig->device, rig->gradient, unsorted, bytes); /* any array of that layout */
    must(supernet_sort_channels(rig->net, rig->gradient, &none, &none));
    float *momentum = all_gradients(rig);
    must(ops->download(rig->device, weights, rig->net->weights, bytes));
    assert_memory_equal(momentum, weights, bytes);
    assert_true(memcmp(unsorted, weights, bytes) != 0);
    mem_free(unsorted);
    mem_free(weights);
    mem_free(momentum);
}

static void squeeze_excite_is_sorted_too(void **state)
{
    (void)state;
    struct rig rig;
    struct space space = rig_space("configs/spaces/mbv3.yaml", 3);
    const struct choices biggest = {1, {6}};
    rig_open(&rig, &space, N, R, 2);
    float *before = uniform_logits(&rig, 6);
    must(supernet_sort_channels(rig.net, NULL, &biggest, &biggest));
    float *after = uniform_logits(&rig, 6);
    if (!(change(before, after) < 1e-4))
        fail_msg("the full network changed by %.3g", change(before, after));
    mem_free(before);
    mem_free(after);
    rig_close(&rig);
}

/* A given teacher's sub-networks have hidden units of their own to lose. */
static void squeeze_excite_of_a_given_teacher_is_kept(void **state)
{
    (void)state;
    struct rig rig;
    struct space space = rig_space("configs/spaces/mbv3.yaml", 3);
    const struct choices trained = {2, {4, 6}};
    const int wanted[] = {4, 6};
    float *before[2];
    rig_open(&rig, &space, N, R, 2);
    for (int i = 0; i < 2; i++)
        before[i] = uniform_logits(&rig, wanted[i]);
    must(supernet_sort_channels(rig.net, NULL, &trained, &trained));
    for (int i = 0; i < 2; i++) {
        float *after = uniform_logits(&rig, wanted[i]);
        if (!(change(before[i], after) < 1e-4))
            fail_msg("e=%d changed by %.3g", wanted[i], change(before[i], after));
        mem_free(before[i]);
        mem_free(after);
    }
    rig_close(&rig);
}

static void dropout_is_the_same_again_and_off_at_zero(void **state)
{
    struct rig *rig = *state;
    struct subnet big;
    subnet_biggest(&rig->space, R, &big);
    struct forward off = rig_forward(rig, &big, PASS_TRAIN);
    struct forward on = off;
    on.dropout = 0.5f;
    on.seed = 3;
    struct forward later = on;
    later.step = 1;
    struct forward elsewhere = on;
    elsewhere.first_image = N;
    float *plain = rig_logits(rig, &off), *once = rig_logits(rig, &on);
    float *again = rig_logits(rig, &on), *next = rig_logits(rig, &later);
    float *shifted = rig_logits(rig, &elsewhere);
    assert_memory_equal(once, again, 10 * N * sizeof *once);
    assert_true(change(plain, once) > 1e-2);
    assert_true(change(once, next) > 1e-2);
    assert_true(change(once, shifted) > 1e-2);
    mem_free(plain);
    mem_free(once);
    mem_free(again);
    mem_free(next);
    mem_free(shifted);
}

static enum err try_forward(struct rig *rig, const struct forward *forward)
{
    const float *logits = NULL;
    return supernet_forward(rig->net, rig->arena, forward, &logits);
}

static void what_cannot_run_is_refused_with_the_reason(void **state)
{
    struct rig *rig = *state;
    struct subnet big, wrong;
    subnet_biggest(&rig->space, R, &big);
    struct forward forward = rig_forward(rig, &big, PASS_FIXED);
    rig->net->has_statistics = false;
    assert_int_equal(try_forward(rig, &forward), ERR_DATA);
    assert_non_null(strstr(err_text(), "calibrate"));
    rig->net->has_statistics = true;
    must(try_forward(rig, &forward));
    forward.N = N + 1;
    assert_int_equal(try_forward(rig, &forward), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "batch of 7"));
    forward.N = N;
    wrong = big;
    wrong.resolution = R + 1;
    forward.subnet = &wrong;
    assert_int_equal(try_forward(rig, &forward), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "29 pixels"));
    wrong = big;
    wrong.kernel[0] = 4;
    assert_int_equal(try_forward(rig, &forward), ERR_CONFIG);
}

static void the_layer_where_numbers_go_wrong_is_named(void **state)
{
    struct rig *rig = *state;
    struct subnet big;
    subnet_biggest(&rig->space, R, &big);
    struct forward forward = rig_forward(rig, &big, PASS_TRAIN);
    forward.flaw.word = rig->flaw;
    rig_step(rig, &forward);
    assert_null(rig_flaw(rig));
    const struct param *param =
        supernet_find(rig->net, "blocks.3.conv.inverted_bottleneck.conv.conv.weight");
    float *host = mem_array(param->count, sizeof *host);
    must(supernet_get_param(rig->net, rig->net->weights, param, host));
    host[5] = NAN;
    supernet_set_param(rig->net, rig->net->weights, param, host);
    rig_step(rig, &forward);
    const char *name = rig_flaw(rig);
    assert_non_null(name);
    assert_string_equal(name, "blocks.3.conv.inverted_bottleneck.bn.bn");
    forward.mode = PASS_FIXED;
    must(try_forward(rig, &forward));
    name = rig_flaw(rig);
    assert_non_null(name);
    assert_string_equal(name, "classifier.linear");
    mem_free(host);
}

static void tensors_go_in_and_come_out_unchanged(void **state)
{
    struct rig *rig = *state;
    for (int t = 0; t < supernet_tensor_count(rig->net); t++) {
        struct supernet_tensor tensor;
        supernet_tensor_at(rig->net, t, &tensor);
        float *host = mem_array(tensor.count, sizeof *host);
        float *back = mem_array(tensor.count, sizeof *host);
        for (size_t i = 0; i < tensor.count; i++)
            host[i] = (float)(t * 1000) + (float)i;
        supernet_set_tensor(rig->net, &tensor, host);
        must(supernet_get_tensor(rig->net, &tensor, back));
        assert_memory_equal(host, back, tensor.count * sizeof *host);
        mem_free(host);
        mem_free(back);
    }
    struct supernet_tensor first; /* nobody wrote over a neighbour */
    supernet_tensor_at(rig->net, 0, &first);
    float *back = mem_array(first.count, sizeof *back);
    must(supernet_get_tensor(rig->net, &first, back));
    for (size_t i = 0; i < first.count; i++)
        assert_true(back[i] == (float)i);
    mem_free(back);
}

/* As many blocks as a space may have, each with everything a block can have. */
static void the_largest_space_fits(void **state)
{
    (void)state;
    struct space space;
    struct device *device = NULL;
    struct supernet *net = NULL;
    struct text text;
    text_init(&text);
    text_add(&text, "space: long\nchoices: {kernels: [3, 5, 7], expansions: [2], depths: [8]}\n"
                    "resolutions: [28]\nstem: {width: 8, act: relu}\n"
                    "first: {width: 8, act: relu}\nhead: {expand: 8, mix: 8}\nstages:\n");
    for (int i = 0; i < 8; i++)
        text_add(&text, "  - {width: 8, act: hswish, se: yes, depth: 8}\n");
    must(space_parse("a test", text_get(&text), 1.0, 10, 3, &space));
    assert_int_equal(space.block_count, SPACE_MAX_BLOCKS);
    must(device_open(
        &(struct device_cfg){
            .name = test_device(), .threads = 1, .isa = test_isa(), .precision = test_precision()},
        &device));
    must(supernet_create(&space, device, &net));
    /* stem 3, first block 6, head 3, mix 1, classifier 2; 15 a block */
    assert_int_equal(net->param_count, 15 + 15 * SPACE_MAX_BLOCKS);
    assert_int_equal(net->norm_count, 4 + 3 * SPACE_MAX_BLOCKS);
    supernet_destroy(&net);
    device_close(&device);
    text_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_never_change_a_bit),
        cmocka_unit_test_setup_teardown(a_pass_can_be_used_for_one_subnet_after_the_other,
                                        open_tiny, close_tiny),
        cmocka_unit_test_setup_teardown(gradients_add_up, open_tiny, close_tiny),
        cmocka_unit_test_setup_teardown(modes_with_batch_statistics_agree, open_tiny, close_tiny),
        cmocka_unit_test_setup_teardown(statistics_of_a_batch_evaluate_that_batch_alike, open_tiny,
                                        close_tiny),
        cmocka_unit_test_setup_teardown(sorting_keeps_the_networks_it_should, open_tiny,
                                        close_tiny),
        cmocka_unit_test_setup_teardown(a_sort_behind_the_teacher_has_no_borders, open_tiny,
                                        close_tiny),
        cmocka_unit_test_setup_teardown(sorting_moves_momentum_with_its_weights, open_tiny,
                                        close_tiny),
        cmocka_unit_test(squeeze_excite_is_sorted_too),
        cmocka_unit_test(squeeze_excite_of_a_given_teacher_is_kept),
        cmocka_unit_test_setup_teardown(dropout_is_the_same_again_and_off_at_zero, open_tiny,
                                        close_tiny),
        cmocka_unit_test_setup_teardown(what_cannot_run_is_refused_with_the_reason, open_tiny,
                                        close_tiny),
        cmocka_unit_test_setup_teardown(the_layer_where_numbers_go_wrong_is_named, open_tiny,
                                        close_tiny),
        cmocka_unit_test_setup_teardown(tensors_go_in_and_come_out_unchanged, open_tiny,
                                        close_tiny),
        cmocka_unit_test(the_largest_space_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
