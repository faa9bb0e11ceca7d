/* A real gang in the middle of a stage whose lease is given to another: it ends by itself and
 * leaves the checkpoints to its successor. */
#include "base/mem.h"
#include "scheduler/protocol.h"
#include "tests/integration/scene.h"
#include "tests/worker/scripted_scheduler.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define RUN  "ghost"
#define LONG "teacher.epochs=100000", "checkpoint.every=0.2"

static bool is_there(const struct scene *scene, struct position *position)
{
    struct hash content;
    return scene_peek(scene, RUN, "teacher/latest", position, &content);
}

/* The run's folder with its campaign, and a teacher that has begun. */
static void begin_teacher(struct scene *scene)
{
    struct gang_cfg cfg = {.run = RUN, .ranks = 1, .stages = "teacher", .sets = {LONG}};
    struct position position;
    int code = 0;
    struct program gang = scene_start(scene, &cfg);
    while (program_runs(&gang, &code) && !is_there(scene, &position))
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    kill(gang.pid, SIGTERM);
    program_wait(&gang, SCENE_WAIT_S);
}

static struct program start_gang(const struct scene *scene, const struct script *script)
{
    static const char *const words[] = {"mpirun", "--oversubscribe", "-n", "2", WORKER, NULL};
    setenv(PROTOCOL_ENDPOINT, script->endpoint, 1);
    setenv(PROTOCOL_TOKEN, SCRIPT_TOKEN, 1);
    setenv(PROTOCOL_LEASE, "1", 1);
    return program_start(words, scene->output, scene->log);
}

static void a_gang_whose_lease_is_void_leaves_the_stage_to_its_successor(void **state)
{
    struct scene *scene = *state;
    struct script first = {0}, second = {0};
    char folder[400];
    snprintf(folder, sizeof folder, "%s/" RUN, scene->folder);
    begin_teacher(scene);
    script_listen(&first);
    struct program ghost = start_gang(scene, &first);
    script_hear(&first, GW__FROM_WORKER__BODY_HELLO);
    script_assign_from(&first, 1, "teacher", folder);
    script_hear(&first, GW__FROM_WORKER__BODY_CHECKPOINT);
    script_bye(&first, 1);
    if (program_wait(&ghost, SCENE_WAIT_S) != 0)
        fail_msg("the gang that was sent away ended badly:\n%s", scene_log_end(scene));
    script_listen(&second);
    struct program next = start_gang(scene, &second);
    script_hear(&second, GW__FROM_WORKER__BODY_HELLO);
    script_assign_from(&second, 1, "teacher", folder);
    script_hear(&second, GW__FROM_WORKER__BODY_CHECKPOINT); /* it holds the checkpoints */
    script_bye(&second, 1);
    assert_int_equal(program_wait(&next, SCENE_WAIT_S), 0);
    script_end(&first);
    script_end(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gang_whose_lease_is_void_leaves_the_stage_to_its_successor),
    };
    return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
