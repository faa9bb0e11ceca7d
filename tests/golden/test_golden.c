/* The supernet against numbers of the reference implementation (float64): every tensor's name and
 * shape, logits in both modes, the distilled step's loss and every gradient, and networks after the
 * channel sort. Single precision agrees to 1e-3 of the largest logit and of a gradient's norm. */
#include "base/mem.h"
#include "tests/golden/formula.h"
#include "tests/supernet/rig.h"
#include "tests/support/test_device.h"
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_IMAGES = 8, MOST_PIXELS = 132 };
enum { L2, SUM, HEAD, MEASURES }; /* of a gradient: norm, sum, first four elements */
static const double TOLERANCE = 1e-3;

struct golden {
    const char *space, *data;
    /* what a step's gradients may be off, as fractions of their norms */
    double median[MEASURES], worst[MEASURES];
    double worst_v2[MEASURES]; /* on x86-64-v2, which rounds twice where the others do once, and on
                                  GPUs, which round elsewhere */
    /* With bf16 maps: of logits by running statistics and by those of the few images; the loss; the
     * gradients. */
    double fixed_bf16, batch_bf16, loss_bf16, median_bf16[MEASURES], worst_bf16[MEASURES];
    bool is_there; /* this machine has the instruction set */
    struct rig rig;
    json_t *root;
    uint64_t seed;
};

/* Static: a process has CPU devices of one instruction set only, named on the command line. */
static enum isa isa_asked;

static int open_golden(struct golden *golden)
{
    json_error_t error;
    struct space space = rig_space(golden->space, 3);
    struct device_cfg cfg = {
        .name = test_device(), .threads = 2, .isa = isa_asked, .precision = test_precision()};
    golden->is_there = rig_open_isa(&golden->rig, &space, MOST_IMAGES, MOST_PIXELS, &cfg);
    if (!golden->is_there) { /* an older machine */
        print_message("left out: %s\n", err_text());
        return 0;
    }
    golden->root = json_load_file(golden->data, 0, &error);
    if (!golden->root)
        fail_msg("%s:%d: %s", golden->data, error.line, error.text);
    golden->seed = (uint64_t)json_integer_value(json_object_get(golden->root, "seed"));
    return 0;
}

/* The limits are twice what was measured. A value that rounds to the other side of a kink turns its
 * gradient on or off. Behind squeeze-excite's ReLU that is a row of one sign, which a sum feels
 * more than a norm. */
static int open_mbv3(void **state)
{
    static struct golden golden = {.space = "configs/spaces/mbv3.yaml",
                                   .median = {1.5e-6, 1.6e-5, 1.5e-6},
                                   .worst = {2.2e-4, 4.2e-3, 3.2e-4},
                                   .worst_v2 = {2e-3, 1.2e-2, 2.4e-3},
                                   .fixed_bf16 = 0.1,
                                   .batch_bf16 = 0.32,
                                   .loss_bf16 = 0.011,
                                   .median_bf16 = {0.044, 0.3, 0.026},
                                   .worst_bf16 = {1.5, 20, 0.72},
                                   .data = "tests/golden/data/ofa_mbv3_w1.0.json"};
    *state = &golden;
    return open_golden(&golden);
}

/* Here ReLU6 has two kinks in every layer and batch norms over 32 values magnify: PyTorch's own
 * single precision is off by up to 0.8 % (norm), 0.6 % (head) and 2.6 % of the norm (sum) from
 * these numbers. So the worst tensor gets room, and the median must be as good as promised. */
static int open_proxyless(void **state)
{
    static struct golden golden = {.space = "configs/spaces/proxyless.yaml",
                                   .median = {5.4e-4, 8e-3, 5.4e-4},
                                   .worst = {8e-3, 0.045, 7e-3},
                                   .worst_v2 = {0.034, 0.14, 0.026},
                                   .fixed_bf16 = 0.12,
                                   .batch_bf16 = 0.9,
                                   .loss_bf16 = 0.02,
                                   .median_bf16 = {0.066, 0.86, 0.09},
                                   .worst_bf16 = {4.2, 6, 2.2},
                                   .data = "tests/golden/data/ofa_proxyless_w1.0.json"};
    *state = &golden;
    return open_golden(&golden);
}

static int close_golden(void **state)
{
    struct golden *golden = *state;
    if (!golden->is_there)
        return 0;
    rig_close(&golden->rig);
    json_decref(golden->root);
    return 0;
}

