/* What a checkpoint was trained for: recorded by every stage and by an import, worked out for older
 * ones, and part of a stage's key exactly where a sort has to keep more than the rows tell. */
#include "base/mem.h"
#include "tests/scratch.h"
#include "trainer/spec/campaign.h"
#include "trainer/spec/open_choices.h"
#include "trainer/weights/given_teacher.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SPACE_FILE "configs/spaces/firefly-tiny.yaml"
#define ALL        "k=3,5,7 e=2,3,4 d=1,2,3"
#define CAMPAIGN                                                                                   \
    "campaign: old\ndataset: {path: gone}\nspace: gone.yaml\nbatch: {global: 64, micro: 16}\n"

static void must(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
}

static void expect_choices(const struct open_choices *found, const char *wanted)
{
    struct text text;
    text_init(&text);
    open_choices_format(found, &text);
    assert_string_equal(text_get(&text), wanted);
    text_fini(&text);
}

/* An older checkpoint's: nothing recorded but the stage and the campaign's text. */
static void expect_of_older(const char *stage, const char *campaign, const char *wanted)
{
    struct open_choices found;
    struct checkpoint checkpoint = {0};
    struct checkpoint_meta *meta = &checkpoint.meta;
    size_t size = 0;
    snprintf(checkpoint.position.stage, sizeof checkpoint.position.stage, "%s", stage);
    must(file_read(SPACE_FILE, 1 << 20, &meta->space, &size));
    meta->campaign = mem_string(campaign);
    meta->width_multiplier = 1;
    meta->classes = 10;
    meta->channels = 1;
    must(given_teacher_trained(&checkpoint, &found));
    expect_choices(&found, wanted);
    checkpoint_fini(&checkpoint);
}

static void an_older_checkpoint_s_campaign_tells_what_was_trained(void **state)
{
    (void)state;
    expect_of_older("teacher", CAMPAIGN, "k=7 e=4 d=3");
    expect_of_older("kernel", CAMPAIGN, "k=3,5,7 e=4 d=3");
    expect_of_older("depth-1", CAMPAIGN, "k=3,5,7 e=4 d=2,3");
    expect_of_older("width-1", CAMPAIGN, "k=3,5,7 e=3,4 d=1,2,3");
    expect_of_older("width-2", CAMPAIGN, ALL);
    expect_of_older("depth-2", CAMPAIGN "shrink: {rows: {kernel: {expansions: [2, 4]}}}\n",
                    "k=3,5,7 e=2,4 d=1,2,3"); /* an earlier row's too */
}

static void what_an_older_checkpoint_cannot_tell_is_taken_as_trained(void **state)
{
    (void)state;
    expect_of_older("import", "", ALL);
    expect_of_older("kernel", "", ALL);
    expect_of_older("kernel", "neither: [a campaign", ALL);
    expect_of_older("kernel", CAMPAIGN "a_knob_of_old: 3\n", ALL);
    expect_of_older("finetune", CAMPAIGN, ALL);
    expect_of_older("kernel", CAMPAIGN "teacher: {from: other@width-2/final}\n", ALL);
    expect_of_older("depth-2", CAMPAIGN "shrink: {rows: {kernel: {expansions: [9]}}}\n", ALL);
}

static void what_a_checkpoint_records_is_read_back(void **state)
{
    struct given_teacher teacher;
    struct checkpoint_store *store = NULL;
    struct checkpoint checkpoint = {.meta = {.has_trained = true,
                                             .trained = {.kernels = {2, {5, 7}},
                                                         .expansions = {3, {2, 3, 6}},
                                                         .depths = {1, {4}}}},
                                    .position = {.stage = "width-1", .is_final = true}};
    struct checkpoint_store_cfg cfg = {.path = *state, .is_writer = true, .keep = 1};
    must(checkpoint_store_open(&cfg, &store));
    must(checkpoint_save(store, &checkpoint));
    must(checkpoint_wait(store));
    checkpoint_store_close(&store);
    must(given_teacher_read(*state, &teacher));
    expect_choices(&teacher.trained, "k=5,7 e=2,3,6 d=4");
    assert_int_equal(strlen(teacher.content), HASH_HEX_BYTES - 1);
    must(given_teacher_read("", &teacher));
    assert_string_equal(teacher.content, "");
    assert_int_equal(given_teacher_read("/no/such/store@latest", &teacher), ERR_NOT_FOUND);
    assert_non_null(strstr(err_text(), "teacher.from /no/such/store@latest"));
    assert_int_equal(given_teacher_read("some/store@", &teacher), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "is neither PATH nor PATH@NAME"));
}

/* The firefly-tiny space and one row of schedule `random` behind a teacher. */
struct made {
    struct space space;
    struct schedule schedule;
    struct campaign campaign;
    struct plan plan;
};

