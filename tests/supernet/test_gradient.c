/* The whole network's gradient by finite differences, tensor by tensor: along the gradient itself
 * and along random reweightings of it, the loss changes as the gradient says. Spaces: the camera's
 * (ReLU), MobileNetV3's (squeeze-excite, h-swish, mixing layer), and heads without a convolution in
 * front of the pool, with and without a shortcut in the last block. */
#include "base/mem.h"
#include "base/rng.h"
#include "tests/supernet/rig.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { DIRECTIONS = 2, N = 16 };
static const double TOLERANCE = 0.02;

struct probe { /* one tensor of one forward */
    struct rig *rig;
    const struct forward *forward;
    const struct param *param;
    double floor;        /* kinks somewhere in the network move any slope by so much */
    const float *weight; /* host, where it is now */
    float *direction;    /* unit length */
    float *moved;
};

static double loss_at(const struct probe *probe, double step)
{
    for (size_t i = 0; i < probe->param->count; i++)
        probe->moved[i] = probe->weight[i] + (float)(step * probe->direction[i]);
    supernet_set_param(probe->rig->net, probe->rig->net->weights, probe->param, probe->moved);
    const struct device_ops *ops = probe->rig->device->ops;
    double sums[LOSS_SUMS];
    const float *on_device = NULL;
    must(supernet_forward(probe->rig->net, probe->rig->arena, probe->forward, &on_device));
    struct loss loss = {.N = probe->forward->N,
                        .K = 10,
                        .logits = on_device,
                        .labels = probe->rig->labels,
                        .smoothing = 0.1f,
                        .label_weight = 1,
                        .divisor = 1,
                        .sums = probe->rig->sums};
    ops->zero(probe->rig->device, sizeof sums, probe->rig->sums);
    ops->loss_forward(probe->rig->device, &loss, NULL);
    must(ops->download(probe->rig->device, sums, probe->rig->sums, sizeof sums));
    return sums[LOSS_TOTAL] / probe->forward->N;
}

/* Fills the direction: the gradient, its elements reweighted at random but for direction 0. Returns
 * the derivative along it. */
static double aim(struct probe *probe, const float *gradient, int number)
{
    double squares = 0, along = 0;
    for (size_t i = 0; i < probe->param->count; i++) {
        double weight =
            number ? rng_unit(rng(1, RNG_TEST, (uint64_t)number, probe->param->offset, i)) : 1;
        probe->direction[i] = (float)(gradient[i] * (weight < 0.5 ? 0 : weight));
        squares += (double)probe->direction[i] * probe->direction[i];
    }
    for (size_t i = 0; i < probe->param->count; i++) {
        probe->direction[i] = (float)(probe->direction[i] / sqrt(squares));
        along += (double)probe->direction[i] * gradient[i];
    }
    return along;
}

static double norm_of(const float *x, size_t count)
{
    double squares = 0;
    for (size_t i = 0; i < count; i++)
        squares += (double)x[i] * x[i];
    return sqrt(squares);
}

/* Central differences at up to three lengths, the one nearest to what is expected: long steps cross
 * kinks of the activations, short ones drown in rounding. A wrong gradient is wrong at each. */
static double slope_along(const struct probe *probe, double along)
{
    double best = 0;
    for (double change = 4e-3; change > 4e-5 && fabs(best - along) > TOLERANCE * along;
         change /= 8) {
        double step = change / along;
        double slope = (loss_at(probe, step) - loss_at(probe, -step)) / (2 * step);
        if (fabs(slope - along) < fabs(best - along))
            best = slope;
    }
    return best;
}

static void check_param(struct rig *rig, const struct forward *forward, const struct param *param,
                        const float *gradient, double most)
{
    struct probe probe = {.rig = rig, .forward = forward, .param = param, .floor = 1e-3 * most};
    float *weight = mem_array(param->count, sizeof *weight);
    probe.direction = mem_array(param->count, sizeof *weight);
    probe.moved = mem_array(param->count, sizeof *weight);
    must(supernet_get_param(rig->net, rig->net->weights, param, weight));
    probe.weight = weight;
    for (int d = 0; d < DIRECTIONS; d++) {
        double along = aim(&probe, gradient, d), slope = slope_along(&probe, along);
        if (!(fabs(slope - along) <= TOLERANCE * along + probe.floor))
            fail_msg("%s, direction %d: the loss changes by %.6g, the gradient says %.6g",
                     param->name, d, slope, along);
    }
    supernet_set_param(rig->net, rig->net->weights, param, weight);
    mem_free(weight);
    mem_free(probe.direction);
    mem_free(probe.moved);
}

