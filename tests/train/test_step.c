/* One optimisation step against what the paper says of it, worked out here in double precision from
 * the network's own forward and backward: which gradients are summed, which loss they belong to,
 * which tensors decay. */
#include "base/mem.h"
#include "tests/supernet/rig.h"
#include "tests/support/test_device.h"
#include "trainer/train/step.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MICRO = 4, LEAVES = 2, GLOBAL = MICRO * LEAVES, SUBNETS = 2, R = 20, CLASSES = 10 };

static const double rate = 0.1, momentum = 0.9, decay = 0.05, smoothing = 0.1, ratio = 0.7;
static const double matrix_decay = 0.02;

struct scene {
    struct rig rig; /* GLOBAL images; the network that the step trains */
    struct comm comm;
    struct device_comm *device_comm;
    struct campaign campaign;
    struct phase phase;
    bool trains_matrices;
    float *teacher_weights; /* device, a copy of the teacher's, for the test itself */
    struct teacher *teacher;
    struct step *step;
};

static float *copy_weights(struct scene *scene, const float *from)
{
    void *copy = NULL;
    size_t bytes = scene->rig.net->weight_count * sizeof(float);
    float *host = mem_alloc(bytes);
    const struct device_ops *ops = scene->rig.device->ops;
    must(ops->alloc(scene->rig.device, bytes, &copy));
    must(ops->download(scene->rig.device, host, from, bytes));
    ops->upload(scene->rig.device, copy, host, bytes);
    must(ops->sync(scene->rig.device));
    mem_free(host);
    return copy;
}

/* A teacher with weights of its own, so that student and teacher cannot be mixed up. */
static void make_teacher(struct scene *scene)
{
    struct supernet *net = scene->rig.net;
    float *student = copy_weights(scene, net->weights), *taken = NULL;
    const struct device_ops *ops = scene->rig.device->ops;
    supernet_init_weights(net, 77);
    scene->teacher_weights = copy_weights(scene, net->weights);
    taken = copy_weights(scene, net->weights);
    ops->copy(scene->rig.device, net->weight_count * sizeof(float), student, net->weights);
    supernet_cast(net, 0, net->weight_count);
    ops->free(scene->rig.device, student);
    must(teacher_create(net, &taken, MICRO, R, &scene->teacher));
    assert_null(taken);
}

static void open_step(struct scene *scene)
{
    struct step_cfg cfg = {.comm = &scene->comm,
                           .device_comm = scene->device_comm,
                           .net = scene->rig.net,
                           .campaign = &scene->campaign,
                           .phase = &scene->phase,
                           .teacher = scene->teacher,
                           .trains_matrices = scene->trains_matrices};
    must(step_create(&cfg, &scene->step));
}

static struct scene *make_scene(bool has_teacher)
{
    struct scene *scene = mem_alloc(sizeof *scene);
    struct space space = rig_space("configs/spaces/firefly-tiny.yaml", 3);
    rig_open(&scene->rig, &space, GLOBAL, R, 2);
    comm_alone(&scene->comm);
    scene->device_comm = comm_staged(&scene->comm, scene->rig.device);
    scene->campaign.seed = 5;
    scene->campaign.batch.global = GLOBAL;
    scene->campaign.batch.micro = MICRO;
    scene->campaign.optimiser.momentum = momentum;
    scene->campaign.optimiser.decay = decay;
    scene->campaign.optimiser.matrix_decay = matrix_decay;
    scene->campaign.optimiser.smoothing = smoothing;
    scene->campaign.optimiser.dropout = 0.2;
    scene->campaign.distil.ratio = ratio;
    scene->phase.open = (struct open_choices){space.kernels, space.expansions, space.depths};
    scene->phase.subnets_per_step = SUBNETS;
    scene->trains_matrices = true;
    if (has_teacher)
        make_teacher(scene);
    open_step(scene);
    return scene;
}

