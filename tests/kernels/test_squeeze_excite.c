/* Pools and squeeze-excite: against the plain formulas, and the whole chain pool -> squeeze-excite
 * -> gated map against the gradient a finite difference gives. */
#include "tests/kernels/check.h"
#include "tests/kernels/fixture.h"
#include "tests/kernels/reference.h"
#include "tests/kernels/reference_dw.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct dims maps[] = {{1, 1, 1, 8},   {3, 2, 2, 24},  {2, 7, 7, 40},   {37, 2, 1, 27},
                                   {4, 5, 3, 100}, {1, 33, 31, 8}, {2, 20, 20, 72}, {5, 2, 3, 75}};
enum { MAPS = sizeof maps / sizeof *maps };
static const enum act acts[] = {ACT_RELU, ACT_HSWISH, ACT_NONE, ACT_RELU6};

struct pool_result {
    float *pooled;
    double *sums;
};

static struct pool_result run_pool(struct fixture *fixture, struct dims map, struct view x,
                                   const float *mean, int threads)
{
    size_t count = (size_t)map.N * (size_t)map.C;
    struct pool_result result = {fixture_keep(fixture, check_filled(count, NAN)),
                                 fixture_keep(fixture, check_filled_double(2 * count, NAN))};
    struct device *device = check_open(threads);
    device->ops->pool_forward(device, map, x, mean, result.pooled, result.sums);
    assert_int_equal(device->traffic.scratch_peak_bytes, 0);
    device_close(&device);
    return result;
}

static void the_pool_is_the_mean_of_the_view_without_its_gate(void **state)
{
    (void)state;
    for (int number = 0; number < MAPS; number++) {
        struct fixture fixture = {.seed = (uint64_t)number << 16};
        struct dims map = maps[number];
        size_t count = (size_t)map.N * (size_t)map.C;
        struct view x = fixture_view(&fixture, map, acts[number % 4], 1, number % 2);
        float *mean = number % 3 ? fixture_random(&fixture, (size_t)map.C, 1, 1) : NULL;
        double *pooled = fixture_keep(&fixture, reference_pool(map, &x));
        double *sums = fixture_keep(&fixture, reference_pool_sums(map, &x, mean));
        struct pool_result first = run_pool(&fixture, map, x, mean, 1);
        check_near("pooled", first.pooled, pooled, count, 1e-6);
        check_near_double("pool sums", first.sums, sums, 2 * count, 1e-6);
        for (int threads = 2; threads <= CHECK_THREADS; threads++) {
            struct pool_result other = run_pool(&fixture, map, x, mean, threads);
            check_same("pooled", other.pooled, first.pooled, count * sizeof(float));
            check_same("pool sums", other.sums, first.sums, 2 * count * sizeof(double));
        }
        struct device *device = check_open(2);
        float *alone = fixture_keep(&fixture, check_filled(count, NAN));
        device->ops->pool_forward(device, map, x, mean, alone, NULL);
        device_close(&device);
        check_same("pooled without sums", alone, first.pooled, count * sizeof(float));
        fixture_fini(&fixture);
    }
}

/* Raw values 256 deviations from 0: the moment about the mean keeps its digits. */
static void pool_sums_keep_their_digits_at_large_means(void **state)
{
    (void)state;
    for (int number = 4; number < MAPS; number++) {
        struct fixture fixture = {.seed = (uint64_t)(number + 20) << 16};
        struct dims map = maps[number];
        size_t C = (size_t)map.C, count = (size_t)map.N * C;
        struct view x = fixture_view(&fixture, map, ACT_NONE, 256, false);
        float *mean = fixture_keep(&fixture, check_filled(C, 256));
        double *sums = fixture_keep(&fixture, reference_pool_sums(map, &x, mean));
        struct pool_result got = run_pool(&fixture, map, x, mean, 2);
        for (size_t row = 0; row < 2 * count; row += C)
            check_near_double("pool sums", got.sums + row, sums + row, C, 3e-6);
        fixture_fini(&fixture);
    }
}

