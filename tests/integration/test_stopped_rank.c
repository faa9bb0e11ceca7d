/* A rank that is stopped (SIGSTOP) or hangs in a real gang: the scheduler names it and starts
 * another gang, and the result is that of an undisturbed run. And what runners and gangs that were
 * killed leave of their files. */
#include "base/file.h"
#include "base/mem.h"
#include "tests/integration/scene.h"
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#define LONG "teacher.epochs=60", "checkpoint.every=0.2"

/* A rank of the gang that computes now; 0: none does, or the run has ended. */
static pid_t find_rank(struct program *run, int rank)
{
    struct program mpirun = {0};
    pid_t ranks[2];
    int code = 0;
    if (!program_runs(run, &code) || program_children(run, &mpirun.pid, 1) != 1 ||
        program_children(&mpirun, ranks, 2) != 2)
        return 0;
    return ranks[rank];
}

/* A rank of the gang, once the teacher has a checkpoint behind *step. */
static pid_t find_working_rank(struct scene *scene, struct program *run, const char *name, int rank,
                               uint64_t *step)
{
    struct position position = {0};
    struct hash content;
    int code = 0;
    pid_t pid = 0;
    while (program_runs(run, &code) && pid == 0) {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        if (scene_peek(scene, name, "teacher/latest", &position, &content) &&
            position.step > *step && !position.is_final)
            pid = find_rank(run, rank);
    }
    if (pid == 0)
        fail_msg("the run ended before rank %d could be stopped:\n%s", rank, scene_log_end(scene));
    *step = position.step;
    return pid;
}

static void stop_rank(struct scene *scene, struct program *run, int rank, uint64_t *step)
{
    kill(find_working_rank(scene, run, "stopped", rank, step), SIGSTOP);
}

static void expect_named(const struct scene *scene, int rank, const char *what)
{
    char words[64];
    char *log = scene_log(scene);
    snprintf(words, sizeof words, "ended by us: rank %d (process ", rank);
    const char *at = strstr(log, words);
    if (!at || !strstr(at, what))
        fail_msg("rank %d is not named:\n%s", rank, scene_log_end(scene));
    mem_free(log);
}

#define MAX_SETS 4

/* `glowworm run` of the scene's campaign into this folder of it. */
static struct program start_run(struct scene *scene, const char *name, const char *const *sets)
{
    char folder[400];
    const char *words[5 + 2 * MAX_SETS + 1] = {GLOWWORM, "run", scene->campaign, "--run-folder",
                                               folder};
    snprintf(folder, sizeof folder, "%s/%s", scene->folder, name);
    for (int i = 0; i < MAX_SETS && sets[i]; i++) {
        words[5 + 2 * i] = "--set";
        words[6 + 2 * i] = sets[i];
    }
    return program_start(words, scene->output, scene->log);
}

static const char *const sets[MAX_SETS] = {LONG, "resources.ranks=2", "resources.stall=4s"};

static void a_stopped_rank_is_named_and_its_gang_replaced(void **state)
{
    struct scene *scene = *state;
    static const char *const finals[] = {"teacher/final", "width-2/final"};
    char wanted[HASH_HEX_BYTES], got[HASH_HEX_BYTES];
    struct gang_cfg whole = {.run = "whole", .ranks = 1, .stages = SCENE_STAGES, .sets = {LONG}};
    uint64_t step = 0;
    assert_int_equal(scene_run(scene, &whole), 0);
    struct program run = start_run(scene, "stopped", sets);
    stop_rank(scene, &run, 1, &step);
    stop_rank(scene, &run, 0, &step); /* of the gang that took its place */
    if (program_wait(&run, SCENE_WAIT_S) != 0)
        fail_msg("the run does not end well:\n%s", scene_log_end(scene));
    expect_named(scene, 0, "has been silent for");
    expect_named(scene, 1, "has been silent for");
    for (int i = 0; i < 2; i++) {
        scene_content(scene, "whole", finals[i], wanted);
        scene_content(scene, "stopped", finals[i], got);
        assert_string_equal(got, wanted);
    }
}

/* Its main thread stands still, the others go on; false: not allowed here. We are its tracer: what
 * waits for its end does so behind us. */