static void remove_scene(struct scene *scene)
{
    step_destroy(&scene->step);
    teacher_destroy(&scene->teacher);
    scene->rig.device->ops->free(scene->rig.device, scene->teacher_weights);
    device_comm_close(&scene->device_comm);
    rig_close(&scene->rig);
    mem_free(scene);
}

/* Micro-batch `leaf` of the rig's images. */
static struct prefetched leaf_of(const struct scene *scene, int leaf)
{
    size_t image_bytes = (size_t)R * R * 3 * scene->rig.device->map_bytes;
    struct prefetched prefetched = {.images = (char *)scene->rig.images +
                                              (size_t)(leaf * MICRO) * image_bytes,
                                    .labels = scene->rig.labels + leaf * MICRO,
                                    .host = {.N = MICRO, .resolution = R, .C = 3}};
    return prefetched;
}

struct expected {     /* of one step */
    double *gradient; /* (weight_count) */
    double loss, distil, correct;
};

static void softmax(const float *logits, double *p, double *log_p)
{
    double sum = 0, most = logits[0];
    for (int k = 1; k < CLASSES; k++)
        most = fmax(most, (double)logits[k]);
    for (int k = 0; k < CLASSES; k++)
        sum += exp((double)logits[k] - most);
    for (int k = 0; k < CLASSES; k++) {
        log_p[k] = (double)logits[k] - most - log(sum);
        p[k] = exp(log_p[k]);
    }
}

/* Images from `first`: smoothed labels with weight 1, the teacher's soft labels with weight
 * `ratio`, over the global batch. soft: NULL without a teacher. */
static void add_loss(int first, const float *logits, const float *soft, float *dlogits,
                     struct expected *expected)
{
    for (int n = 0; n < MICRO; n++) {
        const float *row = logits + n * CLASSES;
        double p[CLASSES], log_p[CLASSES], q[CLASSES] = {0}, ignored[CLASSES];
        int best = 0;
        softmax(row, p, log_p);
        if (soft)
            softmax(soft + n * CLASSES, q, ignored);
        for (int k = 0; k < CLASSES; k++) {
            double label = smoothing / CLASSES + (k == rig_label(first + n) ? 1 - smoothing : 0);
            expected->loss -= (label + (soft ? ratio : 0) * q[k]) * log_p[k];
            expected->distil -= q[k] * log_p[k];
            double slope = p[k] - label + (soft ? ratio * (p[k] - q[k]) : 0);
            dlogits[n * CLASSES + k] = (float)(slope / GLOBAL);
            best = row[k] > row[best] ? k : best;
        }
        expected->correct += best == rig_label(first + n);
    }
}

/* The frozen full network on one micro-batch, with that batch's statistics. */
static float *soft_labels(struct scene *scene, const struct prefetched *prefetched)
{
    struct subnet biggest;
    if (!scene->teacher)
        return NULL;
    subnet_biggest(&scene->rig.space, R, &biggest);
    void *shadow = NULL;
    must(shadow_create(scene->rig.net, scene->teacher_weights, &shadow));
    struct forward forward = {.subnet = &biggest,
                              .weights = scene->teacher_weights,
                              .shadow = shadow,
                              .images = prefetched->images,
                              .N = MICRO,
                              .mode = PASS_BATCH_NORM};
    float *logits = rig_logits(&scene->rig, &forward);
    shadow_destroy(scene->rig.net, scene->teacher_weights, shadow);
    return logits;
}

