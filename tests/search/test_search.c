/* Search on a made-up accuracy that is a function of the genes: every gene has its own worth, with
 * diminishing returns and a little interaction between neighbours, so that knowing good candidates
 * helps to find better ones. */
#include "base/mem.h"
#include "base/rng.h"
#include "trainer/search/genes.h"
#include "trainer/search/search.h"
#include "trainer/search/search_json.h"
#include "trainer/spec/cost.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct made_up {
    struct evaluator evaluator;
    const struct space *space;
    uint64_t seed;
    int measured, calls;
};

static double worth(const struct made_up *made_up, int gene)
{
    double unit = rng_unit(rng(made_up->seed, RNG_TEST, 0, (uint64_t)gene, 0));
    return 0.2 + unit * unit;
}

static enum err measure(struct evaluator *evaluator, struct candidate *candidates, int count)
{
    struct made_up *made_up = evaluator->own;
    for (int i = 0; i < count; i++) {
        const struct subnet *subnet = &candidates[i].subnet;
        double score = 0, before = 0;
        for (int b = 0; b < made_up->space->block_count; b++) {
            if (!subnet_has_block(made_up->space, subnet, b))
                continue;
            double mine = worth(made_up, 2 * b) * sqrt(subnet->expansion[b]) +
                          worth(made_up, 2 * b + 1) * log(subnet->kernel[b]);
            score += mine + 0.2 * sqrt(mine * before);
            before = mine;
        }
        candidates[i].accuracy = score / (score + 10) * (1 - 4.0 / subnet->resolution);
        candidates[i].loss = 1 - candidates[i].accuracy;
        if (evaluator->measured)
            evaluator->measured(evaluator->listener, i + 1);
    }
    made_up->measured += count;
    made_up->calls++;
    return ERR_OK;
}

static struct space space;

static int load_space(void **state)
{
    (void)state;
    if (space_load("configs/spaces/mbv3.yaml", 1.0, 10, 3, &space) == ERR_OK)
        return 0;
    print_error("%s\n", err_text());
    return -1;
}

static struct target make_target(const char *name, double macs_max, double latency_ms_max)
{
    struct target target = {.macs_max = macs_max, .latency_ms_max = latency_ms_max};
    strncpy(target.name, name, sizeof target.name - 1);
    strncpy(target.device.name, "test", sizeof target.device.name - 1);
    target.device.latency_fixed_ms = 10;
    target.device.latency_ms_per_mmac = 0.1;
    return target;
}

static void add_rule(struct target *target, struct device_rule rule)
{
    rule.channel_multiple = rule.channel_multiple ? rule.channel_multiple : 1;
    target->device.rules.rule[target->device.rules.count++] = rule;
}

static struct made_up make_up(uint64_t seed)
{
    return (struct made_up){.evaluator = {.measure = measure}, .space = &space, .seed = seed};
}

static struct open_choices all_choices(void)
{
    return (struct open_choices){space.kernels, space.expansions, space.depths};
}

static void run(struct made_up *made_up, struct search_cfg cfg, struct search_result *result)
{
    made_up->evaluator.own = made_up;
    cfg.space = &space;
    if (cfg.open.kernels.count == 0)
        cfg.open = all_choices();
    enum err err = search_run(&cfg, &made_up->evaluator, NULL, NULL, result);
    if (err != ERR_OK)
        print_error("%s\n", err_text());
    assert_int_equal(err, ERR_OK);
}

static void evolution_beats_random_search_on_three_seeds(void **state)
{
    (void)state;
    struct target target = make_target("mid", 150e6, 0);
    for (uint64_t seed = 1; seed <= 3; seed++) {
        double best[2];
        for (int is_random = 0; is_random < 2; is_random++) {
            struct made_up made_up = make_up(seed);
            struct search_result result = {0};
            run(&made_up,
                (struct search_cfg){.targets = &target,
                                    .target_count = 1,
                                    .evaluations = 128,
                                    .population = 16,
                                    .mutation = 0.1,
                                    .seed = seed,
                                    .is_random = is_random},
                &result);
            assert_int_equal(made_up.measured, 128);
            best[is_random] = result.candidates[result.winners[0].candidate].accuracy;
            search_result_fini(&result);
        }
        print_message("seed %d: evolution %.4f, random %.4f\n", (int)seed, best[0], best[1]);
        assert_true(best[0] > best[1]);
    }
}

