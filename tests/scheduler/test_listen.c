/* What the loop believes of a gang's words, where it answers, and what it bears from others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "tests/scheduler/flood.h"
#include "tests/scheduler/puppet.h"
#include <fcntl.h>
#include <unistd.h>

/* Ends the run as a person would; the gang answers as it should. */
static void stop_run(struct puppet *puppet)
{
    puppet->set->stop = 1;
    puppet_say_failed(puppet, "teacher", ERR_INTERRUPTED);
}

static void report_on_another_stage(struct puppet *puppet)
{
    static uint64_t own;
    if (puppet->scene == 0) {
        puppet_connect(puppet);
        puppet_say_hello(puppet);
        puppet->scene++;
    } else if (puppet->scene == 1 && puppet_hears(puppet, GW__TO_WORKER__BODY_ASSIGN)) {
        puppet_say_warning(puppet, "kernel");
        puppet_say_checkpoint(puppet, "kernel", 9);
        puppet_say_failed(puppet, "kernel", ERR_NUMERIC);
        puppet_say_done(puppet, "kernel");
        own = puppet_say_checkpoint(puppet, "teacher", 4);
        puppet->scene++;
    } else if (puppet->scene == 2 && puppet_hears(puppet, GW__TO_WORKER__BODY_ACCEPTED) &&
               puppet_was_accepted(puppet, own)) {
        for (uint64_t lie = own - 4; lie < own; lie++)
            assert_false(puppet_was_accepted(puppet, lie));
        stop_run(puppet);
        puppet->scene++;
    }
}

static void a_report_on_another_stage_changes_nothing(void **state)
{
    struct stage_set *set = *state;
    struct puppet puppet;
    puppet_make(&puppet, set, report_on_another_stage);
    expect_run(set, ERR_INTERRUPTED);
    assert_int_equal(puppet.scene, 3);
    puppet_free(&puppet);
    assert_string_equal(text_get(&set->told), "start teacher 0\n");
    set_survey(set);
    assert_int_equal(set->survey.stages[SET_TEACHER].record.step, 4);
    assert_false(set->survey.stages[SET_KERNEL].has_record);
}

static void say_saved(struct puppet *puppet, uint64_t step)
{
    char hex[HASH_HEX_BYTES];
    struct hash content = {{(uint8_t)step}};
    Gw__FromWorker message = GW__FROM_WORKER__INIT;
    Gw__CheckpointSaved saved = GW__CHECKPOINT_SAVED__INIT;
    hash_hex(&content, hex);
    saved.stage = (char *)"teacher";
    saved.step = step;
    saved.content = hex;
    message.body_case = GW__FROM_WORKER__BODY_CHECKPOINT;
    message.checkpoint = &saved;
    message.sequence = ++puppet->sequence;
    puppet_say(puppet, &message);
}

/* Said again, as after a runner's pause: all of it is heard in one turn. */
static void repeat_itself(struct puppet *puppet)
{
    if (puppet->scene == 0) {
        puppet_connect(puppet);
        puppet_say_hello(puppet);
        puppet->scene++;
    } else if (puppet->scene == 1 && puppet_hears(puppet, GW__TO_WORKER__BODY_ASSIGN)) {
        say_saved(puppet, 5);
        say_saved(puppet, 10);
        say_saved(puppet, 5);
        puppet->scene++;
    } else if (puppet->scene == 2 && puppet_hears(puppet, GW__TO_WORKER__BODY_ACCEPTED) &&
               puppet_was_accepted(puppet, puppet->sequence)) {
        stop_run(puppet);
        puppet->scene++;
    }
}

static void an_older_checkpoint_that_comes_late_does_not_count(void **state)
{
    struct stage_set *set = *state;
    struct puppet puppet;
    puppet_make(&puppet, set, repeat_itself);
    expect_run(set, ERR_INTERRUPTED);
    assert_int_equal(puppet.scene, 3);
    puppet_free(&puppet);
    set_survey(set);
    assert_int_equal(set->survey.stages[SET_TEACHER].record.step, 10);
}

