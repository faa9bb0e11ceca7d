/* Whatever the loop says reaches both views. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/view_tee.h"

static struct gang gang;

/* Each word a letter. */
struct heard {
    char words[24];
};

static void hear(void *own, char word)
{
    struct heard *heard = own;
    heard->words[strlen(heard->words)] = word;
}

static void on_started(void *own, const struct gang *of, bool is_resume, uint64_t step)
{
    assert_ptr_equal(of, &gang);
    assert_true(is_resume && step == 7);
    hear(own, 's');
}

static void on_adopted(void *own, const struct gang *of)
{
    assert_ptr_equal(of, &gang);
    hear(own, 'a');
}

static void on_progress(void *own, const struct gang *of)
{
    assert_ptr_equal(of, &gang);
    hear(own, 'p');
}

static void on_checkpoint(void *own, const struct gang *of, uint64_t step)
{
    assert_true(of == &gang && step == 8);
    hear(own, 'c');
}

static void on_warning(void *own, const struct gang *of, const char *text)
{
    assert_true(of == &gang && strcmp(text, "careful") == 0);
    hear(own, 'w');
}

static void on_done(void *own, const struct gang *of, double seconds)
{
    assert_true(of == &gang && seconds == 2.5);
    hear(own, 'd');
}

static void on_failed(void *own, const struct gang *of, enum err error, const char *text,
                      const char *tail, double retry_s)
{
    assert_true(of == &gang && error == ERR_PEER && retry_s == 4);
    assert_string_equal(text, "lost");
    assert_string_equal(tail, "end");
    hear(own, 'f');
}

static void on_full(void *own, const char *text)
{
    assert_true(!text || strcmp(text, "no room") == 0);
    hear(own, text ? 'r' : 'R');
}

static void on_stopping(void *own, const struct gang *of, int count)
{
    assert_true(!of && count == 2);
    hear(own, 'x');
}

static void on_tick(void *own)
{
    hear(own, 't');
}

static void say_all(const struct loop_view *view)
{
    view->started(view->own, &gang, true, 7);
    view->adopted(view->own, &gang);
    view->progress(view->own, &gang);
    view->checkpoint(view->own, &gang, 8);
    view->warning(view->own, &gang, "careful");
    view->done(view->own, &gang, 2.5);
    view->failed(view->own, &gang, ERR_PEER, "lost", "end", 4);
    view->full(view->own, "no room");
    view->full(view->own, NULL);
    view->stopping(view->own, NULL, 2);
    view->tick(view->own);
}

static void both_views_hear_everything_that_they_listen_to(void **unused)
{
    (void)unused;
    struct heard first = {""}, second = {""};
    struct loop_view whole = {.own = &first,
                              .started = on_started,
                              .adopted = on_adopted,
                              .progress = on_progress,
                              .checkpoint = on_checkpoint,
                              .warning = on_warning,
                              .done = on_done,
                              .failed = on_failed,
                              .full = on_full,
                              .stopping = on_stopping,
                              .tick = on_tick};
    struct loop_view half = {.own = &second, .started = on_started, .failed = on_failed};
    struct view_tee tee;
    view_tee_init(&tee, &whole, &half);
    say_all(&tee.view);
    assert_string_equal(first.words, "sapcwdfrRxt");
    assert_string_equal(second.words, "sf");
    view_tee_init(&tee, &half, &whole);
    say_all(&tee.view);
    assert_string_equal(first.words, "sapcwdfrRxtsapcwdfrRxt");
    assert_string_equal(second.words, "sfsf");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_views_hear_everything_that_they_listen_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