/* As on a small hold-out: accuracies of four steps, losses of forty. */
static enum err measure_coarsely(struct evaluator *evaluator, struct candidate *candidates,
                                 int count)
{
    enum err err = measure(evaluator, candidates, count);
    for (int i = 0; i < count; i++) {
        candidates[i].loss = ceil(40 * candidates[i].loss) / 40;
        candidates[i].accuracy = ceil(4 * candidates[i].accuracy) / 4;
    }
    return err;
}

static void of_equally_accurate_ones_the_lower_loss_wins_then_the_smaller(void **state)
{
    (void)state;
    struct target target = make_target("mid", 150e6, 0);
    struct made_up made_up = make_up(3);
    struct search_result result = {0};
    made_up.evaluator.measure = measure_coarsely;
    run(&made_up,
        (struct search_cfg){.targets = &target,
                            .target_count = 1,
                            .evaluations = 128,
                            .population = 16,
                            .mutation = 0.1,
                            .seed = 3},
        &result);
    const struct candidate *winner = &result.candidates[result.winners[0].candidate];
    int equals = 0;
    for (int i = 0; i < result.candidate_count; i++) {
        const struct candidate *other = &result.candidates[i];
        if (other->macs > 150000000 || other->accuracy < winner->accuracy)
            continue;
        equals++;
        assert_true(other->accuracy == winner->accuracy && other->loss >= winner->loss);
        assert_true(other->loss > winner->loss || other->macs >= winner->macs);
    }
    assert_true(equals > 10);
    search_result_fini(&result);
}

static void winners_meet_their_bounds_and_the_budget_is_kept(void **state)
{
    (void)state;
    struct target targets[2] = {make_target("macs", 60e6, 0), make_target("latency", 0, 25)};
    struct made_up made_up = make_up(7);
    struct search_result result = {0};
    run(&made_up,
        (struct search_cfg){.targets = targets,
                            .target_count = 2,
                            .evaluations = 40,
                            .population = 8,
                            .mutation = 0.1},
        &result);
    assert_true(made_up.measured <= 40);
    assert_int_equal(result.candidate_count, made_up.measured);
    const struct candidate *first = &result.candidates[result.winners[0].candidate];
    const struct candidate *second = &result.candidates[result.winners[1].candidate];
    assert_true((double)first->macs <= 60e6);
    assert_true(result.winners[1].latency_ms <= 25);
    for (int i = 0; i < result.candidate_count; i++) {
        if ((double)result.candidates[i].macs <= 60e6)
            assert_true(result.candidates[i].accuracy <= first->accuracy);
        if (10 + (double)result.candidates[i].macs * 1e-7 <= 25)
            assert_true(result.candidates[i].accuracy <= second->accuracy);
        for (int j = 0; j < i; j++)
            assert_false(
                subnet_equal(&space, &result.candidates[i].subnet, &result.candidates[j].subnet));
    }
    search_result_fini(&result);
}

static void count_on(void *own, int measured)
{
    int *last = own;
    assert_int_equal(measured, *last + 1);
    *last = measured;
}

static void every_measurement_is_told(void **state)
{
    (void)state;
    struct target targets[2] = {make_target("macs", 60e6, 0), make_target("latency", 0, 25)};
    struct made_up made_up = make_up(3);
    struct search_result result = {0};
    struct search_cfg cfg = {.space = &space,
                             .targets = targets,
                             .target_count = 2,
                             .open = all_choices(),
                             .evaluations = 20,
                             .population = 8,
                             .mutation = 0.1};
    int told = 0;
    made_up.evaluator.own = &made_up;
    assert_int_equal(search_run(&cfg, &made_up.evaluator, count_on, &told, &result), ERR_OK);
    assert_int_equal(told, result.candidate_count);
    search_result_fini(&result);
}

