/* A real gang of two ranks whose scheduler cannot write down what it says, for longer than a rank
 * waits for the others: nobody takes the gang for gone. */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "scheduler/protocol.h"
#include "tests/integration/scene.h"
#include "tests/worker/scripted_scheduler.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RUN        "patience"
#define DEADLINE   "8" /* seconds */
#define PATIENCE_S 11.0
#define SETS       "evaluate.every_epochs=1"

/* The run's folder with its campaign, and nothing done. */
static void make_run(struct scene *scene)
{
    char checkpoints[400];
    struct gang_cfg cfg = {.run = RUN, .ranks = 1, .stages = "teacher", .sets = {SETS}};
    if (scene_run(scene, &cfg) != 0)
        fail_msg("%s", scene_log_end(scene));
    snprintf(checkpoints, sizeof checkpoints, "%s/" RUN "/checkpoints", scene->folder);
    assert_int_equal(file_remove_folder(checkpoints), ERR_OK);
}

static struct program start_gang(const struct scene *scene, const struct script *script)
{
    static const char *const words[] = {"mpirun", "--oversubscribe", "-n",     "2",
                                        WORKER,   "--deadline",      DEADLINE, NULL};
    setenv(PROTOCOL_ENDPOINT, script->endpoint, 1);
    setenv(PROTOCOL_TOKEN, SCRIPT_TOKEN, 1);
    setenv(PROTOCOL_LEASE, "1", 1);
    return program_start(words, scene->output, scene->log);
}

/* The next word of that kind that wants to last; others are answered. */
static const struct heard *hear(struct script *script, Gw__FromWorker__BodyCase body)
{
    for (double end = clock_seconds() + SCENE_WAIT_S; clock_seconds() < end;) {
        const struct heard *heard = script_hear_any(script);
        if (heard->body == body)
            return heard;
        if (heard->body == GW__FROM_WORKER__BODY_WANTED)
            script_known(script, 1, heard->keys, heard->count, "");
        else if (heard->sequence > 0)
            script_accept(script, heard->sequence);
    }
    fail_msg("no word of kind %d", (int)body);
    return NULL;
}

/* It is said again and again, and accepted late. */
static void accept_late(struct scene *scene, struct script *script, struct program *gang,
                        Gw__FromWorker__BodyCase body)
{
    int code = 0;
    hear(script, body);
    for (double end = clock_seconds() + PATIENCE_S; clock_seconds() < end;) {
        hear(script, body);
        if (!program_runs(gang, &code))
            fail_msg("the gang ended with %d:\n%s", code, scene_log_end(scene));
    }
    script_accept(script, hear(script, body)->sequence);
}

static void a_gang_waits_for_its_scheduler_longer_than_for_its_ranks(void **state)
{
    struct scene *scene = *state;
    struct script script = {0};
    char folder[400];
    snprintf(folder, sizeof folder, "%s/" RUN, scene->folder);
    make_run(scene);
    script_listen(&script);
    struct program gang = start_gang(scene, &script);
    script_hear(&script, GW__FROM_WORKER__BODY_HELLO);
    script_assign_from(&script, 1, "teacher", folder);
    accept_late(scene, &script, &gang, GW__FROM_WORKER__BODY_MEASURED);
    accept_late(scene, &script, &gang, GW__FROM_WORKER__BODY_DONE);
    script_bye(&script, 1);
    if (program_wait(&gang, SCENE_WAIT_S) != 0)
        fail_msg("the gang ended badly:\n%s", scene_log_end(scene));
    script_end(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gang_waits_for_its_scheduler_longer_than_for_its_ranks),
    };
    return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
