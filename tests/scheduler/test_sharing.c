/* An evaluation asks for scores, and every gang of it measures: all are known in the end, each is
 * measured once, and losing gangs or words costs time alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "tests/scheduler/crew.h"

static int total_measured(const struct crew *crew)
{
    int total = 0;
    for (int i = 0; i < crew->scores; i++)
        total += crew->measured[i];
    return total;
}

/* The run is done and each score is known, by a measurement or several. */
static void run_crew(struct crew *crew)
{
    expect_run(crew->set, ERR_OK);
    assert_int_equal(crew->strangers, 0);
    for (int i = 0; i < crew->scores; i++)
        assert_true(crew->measured[i] >= 1);
    crew_expect_journal(crew);
    assert_int_equal(set_count_processes(), 0);
}

static void one_gang_measures_what_it_asks_for(void **state)
{
    struct crew *crew = calloc(1, sizeof *crew);
    crew_make(crew, *state, 1, 40);
    run_crew(crew);
    assert_int_equal(total_measured(crew), 40);
    assert_int_equal(crew->most_gangs, 1);
    assert_int_equal(crew->measured_by_helpers, 0);
    crew_free(crew);
    free(crew);
}

static void idle_gangs_measure_a_share(void **state)
{
    struct crew *crew = calloc(1, sizeof *crew);
    struct stage_set *set = *state;
    crew_make(crew, set, 3, 3000);
    crew->scores_per_share = 1;
    run_crew(crew);
    assert_int_equal(total_measured(crew), 3000);
    assert_int_equal(crew->most_gangs, 3);
    assert_true(crew->measured_by_helpers > 0);
    assert_null(strstr(text_get(&set->told), "warning")); /* helpers that are let go are not lost */
    crew_free(crew);
    free(crew);
}

struct shelf {        /* what was published, for the loop to ask */
    int asked, empty; /* so often; so many questions find nothing */
    char wanted[HASH_HEX_BYTES];
};
static struct shelf shelf;

static enum err find_published(void *own, const char *content, char folder[PUBLISHED_NAME])
{
    (void)own;
    snprintf(shelf.wanted, sizeof shelf.wanted, "%s", content);
    if (shelf.asked++ < shelf.empty)
        return err_set(ERR_NOT_FOUND, "not yet");
    snprintf(folder, PUBLISHED_NAME, CREW_PUBLISHED);
    return ERR_OK;
}

static void helpers_on_other_nodes_read_what_was_published(void **state)
{
    struct crew *crew = calloc(1, sizeof *crew);
    struct stage_set *set = *state;
    shelf = (struct shelf){.empty = 1};
    crew_make(crew, set, 1, 3000);
    set->cfg.launch.share.away = 2;
    set->cfg.find_published = find_published;
    crew->scores_per_share = 1;
    crew->begin_at = 3;
    run_crew(crew);
    assert_int_equal(total_measured(crew), 3000);
    assert_int_equal(crew->most_gangs, 3);
    assert_true(crew->measured_away > 0);
    assert_int_equal(crew->measured_away, crew->measured_by_helpers);
    /* before, twice; as each of two was started; as it said hello, which may be much later */
    assert_true(shelf.asked >= 6);
    set_survey(set);
    assert_string_equal(shelf.wanted, set->survey.stages[SET_KERNEL].record.content);
    crew_free(crew);
    free(crew);
}

static struct {
    struct crew *crew;
    char file[200];
    void (*tick)(void *own);
} counted;

/* Something of this machine is ended when a helper elsewhere is. */
static void count_one_oom(void *own)
{
    if (counted.crew->known > 0)
        assert_int_equal(file_write(counted.file, "oom_kill 1\n", 11), ERR_OK);
    counted.tick(own);
}

static void what_this_machine_counts_is_not_of_helpers_on_others(void **state)
{
    struct crew *crew = calloc(1, sizeof *crew);
    struct stage_set *set = *state;
    shelf = (struct shelf){0};
    crew_make(crew, set, 1, 3000);
    set_make_group(set, counted.file);
    counted.crew = crew;
    counted.tick = set->view.tick;
    set->view.tick = count_one_oom;
    set->cfg.launch.share.away = 2;
    set->cfg.find_published = find_published;
    crew->scores_per_share = 1;
    crew->begin_at = 3;
    crew->kill_helpers = 1;
    run_crew(crew);
    assert_int_equal(crew->kill_helpers, 0);
    expect_in(text_get(&set->told), "warning evaluate: a helper was lost: ended by signal 9");
    crew_free(crew);
    free(crew);
}