/* Sub-network `index` on micro-batch `leaf`: its gradient and loss are added. */
static void expect_part(struct scene *scene, uint64_t schedule_step, int leaf, int index,
                        struct expected *expected)
{
    struct rig *rig = &scene->rig;
    const struct device_ops *ops = rig->device->ops;
    size_t count = rig->net->weight_count;
    struct prefetched prefetched = leaf_of(scene, leaf);
    struct subnet subnet;
    float dlogits[MICRO * CLASSES], *part = mem_array(count, sizeof *part);
    subnet_sample(&rig->space, &scene->phase.open, scene->campaign.seed, schedule_step, index,
                  &subnet);
    subnet.resolution = R;
    float *soft = soft_labels(scene, &prefetched);
    struct forward forward = {.subnet = &subnet,
                              .weights = rig->net->weights,
                              .shadow = rig->net->shadow,
                              .images = prefetched.images,
                              .N = MICRO,
                              .mode = PASS_TRAIN,
                              .dropout = 0.2f,
                              .seed = scene->campaign.seed,
                              .step = schedule_step,
                              .first_image = (uint64_t)(index * GLOBAL + leaf * MICRO)};
    float *logits = rig_logits(rig, &forward);
    add_loss(leaf * MICRO, logits, soft, dlogits, expected);
    ops->upload(rig->device, rig->dlogits, dlogits, sizeof dlogits);
    ops->zero(rig->device, count * sizeof(float), rig->gradient);
    supernet_backward(rig->net, rig->arena, &forward, rig->dlogits, rig->gradient);
    must(ops->download(rig->device, part, rig->gradient, count * sizeof *part));
    for (size_t i = 0; i < count; i++)
        expected->gradient[i] += (double)part[i];
    mem_free(part);
    mem_free(logits);
    mem_free(soft);
}

static bool is_matrix(const struct param *param)
{
    return strstr(param->name, "_matrix") != NULL;
}

/* By the reference's rule, from the name alone; kernel matrices have a decay of their own. */
static double decay_of(const struct param *param)
{
    if (is_matrix(param))
        return matrix_decay;
    return strstr(param->name, "bn") || strstr(param->name, "bias") ? 0 : decay;
}

struct state { /* host */
    float *w, *v;
};

static struct state look(struct scene *scene)
{
    size_t count = scene->rig.net->weight_count, bytes = count * sizeof(float);
    struct state state = {mem_alloc(bytes), mem_alloc(bytes)};
    const struct device_ops *ops = scene->rig.device->ops;
    must(ops->download(scene->rig.device, state.w, scene->rig.net->weights, bytes));
    must(ops->download(scene->rig.device, state.v, step_momentum(scene->step), bytes));
    return state;
}

static void forget(struct state *state)
{
    mem_free(state->w);
    mem_free(state->v);
}

/* d = g + decay w; v = momentum v + d; w -= rate (d + momentum v): one update a step. */
static void check_update(const struct supernet *net, const struct state *before,
                         const struct state *after, const double *gradient)
{
    /* dlogits are the test's, and what differs in their last bit is rounded to another bf16 */
    const double narrow = device_is_host(test_device()) ? 5e-3 : 1e-2;
    for (int p = 0; p < net->param_count; p++) {
        const struct param *param = &net->params[p];
        double most = 0, off_w = 0, off_v = 0;
        for (size_t i = param->offset; i < param->offset + param->count; i++) {
            double d = gradient[i] + decay_of(param) * (double)before->w[i];
            double v = momentum * (double)before->v[i] + d;
            double w = (double)before->w[i] - rate * (d + momentum * v);
            most = fmax(most, fmax(fabs(v), fabs(w)));
            off_v = fmax(off_v, fabs((double)after->v[i] - v));
            off_w = fmax(off_w, fabs((double)after->w[i] - w));
        }
        double room = test_tolerance(1e-5, narrow) * most;
        if (!(off_w <= room && off_v <= room))
            fail_msg("%s: weights off by %.3g, momentum by %.3g, largest %.3g", param->name, off_w,
                     off_v, most);
    }
}

static struct step_result take_step(struct scene *scene, uint64_t schedule_step)
{
    struct step_result result;
    for (int leaf = 0; leaf < LEAVES; leaf++) {
        struct prefetched prefetched = leaf_of(scene, leaf);
        must(step_leaf(scene->step, schedule_step, &prefetched));
    }
    must(step_update(scene->step, rate, &result));
    return result;
}

