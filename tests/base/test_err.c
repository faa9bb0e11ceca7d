#include "base/err.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h> /* needs the four above */

static void the_text_holds_what_was_set(void **state)
{
    (void)state;
    assert_int_equal(err_set(ERR_DATA, "file %s, line %d", "a.yaml", 7), ERR_DATA);
    assert_string_equal(err_text(), "file a.yaml, line 7");
}

static void a_text_may_be_made_of_the_last_one(void **state)
{
    (void)state;
    (void)err_set(ERR_IO, "the disk is gone");
    (void)err_set(ERR_IO, "saving: %s", err_text());
    assert_string_equal(err_text(), "saving: the disk is gone");
    assert_int_equal(err_prefix(ERR_IO, "stage %s", "teacher"), ERR_IO);
    assert_string_equal(err_text(), "stage teacher: saving: the disk is gone");
}

static void a_long_text_is_cut_and_stays_terminated(void **state)
{
    (void)state;
    char many[20000];
    memset(many, 'x', sizeof many - 1);
    many[sizeof many - 1] = '\0';
    (void)err_set(ERR_CONFIG, "%s", many);
    assert_int_equal(strlen(err_text()), 8191);
    (void)err_prefix(ERR_CONFIG, "here");
    assert_int_equal(strlen(err_text()), 8191);
    assert_memory_equal(err_text(), "here: xxx", 9);
}

static void *set_in_thread(void *argument)
{
    (void)argument;
    (void)err_set(ERR_DATA, "of the other thread");
    return NULL;
}

static void every_thread_has_its_own_text(void **state)
{
    (void)state;
    pthread_t thread;
    (void)err_set(ERR_IO, "mine");
    assert_int_equal(pthread_create(&thread, NULL, set_in_thread, NULL), 0);
    pthread_join(thread, NULL);
    assert_string_equal(err_text(), "mine");
}

static void exit_codes_are_those_of_the_interface(void **state)
{
    (void)state;
    static const struct {
        enum err code;
        int exit_code;
    } expected[] = {{ERR_OK, 0},           {ERR_FAILED, 1},       {ERR_USAGE, 2},
                    {ERR_DATA, 65},        {ERR_NOT_FOUND, 65},   {ERR_NUMERIC, 65},
                    {ERR_UNAVAILABLE, 69}, {ERR_IO, 74},          {ERR_FULL, 74},
                    {ERR_MEMORY, 71},      {ERR_PEER, 75},        {ERR_AGAIN, 75},
                    {ERR_CONFIG, 78},      {ERR_INTERRUPTED, 130}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_int_equal(err_exit_code(expected[i].code), expected[i].exit_code);
    assert_string_equal(err_name(ERR_NOT_FOUND), "not-found");
}

static enum err climb(enum err from, int *cleaned)
{
    enum err err = ERR_OK;
    TRY(from);
    *cleaned += 100;
out:
    *cleaned += 1;
    return err;
}

static void try_leaves_through_out(void **state)
{
    (void)state;
    int cleaned = 0;
    assert_int_equal(climb(ERR_FULL, &cleaned), ERR_FULL);
    assert_int_equal(cleaned, 1);
    assert_int_equal(climb(ERR_OK, &cleaned), ERR_OK);
    assert_int_equal(cleaned, 102);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_holds_what_was_set),
        cmocka_unit_test(a_text_may_be_made_of_the_last_one),
        cmocka_unit_test(a_long_text_is_cut_and_stays_terminated),
        cmocka_unit_test(every_thread_has_its_own_text),
        cmocka_unit_test(exit_codes_are_those_of_the_interface),
        cmocka_unit_test(try_leaves_through_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
