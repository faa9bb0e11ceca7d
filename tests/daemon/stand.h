/* A glowworm-scheduler in a process of its own, on a folder of its own, whose runners are
 * fake_glowworm.c's: for tests that submit, look, kill. Every wait has an end, and then fails the
 * test. */
#ifndef TESTS_DAEMON_STAND_H
#define TESTS_DAEMON_STAND_H

#include "cluster/daemon/submitted.h"
#include <sys/types.h>

struct stand {
    char folder[256]; /* of the test, and where those who submit are */
    char scheduler[300];
    pid_t daemon; /* 0: none runs */
    int cores, jobs;
    bool stops_runs, wants_page;
};
/* cmocka's setup and teardown; *state is a struct stand, without a daemon. Runners are ended; that
 * two had one folder at a time fails the test. */
int stand_make(void **state);
int stand_remove(void **state);

/* fault: of GLOWWORM_FAULT, NULL: none. Comes back when it answers, or has died of the fault. */
void stand_start(struct stand *stand, const char *fault);
/* Its exit code; 128 + signal. */
int stand_end(struct stand *stand, int signal);
int stand_await_daemon(struct stand *stand);

struct wanted {
    const char *name; /* and its run's folder's, inside the stand's */
    int priority, cores;
    bool is_held;
    const char *work_folder; /* NULL: the stand's */
    const char *site;        /* NULL: it is for this machine; else cores are 0 */
};
/* The id; 0: it was refused, and err_text() says why. */
uint64_t stand_submit(struct stand *stand, const struct wanted *wanted);
uint64_t stand_submit_simple(struct stand *stand, const char *name, int cores);
MUST_CHECK enum err stand_change(struct stand *stand, uint64_t id, Gwd__Verb verb, int priority);

/* As it is listed; false: it is not. Its words are not to be freed. */
bool stand_find(struct stand *stand, uint64_t id, struct submitted *found, char why[1200]);
void stand_await(struct stand *stand, uint64_t id, enum submitted_state state);
/* Its text or why it waits holds this. */
void stand_expect_why(struct stand *stand, uint64_t id, const char *part);

/* Runners. */
void stand_tell(struct stand *stand, const char *name, const char *file, const char *text);
void stand_untell(struct stand *stand, const char *name, const char *file);
/* Lines of a file of its folder, and the last of them as a number. */
int stand_lines(struct stand *stand, const char *name, const char *file, long *last);
/* So many runners have begun there; the pid of the last. */
pid_t stand_await_start(struct stand *stand, const char *name, int starts);
/* The last line of a file of its folder; "": there is none. */
void stand_last_line(struct stand *stand, const char *name, const char *file, char line[64]);
void stand_await_lines(struct stand *stand, const char *name, const char *file, int lines);

#endif