static void a_target_nothing_fits_names_the_smallest_possible(void **state)
{
    (void)state;
    struct target target = make_target("tiny", 1e6, 0);
    struct made_up made_up = make_up(1);
    struct search_result result = {0};
    made_up.evaluator.own = &made_up;
    struct search_cfg cfg = {.space = &space,
                             .open = all_choices(),
                             .targets = &target,
                             .target_count = 1,
                             .evaluations = 10,
                             .population = 4};
    assert_int_equal(search_run(&cfg, &made_up.evaluator, NULL, NULL, &result), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "target tiny"));
    struct subnet least;
    char macs[32];
    subnet_smallest(&space, space.resolutions[0], &least);
    snprintf(macs, sizeof macs, "%.4g million MACs", (double)cost_of(&space, &least).macs / 1e6);
    assert_non_null(strstr(err_text(), macs));
    assert_int_equal(made_up.measured, 0);
}

/* The bound to the last bit, whatever the latency's line rounds to. */
static void a_bound_that_only_the_smallest_meets_is_met(void **state)
{
    (void)state;
    struct subnet least;
    subnet_smallest(&space, space.resolutions[0], &least);
    struct cost cost = cost_of(&space, &least);
    double macs = (double)cost.macs;
    for (int i = 1; i <= 20; i++) {
        struct target target = make_target("tight", 0, 0);
        struct made_up made_up = make_up(1);
        struct search_result result = {0};
        target.device.latency_ms_per_mmac = i / 7.0;
        target.latency_ms_max = camera_device_latency_ms(&target.device, &cost);
        run(&made_up,
            (struct search_cfg){
                .targets = &target, .target_count = 1, .evaluations = 4, .population = 4},
            &result);
        assert_int_equal(result.candidate_count, 1);
        assert_true((double)result.candidates[0].macs == macs);
        search_result_fini(&result);
    }
}

static void a_camera_of_3x3_kernels_is_offered_nothing_else(void **state)
{
    (void)state;
    struct target target = make_target("camera", 120e6, 0);
    add_rule(&target, (struct device_rule){.of[LAYER_DEPTHWISE] = true, .kernels = {1, {3}}});
    struct made_up made_up = make_up(3);
    struct search_result result = {0};
    run(&made_up,
        (struct search_cfg){.targets = &target,
                            .target_count = 1,
                            .evaluations = 30,
                            .population = 8,
                            .mutation = 0.2},
        &result);
    for (int i = 0; i < result.candidate_count; i++)
        for (int b = 0; b < space.block_count; b++)
            assert_int_equal(result.candidates[i].subnet.kernel[b], 3);
    search_result_fini(&result);
}

static void check_blocks(const struct candidate *candidate, const struct choices *kernels,
                         const struct choices *expansions)
{
    for (int b = 0; b < space.block_count; b++)
        if (subnet_has_block(&space, &candidate->subnet, b) &&
            (choices_find(kernels, candidate->subnet.kernel[b]) < 0 ||
             choices_find(expansions, candidate->subnet.expansion[b]) < 0))
            fail_msg("block %d: kernel %d, expansion %d", b + 1, candidate->subnet.kernel[b],
                     candidate->subnet.expansion[b]);
}

/* Widths of 16 but for the blocks' middles: expansion 3 makes 72 of 24. */
static void round_to_16(void)
{
    for (int s = 0; s < space.stage_count; s++)
        space.stages[s].width = (space.stages[s].width + 15) / 16 * 16;
    for (int b = 0; b < space.block_count; b++)
        space.blocks[b].K = (space.blocks[b].K + 15) / 16 * 16;
}

static const struct device_rule sixteens = {.of = {[LAYER_CONV] = true, [LAYER_DEPTHWISE] = true},
                                            .channel_multiple = 16};
