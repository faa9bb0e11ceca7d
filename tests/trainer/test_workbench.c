/* What a training stage does with its bench: which checkpoint it goes on from, what
 * it saves, and its signs of life. */
#include "base/mem.h"
#include "kernels/memory.h"
#include "tests/integration/scene.h"
#include "tests/trainer/bench_parts.h"
#include "trainer/spec/open_choices.h"
#include "trainer/stage.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define KERNEL 1 /* its place in the plan, behind the teacher's */

struct stand {
    struct campaign *campaign;
    struct comm comm;
    struct observer observer;
    int told; /* words of progress */
    struct workbench *bench;
    float *momentum;
};

static void must(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
}

static void count_progress(void *own, const struct progress *progress)
{
    struct stand *stand = own;
    assert_string_equal(progress->doing, "evaluating");
    stand->told++;
}

/* A gang of one on the scene's data, in a run folder of that name. */
static void open_stand(const struct scene *scene, const char *run, const char *rate,
                       struct stand *stand)
{
    char folder[400];
    const struct campaign_override sets[] = {{"checkpoint.keep", "1"}, {"shrink.rate_scale", rate}};
    snprintf(folder, sizeof folder, "%s/%s", scene->folder, run);
    *stand = (struct stand){.campaign = mem_alloc(sizeof *stand->campaign)};
    must(campaign_load(scene->campaign, sets, 2, stand->campaign));
    comm_alone(&stand->comm);
    stand->observer = (struct observer){.own = stand, .progress = count_progress};
    struct workbench_cfg cfg = {.campaign = stand->campaign,
                                .folder = folder,
                                .comm = &stand->comm,
                                .observer = &stand->observer};
    must(workbench_open(&cfg, &stand->bench));
    must(memory_array(stand->bench->device, stand->bench->net->weight_count, sizeof(float),
                      (void **)&stand->momentum));
    assert_string_equal(stand->bench->blueprint.plan.stages[KERNEL].name, "kernel");
}

static void close_stand(struct stand *stand)
{
    memory_free(stand->bench->device, stand->momentum);
    workbench_close(&stand->bench);
    mem_free(stand->campaign);
}

static enum err save(struct stand *stand, int stage, uint64_t step, bool is_final)
{
    enum err err = ERR_OK;
    struct lr_schedule lr_schedule = {.steps_per_epoch = 10};
    struct resume resume = {.step = step};
    struct resume_cfg of = workbench_resume(stand->bench);
    struct resume_saving saving = {
        .of = &of, .stage = stage, .lr_schedule = &lr_schedule, .momentum = stand->momentum};
    TRY(resume_prepare(&saving));
    TRY(resume_save(&saving, &resume, is_final));
    TRY(checkpoint_wait(stand->bench->store));
out:
    resume_release(&saving);
    return err;
}

/* Saves and tells the content as the scheduler does. */
static void save_told(struct stand *stand, int stage, uint64_t step, bool is_final,
                      char hex[HASH_HEX_BYTES])
{
    struct checkpoint_saved saved = {0};
    must(save(stand, stage, step, is_final));
    assert_true(checkpoint_saved(stand->bench->store, &saved));
    hash_hex(&saved.content, hex);
}

static void load(struct stand *stand, const char *content, bool is_resume, struct resume *resume)
{
    struct stage_start start = {.content = content, .is_resume = is_resume};
    must(load_resume(stand->bench, KERNEL, &start, stand->momentum, resume));
}

static void the_newest_save_counts_though_nobody_heard_of_it(void **state)
{
    struct stand stand;
    struct resume resume;
    char teacher[HASH_HEX_BYTES], known[HASH_HEX_BYTES], lost[HASH_HEX_BYTES];
    open_stand(*state, "unheard", "1", &stand);
    save_told(&stand, 0, 9, true, teacher);
    save_told(&stand, KERNEL, 5, false, known);
    save_told(&stand, KERNEL, 6, false, lost); /* and with keep: 1 the other is gone */
    load(&stand, known, true, &resume);
    assert_true(resume.has_begun);
    assert_int_equal(resume.step, 6);
    load(&stand, teacher, false, &resume); /* not even the first save was reported */
    assert_true(resume.has_begun);
    assert_int_equal(resume.step, 6);
    close_stand(&stand);
}