static bool hang(pid_t rank)
{
    int status = 0;
    return ptrace(PTRACE_SEIZE, rank, NULL, NULL) == 0 &&
           ptrace(PTRACE_INTERRUPT, rank, NULL, NULL) == 0 &&
           waitpid(rank, &status, __WALL) == rank && WIFSTOPPED(status);
}

static void a_rank_that_hangs_is_named_and_its_gang_replaced(void **state)
{
    struct scene *scene = *state;
    char wanted[HASH_HEX_BYTES], got[HASH_HEX_BYTES];
    uint64_t step = 0;
    int code = 0;
    struct program run = start_run(scene, "hung", sets);
    pid_t rank = find_working_rank(scene, &run, "hung", 1, &step);
    bool is_hung = hang(rank);
    while (is_hung && program_runs(&run, &code) && waitpid(rank, NULL, WNOHANG | __WALL) != rank)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    if (program_wait(&run, SCENE_WAIT_S) != 0)
        fail_msg("the run does not end well:\n%s", scene_log_end(scene));
    if (!is_hung)
        skip();
    expect_named(scene, 1, "has stood still for");
    scene_content(scene, "stopped", "width-2/final", wanted);
    scene_content(scene, "hung", "width-2/final", got);
    assert_string_equal(got, wanted);
}

/* Where Open MPI keeps what this process needs, as its environment says. */
static void find_mpi_folder(pid_t pid, char folder[256])
{
    static const char name[] = "OMPI_MCA_btl_vader_backing_directory=";
    char path[64], *bytes = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    assert_int_equal(file_read(path, 1 << 20, &bytes, &size), ERR_OK);
    const char *at = memmem(bytes, size, name, sizeof name - 1);
    assert_non_null(at);
    snprintf(folder, 256, "%s", at + sizeof name - 1);
    mem_free(bytes);
}

static int count_entries(const char *folder, const char *prefix)
{
    int count = 0;
    DIR *list = opendir(folder);
    for (struct dirent *entry; list && (entry = readdir(list));)
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    if (list)
        closedir(list);
    return count;
}

/* Its gang computes: Open MPI has made what it needs. */
static void wait_for_step(struct scene *scene, struct program *run)
{
    struct position position;
    struct hash content;
    int code = 0;
    while (!scene_peek(scene, "killed", "teacher/latest", &position, &content)) {
        if (!program_runs(run, &code))
            fail_msg("the run ended with %d:\n%s", code, scene_log_end(scene));
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

static void what_a_killed_run_leaves_is_swept_by_the_next(void **state)
{
    struct scene *scene = *state;
    char run_folder[400], sockets[300], segments[256];
    snprintf(run_folder, sizeof run_folder, "%s/killed", scene->folder);
    snprintf(sockets, sizeof sockets, "%s/tmp", scene->folder);
    assert_int_equal(file_make_folders(sockets), ERR_OK);
    setenv("TMPDIR", sockets, 1);
    const char *words[] = {GLOWWORM,
                           "run",
                           scene->campaign,
                           "--run-folder",
                           run_folder,
                           "--set",
                           "resources.ranks=2",
                           "--set",
                           "checkpoint.every=0.2",
                           "--set",
                           "teacher.epochs=20",
                           NULL};
    struct program run = program_start(words, scene->output, scene->log);
    wait_for_step(scene, &run);
    pid_t rank = find_rank(&run, 0);
    assert_int_not_equal(rank, 0);
    find_mpi_folder(rank, segments);
    kill(rank, SIGKILL);
    kill(run.pid, SIGKILL);
    assert_int_equal(program_wait(&run, SCENE_WAIT_S), 128 + SIGKILL);
    assert_true(count_entries(segments, "vader_segment") > 0);
    run = program_start(words, scene->output, scene->log);
    assert_int_equal(program_wait(&run, SCENE_WAIT_S), 0);
    unsetenv("TMPDIR");
    struct stat status;
    assert_int_equal(stat(run_folder, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_false(file_exists(segments));
    assert_int_equal(count_entries(sockets, "glowworm-"), 0);
    assert_int_equal(count_entries(sockets, "ompi."), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_killed_run_leaves_is_swept_by_the_next),
        cmocka_unit_test(a_stopped_rank_is_named_and_its_gang_replaced),
        cmocka_unit_test(a_rank_that_hangs_is_named_and_its_gang_replaced),
    };
    return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