static const struct choices sixteens_expansions = {2, {4, 6}};

/* Skipped blocks keep the space's smallest expansion, which this device does not run. */
static void a_device_without_the_smallest_expansion_finds_shallow_networks(void **state)
{
    (void)state;
    struct space kept = space;
    struct target target = make_target("sixteens", 60e6, 0);
    struct made_up made_up = make_up(3);
    struct search_result result = {0};
    round_to_16();
    add_rule(&target, sixteens);
    run(&made_up,
        (struct search_cfg){.targets = &target,
                            .target_count = 1,
                            .evaluations = 40,
                            .population = 8,
                            .mutation = 0.2},
        &result);
    for (int i = 0; i < result.candidate_count; i++) {
        check_blocks(&result.candidates[i], &space.kernels, &sixteens_expansions);
        assert_true(result.candidates[i].accuracy <=
                    result.candidates[result.winners[0].candidate].accuracy);
    }
    search_result_fini(&result);
    space = kept;
}

/* A rule that only the smallest resolution obeys. */
static void a_resolution_that_a_device_does_not_run_costs_no_other_gene(void **state)
{
    (void)state;
    struct target target = make_target("small maps", 1e12, 0);
    int side = (space.resolutions[0] - 1) / space.stem_stride + 1;
    add_rule(&target,
             (struct device_rule){.of[LAYER_ADD] = true, /* the first block has one */
                                  .most_map_bytes = 2.0 * side * side * space.first_width});
    struct gene_pool pool = {&space, {space.kernels, space.expansions, space.depths}, &target};
    for (uint64_t i = 0; i < 20; i++) {
        struct gene_draws draws = {1, 0, i, 0};
        struct subnet drawn, shrunk;
        genes_random(&pool, &draws, &drawn);
        drawn.resolution = space.resolutions[space.resolution_count - 1];
        shrunk = drawn;
        genes_shrink(&pool, &draws, &shrunk);
        assert_int_equal(shrunk.resolution, space.resolutions[0]);
        drawn.resolution = shrunk.resolution;
        assert_true(subnet_equal(&space, &drawn, &shrunk));
    }
}

/* The first target draws expansion 3 (middles of 72), which the second's device cannot run. */
static void what_another_device_runs_wins_no_target(void **state)
{
    (void)state;
    struct space kept = space;
    struct target targets[2] = {make_target("any", 60e6, 0), make_target("sixteens", 60e6, 0)};
    add_rule(&targets[1], sixteens);
    round_to_16();
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct made_up made_up = make_up(seed);
        struct search_result result = {0};
        run(&made_up,
            (struct search_cfg){.targets = targets,
                                .target_count = 2,
                                .evaluations = 64,
                                .population = 8,
                                .mutation = 0.1,
                                .seed = seed},
            &result);
        check_blocks(&result.candidates[result.winners[1].candidate], &space.kernels,
                     &sixteens_expansions);
        search_result_fini(&result);
    }
    space = kept;
}

static void only_what_was_trained_is_drawn(void **state)
{
    (void)state;
    struct target target = make_target("mid", 100e6, 0);
    struct open_choices trained = {{2, {3, 5}}, {2, {4, 6}}, {2, {3, 4}}};
    struct made_up made_up = make_up(3);
    struct search_result result = {0};
    run(&made_up,
        (struct search_cfg){.open = trained,
                            .targets = &target,
                            .target_count = 1,
                            .evaluations = 40,
                            .population = 8,
                            .mutation = 0.2},
        &result);
    for (int i = 0; i < result.candidate_count; i++)
        assert_int_equal(subnet_find_closed(&space, &result.candidates[i].subnet, &trained), -1);
    search_result_fini(&result);
}