/* A pool's gradient has q = 0: only p. Its sums are those of the whole map. */
static void the_pool_backward_gives_p_and_the_sums_of_the_map(void **state)
{
    (void)state;
    for (int number = 0; number < MAPS; number++) {
        struct fixture fixture = {.seed = (uint64_t)(number + 50) << 16};
        struct dims map = maps[number];
        size_t C = (size_t)map.C, count = (size_t)map.N * C;
        struct view x = fixture_view(&fixture, map, acts[number % 4], 1, false);
        float *mean = fixture_random(&fixture, C, 1, 1);
        float *dpooled = fixture_random(&fixture, count, 0, 1);
        float *p = fixture_keep(&fixture, check_filled(count, NAN));
        double *sums = fixture_keep(&fixture, check_filled_double(2 * C, NAN));
        struct pool_result pool = run_pool(&fixture, map, x, mean, 1);
        struct device *device = check_open(2);
        device->ops->pool_backward(
            device, map,
            &(struct pool_grad){.dpooled = dpooled, .pool_sums = pool.sums, .p = p, .sums = sums});
        device_close(&device);
        double *want_p = fixture_widen(&fixture, dpooled, count);
        for (size_t i = 0; i < count; i++)
            want_p[i] /= map.H * map.W;
        struct grad grad = {.of = x, .p = p};
        double *want_sums = fixture_keep(&fixture, reference_grad_sums(map, &grad, mean));
        check_near("p", p, want_p, count, 1e-6);
        check_near_double("sums of g", sums, want_sums, C, 1e-5);
        check_near_double("sums of g (z - mean)", sums + C, want_sums + C, C, 1e-5);
        fixture_fini(&fixture);
    }
}

/* A gated map and its gradient: y = gate(pool(act(z))) act(z), q = d loss / d y. */
struct chain {
    struct dims map;
    struct squeeze_excite se;
    struct view x; /* its gate is what excite_forward makes */
    float *q, *mean;
};

struct chain_result {
    float *pooled, *hidden, *gate, *p;
    double *sums;
    struct squeeze_excite_grad grad;
};

static struct chain make_chain(struct fixture *fixture, struct dims map, enum act act, int wider,
                               double mean)
{
    struct chain chain = {.map = map, .x = fixture_view(fixture, map, act, mean, false)};
    int C = map.C, Cr = C / 4 > 2 ? C / 4 : 2;
    struct squeeze_excite se = {C, Cr, C + wider, Cr + wider, NULL, NULL, NULL, NULL};
    se.reduce_w = fixture_weights(fixture, Cr, C, se.ld_reduce);
    se.expand_w = fixture_weights(fixture, C, Cr, se.ld_expand);
    se.reduce_b = fixture_random(fixture, (size_t)Cr, 0.2, 0.5);
    se.expand_b = fixture_random(fixture, (size_t)C, 0, 1.5); /* some gates shut, some full */
    chain.se = se;
    chain.q = fixture_random(fixture, reference_count(map), 0, 1);
    chain.mean = fixture_random(fixture, (size_t)C, mean, 0.5);
    return chain;
}

static float *filled_gradient(struct fixture *fixture, int rows, int ld)
{
    return fixture_random(fixture, (size_t)rows * (size_t)ld, 0, 1);
}

/* gate_sums as a sink would make them. */
static double *gate_sums_of(struct fixture *fixture, const struct chain *chain)
{
    struct grad_sink sink = {.of = chain->x, .mean = chain->mean};
    double *q = fixture_widen(fixture, chain->q, reference_count(chain->map));
    return fixture_keep(fixture, reference_sink_gate_sums(chain->map, &sink, q));
}

static struct chain_result run_chain(struct fixture *fixture, const struct chain *chain,
                                     int threads)
{
    const struct squeeze_excite *se = &chain->se;
    size_t N = (size_t)chain->map.N, C = (size_t)se->C, Cr = (size_t)se->Cr;
    struct chain_result r = {.hidden = fixture_keep(fixture, check_filled(N * Cr, NAN)),
                             .gate = fixture_keep(fixture, check_filled(N * C, NAN)),
                             .p = fixture_keep(fixture, check_filled(N * C, NAN)),
                             .sums = fixture_keep(fixture, check_filled_double(2 * C, NAN))};
    uint64_t seed = fixture->seed; /* the same numbers for every number of threads */
    r.grad.reduce_w = filled_gradient(fixture, se->Cr, se->ld_reduce);
    r.grad.expand_w = filled_gradient(fixture, se->C, se->ld_expand);
    r.grad.reduce_b = filled_gradient(fixture, 1, se->Cr);
    r.grad.expand_b = filled_gradient(fixture, 1, se->C);
    fixture->seed = seed;
    struct pool_result pool = run_pool(fixture, chain->map, chain->x, chain->mean, threads);
    struct excitation kept = {fixture_keep(fixture, check_filled(N * C, NAN)), r.hidden, r.gate,
                              fixture_keep(fixture, check_filled_double(2 * N * C, NAN))};
    struct excitation_grad grad = {
        .gate_sums = gate_sums_of(fixture, chain), .weights = r.grad, .p = r.p, .sums = r.sums};
    struct device *device = check_open(threads);
    device->ops->excite_forward(device, chain->map, se, chain->x, chain->mean, &kept);
    check_same("pooled", kept.pooled, pool.pooled, N * C * sizeof(float));
    check_same("pool sums", kept.pool_sums, pool.sums, 2 * N * C * sizeof(double));
    r.pooled = kept.pooled;
    device->ops->excite_backward(device, chain->map, se, &kept, &grad);
    device_close(&device);
    return r;
}