static void check_step(struct scene *scene, uint64_t schedule_step)
{
    struct supernet *net = scene->rig.net;
    struct expected expected = {.gradient = mem_array(net->weight_count, sizeof(double))};
    struct state before = look(scene);
    for (int leaf = 0; leaf < LEAVES; leaf++)
        for (int index = 0; index < SUBNETS; index++)
            expect_part(scene, schedule_step, leaf, index, &expected);
    struct step_result result = take_step(scene, schedule_step);
    struct state after = look(scene);
    check_update(net, &before, &after, expected.gradient);
    assert_float_equal(result.loss, expected.loss / (GLOBAL * SUBNETS), 1e-5);
    assert_float_equal(result.distil, expected.distil / (GLOBAL * SUBNETS), 1e-5);
    assert_float_equal(result.accuracy, expected.correct / (GLOBAL * SUBNETS), 1e-9);
    forget(&before);
    forget(&after);
    mem_free(expected.gradient);
}

/* Two steps: the second starts with momentum, and meets the teacher that the first one met. */
static void check_steps(bool has_teacher)
{
    struct scene *scene = make_scene(has_teacher);
    struct state state = look(scene);
    struct subnet one, other;
    assert_true(largest(state.v, scene->rig.net->weight_count) <= 0); /* a new optimiser */
    forget(&state);
    subnet_sample(&scene->rig.space, &scene->phase.open, 5, 40, 0, &one);
    subnet_sample(&scene->rig.space, &scene->phase.open, 5, 40, 1, &other);
    assert_false(subnet_equal(&scene->rig.space, &one, &other));
    check_step(scene, 40);
    check_step(scene, 41);
    assert_int_equal(step_computed(scene->step), 2 * LEAVES);
    remove_scene(scene);
}

static void leaves_and_subnets_are_summed_into_one_update(void **state)
{
    (void)state;
    check_steps(false);
}

static void the_frozen_full_network_s_logits_are_soft_labels(void **state)
{
    (void)state;
    check_steps(true);
}

/* Another step, for a phase of the biggest sub-network: matrices get no gradient. */
static void only_biggest(struct scene *scene, bool trains_matrices, double matrices)
{
    step_destroy(&scene->step);
    schedule_open_biggest(&scene->rig.space, &scene->phase.open);
    scene->trains_matrices = trains_matrices;
    scene->campaign.optimiser.matrix_decay = matrices;
    open_step(scene);
}

/* Every matrix value and its momentum went from `before` to `after` as torch.optim.SGD moves them
 * without a gradient: to the last bit without a decay, else to fp32's rounding. */
static void check_matrices(const struct supernet *net, const struct state *before,
                           const struct state *after, float decays)
{
    const double rounding = decays > 0 ? 1.2e-7 : 0;
    int matrices = 0;
    for (int p = 0; p < net->param_count; p++) {
        const struct param *param = &net->params[p];
        if (!is_matrix(param))
            continue;
        matrices++;
        for (size_t i = param->offset; i < param->offset + param->count; i++) {
            double d = (double)decays * (double)before->w[i];
            double v = momentum * (double)before->v[i] + d;
            double w = (double)before->w[i] - rate * (d + momentum * v);
            if (!(fabs((double)after->v[i] - v) <= 2 * rounding * fabs(v) &&
                  fabs((double)after->w[i] - w) <= rounding * fabs(w)))
                fail_msg("%s: weight %.9g, momentum %.9g; wanted %.9g, %.9g", param->name,
                         (double)after->w[i], (double)after->v[i], w, v);
        }
    }
    assert_int_equal(matrices, 2 * net->space->block_count);
}