static void report_what_cannot_be_read(struct puppet *puppet)
{
    if (puppet->scene == 0) {
        puppet_connect(puppet);
        puppet_say_hello(puppet);
        puppet->scene++;
    } else if (puppet->scene == 1 && puppet_hears(puppet, GW__TO_WORKER__BODY_ASSIGN)) {
        puppet_say_result(puppet, "teacher", "around");
        puppet->scene++;
    } else if (puppet->scene == 2 && strstr(text_get(&puppet->set->told), "failed")) {
        puppet->set->stop = 1;
        puppet->scene++;
    }
}

static void a_result_whose_disk_does_not_answer_is_worth_a_retry(void **state)
{
    struct stage_set *set = *state;
    struct puppet puppet;
    char *link = file_join(set->folder, "around");
    assert_int_equal(symlink("around", link), 0); /* ELOOP, for any error of the file system */
    set->cfg.backoff_ms = 60000;
    puppet_make(&puppet, set, report_what_cannot_be_read);
    expect_run(set, ERR_INTERRUPTED);
    assert_int_equal(puppet.scene, 3);
    puppet_free(&puppet);
    expect_in(text_get(&set->told), "failed teacher again: the result it reports cannot be read");
    mem_free(link);
}

/* The gang of lease 1 is told that 99 is void, not that it is to go. */
static void speak_of_another_lease(struct puppet *puppet)
{
    if (puppet->scene == 0) {
        puppet_connect(puppet);
        puppet_say_hello(puppet);
        puppet->scene++;
    } else if (puppet->scene == 1 && puppet_hears(puppet, GW__TO_WORKER__BODY_ASSIGN)) {
        puppet_say_alive(puppet, 99);
        puppet->scene++;
    } else if (puppet->scene == 2 && puppet_hears(puppet, GW__TO_WORKER__BODY_BYE)) {
        assert_int_equal(puppet->void_lease, 99);
        stop_run(puppet);
        puppet->scene++;
    }
}

static void a_goodbye_names_the_lease_that_is_void(void **state)
{
    struct stage_set *set = *state;
    struct puppet puppet;
    puppet_make(&puppet, set, speak_of_another_lease);
    expect_run(set, ERR_INTERRUPTED);
    assert_int_equal(puppet.scene, 3);
    puppet_free(&puppet);
}

/* As after a cut on the way: the same gang under another name on the wire, with no second hello. */
static void connect_again(struct puppet *puppet)
{
    if (puppet->scene == 0) {
        puppet_connect(puppet);
        puppet_say_hello(puppet);
        puppet->scene++;
    } else if (puppet->scene == 1 && puppet_hears(puppet, GW__TO_WORKER__BODY_ASSIGN)) {
        puppet_connect(puppet);
        puppet_say_alive(puppet, 0);
        puppet->scene++;
    } else if (puppet->scene == 2 && puppet_hears(puppet, GW__TO_WORKER__BODY_PULSE)) {
        stop_run(puppet);
        puppet->scene++;
    }
}

static void a_gang_that_connects_again_is_answered_there(void **state)
{
    struct stage_set *set = *state;
    struct puppet puppet;
    puppet_make(&puppet, set, connect_again);
    expect_run(set, ERR_INTERRUPTED);
    assert_int_equal(puppet.scene, 3);
    puppet_free(&puppet);
}

/* The first word to arrive is not the first that was said. */
static void begin_without_hello(struct puppet *puppet)
{
    if (puppet->scene == 0) {
        puppet_connect(puppet);
        puppet_say_alive(puppet, 0);
        puppet->scene++;
    } else if (puppet->scene == 1 && puppet_hears(puppet, GW__TO_WORKER__BODY_PULSE)) {
        stop_run(puppet);
        puppet->scene++;
    }
}

