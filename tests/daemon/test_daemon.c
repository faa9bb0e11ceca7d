/* glowworm-scheduler as people use it: submitted, run by priority, held, taken out. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "cluster/page/page_address.h"
#include "cluster/status/status_reader.h"
#include "cluster/status/stop_file.h"
#include "scheduler/process.h"
#include "tests/daemon/stand.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void campaigns_run_by_priority_then_by_age(void **state)
{
    struct stand *stand = *state;
    struct wanted late = {.name = "late", .cores = 2, .priority = -1};
    struct wanted soon = {.name = "soon", .cores = 2, .is_held = true};
    stand_start(stand, NULL);
    uint64_t first = stand_submit_simple(stand, "first", 2);
    pid_t runner = stand_await_start(stand, "first", 1);
    uint64_t last = stand_submit(stand, &late), held = stand_submit(stand, &soon);
    stand_expect_why(stand, last, "for room");
    assert_int_equal(stand_change(stand, held, GWD__VERB__RELEASE, 0), ERR_OK);
    stand_tell(stand, "first", "code", "0");
    stand_await(stand, first, SUBMITTED_DONE);
    stand_await(stand, held, SUBMITTED_RUNNING);
    stand_expect_why(stand, last, "for room");
    stand_tell(stand, "soon", "code", "0");
    stand_await(stand, last, SUBMITTED_RUNNING);
    assert_true(stand_await_start(stand, "late", 1) != runner);
}

static void what_fits_runs_side_by_side(void **state)
{
    struct stand *stand = *state;
    stand_start(stand, NULL);
    uint64_t one = stand_submit_simple(stand, "one", 1), two = stand_submit_simple(stand, "two", 1);
    uint64_t three = stand_submit_simple(stand, "three", 1);
    uint64_t four = stand_submit_simple(stand, "four", 1);
    stand_await(stand, one, SUBMITTED_RUNNING);
    stand_await(stand, two, SUBMITTED_RUNNING);
    stand_expect_why(stand, three, "for room");
    stand_expect_why(stand, four, "campaign 3 is before it");
    stand_tell(stand, "one", "code", "0");
    stand_await(stand, three, SUBMITTED_RUNNING);
}

static void a_campaign_of_higher_priority_stops_a_lower_one_which_goes_on_after_it(void **state)
{
    struct stand *stand = *state;
    struct wanted wanted = {.name = "urgent", .cores = 2, .priority = 5};
    stand_start(stand, NULL);
    uint64_t low = stand_submit_simple(stand, "low", 1);
    stand_await_start(stand, "low", 1);
    uint64_t high = stand_submit(stand, &wanted);
    stand_await_start(stand, "urgent", 1);
    stand_await(stand, low, SUBMITTED_WAITING);
    stand_tell(stand, "urgent", "code", "0");
    stand_await(stand, high, SUBMITTED_DONE);
    stand_await_start(stand, "low", 2);
    stand_tell(stand, "low", "code", "0");
    stand_await(stand, low, SUBMITTED_DONE);
    stand_await_lines(stand, "low", "asked", 1);
}

static void a_priority_that_is_raised_counts_at_once(void **state)
{
    struct stand *stand = *state;
    stand_start(stand, NULL);
    uint64_t one = stand_submit_simple(stand, "one", 2), two = stand_submit_simple(stand, "two", 2);
    stand_await(stand, one, SUBMITTED_RUNNING);
    assert_int_equal(stand_change(stand, two, GWD__VERB__PRIORITY, 3), ERR_OK);
    stand_await(stand, two, SUBMITTED_RUNNING);
    stand_await(stand, one, SUBMITTED_WAITING);
}

static void a_held_campaign_stops_and_waits_until_it_is_released(void **state)
{
    struct stand *stand = *state;
    stand_start(stand, NULL);
    uint64_t id = stand_submit_simple(stand, "one", 1);
    stand_await_start(stand, "one", 1);
    assert_int_equal(stand_change(stand, id, GWD__VERB__HOLD, 0), ERR_OK);
    stand_await(stand, id, SUBMITTED_HELD);
    assert_int_equal(stand_change(stand, id, GWD__VERB__RELEASE, 0), ERR_OK);
    stand_await_start(stand, "one", 2);
    stand_await(stand, id, SUBMITTED_RUNNING);
}

static bool has_log(struct stand *stand, uint64_t id)
{
    char path[500];
    snprintf(path, sizeof path, "%s/logs/%d.log", stand->scheduler, (int)id);
    return file_exists(path);
}

static void one_that_is_taken_out_stops_and_its_folder_stays(void **state)
{
    struct stand *stand = *state;
    struct submitted found;
    char run[400];
    stand_start(stand, NULL);
    uint64_t id = stand_submit_simple(stand, "one", 1);
    stand_await_start(stand, "one", 1);
    assert_int_equal(stand_change(stand, id, GWD__VERB__REMOVE, 0), ERR_OK);
    stand_await(stand, id, SUBMITTED_REMOVED);
    assert_true(has_log(stand, id));
    assert_int_equal(stand_change(stand, id, GWD__VERB__REMOVE, 0), ERR_OK);
    assert_false(stand_find(stand, id, &found, NULL));
    assert_false(has_log(stand, id));
    snprintf(run, sizeof run, "%s/one/published/status.json", stand->folder);
    assert_true(file_exists(run));
    assert_int_equal(stand_change(stand, id, GWD__VERB__REMOVE, 0), ERR_NOT_FOUND);
}

static void one_that_waits_is_taken_out_at_once(void **state)
{
    struct stand *stand = *state;
    struct wanted wanted = {.name = "one", .cores = 1, .is_held = true};
    struct submitted found;
    stand_start(stand, NULL);
    uint64_t id = stand_submit(stand, &wanted);
    assert_int_equal(stand_change(stand, id, GWD__VERB__REMOVE, 0), ERR_OK);
    assert_false(stand_find(stand, id, &found, NULL));
}

/* As `glowworm cancel` does. */
static void a_run_that_a_person_cancels_is_not_started_again(void **state)
{
    struct stand *stand = *state;
    char run[400];
    enum stop_asked asked;
    struct found_status *found = mem_alloc(sizeof *found);
    stand_start(stand, NULL);
    uint64_t id = stand_submit_simple(stand, "one", 1);
    stand_await_start(stand, "one", 1);
    snprintf(run, sizeof run, "%s/one", stand->folder);
    assert_int_equal(status_read_published(run, found), ERR_OK);
    assert_int_equal(stop_file_leave(run, &found->status, &asked), ERR_OK);
    stand_await(stand, id, SUBMITTED_CANCELLED);
    stand_expect_why(stand, id, "by a person");
    mem_free(found);
}

