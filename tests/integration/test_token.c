/* Where glowworm-worker takes the run's token from: a file of its owner's or the environment. */
#include "base/file.h"
#include "base/mem.h"
#include "scheduler/protocol.h"
#include "tests/integration/program.h"
#include "tests/worker/scripted_scheduler.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define WAIT_S 60.0

struct place {
    struct script script;
    char token[128], log[128];
};

static int make_place(void **state)
{
    struct place *place = mem_alloc(sizeof *place);
    unsetenv(PROTOCOL_ENDPOINT);
    unsetenv(PROTOCOL_TOKEN);
    unsetenv(PROTOCOL_LEASE);
    script_listen(&place->script);
    snprintf(place->token, sizeof place->token, "%s/token", place->script.folder);
    snprintf(place->log, sizeof place->log, "%s/log", place->script.folder);
    assert_int_equal(file_write(place->token, SCRIPT_TOKEN "\n", sizeof SCRIPT_TOKEN), ERR_OK);
    assert_int_equal(chmod(place->token, 0600), 0);
    *state = place;
    return 0;
}

static int remove_place(void **state)
{
    struct place *place = *state;
    script_end(&place->script);
    mem_free(place);
    return 0;
}

static struct program start(const struct place *place, const char *option, const char *value)
{
    const char *words[] = {WORKER, "--connect", place->script.endpoint, "--lease", "1", option,
                           value,  NULL};
    return program_start(words, place->log, place->log);
}

static void expect_served(struct place *place, struct program worker)
{
    script_hear(&place->script, GW__FROM_WORKER__BODY_HELLO); /* with the token */
    script_bye(&place->script, 1);
    assert_int_equal(program_wait(&worker, WAIT_S), 0);
}

static void expect_refused(struct place *place, struct program worker, int code, const char *word)
{
    char *log = NULL;
    size_t size = 0;
    assert_int_equal(program_wait(&worker, WAIT_S), code);
    assert_int_equal(file_read(place->log, 1 << 16, &log, &size), ERR_OK);
    if (!strstr(log, word) || strstr(log, SCRIPT_TOKEN))
        fail_msg("\"%s\" and no token was expected in:\n%s", word, log);
    mem_free(log);
}

static void the_token_comes_from_a_file_of_its_owner(void **state)
{
    struct place *place = *state;
    expect_served(place, start(place, "--token-file", place->token));
}

static void the_token_comes_from_the_environment(void **state)
{
    struct place *place = *state;
    setenv(PROTOCOL_TOKEN, SCRIPT_TOKEN, 1);
    expect_served(place, start(place, NULL, NULL));
}

static void a_token_on_the_command_line_is_refused(void **state)
{
    struct place *place = *state;
    expect_refused(place, start(place, "--token", SCRIPT_TOKEN), 2, "--token-file");
}

static void a_token_that_others_can_read_is_refused(void **state)
{
    struct place *place = *state;
    assert_int_equal(chmod(place->token, 0644), 0);
    expect_refused(place, start(place, "--token-file", place->token), 78, "chmod 600");
}

static void no_token_at_all_is_said_so(void **state)
{
    struct place *place = *state;
    expect_refused(place, start(place, NULL, NULL), 2, PROTOCOL_TOKEN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_token_comes_from_a_file_of_its_owner),
        TEST(the_token_comes_from_the_environment),
        TEST(a_token_on_the_command_line_is_refused),
        TEST(a_token_that_others_can_read_is_refused),
        TEST(no_token_at_all_is_said_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