static int integer(const json_t *object, const char *key)
{
    return (int)json_integer_value(json_object_get(object, key));
}

static void read_genes(const json_t *object, const char *key, int8_t *genes)
{
    const json_t *list = json_object_get(object, key);
    for (size_t i = 0; i < json_array_size(list); i++)
        genes[i] = (int8_t)json_integer_value(json_array_get(list, i));
}

static bool is_left_out(const json_t *entry)
{
    enum { EMULATED_PIXELS = 64 };
    return test_is_emulated() && integer(entry, "resolution") > EMULATED_PIXELS;
}

/* The entry's sub-network, with its images on the device. */
static struct subnet read_entry(struct golden *golden, const json_t *entry)
{
    struct rig *rig = &golden->rig;
    struct subnet subnet = {.resolution = integer(entry, "resolution")};
    const json_t *genes = json_object_get(entry, "subnet");
    read_genes(genes, "ks", subnet.kernel);
    read_genes(genes, "e", subnet.expansion);
    read_genes(genes, "d", subnet.depth);
    rig->N = integer(entry, "batch");
    size_t count = (size_t)rig->N * (size_t)subnet.resolution * (size_t)subnet.resolution * 3;
    float *images = mem_array(count, sizeof *images);
    formula_images(golden->seed, rig->N, subnet.resolution, images);
    rig_set_images(rig, images, count);
    must(rig->device->ops->sync(rig->device));
    mem_free(images);
    return subnet;
}

static void check_logits(const char *what, const json_t *expected, const float *logits,
                         double tolerance)
{
    double most = 0, off = 0;
    size_t i = 0;
    for (size_t n = 0; n < json_array_size(expected); n++) {
        const json_t *row = json_array_get(expected, n);
        for (size_t k = 0; k < json_array_size(row); k++, i++) {
            double value = json_real_value(json_array_get(row, k));
            most = fmax(most, fabs(value));
            off = fmax(off, fabs(value - logits[i]));
        }
    }
    print_message("%s: largest logit %.4g, off by %.2g of it\n", what, most, off / most);
    if (i == 0 || !(off <= tolerance * most))
        fail_msg("%s: %zu logits, largest %.6g, off by %.3g", what, i, most, off);
}

static void every_tensor_has_the_reference_name_and_shape(void **state)
{
    struct golden *golden = *state;
    if (!golden->is_there)
        skip();
    const json_t *tensors = json_object_get(golden->root, "tensors");
    int count = supernet_tensor_count(golden->rig.net);
    assert_int_equal(count, json_object_size(tensors));
    size_t parameters = 0;
    for (int t = 0; t < count; t++) {
        struct supernet_tensor tensor;
        supernet_tensor_at(golden->rig.net, t, &tensor);
        const json_t *shape = json_object_get(tensors, tensor.name);
        if (!shape)
            fail_msg("the reference has no tensor %s", tensor.name);
        assert_int_equal(tensor.rank, json_array_size(shape));
        for (int i = 0; i < tensor.rank; i++)
            assert_int_equal(tensor.shape[i], json_integer_value(json_array_get(shape, (size_t)i)));
        parameters += tensor.param ? tensor.count : 0;
    }
    assert_int_equal(parameters, integer(golden->root, "parameters"));
}

static void logits_are_the_reference_s_in_both_modes(void **state)
{
    struct golden *golden = *state;
    if (!golden->is_there)
        skip();
    size_t index;
    json_t *entry;
    formula_fill(golden->rig.net, golden->seed);
    json_array_foreach(json_object_get(golden->root, "forward"), index, entry)
    {
        if (is_left_out(entry))
            continue;
        struct subnet subnet = read_entry(golden, entry);
        enum pass_mode modes[] = {PASS_FIXED, PASS_BATCH_NORM, PASS_TRAIN};
        for (int m = 0; m < 3; m++) {
            struct forward forward = rig_forward(&golden->rig, &subnet, modes[m]);
            float *logits = rig_logits(&golden->rig, &forward);
            const char *key = modes[m] == PASS_FIXED ? "logits_eval" : "logits_train";
            check_logits(key, json_object_get(entry, key), logits,
                         test_tolerance(TOLERANCE, modes[m] == PASS_FIXED ? golden->fixed_bf16
                                                                          : golden->batch_bf16));
            mem_free(logits);
        }
    }
}