static void one_that_fails_says_why_and_is_not_tried_again(void **state)
{
    struct stand *stand = *state;
    struct submitted found;
    stand_start(stand, NULL);
    stand_tell(stand, "one", "code", "65");
    uint64_t id = stand_submit_simple(stand, "one", 1);
    stand_await(stand, id, SUBMITTED_FAILED);
    stand_expect_why(stand, id, "ended with 65");
    assert_true(stand_find(stand, id, &found, NULL));
    assert_int_equal(found.exit_code, 65);
    assert_int_equal(found.starts, 1);
    assert_int_equal(stand_change(stand, id, GWD__VERB__HOLD, 0), ERR_CONFIG);
    stand_untell(stand, "one", "code");
    uint64_t again = stand_submit_simple(stand, "one", 1); /* which is how it goes on */
    stand_await(stand, again, SUBMITTED_RUNNING);
}

static void one_folder_is_not_taken_twice(void **state)
{
    struct stand *stand = *state;
    struct wanted wanted = {.name = "one", .cores = 1};
    stand_start(stand, NULL);
    uint64_t id = stand_submit_simple(stand, "one", 1);
    assert_int_equal(stand_submit(stand, &wanted), 0);
    assert_non_null(strstr(err_text(), "campaign 1 has the run's folder"));
    stand_tell(stand, "one", "code", "0");
    stand_await(stand, id, SUBMITTED_DONE);
    assert_int_equal(stand_submit_simple(stand, "one", 1), 2);
}

static void many_are_listed_in_pieces(void **state)
{
    struct stand *stand = *state;
    struct submitted found;
    char name[16];
    stand_start(stand, NULL);
    for (int i = 1; i <= 40; i++) {
        struct wanted wanted = {.name = name, .cores = 1, .is_held = true};
        snprintf(name, sizeof name, "n%d", i);
        assert_int_equal(stand_submit(stand, &wanted), i);
    }
    assert_true(stand_find(stand, 40, &found, NULL));
    assert_string_equal(found.name, "n40");
}

