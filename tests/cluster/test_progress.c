/* What is shown of several gangs at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/progress.h"

static struct graph graph = {.count = 2};
static struct gang gangs[2] = {{.lease = {.name = "kernel"}},
                               {.stage = 1, .lease = {.name = "evaluate"}}};

static void go_on(const struct loop_view *view, int gang, uint64_t step)
{
    gangs[gang].progress = (struct gang_progress){.step = step, .steps = 10, .accuracy = -1};
    view->progress(view->own, &gangs[gang]);
}

static void expect_next(char **at, const char *beginning, const char *part)
{
    char *line = strsep(at, "\n");
    assert_non_null(line);
    if (strncmp(line, beginning, strlen(beginning)) != 0 || !strstr(line, part))
        fail_msg("\"%s\" is not \"%s ... %s\"", line, beginning, part);
}

/* Each keeps its own pace: the start of one takes nothing of what is known of the other. */
static void the_gang_that_spoke_last_is_shown_with_its_own_pace(void **unused)
{
    (void)unused;
    char *text = NULL;
    size_t size = 0;
    FILE *file = tmpfile();
    struct progress_cfg cfg = {.out = file, .graph = &graph, .run_folder = "run"};
    struct progress *progress = progress_create(&cfg);
    const struct loop_view *view = progress_view(progress);
    view->started(view->own, &gangs[0], false, 0);
    go_on(view, 0, 1);
    go_on(view, 0, 2);
    view->started(view->own, &gangs[1], false, 0);
    go_on(view, 1, 5);
    go_on(view, 0, 3);
    go_on(view, 1, 6);
    progress_destroy(&progress);
    rewind(file);
    ssize_t got = getdelim(&text, &size, '\0', file);
    assert_true(got > 0);
    char *at = text;
    expect_next(&at, "[1/2] kernel", "");
    expect_next(&at, "  kernel 1/10", "");
    expect_next(&at, "  kernel 2/10", " left");
    expect_next(&at, "[2/2] evaluate", "");
    expect_next(&at, "  evaluate 5/10", "");
    expect_next(&at, "  kernel 3/10", " left");
    expect_next(&at, "  evaluate 6/10", " left");
    free(text);
    fclose(file);
}

static void a_gang_that_was_found_is_told_of_with_its_attempt_and_step(void **unused)
{
    (void)unused;
    char line[256] = "";
    FILE *file = tmpfile();
    struct progress_cfg cfg = {.out = file, .graph = &graph, .run_folder = "run"};
    struct gang found = {.lease = {.name = "kernel", .attempt = 2}, .progress = {.step = 120}};
    struct progress *progress = progress_create(&cfg);
    const struct loop_view *view = progress_view(progress);
    view->adopted(view->own, &found);
    progress_destroy(&progress);
    rewind(file);
    assert_non_null(fgets(line, sizeof line, file));
    assert_string_equal(line,
                        "found the gang of kernel that was left running (attempt 2, step 120)\n");
    fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_gang_that_spoke_last_is_shown_with_its_own_pace),
        cmocka_unit_test(a_gang_that_was_found_is_told_of_with_its_attempt_and_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