static void a_lost_checkpoint_starts_the_stage_again(void **state)
{
    struct stand stand;
    struct resume resume;
    char teacher[HASH_HEX_BYTES], none[HASH_HEX_BYTES];
    open_stand(*state, "lost", "1", &stand);
    save_told(&stand, 0, 9, true, teacher);
    memset(none, 'a', sizeof none - 1);
    none[sizeof none - 1] = '\0';
    load(&stand, none, true, &resume);
    assert_false(resume.has_begun);
    assert_string_equal(resume.parent, teacher);
    close_stand(&stand);
}

/* Values of its own for every parameter; what lies between parameters stays. Returns owned. */
static float *fill(struct stand *stand, float *on_device, float (*value)(size_t at))
{
    struct supernet *net = stand->bench->net;
    const struct device_ops *ops = net->device->ops;
    size_t bytes = net->weight_count * sizeof(float);
    float *host = mem_alloc(bytes);
    must(ops->download(net->device, host, on_device, bytes));
    for (int p = 0; p < net->param_count; p++)
        for (size_t i = 0; i < net->params[p].count; i++)
            host[net->params[p].offset + i] = value(net->params[p].offset + i);
    ops->upload(net->device, on_device, host, bytes);
    return host;
}

static void check_same(struct stand *stand, const float *on_device, const float *wanted)
{
    struct supernet *net = stand->bench->net;
    size_t bytes = net->weight_count * sizeof(float);
    float *got = mem_alloc(bytes);
    must(net->device->ops->download(net->device, got, on_device, bytes));
    assert_memory_equal(got, wanted, bytes);
    mem_free(got);
}

static float half_of(size_t at)
{
    return (float)at * 0.5f;
}

static float inverse_of(size_t at)
{
    return 1.0f / (float)(at + 1);
}

/* The copy is taken in the device's own time, but in its place among the operations. */
static void what_is_computed_behind_a_save_is_not_in_it(void **state)
{
    struct stand stand;
    struct resume resume = {.step = 5};
    struct lr_schedule lr_schedule = {.steps_per_epoch = 10};
    open_stand(*state, "behind", "1", &stand);
    struct supernet *net = stand.bench->net;
    struct resume_cfg of = workbench_resume(stand.bench);
    struct resume_saving saving = {
        .of = &of, .stage = KERNEL, .lr_schedule = &lr_schedule, .momentum = stand.momentum};
    float *wanted = fill(&stand, net->weights, half_of);
    must(resume_prepare(&saving));
    must(resume_save(&saving, &resume, false));
    net->device->ops->zero(net->device, net->weight_count * sizeof(float), net->weights);
    must(checkpoint_wait(stand.bench->store));
    load(&stand, "", false, &resume);
    check_same(&stand, net->weights, wanted);
    resume_release(&saving);
    mem_free(wanted);
    close_stand(&stand);
}

static void what_was_saved_is_loaded_bit_for_bit(void **state)
{
    struct stand stand;
    struct resume resume;
    char known[HASH_HEX_BYTES];
    open_stand(*state, "bits", "1", &stand);
    struct supernet *net = stand.bench->net;
    float *weights = fill(&stand, net->weights, half_of);
    float *momentum = fill(&stand, stand.momentum, inverse_of);
    save_told(&stand, KERNEL, 5, false, known);
    net->device->ops->zero(net->device, net->weight_count * sizeof *weights, net->weights);
    load(&stand, known, true, &resume);
    check_same(&stand, net->weights, weights);
    check_same(&stand, stand.momentum, momentum);
    mem_free(weights);
    mem_free(momentum);
    close_stand(&stand);
}

static void a_save_records_what_was_trained(void **state)
{
    struct stand stand;
    struct checkpoint saved = {0};
    char content[HASH_HEX_BYTES];
    struct text text;
    text_init(&text);
    open_stand(*state, "record", "1", &stand);
    save_told(&stand, KERNEL + 1, 5, false, content);
    must(checkpoint_peek(stand.bench->store, content, &saved));
    assert_true(saved.meta.has_trained);
    open_choices_format(&saved.meta.trained, &text);
    assert_string_equal(text_get(&text), "k=3,5,7 e=4 d=2,3"); /* depth-1 and what is before it */
    text_fini(&text);
    checkpoint_fini(&saved);
    close_stand(&stand);
}

