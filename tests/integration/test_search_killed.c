/* Evaluation and search by gangs that share what is to be measured: the results are those of one
 * gang by itself, whatever is killed in the middle. */
#include "base/mem.h"
#include "scheduler/journal.h"
#include "tests/integration/scene.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define KILLED_AT "18" /* this many are begun, one fewer measured */
enum { MEASURED = 17, MEASURED_LATE = 8, MAX_SETS = 4 };

static struct program start_run(struct scene *scene, const char *name, const char *const *sets)
{
    char folder[400];
    const char *words[7 + 2 * MAX_SETS + 1] = {
        GLOWWORM, "run", scene->campaign, "--run-folder", folder, "--set", "search.evaluations=24"};
    snprintf(folder, sizeof folder, "%s/%s", scene->folder, name);
    for (int i = 0; i < MAX_SETS && sets[i]; i++) {
        words[7 + 2 * i] = "--set";
        words[8 + 2 * i] = sets[i];
    }
    return program_start(words, scene->output, scene->log);
}

static void must_end(struct scene *scene, struct program *run)
{
    int code = program_wait(run, SCENE_WAIT_S);
    if (code != 0)
        fail_msg("the run ended with %d:\n%s", code, scene_log_end(scene));
}

static void must_run(struct scene *scene, const char *name, const char *const *sets)
{
    struct program run = start_run(scene, name, sets);
    must_end(scene, &run);
}

/* How many measurements of a stage its log says were reused, behind a number of others. */
static void read_counts(struct scene *scene, const char *run, const char *log, int *measured,
                        int *reused)
{
    static const char mark[] = " measured=";
    char *text = scene_read(scene, run, log), *last = NULL;
    for (char *at = text; (at = strstr(at, mark)); at++)
        last = at;
    if (!last)
        fail_msg("%s says nothing of what was measured:\n%s", log, text);
    *measured = (int)strtol(last + strlen(mark), NULL, 10);
    char *rest = strstr(last, " reused=");
    assert_non_null(rest);
    *reused = (int)strtol(rest + strlen(" reused="), NULL, 10);
    mem_free(text);
}

static void expect_same_file(struct scene *scene, const char *left, const char *right,
                             const char *name)
{
    char *wanted = scene_read(scene, left, name), *got = scene_read(scene, right, name);
    assert_true(strlen(wanted) > 500);
    assert_int_equal(strlen(got), strlen(wanted));
    assert_memory_equal(got, wanted, strlen(wanted));
    mem_free(wanted);
    mem_free(got);
}

static void expect_same_results(struct scene *scene, const char *left, const char *right)
{
    char wanted[HASH_HEX_BYTES], got[HASH_HEX_BYTES];
    scene_content(scene, left, "width-2/final", wanted);
    scene_content(scene, right, "width-2/final", got);
    assert_string_equal(got, wanted);
    expect_same_file(scene, left, right, "results/evaluate.json");
    expect_same_file(scene, left, right, "results/search.json");
}

static int make(void **state)
{
    static const char *const sets[] = {"resources.ranks=1", NULL};
    if (scene_make(state) != 0)
        return -1;
    must_run(*state, "whole", sets);
    return 0;
}

/* All but the last messages' worth is known to the gang that takes its place. */
static void a_killed_gang_s_measurements_are_not_made_again(void **state)
{
    static const char *const sets[] = {"resources.ranks=2", NULL};
    int whole = 0, known = 0, rest = 0, reused = 0;
    setenv("GLOWWORM_FAULT", "evaluate.measure:" KILLED_AT ":kill", 1);
    must_run(*state, "killed", sets);
    unsetenv("GLOWWORM_FAULT");
    read_counts(*state, "whole", "logs/search-1.log", &whole, &known);
    read_counts(*state, "killed", "logs/search-2.log", &rest, &reused);
    print_message("%d measured before the kill, %d of them behind it\n", MEASURED, reused - known);
    assert_int_equal(rest + reused, whole + known);
    assert_in_range(reused - known, MEASURED - MEASURED_LATE, MEASURED);
    expect_same_results(*state, "whole", "killed");
}

static const char *const three_gangs[] = {"resources.ranks=1", "resources.gangs=3",
                                          "search.population=40", "search.evaluations=240"};