/* Loss of the distilled step and its gradients: teacher = biggest, batch statistics, same images.
 */
static double distilled_step(struct rig *rig, const struct forward *forward)
{
    const struct device_ops *ops = rig->device->ops;
    size_t logits_bytes = (size_t)rig->N * 10 * sizeof(float);
    struct subnet biggest;
    subnet_biggest(&rig->space, forward->subnet->resolution, &biggest);
    struct forward teacher = rig_forward(rig, &biggest, PASS_BATCH_NORM);
    float *host = rig_logits(rig, &teacher);
    void *teacher_logits = NULL;
    must(ops->alloc(rig->device, logits_bytes, &teacher_logits));
    ops->upload(rig->device, teacher_logits, host, logits_bytes);
    must(ops->sync(rig->device));
    mem_free(host);

    const float *logits = NULL;
    double sums[LOSS_SUMS];
    must(supernet_forward(rig->net, rig->arena, forward, &logits));
    struct loss loss = {.N = rig->N,
                        .K = 10,
                        .logits = logits,
                        .labels = rig->labels,
                        .teacher_logits = teacher_logits,
                        .smoothing = 0.1f,
                        .label_weight = 1,
                        .distil_weight = 1,
                        .divisor = (float)rig->N,
                        .sums = rig->sums};
    ops->zero(rig->device, sizeof sums, rig->sums);
    ops->loss_forward(rig->device, &loss, rig->dlogits);
    ops->zero(rig->device, rig->net->weight_count * sizeof(float), rig->gradient);
    supernet_backward(rig->net, rig->arena, forward, rig->dlogits, rig->gradient);
    ops->free(rig->device, teacher_logits);
    must(ops->download(rig->device, sums, rig->sums, sizeof sums));
    return sums[LOSS_TOTAL] / rig->N;
}

struct found { /* per measure, one per tensor: off by this fraction of the gradient's norm */
    double *off[MEASURES];
    const char *worst[MEASURES]; /* the tensor furthest off */
    double most[MEASURES];
    int count;
};

static void add_found(struct found *found, int measure, double off, const struct param *param)
{
    found->off[measure][found->count] = off;
    if (off >= found->most[measure]) {
        found->most[measure] = off;
        found->worst[measure] = param->name;
    }
}

static void measure_gradient(const struct rig *rig, const struct param *param,
                             const json_t *expected, double largest_norm, struct found *found)
{
    float *gradient = rig_gradient(rig, param);
    double squares = 0, sum = 0, off_head = 0;
    for (size_t i = 0; i < param->count; i++) {
        squares += (double)gradient[i] * gradient[i];
        sum += gradient[i];
    }
    if (!expected) { /* the reference lists every gradient that is not zero */
        if (squares != 0)
            fail_msg("%s: norm %.6g where the reference has no gradient", param->name,
                     sqrt(squares));
        mem_free(gradient);
        return;
    }
    const json_t *head = json_object_get(expected, "head");
    for (size_t i = 0; i < json_array_size(head); i++)
        off_head = fmax(off_head, fabs(gradient[i] - json_real_value(json_array_get(head, i))));
    /* a bias in front of a batch norm has no gradient but rounding: the floor is for those */
    double l2 = json_real_value(json_object_get(expected, "l2"));
    double scale = fmax(l2, 1e-3 * largest_norm);
    double expected_sum = json_real_value(json_object_get(expected, "sum"));
    add_found(found, L2, fabs(sqrt(squares) - l2) / scale, param);
    add_found(found, SUM, fabs(sum - expected_sum) / scale, param);
    add_found(found, HEAD, off_head / scale, param);
    found->count++;
    mem_free(gradient);
}

static int ascending(const void *left, const void *right)
{
    double l = *(const double *)left, r = *(const double *)right;
    return (l > r) - (l < r);
}

