/* The last lines of a log, and what comes behind them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "cluster/log_file.h"
#include "tests/scratch.h"

static const char *folder;

static void put(const char *mode, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/logs/a-1.log", folder);
    FILE *file = fopen(path, mode);
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void expect_copy(struct log_file *log, const char *expected)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_int_equal(log_file_copy(log, out), ERR_OK);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

static void expect_tail(long lines, const char *expected)
{
    struct log_file log;
    assert_int_equal(log_file_open(folder, "logs/a-1.log", lines, &log), ERR_OK);
    expect_copy(&log, expected);
    log_file_close(&log);
}

static void the_last_lines_are_shown_whether_the_last_is_finished_or_not(void **unused)
{
    (void)unused;
    put("w", "one\ntwo\nthree\n");
    expect_tail(2, "two\nthree\n");
    expect_tail(3, "one\ntwo\nthree\n");
    expect_tail(9, "one\ntwo\nthree\n");
    expect_tail(0, "");
    put("a", "fo");
    expect_tail(2, "three\nfo");
    put("w", "");
    expect_tail(2, "");
}

static void lines_longer_than_a_piece_are_whole(void **unused)
{
    (void)unused;
    char *line = mem_alloc(200002);
    memset(line, 'x', 200000);
    line[200000] = '\n';
    put("w", "before\n");
    put("a", line);
    put("a", line);
    struct log_file log;
    assert_int_equal(log_file_open(folder, "logs/a-1.log", 2, &log), ERR_OK);
    assert_int_equal(log.at, 7);
    log_file_close(&log);
    mem_free(line);
}

static void what_is_added_comes_next(void **unused)
{
    (void)unused;
    struct log_file log;
    put("w", "one\n");
    assert_int_equal(log_file_open(folder, "logs/a-1.log", 1, &log), ERR_OK);
    expect_copy(&log, "one\n");
    expect_copy(&log, "");
    put("a", "two");
    expect_copy(&log, "two");
    put("a", " and\nthree\n");
    expect_copy(&log, " and\nthree\n");
    log_file_close(&log);
}

static void a_name_that_leads_elsewhere_is_refused(void **unused)
{
    (void)unused;
    struct log_file log;
    char path[256];
    static const char *const bad[] = {
        "/etc/passwd", "logs/../campaign.yaml", "logs/", "logs/..", "logs/a/b", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(log_file_open(folder, bad[i], 1, &log), ERR_DATA);
    snprintf(path, sizeof path, "%s/logs/link.log", folder);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(log_file_open(folder, "logs/link.log", 1, &log), ERR_DATA);
    snprintf(path, sizeof path, "%s/logs/fifo.log", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(log_file_open(folder, "logs/fifo.log", 1, &log), ERR_DATA);
    assert_int_equal(log_file_open(folder, "logs/none.log", 1, &log), ERR_NOT_FOUND);
}

static int begin(void **state)
{
    int failure = scratch_make(state);
    folder = *state;
    char *logs = file_join(folder, "logs");
    failure = failure ? failure : mkdir(logs, 0700);
    mem_free(logs);
    return failure;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_lines_are_shown_whether_the_last_is_finished_or_not),
        cmocka_unit_test(lines_longer_than_a_piece_are_whole),
        cmocka_unit_test(what_is_added_comes_next),
        cmocka_unit_test(a_name_that_leads_elsewhere_is_refused),
    };
    return cmocka_run_group_tests(tests, begin, scratch_remove);
}
