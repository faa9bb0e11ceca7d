/* A training stage's evaluations calibrate in the step's block of memory, whichever of the two
 * needs more: there is never a second one beside it. */
#include "base/mem.h"
#include "tests/count_allocations.h"
#include "tests/integration/scene.h"
#include "tests/trainer/bench_parts.h"
#include "trainer/train/step.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct stand {
    struct campaign *campaign;
    struct comm comm;
    struct workbench *bench;
    struct step *step;
    size_t train_bytes, evaluation_bytes; /* what each of the step's two passes asks for */
};

static void must(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
}

/* A gang of one with a step of so many images, that calibrates with 200 at once. */
static void open_stand(const struct scene *scene, const char *micro, struct stand *stand)
{
    char folder[400];
    const struct campaign_override sets[] = {{"batch.micro", micro},
                                             {"evaluate.calibration_images", "400"},
                                             {"evaluate.calibration_batch", "200"}};
    snprintf(folder, sizeof folder, "%s/micro-%s", scene->folder, micro);
    *stand = (struct stand){.campaign = mem_alloc(sizeof *stand->campaign)};
    must(campaign_load(scene->campaign, sets, 3, stand->campaign));
    comm_alone(&stand->comm);
    struct workbench_cfg cfg = {
        .campaign = stand->campaign, .folder = folder, .comm = &stand->comm};
    must(workbench_open(&cfg, &stand->bench));
    const struct space *space = &stand->bench->blueprint.space;
    int side = space->resolutions[space->resolution_count - 1];
    struct step_cfg step = {.comm = &stand->comm,
                            .net = stand->bench->net,
                            .campaign = stand->campaign,
                            .phase = &stand->bench->blueprint.schedule.phases[0],
                            .evaluation_batch = 200};
    must(step_create(&step, &stand->step));
    stand->train_bytes = activation_room_bytes(
        stand->bench->net,
        &(struct activation_room){stand->campaign->batch.micro, side, PASS_TRAIN});
    stand->evaluation_bytes = activation_room_bytes(
        stand->bench->net, &(struct activation_room){200, side, PASS_BATCH_NORM});
}

static void close_stand(struct stand *stand)
{
    step_destroy(&stand->step);
    workbench_close(&stand->bench);
    mem_free(stand->campaign);
}

/* Bytes asked for while a sub-network is calibrated and measured, from the first line on. */
static size_t bytes_of_an_evaluation(struct stand *stand, struct activation_arena *arena)
{
    struct evaluate *evaluate = NULL;
    struct eval_metrics metrics = {0};
    struct subnet biggest;
    const struct space *space = &stand->bench->blueprint.space;
    subnet_biggest(space, space->resolutions[space->resolution_count - 1], &biggest);
    size_t before = atomic_load(&allocated_bytes);
    must(open_evaluation(stand->bench, arena, &evaluate));
    must(evaluate_calibrate(evaluate, &biggest));
    must(evaluate_subnet(evaluate, &biggest, SPLIT_HOLDOUT, EVAL_PLAIN, &metrics));
    size_t bytes = atomic_load(&allocated_bytes) - before;
    assert_int_equal(metrics.images, 100);
    eval_metrics_fini(&metrics);
    evaluate_destroy(&evaluate);
    return bytes;
}

static void check_arena(const struct scene *scene, const char *micro, bool is_step_larger)
{
    struct stand stand;
    open_stand(scene, micro, &stand);
    struct activation_arena *arena = step_evaluation_arena(stand.step);
    size_t train = stand.train_bytes, evaluation = stand.evaluation_bytes;
    assert_int_equal(train > evaluation, is_step_larger);
    assert_int_equal(activation_arena_size_bytes(arena), is_step_larger ? train : evaluation);
    supernet_init_weights(stand.bench->net, 1);
    size_t inside = bytes_of_an_evaluation(&stand, arena);
    size_t apart = bytes_of_an_evaluation(&stand, NULL);
    print_message("arena %.1f MB; an evaluation takes %.1f MB, with a pass of its own %.1f MB\n",
                  (double)activation_arena_size_bytes(arena) / 1e6, (double)inside / 1e6,
                  (double)apart / 1e6);
    assert_true(inside < evaluation / 2);
    assert_int_equal(apart - inside >= evaluation, true); /* or the count sees no arena at all */
    close_stand(&stand);
}

static void small_micro_batches_have_an_arena_as_large_as_calibration_needs(void **state)
{
    check_arena(*state, "8", false);
}

static void large_micro_batches_have_room_for_it_already(void **state)
{
    check_arena(*state, "48", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_micro_batches_have_an_arena_as_large_as_calibration_needs),
        cmocka_unit_test(large_micro_batches_have_room_for_it_already),
    };
    return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
