#include "tests/scratch.h"
#include "trainer/metrics.h"
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

static struct metrics *opened(const char *path, bool is_resume, uint64_t step)
{
    struct metrics *metrics = NULL;
    if (metrics_open(path, is_resume, step, &metrics) != ERR_OK)
        fail_msg("%s", err_text());
    return metrics;
}

static void write_steps(struct metrics *metrics, uint64_t first, uint64_t last)
{
    for (uint64_t step = first; step <= last; step++) {
        metrics_begin(metrics, "step", step);
        metrics_number(metrics, "loss", 1.0 / (double)step);
        metrics_end(metrics);
    }
}

static char *content(const char *path)
{
    char *bytes = NULL;
    size_t size_bytes = 0;
    assert_int_equal(file_read(path, 1 << 20, &bytes, &size_bytes), ERR_OK);
    return bytes;
}

static int lines(const char *bytes)
{
    int count = 0;
    for (; *bytes; bytes++)
        count += *bytes == '\n';
    return count;
}

static void a_resume_drops_what_lies_behind_the_checkpoint(void **state)
{
    char *path = file_join(*state, "kernel.jsonl");
    struct metrics *metrics = opened(path, false, 0);
    write_steps(metrics, 1, 9);
    metrics_close(&metrics);
    metrics = opened(path, true, 6);
    write_steps(metrics, 7, 7);
    metrics_close(&metrics);
    char *bytes = content(path);
    assert_int_equal(lines(bytes), 7);
    assert_non_null(strstr(bytes, "\"step\":7,"));
    assert_null(strstr(bytes, "\"step\":8,"));
    mem_free(bytes);
    mem_free(path);
}

static void a_line_torn_by_a_kill_is_dropped(void **state)
{
    static const char torn[] =
        "{\"event\":\"step\",\"step\":1,\"loss\":2}\n{\"event\":\"step\",\"st";
    char *path = file_join(*state, "teacher.jsonl");
    assert_int_equal(file_write(path, torn, sizeof torn - 1), ERR_OK);
    struct metrics *metrics = opened(path, true, 1);
    metrics_close(&metrics);
    char *bytes = content(path);
    assert_string_equal(bytes, "{\"event\":\"step\",\"step\":1,\"loss\":2}\n");
    mem_free(bytes);
    mem_free(path);
}

static void a_stage_that_starts_over_starts_an_empty_file(void **state)
{
    char *path = file_join(*state, "depth-1.jsonl");
    struct metrics *metrics = opened(path, false, 0);
    write_steps(metrics, 1, 3);
    metrics_close(&metrics);
    metrics = opened(path, false, 0);
    metrics_close(&metrics);
    char *bytes = content(path);
    assert_string_equal(bytes, "");
    mem_free(bytes);
    mem_free(path);
}

static void kept_events_are_found_by_name_and_step(void **state)
{
    char *path = file_join(*state, "width-1.jsonl");
    struct metrics *metrics = opened(path, false, 0);
    metrics_begin(metrics, "evaluate", 4);
    metrics_end(metrics);
    metrics_close(&metrics);
    metrics = opened(path, true, 4);
    assert_true(metrics_has(metrics, "evaluate", 4));
    assert_false(metrics_has(metrics, "evaluate", 3));
    assert_false(metrics_has(metrics, "step", 4));
    assert_false(metrics_has(NULL, "evaluate", 4));
    metrics_close(&metrics);
    mem_free(path);
}

static void texts_and_odd_numbers_stay_valid_json(void **state)
{
    char *path = file_join(*state, "odd.jsonl");
    struct metrics *metrics = opened(path, false, 0);
    metrics_begin(metrics, "start", 0);
    metrics_text(metrics, "lineage", "a \"b\" \\ c\n");
    metrics_number(metrics, "loss", NAN);
    metrics_number(metrics, "rate", 0.25);
    metrics_end(metrics);
    assert_int_equal(metrics_check(metrics), ERR_OK);
    assert_int_equal(metrics_sync(metrics), ERR_OK);
    metrics_close(&metrics);
    char *bytes = content(path);
    assert_string_equal(bytes, "{\"event\":\"start\",\"step\":0,\"lineage\":\"a \\\"b\\\" \\\\ "
                               "c\\u000a\",\"loss\":null,\"rate\":0.25}\n");
    mem_free(bytes);
    mem_free(path);
}

/* The file may be no longer than that; no signal for who tries. */
static void limit_files(rlim_t size_bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size_bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_line_that_was_not_written_is_told_with_its_reason(void **state)
{
    char *path = file_join(*state, "full.jsonl");
    struct metrics *metrics = opened(path, false, 0);
    write_steps(metrics, 1, 1);
    signal(SIGXFSZ, SIG_IGN);
    limit_files(8);
    write_steps(metrics, 2, 2);
    limit_files(RLIM_INFINITY);
    write_steps(metrics, 3, 3); /* there is room again: the file has a hole all the same */
    errno = 0;
    assert_int_equal(metrics_check(metrics), ERR_IO);
    assert_non_null(strstr(err_text(), "File too large"));
    metrics_close(&metrics);
    mem_free(path);
}

static void add_step(void *own, json_t *event)
{
    if (strcmp(json_string_value(json_object_get(event, "event")), "step") == 0)
        *(double *)own += (double)json_integer_value(json_object_get(event, "step"));
}

static void events_are_read_one_by_one_up_to_a_torn_line(void **state)
{
    static const char whole[] =
        "{\"event\":\"start\",\"step\":9}\n{\"event\":\"step\",\"step\":1}\n"
        "{\"event\":\"step\",\"step\":2}\n{\"event\":\"step\",\"st";
    static const char broken[] = "{\"event\":\"step\",\"step\":1}\n{\"event\n";
    char *path = file_join(*state, "read.jsonl");
    double sum = 0;
    assert_int_equal(metrics_read(path, add_step, &sum), ERR_NOT_FOUND);
    assert_int_equal(file_write(path, whole, sizeof whole - 1), ERR_OK);
    assert_int_equal(metrics_read(path, add_step, &sum), ERR_OK);
    assert_float_equal(sum, 3, 0);
    assert_int_equal(file_write(path, broken, sizeof broken - 1), ERR_OK);
    assert_int_equal(metrics_read(path, add_step, &sum), ERR_DATA);
    assert_non_null(strstr(err_text(), "read.jsonl:2"));
    mem_free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resume_drops_what_lies_behind_the_checkpoint),
        cmocka_unit_test(a_line_torn_by_a_kill_is_dropped),
        cmocka_unit_test(a_stage_that_starts_over_starts_an_empty_file),
        cmocka_unit_test(kept_events_are_found_by_name_and_step),
        cmocka_unit_test(texts_and_odd_numbers_stay_valid_json),
        cmocka_unit_test(a_line_that_was_not_written_is_told_with_its_reason),
        cmocka_unit_test(events_are_read_one_by_one_up_to_a_torn_line),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