static void threads_do_not_change_squeeze_excite(void **state)
{
    (void)state;
    for (int number = 0; number < MAPS; number++) {
        struct fixture fixture = {.seed = (uint64_t)(number + 200) << 16};
        struct chain chain =
            make_chain(&fixture, maps[number], acts[number % 4], number % 3 * 4, 0.5);
        size_t C = (size_t)chain.se.C, N = (size_t)chain.map.N;
        struct chain_result first = run_chain(&fixture, &chain, 1);
        for (int threads = 2; threads <= CHECK_THREADS; threads++) {
            struct chain_result other = run_chain(&fixture, &chain, threads);
            check_same("gate", other.gate, first.gate, N * C * sizeof(float));
            check_same("p", other.p, first.p, N * C * sizeof(float));
            check_same("sums", other.sums, first.sums, 2 * C * sizeof(double));
            check_same("reduce", other.grad.reduce_w, first.grad.reduce_w,
                       (size_t)(chain.se.Cr * chain.se.ld_reduce) * sizeof(float));
            check_same("expand", other.grad.expand_w, first.grad.expand_w,
                       (size_t)(chain.se.C * chain.se.ld_expand) * sizeof(float));
        }
        fixture_fini(&fixture);
    }
}

struct wide { /* the chain's numbers in double, to be moved a little */
    double *z, *reduce_w, *reduce_b, *expand_w, *expand_b;
};

static double normalised(const struct chain *chain, const struct wide *wide, size_t i)
{
    size_t c = i % (size_t)chain->map.C;
    return (double)chain->x.scale[c] * wide->z[i] + (double)chain->x.shift[c];
}

/* The gates of one image from its pooled channels. */
static void gates(const struct squeeze_excite *se, const struct wide *wide, const double *pooled,
                  double *gate)
{
    for (int c = 0; c < se->C; c++) {
        double e = wide->expand_b[c];
        for (int r = 0; r < se->Cr; r++) {
            double h = wide->reduce_b[r];
            for (int i = 0; i < se->C; i++)
                h += wide->reduce_w[r * se->ld_reduce + i] * pooled[i];
            e += wide->expand_w[c * se->ld_expand + r] * (h > 0 ? h : 0);
        }
        gate[c] = reference_hard_sigmoid(e);
    }
}

/* L = sum q gate act(scale z + shift); gate (N,C) is left behind. */
static double objective(const struct chain *chain, const struct wide *wide, double *gate)
{
    size_t C = (size_t)chain->map.C, HW = (size_t)(chain->map.H * chain->map.W);
    size_t N = (size_t)chain->map.N;
    double *pooled = check_filled_double(C, 0), sum = 0;
    for (size_t n = 0; n < N; n++) {
        for (size_t c = 0; c < C; c++)
            pooled[c] = 0;
        for (size_t i = n * HW * C; i < (n + 1) * HW * C; i++)
            pooled[i % C] += reference_act(chain->x.act, normalised(chain, wide, i)) / (double)HW;
        gates(&chain->se, wide, pooled, gate + n * C);
        for (size_t i = n * HW * C; i < (n + 1) * HW * C; i++)
            sum += (double)chain->q[i] * gate[n * C + i % C] *
                   reference_act(chain->x.act, normalised(chain, wide, i));
    }
    free(pooled);
    return sum;
}

static void check_slope(const char *what, const struct chain *chain, const struct wide *wide,
                        double *gate, double *at, double got)
{
    const double h = 1e-5, before = *at;
    *at = before + h;
    double above = objective(chain, wide, gate);
    *at = before - h;
    double below = objective(chain, wide, gate);
    *at = before;
    double want = (above - below) / (2 * h);
    if (!(fabs(got - want) <= 1e-4 * (1 + fabs(want))))
        fail_msg("%s: %.9g should be %.9g", what, got, want);
}

static struct wide widen(struct fixture *fixture, const struct chain *chain)
{
    const struct squeeze_excite *se = &chain->se;
    struct wide wide;
    wide.z = fixture_widen(fixture, chain->x.z, reference_count(chain->map));
    wide.reduce_w = fixture_widen(fixture, se->reduce_w, (size_t)(se->Cr * se->ld_reduce));
    wide.expand_w = fixture_widen(fixture, se->expand_w, (size_t)(se->C * se->ld_expand));
    wide.reduce_b = fixture_widen(fixture, se->reduce_b, (size_t)se->Cr);
    wide.expand_b = fixture_widen(fixture, se->expand_b, (size_t)se->C);
    return wide;
}