static void check_found(const struct golden *golden, struct found *found)
{
    static const char *const names[] = {"norm", "sum", "head"};
    const char *lineage = golden->rig.device->lineage;
    bool is_v2 = strstr(lineage, "x86-64-v2") || strncmp(lineage, "cuda ", 5) == 0;
    for (int m = 0; m < MEASURES; m++) {
        qsort(found->off[m], (size_t)found->count, sizeof(double), ascending);
        double median = found->off[m][found->count / 2], worst = found->most[m];
        double limit = is_v2 ? golden->worst_v2[m] : golden->worst[m];
        double middle = test_tolerance(golden->median[m], golden->median_bf16[m]);
        limit = test_tolerance(limit, golden->worst_bf16[m]);
        print_message("  %s: median %.2g, worst %.2g of the gradient's norm (%s)\n", names[m],
                      median, worst, found->worst[m]);
        if (!(median <= middle && worst <= limit))
            fail_msg("%s: median %.3g for %.3g, worst %.3g for %.3g", names[m], median, middle,
                     worst, limit);
        mem_free(found->off[m]);
    }
}

static double largest_norm(const json_t *gradients)
{
    double most = 0;
    for (void *i = json_object_iter((json_t *)gradients); i;
         i = json_object_iter_next((json_t *)gradients, i))
        most = fmax(most, json_real_value(json_object_get(json_object_iter_value(i), "l2")));
    return most;
}

static void a_distilled_step_has_the_reference_s_loss_and_gradients(void **state)
{
    struct golden *golden = *state;
    if (!golden->is_there)
        skip();
    struct rig *rig = &golden->rig;
    size_t index;
    json_t *entry;
    formula_fill(rig->net, golden->seed);
    json_array_foreach(json_object_get(golden->root, "distilled_step"), index, entry)
    {
        if (is_left_out(entry))
            continue;
        struct subnet subnet = read_entry(golden, entry);
        struct forward forward = rig_forward(rig, &subnet, PASS_TRAIN);
        const json_t *gradients = json_object_get(entry, "gradients");
        double expected = json_real_value(json_object_get(entry, "loss"));
        double loss = distilled_step(rig, &forward);
        double tolerance = test_tolerance(TOLERANCE, golden->loss_bf16);
        if (!(fabs(loss - expected) <= tolerance * expected))
            fail_msg("loss %.9g for %.9g", loss, expected);
        print_message("loss %.6f for %.6f, %zu gradients\n", loss, expected,
                      json_object_size(gradients));
        struct found found = {.count = 0};
        for (int m = 0; m < MEASURES; m++)
            found.off[m] = mem_array((size_t)rig->net->param_count, sizeof(double));
        for (int p = 0; p < rig->net->param_count; p++)
            measure_gradient(rig, &rig->net->params[p],
                             json_object_get(gradients, rig->net->params[p].name),
                             largest_norm(gradients), &found);
        assert_int_equal(found.count, json_object_size(gradients));
        check_found(golden, &found);
    }
}

static void sorted_networks_compute_what_the_reference_s_do(void **state)
{
    struct golden *golden = *state;
    if (!golden->is_there)
        skip();
    size_t phase, index;
    json_t *sorted, *entry;
    json_array_foreach(json_object_get(golden->root, "sorted"), phase, sorted)
    {
        const json_t *list = json_object_get(sorted, "expand_choices");
        /* the file's list descends; its last is what is being opened */
        struct choices trained = {.count = (int)json_array_size(list) - 1};
        for (int i = 0; i < trained.count; i++)
            trained.value[trained.count - 1 - i] =
                (int)json_integer_value(json_array_get(list, (size_t)i));
        formula_fill(golden->rig.net, golden->seed);
        must(supernet_sort_channels(golden->rig.net, NULL, &trained, &(struct choices){0}));
        json_array_foreach(json_object_get(sorted, "forward"), index, entry)
        {
            struct subnet subnet = read_entry(golden, entry);
            struct forward forward = rig_forward(&golden->rig, &subnet, PASS_FIXED);
            float *logits = rig_logits(&golden->rig, &forward);
            check_logits("sorted", json_object_get(entry, "logits_eval"), logits,
                         test_tolerance(TOLERANCE, golden->fixed_bf16));
            mem_free(logits);
        }
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tensor_has_the_reference_name_and_shape),
        cmocka_unit_test(logits_are_the_reference_s_in_both_modes),
        cmocka_unit_test(a_distilled_step_has_the_reference_s_loss_and_gradients),
        cmocka_unit_test(sorted_networks_compute_what_the_reference_s_do),
    };
    if (argc > 1)
        must(isa_parse(argv[1], &isa_asked));
    int failed = cmocka_run_group_tests_name("mbv3", tests, open_mbv3, close_golden);
    failed += cmocka_run_group_tests_name("proxyless", tests, open_proxyless, close_golden);
    return failed;
}