/* Every tensor with a gradient worth the name; returns how many. */
static int check_all(struct rig *rig, const struct forward *forward)
{
    float **gradients = mem_array((size_t)rig->net->param_count, sizeof *gradients);
    double most = 0;
    int checked = 0;
    rig_step(rig, forward);
    for (int p = 0; p < rig->net->param_count; p++) {
        gradients[p] = rig_gradient(rig, &rig->net->params[p]);
        most = fmax(most, norm_of(gradients[p], rig->net->params[p].count));
    }
    for (int p = 0; p < rig->net->param_count; p++) {
        const struct param *param = &rig->net->params[p];
        if (norm_of(gradients[p], param->count) > 1e-2 * most) {
            check_param(rig, forward, param, gradients[p], most);
            checked++;
        }
        mem_free(gradients[p]);
    }
    mem_free(gradients);
    return checked;
}

static void check_space(const struct space *space, const char *genes, int least)
{
    struct rig rig;
    struct subnet subnet;
    must(subnet_parse(space, genes, &subnet));
    rig_open(&rig, space, N, subnet.resolution, 2);
    struct forward forward = rig_forward(&rig, &subnet, PASS_TRAIN);
    forward.dropout = 0.2f;
    int checked = check_all(&rig, &forward);
    print_message("%s %s: %d tensors\n", space->name, genes, checked);
    assert_in_range(checked, least, rig.net->param_count);
    rig_close(&rig);
}

static void the_camera_s_network_has_the_gradient_of_its_loss(void **state)
{
    (void)state;
    struct space space = rig_space("configs/spaces/firefly-tiny.yaml", 1);
    struct subnet biggest;
    struct text genes = {0};
    subnet_biggest(&space, 32, &biggest);
    subnet_format(&space, &biggest, &genes);
    check_space(&space, text_get(&genes), 20);
    text_fini(&genes);
}

static void squeeze_excite_and_kernel_matrices_get_their_gradient(void **state)
{
    (void)state;
    struct space space = rig_space("configs/spaces/mbv3.yaml", 3);
    check_space(&space, "r=48 k=3 e=3 d=2", 45);
    check_space(&space, "r=32 k=5 e=4 d=2", 45);
}

static void a_head_without_a_convolution_passes_its_gradient_on(void **state)
{
    (void)state;
    struct space space = rig_space("configs/spaces/firefly-tiny.yaml", 1);
    space.expand_width = 0;
    struct subnet subnet;
    struct text genes = {0};
    subnet_smallest(&space, 32, &subnet);
    subnet_format(&space, &subnet, &genes);
    check_space(&space, text_get(&genes), 15);
    text_fini(&genes);
    text_init(&genes);
    subnet_biggest(&space, 32, &subnet); /* ends with a residual sum */
    subnet_format(&space, &subnet, &genes);
    check_space(&space, text_get(&genes), 15);
    text_fini(&genes);
}

/* A space without ReLU: in so few channels its kinks move the loss more than a gradient does. */
static struct space smooth_space(const char *file, int channels)
{
    struct space space = rig_space(file, channels);
    space.stem_act = space.first_act = space.expand_act = ACT_HSWISH;
    for (int b = 0; b < space.block_count; b++)
        space.blocks[b].act = ACT_HSWISH;
    return space;
}

static void odd_widths_and_zeros_behind_get_their_gradient(void **state)
{
    (void)state;
    struct space odd = smooth_space("tests/spaces/odd.yaml", 1);
    check_space(&odd, "r=28 k=7 e=3 d=2", 20);
    check_space(&odd, "r=23 k=3 e=2 d=1", 10);
    struct space gated = smooth_space("tests/spaces/odd-gated.yaml", 3);
    check_space(&gated, "r=28 k=5 e=3 d=2", 20);
    check_space(&gated, "r=40 k=7 e=2 d=1", 15);
    struct space tf = smooth_space("tests/spaces/tf.yaml", 3);
    check_space(&tf, "r=28 k=5 e=3 d=2", 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_camera_s_network_has_the_gradient_of_its_loss),
        cmocka_unit_test(squeeze_excite_and_kernel_matrices_get_their_gradient),
        cmocka_unit_test(a_head_without_a_convolution_passes_its_gradient_on),
        cmocka_unit_test(odd_widths_and_zeros_behind_get_their_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