static void the_same_seed_measures_the_same_candidates(void **state)
{
    (void)state;
    struct target target = make_target("mid", 100e6, 0);
    struct search_result results[2] = {{0}, {0}};
    struct search_cfg cfg = {.targets = &target,
                             .target_count = 1,
                             .evaluations = 32,
                             .population = 8,
                             .mutation = 0.1,
                             .seed = 5};
    for (int i = 0; i < 2; i++) {
        struct made_up made_up = make_up(2);
        run(&made_up, cfg, &results[i]);
    }
    assert_int_equal(results[0].candidate_count, results[1].candidate_count);
    for (int i = 0; i < results[0].candidate_count; i++)
        assert_true(subnet_equal(&space, &results[0].candidates[i].subnet,
                                 &results[1].candidates[i].subnet));
    search_result_fini(&results[0]);
    search_result_fini(&results[1]);
}

/* What a device's file promises is carried to those who draw; nothing is made up without one. */
static void latency_is_written_for_targets_with_a_device_only(void **state)
{
    (void)state;
    struct target targets[2] = {make_target("camera", 0, 0), make_target("anything", 0, 0)};
    struct candidate candidate = {.macs = 2000000, .accuracy = 0.5};
    struct search_result result = {.candidates = &candidate, .candidate_count = 1};
    struct search_cfg cfg = {.space = &space, .targets = targets, .target_count = 2};
    camera_device_any(&targets[1].device);
    subnet_smallest(&space, 128, &candidate.subnet);
    result.winners[0].latency_ms =
        camera_device_latency_ms(&targets[0].device, &(struct cost){.macs = 2000000});
    json_t *json = search_json(&cfg, &result);
    const json_t *list = json_object_get(json, "targets");
    const json_t *camera = json_array_get(list, 0), *anything = json_array_get(list, 1);
    const json_t *line = json_object_get(camera, "latency");
    assert_float_equal(json_number_value(json_object_get(camera, "latency_ms")),
                       json_number_value(json_object_get(line, "fixed_ms")) +
                           2 * json_number_value(json_object_get(line, "per_mmac_ms")),
                       1e-12);
    assert_true(json_number_value(json_object_get(line, "per_mmac_ms")) > 0);
    assert_true(json_is_null(json_object_get(anything, "latency")));
    assert_true(json_is_null(json_object_get(anything, "latency_ms")));
    json_decref(json);
}

static void the_front_has_no_candidate_that_another_beats(void **state)
{
    (void)state;
    struct candidate candidates[4] = {{.macs = 10, .accuracy = 0.5},
                                      {.macs = 20, .accuracy = 0.4},
                                      {.macs = 20, .accuracy = 0.7},
                                      {.macs = 5, .accuracy = 0.1}};
    struct search_result result = {.candidates = candidates, .candidate_count = 4};
    bool on_front[4];
    search_front(&result, on_front);
    assert_true(on_front[0]);
    assert_false(on_front[1]);
    assert_true(on_front[2]);
    assert_true(on_front[3]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evolution_beats_random_search_on_three_seeds),
        cmocka_unit_test(of_equally_accurate_ones_the_lower_loss_wins_then_the_smaller),
        cmocka_unit_test(winners_meet_their_bounds_and_the_budget_is_kept),
        cmocka_unit_test(every_measurement_is_told),
        cmocka_unit_test(a_target_nothing_fits_names_the_smallest_possible),
        cmocka_unit_test(a_bound_that_only_the_smallest_meets_is_met),
        cmocka_unit_test(a_camera_of_3x3_kernels_is_offered_nothing_else),
        cmocka_unit_test(a_device_without_the_smallest_expansion_finds_shallow_networks),
        cmocka_unit_test(a_resolution_that_a_device_does_not_run_costs_no_other_gene),
        cmocka_unit_test(what_another_device_runs_wins_no_target),
        cmocka_unit_test(only_what_was_trained_is_drawn),
        cmocka_unit_test(the_same_seed_measures_the_same_candidates),
        cmocka_unit_test(latency_is_written_for_targets_with_a_device_only),
        cmocka_unit_test(the_front_has_no_candidate_that_another_beats),
    };
    return cmocka_run_group_tests(tests, load_space, NULL);
}