static void make(const char *campaign, struct made *made)
{
    must(space_load(SPACE_FILE, 1, 10, 1, &made->space));
    must(campaign_recall(campaign, &made->space, &made->campaign));
    campaign_schedule(&made->campaign, &made->space, &made->schedule);
    campaign_expand(&made->campaign, &made->schedule, &made->plan);
}

static void give(struct made *made, const char *trained)
{
    struct open_choices given;
    must(open_choices_parse(&made->space, trained, &given));
    must(schedule_give(&made->schedule, &made->space, &given));
}

static void expect_lines(const struct made *made, int stage, const char *given, const char *trained)
{
    struct text lines;
    text_init(&lines);
    campaign_stage_inputs(&made->campaign, &made->space, &made->schedule, &made->plan, stage,
                          &lines);
    const char *wanted[] = {given, trained}, *names[] = {"phase.given=", "phase.trained="};
    for (int i = 0; i < 2; i++) {
        const char *found = strstr(text_get(&lines), names[i]);
        if (!found != !wanted[i] || (found && strncmp(found, wanted[i], strlen(wanted[i])) != 0))
            fail_msg("stage %d: %s", stage, found ? found : names[i]);
    }
    text_fini(&lines);
}

static void a_key_names_the_widths_a_given_teacher_brings(void **state)
{
    (void)state;
    struct made made = {.campaign = {.path = ""}};
    static const char text[] = CAMPAIGN "teacher: {from: some}\n";
    make(text, &made);
    assert_string_equal(made.schedule.phases[3].name, "width-1");
    give(&made, "e=2");
    expect_lines(&made, 0, NULL, NULL); /* kernel sorts nothing */
    expect_lines(&made, 3, "phase.given=2,4\n", "phase.trained=2,4\n");
    expect_lines(&made, 4, "phase.given=2,4\n", "phase.trained=2,3,4\n");
    make(text, &made);
    give(&made, "biggest"); /* a full network: the keys of before */
    expect_lines(&made, 3, NULL, NULL);
    expect_lines(&made, 4, NULL, NULL);
    make(CAMPAIGN, &made);
    expect_lines(&made, 5, NULL, NULL);
}

static void what_was_trained_adds_up_over_teacher_and_rows(void **state)
{
    (void)state;
    struct made made = {.campaign = {.path = ""}};
    struct open_choices trained;
    make(CAMPAIGN "teacher: {from: some}\nshrink: {rows: {kernel: {depths: [1, 3]}}}\n", &made);
    give(&made, "k=5 e=2");
    const struct phase *phases = made.schedule.phases;
    schedule_trained_before(&made.schedule, &made.space, &phases[0], &trained);
    expect_choices(&trained, "k=5,7 e=2,4 d=3");
    schedule_trained_before(&made.schedule, &made.space, &phases[1], &trained);
    expect_choices(&trained, "k=3,5,7 e=2,4 d=1,3"); /* depth-1 closes 1 again */
    schedule_trained_before(&made.schedule, &made.space, &phases[made.schedule.phase_count],
                            &trained);
    expect_choices(&trained, ALL);
}

static void a_teacher_of_too_many_other_choices_is_refused(void **state)
{
    (void)state;
    struct made made = {.campaign = {.path = ""}};
    make(CAMPAIGN "teacher: {from: some}\n", &made);
    struct open_choices given = {.expansions = {6, {5, 6, 7, 8, 9, 10}}};
    assert_int_equal(schedule_give(&made.schedule, &made.space, &given), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "firefly-tiny"));
}

static void choices_are_read_as_people_write_them(void **state)
{
    (void)state;
    struct open_choices open;
    struct space space;
    static const char *const texts[][2] = {{"all", ALL},
                                           {"biggest", "k=7 e=4 d=3"},
                                           {"e=3,2", "k=7 e=2,3,4 d=3"},
                                           {"d=1 k=5", "k=5,7 e=4 d=1,3"}};
    static const char *const wrong[] = {"k=4", "e=", "x=3", "k3", "e=2,,3", "everything"};
    must(space_load(SPACE_FILE, 1, 10, 1, &space));
    for (int i = 0; i < 4; i++) {
        must(open_choices_parse(&space, texts[i][0], &open));
        expect_choices(&open, texts[i][1]);
    }
    for (int i = 0; i < 6; i++) {
        assert_int_equal(open_choices_parse(&space, wrong[i], &open), ERR_CONFIG);
        assert_non_null(strstr(err_text(), "write all, biggest, or lists"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_older_checkpoint_s_campaign_tells_what_was_trained),
        cmocka_unit_test(what_an_older_checkpoint_cannot_tell_is_taken_as_trained),
        cmocka_unit_test_setup_teardown(what_a_checkpoint_records_is_read_back, scratch_make,
                                        scratch_remove),
        cmocka_unit_test(a_key_names_the_widths_a_given_teacher_brings),
        cmocka_unit_test(what_was_trained_adds_up_over_teacher_and_rows),
        cmocka_unit_test(a_teacher_of_too_many_other_choices_is_refused),
        cmocka_unit_test(choices_are_read_as_people_write_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