static void resting_matrices_keep_every_bit_for_many_steps(void **state)
{
    (void)state;
    struct scene *scene = make_scene(false);
    const struct segment *matrices = &scene->rig.net->segments[SEGMENT_MATRICES];
    only_biggest(scene, false, matrix_decay);
    struct state before = look(scene);
    for (int i = 0; i < 5; i++)
        take_step(scene, (uint64_t)i);
    struct state after = look(scene);
    assert_memory_equal(after.w + matrices->offset, before.w + matrices->offset,
                        matrices->count * sizeof(float));
    assert_memory_equal(after.v + matrices->offset, before.v + matrices->offset,
                        matrices->count * sizeof(float));
    assert_true(largest(after.v + matrices->offset, matrices->count) <= 0);
    assert_true(distance(after.w, before.w, matrices->offset) > 0); /* the others moved */
    forget(&before);
    forget(&after);
    remove_scene(scene);
}

/* Three steps without a gradient: still with 0, else what SGD makes of the decay alone. */
static void check_decay(float decays)
{
    struct scene *scene = make_scene(false);
    only_biggest(scene, true, (double)decays);
    struct state before = look(scene);
    for (int i = 0; i < 3; i++) {
        take_step(scene, (uint64_t)i);
        struct state after = look(scene);
        check_matrices(scene->rig.net, &before, &after, decays);
        forget(&before);
        before = after;
    }
    forget(&before);
    remove_scene(scene);
}

static void without_a_gradient_matrices_shrink_by_their_own_decay_only(void **state)
{
    (void)state;
    check_decay(0);
    check_decay(3e-5f);
}

static void spoil(struct scene *scene, float *weights)
{
    const struct param *param =
        supernet_find(scene->rig.net, "blocks.1.conv.inverted_bottleneck.conv.conv.weight");
    float *host = mem_array(param->count, sizeof *host);
    must(supernet_get_param(scene->rig.net, weights, param, host));
    host[0] = NAN;
    supernet_set_param(scene->rig.net, weights, param, host);
    mem_free(host);
}

static void check_refusal(struct scene *scene, const char *culprit)
{
    struct step_result result;
    struct state before = look(scene);
    for (int leaf = 0; leaf < LEAVES; leaf++) {
        struct prefetched prefetched = leaf_of(scene, leaf);
        must(step_leaf(scene->step, 0, &prefetched));
    }
    assert_int_equal(step_update(scene->step, rate, &result), ERR_NUMERIC);
    if (!strstr(err_text(), culprit))
        fail_msg("'%s' does not name %s", err_text(), culprit);
    struct state after = look(scene);
    size_t bytes = scene->rig.net->weight_count * sizeof(float);
    assert_memory_equal(before.w, after.w, bytes);
    assert_memory_equal(before.v, after.v, bytes);
    forget(&before);
    forget(&after);
}

static void a_step_that_is_not_finite_names_the_layer_and_changes_nothing(void **state)
{
    (void)state;
    struct scene *scene = make_scene(false);
    spoil(scene, scene->rig.net->weights);
    check_refusal(scene, "at blocks.1.conv.inverted_bottleneck.bn.bn");
    remove_scene(scene);
    scene = make_scene(true);
    step_destroy(&scene->step);
    teacher_destroy(&scene->teacher);
    spoil(scene, scene->teacher_weights);
    must(teacher_create(scene->rig.net, &scene->teacher_weights, MICRO, R, &scene->teacher));
    open_step(scene);
    check_refusal(scene, "at the teacher's blocks.1.conv.inverted_bottleneck.bn.bn");
    remove_scene(scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_and_subnets_are_summed_into_one_update),
        cmocka_unit_test(the_frozen_full_network_s_logits_are_soft_labels),
        cmocka_unit_test(resting_matrices_keep_every_bit_for_many_steps),
        cmocka_unit_test(without_a_gradient_matrices_shrink_by_their_own_decay_only),
        cmocka_unit_test(a_step_that_is_not_finite_names_the_layer_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
