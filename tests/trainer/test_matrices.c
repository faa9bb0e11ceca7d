/* Kernel matrices over whole stages: they rest until a row of the schedule opens a smaller kernel,
 * and are trained from then on, in rows that close it again too. */
#include "base/mem.h"
#include "tests/integration/scene.h"
#include "trainer/train_stage.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MOMENTUM "momentum/"
#define BLOCKS   6 /* of firefly-tiny */

struct stand {
    struct campaign *campaign;
    struct comm comm;
    struct workbench *bench;
    int done; /* stages */
};

static void must(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
}

/* A gang of one on the scene's data, in a run folder of that name. */
static void open_stand(const struct scene *scene, const char *run,
                       const struct campaign_override *sets, int count, struct stand *stand)
{
    char folder[400];
    snprintf(folder, sizeof folder, "%s/%s", scene->folder, run);
    *stand = (struct stand){.campaign = mem_alloc(sizeof *stand->campaign)};
    must(campaign_load(scene->campaign, sets, count, stand->campaign));
    comm_alone(&stand->comm);
    struct workbench_cfg cfg = {
        .campaign = stand->campaign, .folder = folder, .comm = &stand->comm};
    must(workbench_open(&cfg, &stand->bench));
}

static void close_stand(struct stand *stand)
{
    workbench_close(&stand->bench);
    mem_free(stand->campaign);
}

/* Trains the next stage and returns what it left behind (checkpoint_fini). */
static struct checkpoint train(struct stand *stand, const char *name)
{
    char final[64];
    struct checkpoint checkpoint = {0};
    struct train_stage_result result;
    const struct stage_start fresh = {0};
    assert_string_equal(stand->bench->blueprint.plan.stages[stand->done].name, name);
    must(train_stage_run(stand->bench, stand->done++, &fresh, &result));
    snprintf(final, sizeof final, "%s/final", name);
    must(checkpoint_load(stand->bench->store, final, &checkpoint));
    assert_true(checkpoint.position.step > 1);
    return checkpoint;
}

static bool is_matrix(const struct tensor *tensor)
{
    size_t length = strlen(tensor->name), tail = strlen("_matrix");
    return length > tail && strcmp(tensor->name + length - tail, "_matrix") == 0;
}

/* The identity's bits, and 0 for the momentum. */
static bool is_at_rest(const struct tensor *tensor)
{
    bool is_momentum = strncmp(tensor->name, MOMENTUM, strlen(MOMENTUM)) == 0;
    size_t side = (size_t)tensor->shape[1];
    for (size_t i = 0; i < tensor->count; i++) {
        float wanted = !is_momentum && i / side == i % side ? 1.0f : 0.0f;
        if (memcmp(&tensor->values[i], &wanted, sizeof wanted) != 0)
            return false;
    }
    return true;
}

/* All matrices and their momentum rest, or all are trained. Frees the checkpoint. */
static void check_matrices(struct checkpoint *checkpoint, bool rest)
{
    int matrices = 0;
    for (int i = 0; i < checkpoint->tensor_count; i++) {
        const struct tensor *tensor = &checkpoint->tensors[i];
        if (!is_matrix(tensor))
            continue;
        matrices++;
        if (is_at_rest(tensor) != rest)
            fail_msg("behind %s %s %s", checkpoint->position.stage, tensor->name,
                     rest ? "has moved" : "is still at rest");
    }
    assert_int_equal(matrices, 2 * 2 * BLOCKS); /* of each two, and their momentum */
    checkpoint_fini(checkpoint);
}

static void kernel_matrices_rest_until_a_smaller_kernel_is_open(void **state)
{
    struct stand stand;
    const struct campaign_override sets[] = {{"optimiser.decay", "0.01"}};
    open_stand(*state, "plain", sets, 1, &stand);
    struct checkpoint teacher = train(&stand, "teacher");
    check_matrices(&teacher, true);
    struct checkpoint kernel = train(&stand, "kernel");
    check_matrices(&kernel, false);
    close_stand(&stand);
}

/* The sum of the diagonals: a decay shows in it. */
static double sum_diagonals(const struct checkpoint *checkpoint)
{
    double sum = 0;
    for (int i = 0; i < checkpoint->tensor_count; i++) {
        const struct tensor *tensor = &checkpoint->tensors[i];
        if (is_matrix(tensor) && strncmp(tensor->name, MOMENTUM, strlen(MOMENTUM)) != 0)
            for (int k = 0; k < (int)tensor->shape[0]; k++)
                sum += (double)tensor->values[k * (int)tensor->shape[0] + k];
    }
    return sum;
}

/* The kernel phase is left with the biggest kernel, the next opens a smaller one, the one behind it
 * closes it again: without a gradient only a decay moves the matrices there. */
static double train_rows(const struct scene *scene, const char *run, const char *matrix_decay,
                         double *opened)
{
    struct stand stand;
    const struct campaign_override sets[] = {
        {"optimiser.decay", "0.01"},
        {"optimiser.matrix_decay", matrix_decay},
        {"shrink.rows", "{kernel: {kernels: [7]}, depth-1: {kernels: [3, 7], epochs: 1}, depth-2: "
                        "{kernels: [7]}}"}};
    open_stand(scene, run, sets, 3, &stand);
    struct checkpoint teacher = train(&stand, "teacher"), kernel = train(&stand, "kernel");
    check_matrices(&teacher, true);
    check_matrices(&kernel, true);
    struct checkpoint open = train(&stand, "depth-1");
    *opened = sum_diagonals(&open);
    check_matrices(&open, false);
    struct checkpoint closed = train(&stand, "depth-2");
    double sum = sum_diagonals(&closed);
    checkpoint_fini(&closed);
    close_stand(&stand);
    return sum;
}

static void rows_decide_when_matrices_wake_and_they_stay_awake(void **state)
{
    double opened = 0;
    double closed = train_rows(*state, "still", "0", &opened);
    if (closed < opened || closed > opened)
        fail_msg("without a decay diagonals went from %.9g to %.9g", opened, closed);
    closed = train_rows(*state, "decays", "0.01", &opened);
    if (!(closed < 0.999 * opened))
        fail_msg("with a decay diagonals went from %.9g to %.9g", opened, closed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernel_matrices_rest_until_a_smaller_kernel_is_open),
        cmocka_unit_test(rows_decide_when_matrices_wake_and_they_stay_awake),
    };
    return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