/* The ranks of the run's gang that writes such a log; 0: there is none. */
static int find_ranks(const struct program *run, const char *log, pid_t *ranks, int room)
{
    pid_t gangs[8];
    int count = program_children(run, gangs, 8);
    for (int i = 0; i < count; i++) {
        char link[64], path[500] = "";
        struct program gang = {.pid = gangs[i]};
        snprintf(link, sizeof link, "/proc/%d/fd/1", (int)gangs[i]);
        if (readlink(link, path, sizeof path - 1) > 0 && strstr(path, log))
            return program_children(&gang, ranks, room);
    }
    return 0;
}

static enum err count_one(const struct measurement_bytes *measurement, void *own)
{
    (void)measurement;
    ++*(int *)own;
    return ERR_OK;
}

static int count_measurements(const struct scene *scene, const char *run)
{
    char path[400];
    int count = 0;
    struct journal *journal = NULL;
    snprintf(path, sizeof path, "%s/%s/journal", scene->folder, run);
    if (journal_open(path, JOURNAL_READ, &journal) != ERR_OK ||
        journal_measurements(journal, count_one, &count) != ERR_OK)
        fail_msg("%s", err_text());
    journal_close(&journal);
    return count;
}

static void rest_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

/* The asking gang is held for a moment: what comes into the journal then a helper has measured. */
static bool is_helped(const struct scene *scene, const char *name, pid_t asking)
{
    kill(asking, SIGSTOP);
    rest_ms(100); /* what it has said by then is written down */
    int before = count_measurements(scene, name), after = before;
    for (int i = 0; i < 40 && after == before; i++) {
        rest_ms(50);
        after = count_measurements(scene, name);
    }
    return after > before;
}

/* Until a helper is seen to measure; it is *helper then, and the asking gang is stopped. */
static pid_t wait_for_help(struct scene *scene, struct program *run, const char *name,
                           pid_t *helper)
{
    int code = 0;
    while (program_runs(run, &code)) {
        pid_t asking = 0;
        rest_ms(5);
        if (find_ranks(run, "search-helper-", helper, 1) != 1 ||
            find_ranks(run, "search-1.log", &asking, 1) != 1)
            continue;
        if (is_helped(scene, name, asking))
            return asking;
        kill(asking, SIGCONT);
    }
    fail_msg("no helper was seen to measure:\n%s", scene_log_end(scene));
    return 0;
}

/* While nobody else measures: else the search could end before the loss is seen. */
static void wait_for_loss(struct scene *scene)
{
    bool is_told = false;
    for (int i = 0; i < 200 && !is_told; i++) {
        rest_ms(100);
        char *log = scene_log(scene);
        is_told = strstr(log, "a helper was lost") != NULL;
        mem_free(log);
    }
    if (!is_told)
        fail_msg("the lost helper is not named:\n%s", scene_log_end(scene));
}

static void a_helper_that_is_killed_in_the_middle_changes_nothing(void **state)
{
    static const char *const one_gang[] = {"resources.ranks=1", "search.population=40",
                                           "search.evaluations=240", NULL};
    struct scene *scene = *state;
    pid_t helper = 0;
    must_run(scene, "one", one_gang);
    struct program run = start_run(scene, "helped", three_gangs);
    pid_t asking = wait_for_help(scene, &run, "helped", &helper);
    kill(helper, SIGKILL);
    wait_for_loss(scene);
    kill(asking, SIGCONT);
    must_end(scene, &run);
    expect_same_results(scene, "one", "helped");
}

/* Whoever asks and whoever helps, on any number of ranks; each dies at its ninth sub-network. */
static void gangs_that_all_die_find_the_same_in_the_end(void **state)
{
    static const char *const sets[] = {"resources.ranks=2", "resources.gangs=3", NULL};
    setenv("GLOWWORM_FAULT", "evaluate.measure:9:kill", 1);
    must_run(*state, "dying", sets);
    unsetenv("GLOWWORM_FAULT");
    expect_same_results(*state, "whole", "dying");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_gang_s_measurements_are_not_made_again),
        cmocka_unit_test(a_helper_that_is_killed_in_the_middle_changes_nothing),
        cmocka_unit_test(gangs_that_all_die_find_the_same_in_the_end),
    };
    return cmocka_run_group_tests(tests, make, scene_remove);
}