static void the_daemon_ends_without_its_runs_unless_it_is_told_to_stop_them(void **state)
{
    struct stand *stand = *state;
    stand_start(stand, NULL);
    stand_submit_simple(stand, "one", 1);
    pid_t runner = stand_await_start(stand, "one", 1);
    assert_int_equal(stand_end(stand, SIGTERM), 0);
    assert_true(process_started_ticks(runner) > 0);
    stand->stops_runs = true;
    stand_start(stand, NULL);
    stand_await(stand, 1, SUBMITTED_RUNNING);
    assert_int_equal(stand_end(stand, SIGTERM), 0);
    assert_int_equal(process_started_ticks(runner), 0);
    stand->stops_runs = false;
    stand_start(stand, NULL);
    stand_await_start(stand, "one", 2);
}

/* What the page answers to GET ADDRESS + path; its body behind its head. Returns owned. */
static char *get(const char *address, const char *path)
{
    char request[400];
    int port = (int)strtol(strrchr(address, ':') + 1, NULL, 10), got = 0;
    size_t size = 0, room = 65536;
    char *answer = mem_alloc(room);
    struct sockaddr_in there = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int page = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(page, (struct sockaddr *)&there, sizeof there), 0);
    int asked = snprintf(request, sizeof request,
                         "GET %s%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n",
                         strchr(address + 8, '/'), path, port);
    assert_int_equal(write(page, request, (size_t)asked), asked);
    while (size < room - 1 && (got = (int)read(page, answer + size, room - 1 - size)) > 0)
        size += (size_t)got;
    close(page);
    return answer;
}

static void expect_on_page(const char *address, const char *path, const char *part, bool is_there)
{
    char *answer = get(address, path);
    if ((strstr(answer, part) != NULL) != is_there)
        fail_msg("%s of the page %s \"%s\": %.500s", path, is_there ? "lacks" : "has", part,
                 answer);
    mem_free(answer);
}

static void a_page_follows_what_is_submitted(void **state)
{
    struct stand *stand = *state;
    char address[PAGE_ADDRESS], again[PAGE_ADDRESS];
    stand->wants_page = true;
    stand_start(stand, NULL);
    stand_await(stand, stand_submit_simple(stand, "one", 1), SUBMITTED_RUNNING);
    stand_await_start(stand, "one", 1);
    assert_true(page_address_find(stand->scheduler, address));
    expect_on_page(address, "runs.json", "/one\"", true);
    expect_on_page(address, "runs.json", "/two\"", false);
    stand_submit_simple(stand, "two", 1);
    stand_await_start(stand, "two", 1);
    expect_on_page(address, "runs.json", "/two\"", true);
    expect_on_page(address, "status.json?run=1", "\"running\"", true);
    stand_end(stand, SIGKILL);
    stand_start(stand, NULL);
    while (!page_address_find(stand->scheduler, again)) /* the suite's time limit ends it */
        continue;
    expect_on_page(again, "runs.json", "/two\"", true);
    assert_string_equal(strrchr(again, ':') + 6, strrchr(address, ':') + 6); /* the token stays */
    stand_end(stand, SIGTERM);
    assert_false(page_address_find(stand->scheduler, again));
}

static void a_second_daemon_is_refused(void **state)
{
    struct stand *stand = *state;
    stand_start(stand, NULL);
    pid_t first = stand->daemon;
    stand_start(stand, NULL);
    assert_int_equal(stand_await_daemon(stand), 75);
    stand->daemon = first;
    stand_submit_simple(stand, "one", 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stand_make, stand_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(campaigns_run_by_priority_then_by_age),
        TEST(what_fits_runs_side_by_side),
        TEST(a_campaign_of_higher_priority_stops_a_lower_one_which_goes_on_after_it),
        TEST(a_priority_that_is_raised_counts_at_once),
        TEST(a_held_campaign_stops_and_waits_until_it_is_released),
        TEST(one_that_is_taken_out_stops_and_its_folder_stays),
        TEST(one_that_waits_is_taken_out_at_once),
        TEST(a_run_that_a_person_cancels_is_not_started_again),
        TEST(one_that_fails_says_why_and_is_not_tried_again),
        TEST(one_folder_is_not_taken_twice),
        TEST(many_are_listed_in_pieces),
        TEST(the_daemon_ends_without_its_runs_unless_it_is_told_to_stop_them),
        TEST(a_page_follows_what_is_submitted),
        TEST(a_second_daemon_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