static void nobody_helps_from_afar_before_something_is_published(void **state)
{
    struct crew *crew = calloc(1, sizeof *crew);
    struct stage_set *set = *state;
    shelf = (struct shelf){.empty = 1 << 30};
    crew_make(crew, set, 1, 40);
    set->cfg.launch.share.away = 2;
    set->cfg.find_published = find_published;
    run_crew(crew);
    assert_true(shelf.asked > 0);
    assert_int_equal(crew->most_gangs, 1);
    crew_free(crew);
    free(crew);
}

static void a_lost_gangs_share_is_given_again(void **state)
{
    struct crew *crew = calloc(1, sizeof *crew);
    struct stage_set *set = *state;
    crew_make(crew, set, 3, 3000);
    crew->kill_helpers = 2;
    run_crew(crew);
    assert_int_equal(crew->kill_helpers, 0);
    assert_int_equal(total_measured(crew), 3000);
    expect_in(text_get(&set->told), "warning evaluate: a helper was lost: ended by signal 9");
    assert_null(strstr(text_get(&set->told), "failed evaluate"));
    crew_free(crew);
    free(crew);
}

static void a_gang_that_asks_again_measures_nothing_twice(void **state)
{
    struct crew *crew = calloc(1, sizeof *crew);
    struct stage_set *set = *state;
    crew_make(crew, set, 1, 100);
    crew->kill_asking = 1;
    run_crew(crew);
    expect_in(text_get(&set->told), "failed evaluate");
    assert_int_equal(total_measured(crew), 100);
    crew_free(crew);
    free(crew);
}

static void an_evaluation_that_gets_on_is_not_given_up(void **state)
{
    struct crew *crew = calloc(1, sizeof *crew);
    struct stage_set *set = *state;
    int kills = cause_limit(CAUSE_CRASH) + 2;
    crew_make(crew, set, 1, 100);
    crew->kill_measured = kills;
    crew->scores_per_share = 5;
    run_crew(crew);
    assert_int_equal(crew->kill_measured, 0);
    set_survey(set);
    assert_int_equal(set->survey.stages[SET_EVALUATE].record.ends[CAUSE_CRASH], kills);
    crew_free(crew);
    free(crew);
}

static void a_share_that_was_not_heard_is_said_again(void **state)
{
    struct crew *crew = calloc(1, sizeof *crew);
    crew_make(crew, *state, 2, 60);
    crew->share_losses = 2;
    run_crew(crew);
    assert_int_equal(crew->share_losses, 0);
    assert_int_equal(total_measured(crew), 60);
    crew_free(crew);
    free(crew);
}

static void a_stop_ends_helpers_too_and_keeps_what_was_measured(void **state)
{
    struct crew *crew = calloc(1, sizeof *crew);
    struct stage_set *set = *state;
    crew_make(crew, set, 3, 3000);
    crew->stop_at = 1000;
    expect_run(set, ERR_INTERRUPTED);
    assert_int_equal(set_count_processes(), 0);
    int before = total_measured(crew);
    assert_true(before >= 1000);
    crew->stop_at = 0;
    crew_go_on(crew);
    run_crew(crew);
    assert_int_equal(total_measured(crew), 3000);
    crew_free(crew);
    free(crew);
}

static void what_is_no_score_is_refused(void **state)
{
    struct crew *crew = calloc(1, sizeof *crew);
    crew_make(crew, *state, 2, 20);
    crew->talks_nonsense = true;
    run_crew(crew);
    assert_int_equal(total_measured(crew), 20);
    crew_free(crew);
    free(crew);
}

static void a_question_is_answered_and_nothing_measured_for_it(void **state)
{
    struct crew *crew = calloc(1, sizeof *crew);
    crew_make(crew, *state, 1, 20);
    crew->asks_first = true;
    run_crew(crew);
    assert_int_equal(crew->unknown_answers, 20);
    assert_int_equal(total_measured(crew), 20);
    crew_free(crew);
    free(crew);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_gang_measures_what_it_asks_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(idle_gangs_measure_a_share, set_up, tear_down),
        cmocka_unit_test_setup_teardown(helpers_on_other_nodes_read_what_was_published, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_this_machine_counts_is_not_of_helpers_on_others,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_helps_from_afar_before_something_is_published,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lost_gangs_share_is_given_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_gang_that_asks_again_measures_nothing_twice, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_evaluation_that_gets_on_is_not_given_up, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_share_that_was_not_heard_is_said_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_stop_ends_helpers_too_and_keeps_what_was_measured, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_score_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_question_is_answered_and_nothing_measured_for_it, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
