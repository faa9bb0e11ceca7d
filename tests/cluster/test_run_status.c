/* The status of a run as JSON: what is written is read back, and what is no status is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cluster/status/run_status.h"

static struct run_status *make(void)
{
    struct run_status *status = mem_alloc(sizeof *status);
    run_status_init(status);
    snprintf(status->campaign, sizeof status->campaign, "road");
    snprintf(status->device, sizeof status->device, "cuda");
    snprintf(status->text, sizeof status->text, "two\nlines of \xc3\xa9");
    status->state = RUN_STATE_STOPPING;
    status->pid = 4711;
    status->stage_count = 2;
    snprintf(status->stages[0].name, sizeof status->stages[0].name, "teacher");
    status->stages[0].state = STAGE_STATE_DONE;
    status->stages[0].seconds = 12.25;
    snprintf(status->stages[1].name, sizeof status->stages[1].name, "kernel");
    status->stages[1].state = STAGE_STATE_BACKING_OFF;
    status->stages[1].retry_at_ms = 1790000000123;
    status->stages[1].causes[CAUSE_CRASH] = 2;
    status->stages[1].causes[CAUSE_TIME_LIMIT] = 1;
    return status;
}

static void what_is_written_is_read_back(void **unused)
{
    (void)unused;
    struct run_status *written = make(), *read = mem_alloc(sizeof *read);
    json_t *json = run_status_json(written);
    char *text = json_dumps(json, 0);
    json_t *again = json_loads(text, 0, NULL);
    assert_int_equal(run_status_parse(again, read), ERR_OK);
    assert_string_equal(read->text, written->text);
    assert_int_equal(read->state, RUN_STATE_STOPPING);
    assert_int_equal(read->pid, 4711);
    assert_int_equal(read->stage_count, 2);
    assert_true(read->stages[0].seconds == 12.25);
    assert_true(isnan(read->stages[0].accuracy) && isnan(read->eta_seconds));
    assert_int_equal(read->stages[1].state, STAGE_STATE_BACKING_OFF);
    assert_int_equal(read->stages[1].retry_at_ms, 1790000000123);
    assert_memory_equal(read->stages[1].causes, written->stages[1].causes,
                        sizeof read->stages[1].causes);
    json_t *twice = run_status_json(read);
    assert_true(json_equal(json, twice));
    json_decref(twice);
    json_decref(again);
    json_decref(json);
    free(text);
    mem_free(written);
    mem_free(read);
}

static void expect_refused(const char *text, const char *part)
{
    struct run_status *read = mem_alloc(sizeof *read);
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    enum err err = run_status_parse(json, read);
    if (err != ERR_DATA || !strstr(err_text(), part))
        fail_msg("%s: \"%s\" (%s) does not say \"%s\"", text, err_text(), err_name(err), part);
    json_decref(json);
    mem_free(read);
}

static void what_is_no_status_is_refused_by_name(void **unused)
{
    (void)unused;
    expect_refused("[]", "no status");
    expect_refused("{}", "no status");
    expect_refused("{\"format\":\"1\"}", "no status");
    expect_refused("{\"format\":2,\"state\":\"running\",\"stages\":[]}", "later");
    expect_refused("{\"format\":1,\"stages\":[]}", "state");
    expect_refused("{\"format\":1,\"state\":7,\"stages\":[]}", "state");
    expect_refused("{\"format\":1,\"state\":\"asleep\",\"stages\":[]}", "state");
    expect_refused("{\"format\":1,\"state\":\"running\"}", "stages");
    expect_refused("{\"format\":1,\"state\":\"running\",\"stages\":{}}", "stages");
    expect_refused("{\"format\":1,\"state\":\"running\",\"stages\":[7]}", "stage 0 has no name");
    expect_refused("{\"format\":1,\"state\":\"running\",\"pid\":-4,\"stages\":[]}", "pid");
    expect_refused("{\"format\":1,\"state\":\"running\",\"pid\":1.5,\"stages\":[]}", "pid");
    expect_refused("{\"format\":1,\"state\":\"running\",\"stages\":[{\"name\":\"a\"},"
                   "{\"name\":\"b\",\"loss\":\"low\"}]}",
                   "stage 1: \"loss\"");
}

static void more_stages_than_a_campaign_has_are_refused(void **unused)
{
    (void)unused;
    struct text text;
    text_init(&text);
    text_add(&text, "{\"format\":1,\"state\":\"running\",\"stages\":[{\"name\":\"a\"}");
    for (int i = 0; i < PLAN_MAX_STAGES; i++)
        text_add(&text, ",{\"name\":\"a\"}");
    text_add(&text, "]}");
    expect_refused(text_get(&text), "stages");
    text_fini(&text);
}

static void texts_are_cut_and_cannot_drive_a_terminal(void **unused)
{
    (void)unused;
    struct run_status *read = mem_alloc(sizeof *read);
    struct text text;
    text_init(&text);
    text_add(&text,
             "{\"format\":1,\"state\":\"done\",\"host\":\"a\\u001b[2Jb\\u009b\",\"error\":\"");
    for (int i = 0; i < 100; i++)
        text_add(&text, "\xc3\xa9");
    text_add(&text, "\",\"unknown\":[1],\"stages\":[]}");
    json_t *json = json_loads(text_get(&text), 0, NULL);
    assert_int_equal(run_status_parse(json, read), ERR_OK);
    assert_string_equal(read->host, "a?[2Jb??");
    assert_int_equal(strlen(read->error), 14); /* whole characters in 15 bytes */
    json_decref(json);
    text_fini(&text);
    mem_free(read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(what_is_no_status_is_refused_by_name),
        cmocka_unit_test(more_stages_than_a_campaign_has_are_refused),
        cmocka_unit_test(texts_are_cut_and_cannot_drive_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
