/* A rank that waits for the disk says so: else one whose file system stalls would be taken for
 * hung (scheduler/liveness.h). */
#include "base/mem.h"
#include "tests/integration/scene.h"
#include "tests/trainer/bench_parts.h"
#include "trainer/data/loader.h"
#include "trainer/record/event_log.h"
#include "trainer/stage.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct rank_work work;
static struct {
    int loads, saves, events, finishes;
} seen;

static bool waits(void)
{
    return atomic_load(&work.is_waiting);
}

enum err __wrap_loader_take(struct loader *loader, struct batch *batch);
enum err __real_loader_take(struct loader *loader, struct batch *batch);
/* What is there already is taken without waiting, too. */
enum err __wrap_loader_take(struct loader *loader, struct batch *batch)
{
    assert_true(waits() || loader_is_ready(loader));
    seen.loads += waits();
    return __real_loader_take(loader, batch);
}

enum err __wrap_resume_save(struct resume_saving *saving, const struct resume *resume,
                            bool is_final);
enum err __real_resume_save(struct resume_saving *saving, const struct resume *resume,
                            bool is_final);
enum err __wrap_resume_save(struct resume_saving *saving, const struct resume *resume,
                            bool is_final)
{
    assert_true(waits());
    seen.saves++;
    return __real_resume_save(saving, resume, is_final);
}

void __wrap_checkpoint_finish(struct checkpoint_store *store);
void __real_checkpoint_finish(struct checkpoint_store *store);
void __wrap_checkpoint_finish(struct checkpoint_store *store)
{
    assert_true(waits());
    seen.finishes++;
    __real_checkpoint_finish(store);
}

void __wrap_event_log_end(struct event_log *events);
void __real_event_log_end(struct event_log *events);
void __wrap_event_log_end(struct event_log *events)
{
    assert_true(waits());
    seen.events++;
    __real_event_log_end(events);
}

static void run(const struct scene *scene, const char *stage)
{
    char folder[400];
    struct comm comm;
    struct workbench *bench = NULL;
    struct stage_result result;
    struct campaign *campaign = mem_alloc(sizeof *campaign);
    struct observer observer = {.work = &work};
    snprintf(folder, sizeof folder, "%s/waits-run", scene->folder);
    comm_alone(&comm);
    assert_int_equal(campaign_load(scene->campaign, NULL, 0, campaign), ERR_OK);
    struct workbench_cfg cfg = {
        .campaign = campaign, .folder = folder, .comm = &comm, .observer = &observer};
    assert_int_equal(workbench_open(&cfg, &bench), ERR_OK);
    if (stage_run(bench, stage, &(struct stage_start){0}, &result) != ERR_OK)
        fail_msg("%s: %s", stage, err_text());
    workbench_close(&bench);
    mem_free(campaign);
}

static void a_rank_shows_that_it_waits_for_the_disk(void **state)
{
    run(*state, "teacher");
    assert_false(waits());
    assert_true(seen.loads > 0);
    assert_true(seen.saves > 0);
    assert_true(seen.events > 0);
    assert_true(seen.finishes > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rank_shows_that_it_waits_for_the_disk),
    };
    return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
