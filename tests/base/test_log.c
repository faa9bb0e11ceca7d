#include "base/clock.h"
#include "base/log.h"
#include "tests/scratch.h"
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h> /* needs the four above */

/* What `speak` wrote to standard error; the caller frees it. */
static void hear(const char *folder, void (*speak)(void), char **heard)
{
    char *path = file_join(folder, "stderr");
    size_t size = 0;
    int kept = dup(STDERR_FILENO), file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);
    dup2(file, STDERR_FILENO);
    speak();
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(file);
    assert_int_equal(file_read(path, 1 << 24, heard, &size), ERR_OK);
    mem_free(path);
}

static void say_two_levels(void)
{
    log_open(LOG_INFO, 3);
    log_context("job=kernel");
    log_info("step=%d loss=%g", 12, 0.5);
    log_debug("nobody hears this");
    log_context("");
    log_error("two\nlines");
}

static void a_line_carries_who_when_and_what(void **state)
{
    char *text = NULL, host[64], expected[160];
    hear(*state, say_two_levels, &text);
    char *line = text;
    assert_memory_equal(line, "ts=20", 5);
    gethostname(host, sizeof host);
    snprintf(expected, sizeof expected, "Z level=info host=%s rank=3 job=kernel step=12 loss=0.5\n",
             host);
    assert_memory_equal(strchr(line, 'Z'), expected, strlen(expected));
    line = strchr(line, '\n') + 1;
    snprintf(expected, sizeof expected, "Z level=error host=%s rank=3 two lines\n", host);
    assert_string_equal(strchr(line, 'Z'), expected);
    mem_free(text);
}

static void *chatter(void *argument)
{
    for (int i = 0; i < 500; i++)
        log_warn("speaker=%c %s", *(char *)argument,
                 "a text that is long enough to be torn apart by another thread");
    return NULL;
}

static void chat(void)
{
    pthread_t thread[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&thread[i], NULL, chatter, &"abcd"[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
}

static void lines_of_threads_do_not_mix(void **state)
{
    char *text = NULL, *rest = NULL;
    int lines = 0;
    hear(*state, chat, &text);
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        const char *tail = strstr(line, "speaker=");
        assert_memory_equal(line, "ts=", 3);
        assert_non_null(tail);
        assert_string_equal(tail + strlen("speaker=x "),
                            "a text that is long enough to be torn apart by another thread");
        lines++;
    }
    assert_int_equal(lines, 2000);
    mem_free(text);
}

#define FLOOD 100000

static void flood(void)
{
    struct log_rate rate = {0};
    for (int i = 0; i < FLOOD; i++)
        log_warn_rate(&rate, "message %d was refused", i);
    log_rate_end(&rate, "messages were refused");
    log_rate_end(&rate, "messages were refused");
}

/* The number in front of some words of the line; 0 where they are not in it. */
static unsigned long long number_before(const char *line, const char *words)
{
    const char *at = strstr(line, words);
    while (at && at > line && at[-1] >= '0' && at[-1] <= '9')
        at--;
    return at ? strtoull(at, NULL, 10) : 0;
}

static void a_flood_is_a_line_a_second_and_its_count(void **state)
{
    char *text = NULL, *rest = NULL;
    unsigned long long lines = 0, left_out = 0;
    double start = clock_seconds();
    hear(*state, flood, &text);
    double seconds = clock_seconds() - start;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        left_out += number_before(line, " more before it");
        left_out += number_before(line, " more messages were refused");
        lines += strstr(line, " was refused") != NULL;
    }
    assert_true(lines >= 1 && (double)lines <= 1 + seconds);
    assert_int_equal(lines + left_out, FLOOD);
    mem_free(text);
}

static void clocks_run_forward_and_agree(void **state)
{
    (void)state;
    char text[32];
    double start = clock_seconds();
    int64_t wall_ms = clock_wall_ms();
    clock_wall_text(text);
    assert_true(clock_seconds() >= start);
    assert_true(wall_ms > INT64_C(1700000000000)); /* after 2023: a set clock */
    assert_int_equal(strlen(text), 24);
    assert_true(text[10] == 'T' && text[19] == '.' && text[23] == 'Z');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_carries_who_when_and_what, scratch_make,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(lines_of_threads_do_not_mix, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(a_flood_is_a_line_a_second_and_its_count, scratch_make,
                                        scratch_remove),
        cmocka_unit_test(clocks_run_forward_and_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
