#include "tests/scratch.h"
#include "trainer/record/event_log.h"
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

static struct event_log *opened(const char *path, bool is_resume, uint64_t step)
{
    struct event_log *events = NULL;
    struct event_log_cfg cfg = {.path = path, .is_resume = is_resume, .step = step};
    if (event_log_open(&cfg, &events) != ERR_OK)
        fail_msg("%s", err_text());
    return events;
}

static void write_steps(struct event_log *events, uint64_t first, uint64_t last)
{
    for (uint64_t step = first; step <= last; step++) {
        event_log_begin(events, "step", step);
        event_log_number(events, "loss", 1.0 / (double)step);
        event_log_end(events);
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
    struct event_log *events = opened(path, false, 0);
    write_steps(events, 1, 9);
    event_log_close(&events);
    events = opened(path, true, 6);
    write_steps(events, 7, 7);
    event_log_close(&events);
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
    struct event_log *events = opened(path, true, 1);
    event_log_close(&events);
    char *bytes = content(path);
    assert_string_equal(bytes, "{\"event\":\"step\",\"step\":1,\"loss\":2}\n");
    mem_free(bytes);
    mem_free(path);
}

static void a_stage_that_starts_over_starts_an_empty_file(void **state)
{
    char *path = file_join(*state, "depth-1.jsonl");
    struct event_log *events = opened(path, false, 0);
    write_steps(events, 1, 3);
    event_log_close(&events);
    events = opened(path, false, 0);
    event_log_close(&events);
    char *bytes = content(path);
    assert_string_equal(bytes, "");
    mem_free(bytes);
    mem_free(path);
}

static void kept_events_are_found_by_name_and_step(void **state)
{
    char *path = file_join(*state, "width-1.jsonl");
    struct event_log *events = opened(path, false, 0);
    event_log_begin(events, "evaluate", 4);
    event_log_end(events);
    event_log_close(&events);
    events = opened(path, true, 4);
    assert_true(event_log_has(events, "evaluate", 4));
    assert_false(event_log_has(events, "evaluate", 3));
    assert_false(event_log_has(events, "step", 4));
    assert_false(event_log_has(NULL, "evaluate", 4));
    event_log_close(&events);
    mem_free(path);
}

static void texts_and_odd_numbers_stay_valid_json(void **state)
{
    char *path = file_join(*state, "odd.jsonl");
    struct event_log *events = opened(path, false, 0);
    event_log_begin(events, "start", 0);
    event_log_text(events, "lineage", "a \"b\" \\ c\n");
    event_log_number(events, "loss", NAN);
    event_log_number(events, "rate", 0.25);
    event_log_end(events);
    assert_int_equal(event_log_check(events), ERR_OK);
    assert_int_equal(event_log_sync(events), ERR_OK);
    event_log_close(&events);
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
    struct event_log *events = opened(path, false, 0);
    write_steps(events, 1, 1);
    signal(SIGXFSZ, SIG_IGN);
    limit_files(8);
    write_steps(events, 2, 2);
    limit_files(RLIM_INFINITY);
    write_steps(events, 3, 3); /* there is room again: the file has a hole all the same */
    errno = 0;
    assert_int_equal(event_log_check(events), ERR_IO);
    assert_non_null(strstr(err_text(), "File too large"));
    event_log_close(&events);
    mem_free(path);
}

static struct event_log *opened_for_tensorboard(const char *path, const char *folder)
{
    struct event_log *events = NULL;
    struct event_log_cfg cfg = {.path = path, .tensorboard = folder};
    if (event_log_open(&cfg, &events) != ERR_OK)
        fail_msg("%s", err_text());
    return events;
}

static void assert_steps_are_whole(struct event_log *events, const char *path, int count)
{
    assert_int_equal(event_log_check(events), ERR_OK);
    event_log_close(&events);
    char *bytes = content(path);
    assert_int_equal(lines(bytes), count);
    mem_free(bytes);
}

static void lines_are_written_where_tensorboard_cannot_have_a_folder(void **state)
{
    char *path = file_join(*state, "alone.jsonl"), *folder = file_join(*state, "taken");
    assert_int_equal(file_write(folder, "a file", 6), ERR_OK);
    struct event_log *events = opened_for_tensorboard(path, folder);
    event_log_begin(events, "step", 1);
    event_log_scalar(events, "train/loss", 1);
    event_log_end(events);
    assert_steps_are_whole(events, path, 1);
    mem_free(folder);
    mem_free(path);
}

static void lines_are_written_where_tensorboards_file_is_full(void **state)
{
    char *path = file_join(*state, "longer.jsonl"), *folder = file_join(*state, "full");
    struct event_log *events = opened_for_tensorboard(path, folder);
    signal(SIGXFSZ, SIG_IGN);
    limit_files(600); /* ten lines fit in; ten events with their scalars do not */
    for (uint64_t step = 1; step <= 10; step++) {
        event_log_begin(events, "step", step);
        for (int i = 0; i < 8; i++)
            event_log_scalar(events, "a/long/tag", i);
        event_log_end(events);
    }
    limit_files(RLIM_INFINITY);
    assert_steps_are_whole(events, path, 10);
    mem_free(folder);
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
    assert_int_equal(event_log_read(path, add_step, &sum), ERR_NOT_FOUND);
    assert_int_equal(file_write(path, whole, sizeof whole - 1), ERR_OK);
    assert_int_equal(event_log_read(path, add_step, &sum), ERR_OK);
    assert_float_equal(sum, 3, 0);
    assert_int_equal(file_write(path, broken, sizeof broken - 1), ERR_OK);
    assert_int_equal(event_log_read(path, add_step, &sum), ERR_DATA);
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
        cmocka_unit_test(lines_are_written_where_tensorboard_cannot_have_a_folder),
        cmocka_unit_test(lines_are_written_where_tensorboards_file_is_full),
        cmocka_unit_test(events_are_read_one_by_one_up_to_a_torn_line),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
