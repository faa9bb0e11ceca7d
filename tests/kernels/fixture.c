#include "tests/kernels/fixture.h"
#include "tests/kernels/check.h"
#include "tests/kernels/reference_dw.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void fixture_fini(struct fixture *fixture)
{
    while (fixture->count > 0)
        free(fixture->all[--fixture->count]);
}

void *fixture_keep(struct fixture *fixture, void *memory)
{
    if (fixture->count == (int)(sizeof fixture->all / sizeof *fixture->all))
        abort();
    return fixture->all[fixture->count++] = memory;
}

float *fixture_random(struct fixture *fixture, size_t count, double mean, double deviation)
{
    return fixture_keep(fixture, check_random(count, ++fixture->seed, mean, deviation));
}

size_t fixture_weight_count(const struct conv *conv)
{
    return (size_t)(conv->R == 1 ? conv->K : conv->R * conv->R) * (size_t)conv->ld;
}

double *fixture_widen(struct fixture *fixture, const float *from, size_t count)
{
    return fixture_keep(fixture, reference_widen(from, count));
}

struct view fixture_view(struct fixture *fixture, struct dims map, enum act act, double mean,
                         bool is_gated)
{
    size_t C = (size_t)map.C;
    float *scale = fixture_random(fixture, C, 1.2, 0.2);
    float *shift = fixture_random(fixture, C, 0.3, 0.5);
    for (size_t c = 0; c < C; c++)
        shift[c] -= (float)(mean * (double)scale[c]);
    struct view view = {.z = fixture_random(fixture, reference_count(map), mean, 1),
                        .scale = scale,
                        .shift = shift,
                        .act = act};
    if (is_gated)
        view.gate = fixture_random(fixture, (size_t)map.N * C, 0.5, 0.2);
    return view;
}

struct grad fixture_grad(struct fixture *fixture, struct dims map, enum act act, int parts)
{
    size_t C = (size_t)map.C, rows = (size_t)map.N * C;
    struct grad grad = {.of = fixture_view(fixture, map, act, 0, parts & GRAD_HAS_GATE)};
    if (parts & GRAD_HAS_Q)
        grad.q = fixture_random(fixture, reference_count(map), 0, 1);
    if (parts & GRAD_HAS_P)
        grad.p = fixture_random(fixture, rows, 0, 0.5);
    if (parts & GRAD_HAS_NORM) {
        grad.a = fixture_random(fixture, C, 1, 0.3);
        grad.b = fixture_random(fixture, C, 0, 0.3);
        grad.c = fixture_random(fixture, C, 0, 0.3);
    }
    return grad;
}

float *fixture_weights(struct fixture *fixture, int rows, int C, int ld)
{
    float *w = fixture_random(fixture, (size_t)rows * (size_t)ld, 0, 0.5);
    for (int i = 0; i < rows * ld; i++)
        if (i % ld >= C)
            w[i] = NAN;
    return w;
}

static const struct dims maps[] = {{3, 1, 1, 0},   {3, 2, 2, 0},   {2, 3, 2, 0}, {2, 2, 3, 0},
                                   {2, 4, 4, 0},   {2, 5, 7, 0},   {2, 9, 9, 0}, {1, 6, 1, 0},
                                   {2, 14, 14, 0}, {1, 13, 22, 0}, {3, 8, 41, 0}};
static const int channels[] = {8, 24, 5, 40, 13, 100, 27};

enum act fixture_act(int number)
{
    static const enum act acts[] = {ACT_NONE, ACT_RELU, ACT_RELU6, ACT_HSWISH};
    return acts[number % 4];
}

void fixture_each_shape(void (*test)(const struct conv *conv, int number))
{
    int number = 0;
    for (size_t map = 0; map < sizeof maps / sizeof *maps; map++)
        for (int R = 3; R <= 7; R += 2)
            for (int turn = 0; turn < 3; turn++, number++) {
                struct conv conv = {.in = maps[map], .R = R, .S = turn ? 2 : 1};
                conv.pad = turn == 1 || number % 2 ? PAD_SAME : PAD_SYMMETRIC;
                conv.in.C = conv.K = channels[number % 7];
                conv.ld = conv.K + number % 3 * 4;
                test(&conv, number);
            }
}

void fixture_each_long_shape(void (*test)(const struct conv *conv, int number))
{
    static const struct {
        int number;
        struct dims in;
        int R, S;
    } shapes[] = {{106, {1100, 2, 3, 8}, 7, 1}, {120, {1100, 3, 2, 8}, 5, 2},
                  {102, {700, 3, 3, 40}, 3, 1}, {114, {1, 5, 150, 13}, 7, 1},
                  {112, {2, 4, 131, 27}, 3, 2}, {115, {1, 9, 133, 24}, 5, 1},
                  {124, {1100, 4, 2, 8}, 3, 2}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct conv conv = {.in = shapes[i].in,
                            .K = shapes[i].in.C,
                            .R = shapes[i].R,
                            .S = shapes[i].S,
                            .ld = shapes[i].in.C + 4};
        test(&conv, shapes[i].number);
    }
}

const char *fixture_title(const struct conv *conv, const char *what, int threads)
{
    static char text[160];
    snprintf(text, sizeof text,
             "%s, %d images %dx%d, %d of %d channels to %d, kernel %d stride %d%s, %d threads",
             what, conv->in.N, conv->in.H, conv->in.W, conv->in.C, conv->ld, conv->K, conv->R,
             conv->S, conv->pad == PAD_SAME ? " same" : "", threads);
    return text;
}

struct forward_result fixture_forward(struct fixture *fixture, const struct conv *conv,
                                      struct view x, const float *w, int threads)
{
    struct dims out = conv_out(conv);
    struct forward_result result = {
        fixture_keep(fixture, check_filled(reference_count(out), NAN)),
        fixture_keep(fixture, check_filled_double(2 * (size_t)out.C, NAN))};
    struct device *device = check_open(threads);
    struct norm_forward sums = {.sums = result.sums};
    (conv->R == 1 ? device->ops->pw_forward : device->ops->dw_forward)(device, conv, x, w, result.z,
                                                                       &sums);
    assert_int_equal(device->traffic.raw_bytes, reference_count(out) * sizeof *result.z);
    assert_int_equal(device->traffic.gradient_bytes + device->traffic.residual_bytes, 0);
    check_scratch(device, conv->R == 1 && x.scale);
    device_close(&device);
    return result;
}