static void a_gang_whose_hello_was_lost_is_answered(void **state)
{
    struct stage_set *set = *state;
    struct puppet puppet;
    puppet_make(&puppet, set, begin_without_hello);
    expect_run(set, ERR_INTERRUPTED);
    assert_int_equal(puppet.scene, 2);
    puppet_free(&puppet);
}

/* A ghost and a rank's sign of life come on connections that are not the gang's. */
static void others_speak(struct puppet *puppet)
{
    static struct wire *other;
    if (puppet->scene == 0) {
        puppet_connect(puppet);
        puppet_say_hello(puppet);
        puppet->scene++;
    } else if (puppet->scene == 1 && puppet_hears(puppet, GW__TO_WORKER__BODY_ASSIGN)) {
        struct wire *own = puppet->wire;
        puppet->wire = NULL;
        puppet_connect(puppet);
        puppet_say_alive(puppet, 99);
        puppet_say_rank(puppet, 1);
        other = puppet->wire;
        puppet->wire = own;
        puppet_say_alive(puppet, 0);
        puppet->scene++;
    } else if (puppet->scene == 2 && puppet_hears(puppet, GW__TO_WORKER__BODY_PULSE)) {
        puppet->scene++; /* the words of the others may have come behind that one */
    } else if (puppet->scene == 3 && puppet_hears(puppet, GW__TO_WORKER__BODY_PULSE)) {
        wire_close(&other);
        stop_run(puppet);
        puppet->scene++;
    }
}

static void others_do_not_take_the_gang_s_place(void **state)
{
    struct stage_set *set = *state;
    struct puppet puppet;
    puppet_make(&puppet, set, others_speak);
    expect_run(set, ERR_INTERRUPTED);
    assert_int_equal(puppet.scene, 4);
    puppet_free(&puppet);
}

static struct flood strangers;

static void let_strangers_in(void *own)
{
    struct stage_set *set = own;
    char endpoint[SET_ENDPOINT];
    if (atomic_load(&strangers.shared->is_open))
        return;
    set_endpoint(set->cfg.journal, endpoint);
    flood_open(&strangers, endpoint);
}

/* Standard error goes into a file of the set's folder; returns what it was. */
static int catch_log(const struct stage_set *set)
{
    char path[160];
    snprintf(path, sizeof path, "%s/stderr", set->folder);
    int kept = dup(STDERR_FILENO), file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(file, STDERR_FILENO);
    close(file);
    return kept;
}

static int release_log(const struct stage_set *set, int kept)
{
    char *path = file_join(set->folder, "stderr"), *log = NULL;
    size_t size = 0;
    int lines = 0;
    dup2(kept, STDERR_FILENO);
    close(kept);
    assert_int_equal(file_read(path, (size_t)1 << 32, &log, &size), ERR_OK);
    for (const char *at = log; (at = strstr(at, "refused")); at++)
        lines++;
    mem_free(log);
    mem_free(path);
    return lines;
}

static void strangers_that_flood_the_socket_hold_nobody_up(void **state)
{
    struct stage_set *set = *state;
    set->view.tick = let_strangers_in;
    flood_start(&strangers);
    int kept = catch_log(set);
    double start = clock_seconds();
    enum err err = set_run(set);
    double seconds = clock_seconds() - start;
    int lines = release_log(set, kept);
    assert_true(flood_end(&strangers) > 1000); /* to the end of the run */
    assert_int_equal(err, ERR_OK);
    if (lines < 1 || lines > seconds + 2)
        fail_msg("%d lines in %.1f s", lines, seconds);
    set_expect_done(set);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_report_on_another_stage_changes_nothing),
        TEST(an_older_checkpoint_that_comes_late_does_not_count),
        TEST(a_result_whose_disk_does_not_answer_is_worth_a_retry),
        TEST(a_goodbye_names_the_lease_that_is_void),
        TEST(a_gang_that_connects_again_is_answered_there),
        TEST(a_gang_whose_hello_was_lost_is_answered),
        TEST(others_do_not_take_the_gang_s_place),
        TEST(strangers_that_flood_the_socket_hold_nobody_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
