/* A small data set, a small campaign, and gangs that train it: for tests with real processes. The
 * whole schedule takes about a second on one core. */
#ifndef TESTS_INTEGRATION_SCENE_H
#define TESTS_INTEGRATION_SCENE_H

#include "base/hash.h"
#include "tests/integration/program.h"
#include "trainer/checkpoint/checkpoint.h"

#define SCENE_STAGES "teacher,kernel,depth-1,depth-2,width-1,width-2"
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ /* as cmake/glowworm.cmake */
#define SCENE_WAIT_S 500.0
#else
#define SCENE_WAIT_S 100.0
#endif
#define SCENE_MAX_SETS 12

struct scene {
    char folder[256];
    char campaign[300]; /* its file */
    char output[300], log[300];
    size_t log_from; /* bytes of the log that older programs wrote */
};

/* cmocka's setup and teardown; *state is a struct scene. The log is shown when a test failed. */
int scene_make(void **state);
int scene_make_tiny(void **state); /* of 96 training images */
int scene_remove(void **state);

struct gang_cfg {
    const char *run; /* name of the run's folder inside the scene */
    int ranks;
    const char *stages;
    const char *wrapper; /* a program that every rank starts as, with the worker and its words
                            behind it; NULL: none */
    const char *sets[SCENE_MAX_SETS]; /* "key=value", up to a NULL */
};
struct program scene_start(struct scene *scene, const struct gang_cfg *cfg);
/* Starts and waits; the exit code. */
int scene_run(struct scene *scene, const struct gang_cfg *cfg);

/* The run's file, e.g. "metrics/kernel.jsonl"; "" when there is none. Returns owned. */
char *scene_read(const struct scene *scene, const char *run, const char *name);
/* What was said on standard error since the newest gang was started. Returns owned. */
char *scene_log(const struct scene *scene);
char *scene_log_end(const struct scene *scene); /* as much of its end as a test's message holds */

/* Position and content of a run's checkpoint by name; false when there is none. */
bool scene_peek(const struct scene *scene, const char *run, const char *name,
                struct position *position, struct hash *content);
/* Content hash of a checkpoint as hex; the test fails when there is none. */
void scene_content(const struct scene *scene, const char *run, const char *name,
                   char hex[HASH_HEX_BYTES]);

/* Lines of a metrics file with this event; *steps (owned) gets their steps. */
int scene_events(const char *metrics, const char *event, uint64_t **steps);

#endif
