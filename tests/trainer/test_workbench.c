/* What a training stage does with its bench: which checkpoint it goes on from. */
#include "base/mem.h"
#include "tests/integration/scene.h"
#include "trainer/memory.h"
#include "trainer/resume.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define KERNEL 1 /* its place in the plan, behind the teacher's */

struct stand {
    struct campaign *campaign;
    struct comm comm;
    struct workbench *bench;
    float *momentum;
};

static void must(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
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
    struct workbench_cfg cfg = {
        .campaign = stand->campaign, .folder = folder, .comm = &stand->comm};
    must(workbench_open(&cfg, &stand->bench));
    must(memory_array(stand->bench->device, stand->bench->net->weight_count, sizeof(float),
                      (void **)&stand->momentum));
    assert_string_equal(stand->bench->plan.stages[KERNEL].name, "kernel");
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
    struct timetable timetable = {.steps_per_epoch = 10};
    struct resume resume = {.step = step};
    TRY(resume_save(stand->bench, stage, &timetable, &resume, stand->momentum, is_final));
    TRY(checkpoint_wait(stand->bench->store));
out:
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
    must(resume_load(stand->bench, KERNEL, &start, stand->momentum, resume));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_save_counts_though_nobody_heard_of_it),
        cmocka_unit_test(a_lost_checkpoint_starts_the_stage_again),
    };
    return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