/* Gradients were added to random ones: take those off again. */
static void subtract_start(struct fixture *fixture, const struct chain *chain, uint64_t seed,
                           struct squeeze_excite_grad *grad)
{
    const struct squeeze_excite *se = &chain->se;
    fixture->seed = seed;
    float *start[4] = {filled_gradient(fixture, se->Cr, se->ld_reduce),
                       filled_gradient(fixture, se->C, se->ld_expand),
                       filled_gradient(fixture, 1, se->Cr), filled_gradient(fixture, 1, se->C)};
    for (int i = 0; i < se->Cr * se->ld_reduce; i++)
        grad->reduce_w[i] -= start[0][i];
    for (int i = 0; i < se->C * se->ld_expand; i++)
        grad->expand_w[i] -= start[1][i];
    for (int i = 0; i < se->Cr; i++)
        grad->reduce_b[i] -= start[2][i];
    for (int i = 0; i < se->C; i++)
        grad->expand_b[i] -= start[3][i];
}

/* tolerance: of the gates; sums are held to three times as much. */
static void check_chain(struct fixture *fixture, const struct chain *chain, double tolerance)
{
    const struct squeeze_excite *se = &chain->se;
    struct dims map = chain->map;
    size_t C = (size_t)se->C, count = reference_count(map), gates_count = (size_t)map.N * C;
    uint64_t seed = fixture->seed;
    struct chain_result got = run_chain(fixture, chain, 2);
    struct wide wide = widen(fixture, chain);
    double *gate = fixture_keep(fixture, check_filled_double(gates_count, 0));
    subtract_start(fixture, chain, seed, &got.grad);
    objective(chain, &wide, gate);
    check_near("gate", got.gate, gate, gates_count, tolerance);
    /* the gradient of z as its reader forms it, without the norm's own terms */
    struct grad grad = {.q = chain->q, .of = chain->x, .p = got.p};
    grad.of.gate = got.gate;
    double *g = fixture_keep(fixture, reference_grad(map, &grad));
    double *sums = fixture_keep(fixture, reference_grad_sums(map, &grad, chain->mean));
    check_near_double("sum g", got.sums, sums, C, 3 * tolerance);
    check_near_double("sum g (z - mean)", got.sums + C, sums + C, C, 3 * tolerance);
    for (size_t i = 0; i < count; i += count / 23 + 1)
        check_slope("dz", chain, &wide, gate, &wide.z[i], g[i] * (double)chain->x.scale[i % C]);
    for (int r = 0; r < se->Cr; r++) {
        int i = r * se->ld_reduce + r % se->C;
        check_slope("reduce_w", chain, &wide, gate, &wide.reduce_w[i],
                    (double)got.grad.reduce_w[i]);
        check_slope("reduce_b", chain, &wide, gate, &wide.reduce_b[r],
                    (double)got.grad.reduce_b[r]);
    }
    for (int c = 0; c < se->C; c += 3) {
        int i = c * se->ld_expand + c % se->Cr;
        check_slope("expand_w", chain, &wide, gate, &wide.expand_w[i],
                    (double)got.grad.expand_w[i]);
        check_slope("expand_b", chain, &wide, gate, &wide.expand_b[c],
                    (double)got.grad.expand_b[c]);
    }
}

static void squeeze_excite_gradients_are_finite_differences(void **state)
{
    (void)state;
    for (int number = 0; number < 5; number++) {
        struct fixture fixture = {.seed = (uint64_t)(number + 300) << 16};
        struct chain chain = make_chain(&fixture, maps[number], ACT_HSWISH, number % 3 * 4, 0.5);
        check_chain(&fixture, &chain, 3.3e-6);
        fixture_fini(&fixture);
    }
}

/* At 256 deviations the normalised value itself has an error of some 2e-5: no more is lost. */
static void squeeze_excite_keeps_its_digits_at_large_means(void **state)
{
    (void)state;
    for (int number = 1; number < 5; number++) {
        struct fixture fixture = {.seed = (uint64_t)(number + 400) << 16};
        struct chain chain = make_chain(&fixture, maps[number], ACT_HSWISH, number % 3 * 4, 256);
        check_chain(&fixture, &chain, 3e-5);
        fixture_fini(&fixture);
    }
}

static int run_group(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_pool_is_the_mean_of_the_view_without_its_gate),
        cmocka_unit_test(pool_sums_keep_their_digits_at_large_means),
        cmocka_unit_test(the_pool_backward_gives_p_and_the_sums_of_the_map),
        cmocka_unit_test(threads_do_not_change_squeeze_excite),
        cmocka_unit_test(squeeze_excite_gradients_are_finite_differences),
        cmocka_unit_test(squeeze_excite_keeps_its_digits_at_large_means),
    };
    return cmocka_run_group_tests_name("squeeze-excite", tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return check_main_maps(argc, argv, run_group);
}