static void numbers_that_are_not_finite_are_not_saved(void **state)
{
    struct stand stand;
    char wanted[200];
    open_stand(*state, "odd", "1", &stand);
    struct supernet *net = stand.bench->net;
    const struct param *param = &net->params[net->param_count / 2];
    const size_t last = param->offset + param->count - 1;
    const float values[] = {0, NAN};
    float *const arrays[] = {net->weights, stand.momentum};
    static const char *const names[] = {"a weight", "the momentum"};
    for (int i = 0; i < 2; i++) {
        net->device->ops->upload(net->device, arrays[i] + last, &values[1], sizeof *values);
        assert_int_equal(save(&stand, KERNEL, 7, false), ERR_NUMERIC);
        net->device->ops->upload(net->device, arrays[i] + last, &values[0], sizeof *values);
        snprintf(wanted, sizeof wanted, "stage kernel, step 7: %s of %s is not finite", names[i],
                 param->name);
        if (!strstr(err_text(), wanted))
            fail_msg("%s", err_text());
    }
    must(save(&stand, KERNEL, 8, false));
    close_stand(&stand);
}

/* However long a split is: one word for each of its batches. */
static void measuring_is_a_sign_of_life(void **state)
{
    struct stand stand;
    struct evaluate *evaluate = NULL;
    struct eval_metrics metrics = {0};
    struct subnet biggest;
    const struct progress progress = {.doing = "evaluating"};
    open_stand(*state, "alive", "1", &stand);
    subnet_biggest(&stand.bench->blueprint.space, 16, &biggest);
    supernet_init_weights(stand.bench->net, 1);
    must(open_evaluation(stand.bench, NULL, &evaluate));
    reporter_progress(&stand.bench->reporter, &progress);
    for (int round = 1; round <= 2; round++) { /* the second one walks over kept images */
        must(evaluate_calibrate(evaluate, &biggest));
        must(evaluate_subnet(evaluate, &biggest, SPLIT_HOLDOUT, EVAL_PLAIN, &metrics));
        assert_int_equal(stand.told, 1 + round * (6 + 13)); /* 44 and 100 images, 8 at a time */
        eval_metrics_fini(&metrics);
    }
    evaluate_destroy(&evaluate);
    close_stand(&stand);
}

static enum err has_no_memory(struct device *device, const struct workload *workload)
{
    (void)device;
    assert_non_null(workload);
    return err_set(ERR_MEMORY, "no memory for scratch");
}

/* And every one that runs in a gang does prepare its device. */
static void a_stage_whose_device_cannot_be_prepared_does_not_begin(void **state)
{
    struct stand stand;
    static const char *const stages[] = {"teacher", "kernel", "evaluate", "search"};
    open_stand(*state, "unprepared", "1", &stand);
    const struct device_ops *plain = stand.bench->device->ops;
    struct device_ops ops = *plain;
    ops.prepare = has_no_memory;
    stand.bench->device->ops = &ops;
    for (int i = 0; i < (int)(sizeof stages / sizeof *stages); i++) {
        struct stage_result result;
        enum err err = stage_run(stand.bench, stages[i], &(struct stage_start){0}, &result);
        if (err != ERR_MEMORY || result.step != 0)
            fail_msg("%s ended with %s at step %llu: %s", stages[i], err_name(err),
                     (unsigned long long)result.step, err_text());
        assert_non_null(strstr(err_text(), "no memory for scratch"));
    }
    stand.bench->device->ops = plain;
    close_stand(&stand);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_save_counts_though_nobody_heard_of_it),
        cmocka_unit_test(a_lost_checkpoint_starts_the_stage_again),
        cmocka_unit_test(what_is_computed_behind_a_save_is_not_in_it),
        cmocka_unit_test(what_was_saved_is_loaded_bit_for_bit),
        cmocka_unit_test(a_save_records_what_was_trained),
        cmocka_unit_test(numbers_that_are_not_finite_are_not_saved),
        cmocka_unit_test(measuring_is_a_sign_of_life),
        cmocka_unit_test(a_stage_whose_device_cannot_be_prepared_does_not_begin),
    };
    return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
