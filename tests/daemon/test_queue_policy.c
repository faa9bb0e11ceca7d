/* Which campaigns run: tables, without processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/daemon/queue_policy.h"

#define MOST 12
#define NOW  1000000
#define JOBS 2

#define W SUBMITTED_WAITING
#define H SUBMITTED_HELD
#define R SUBMITTED_RUNNING
#define S SUBMITTED_STOPPING
#define P 100 /* waits, and pauses */
#define J 101 /* waits, and may have a job */

struct row {
    int id, priority, cores, gb; /* cores 0: it is for Slurm */
    int state;                   /* enum submitted_state, or P, or J */
};

struct table {
    const char *what;
    int cores, gb; /* of the machine; gb 0: any */
    struct row rows[MOST];
    const char *actions; /* "+3 -1": 3 starts, 1 stops */
    const char *waits;   /* "2:room 4:turn3", but for those that start or run */
};

static const char *const why_names[] = {[QUEUE_HELD] = "held",
                                        [QUEUE_PAUSES] = "pause",
                                        [QUEUE_ROOM] = "room",
                                        [QUEUE_MADE] = "made",
                                        [QUEUE_TURN] = "turn"};

static int fill(const struct table *table, struct submitted *room, const struct submitted **list)
{
    int count = 0;
    for (; count < MOST && table->rows[count].id > 0; count++) {
        const struct row *row = &table->rows[count];
        room[count] = (struct submitted){.id = (uint64_t)row->id,
                                         .priority = row->priority,
                                         .cores = row->cores,
                                         .memory_bytes = (uint64_t)row->gb << 30,
                                         .site = {row->cores == 0 ? 's' : '\0'},
                                         .may_have_job = row->state == J,
                                         .state = row->state >= P ? W : row->state,
                                         .not_before_ms = row->state == P ? NOW + 1 : NOW};
        list[count] = &room[count];
    }
    return count;
}

static void write_actions(const struct queue_plan *plan, const struct submitted *const *list,
                          char *text, size_t room)
{
    int used = 0;
    text[0] = '\0';
    for (int i = 0; i < plan->action_count; i++)
        used += snprintf(text + used, room - (size_t)used, "%s%c%d", i > 0 ? " " : "",
                         plan->actions[i].verb == QUEUE_START ? '+' : '-',
                         (int)list[plan->actions[i].campaign]->id);
}

static void write_waits(const struct queue_plan *plan, const struct submitted *const *list,
                        int count, char *text, size_t room)
{
    int used = 0;
    text[0] = '\0';
    for (int i = 0; i < count; i++) {
        char behind[16] = "";
        if (plan->reasons[i].why == QUEUE_RUNS)
            continue;
        if (plan->reasons[i].behind > 0)
            snprintf(behind, sizeof behind, "%d", (int)plan->reasons[i].behind);
        used += snprintf(text + used, room - (size_t)used, "%s%d:%s%s", used > 0 ? " " : "",
                         (int)list[i]->id, why_names[plan->reasons[i].why], behind);
    }
}

static void expect(const struct table *tables, size_t table_count)
{
    static struct submitted rows[MOST];
    for (size_t t = 0; t < table_count; t++) {
        const struct table *table = &tables[t];
        const struct submitted *list[MOST];
        struct queue_action actions[MOST];
        struct queue_reason reasons[MOST];
        struct queue_plan plan = {.actions = actions, .reasons = reasons};
        char acts[128], waits[256];
        struct queue_capacity capacity = {table->cores, (uint64_t)table->gb << 30, JOBS};
        int count = fill(table, rows, list);
        queue_policy(list, count, &capacity, NOW, &plan);
        write_actions(&plan, list, acts, sizeof acts);
        write_waits(&plan, list, count, waits, sizeof waits);
        if (strcmp(acts, table->actions) != 0 || strcmp(waits, table->waits) != 0)
            fail_msg("%s: \"%s\" and \"%s\", expected \"%s\" and \"%s\"", table->what, acts, waits,
                     table->actions, table->waits);
    }
}
#define EXPECT(tables) expect((tables), sizeof(tables) / sizeof *(tables))

static void the_higher_priority_is_first_then_who_came_first(void **unused)
{
    (void)unused;
    static const struct table tables[] = {
        {"one", 4, 0, {{1, 0, 4, 0, W}}, "+1", ""},
        {"in order of submission", 4, 0, {{2, 0, 4, 0, W}, {1, 0, 4, 0, W}}, "+1", "2:room"},
        {"by priority", 4, 0, {{1, 0, 4, 0, W}, {2, 1, 4, 0, W}}, "+2", "1:room"},
        {"below zero", 4, 0, {{1, -1, 4, 0, W}, {2, 0, 4, 0, W}}, "+2", "1:room"},
        {"side by side", 4, 0, {{1, 0, 2, 0, W}, {2, 0, 2, 0, W}}, "+1 +2", ""},
        {"held and pausing ones wait, and nobody for them",
         4,
         0,
         {{1, 5, 4, 0, H}, {2, 5, 4, 0, P}, {3, 0, 4, 0, W}},
         "+3",
         "1:held 2:pause"},
        {"those that are over are nothing",
         4,
         0,
         {{1, 9, 4, 0, SUBMITTED_DONE}, {2, 9, 4, 0, SUBMITTED_FAILED}, {3, 0, 4, 0, W}},
         "+3",
         ""}};
    EXPECT(tables);
}

static void memory_is_room_too(void **unused)
{
    (void)unused;
    static const struct table tables[] = {
        {"fits", 8, 10, {{1, 0, 2, 6, R}, {2, 0, 2, 4, W}}, "+2", ""},
        {"does not", 8, 10, {{1, 0, 2, 6, R}, {2, 0, 2, 5, W}}, "", "2:room"},
        {"stops for memory alone", 8, 10, {{1, 0, 2, 6, R}, {2, 1, 2, 5, W}}, "-1", "2:made"}};
    EXPECT(tables);
}

static void what_is_larger_than_the_machine_runs_alone(void **unused)
{
    (void)unused;
    static const struct table tables[] = {
        {"alone", 4, 8, {{1, 0, 99, 99, W}}, "+1", ""},
        {"not beside another", 4, 8, {{1, 0, 1, 1, R}, {2, 0, 99, 99, W}}, "", "2:room"},
        {"nobody beside it", 4, 8, {{1, 0, 99, 1, R}, {2, 0, 1, 1, W}}, "", "2:room"},
        {"fewer cores than when they began",
         2,
         8,
         {{1, 0, 4, 1, R}, {2, 0, 1, 1, W}},
         "",
         "2:room"}};
    EXPECT(tables);
}

static void only_lower_ones_overtake_one_that_waits(void **unused)
{
    (void)unused;
    static const struct table tables[] = {
        {"equal ones wait their turn",
         4,
         0,
         {{1, 0, 2, 0, R}, {2, 0, 4, 0, W}, {3, 0, 1, 0, W}, {4, 0, 2, 0, W}},
         "",
         "2:room 3:turn2 4:turn2"},
        {"lower ones use the room",
         4,
         0,
         {{1, 5, 2, 0, R}, {2, 5, 4, 0, W}, {3, 4, 1, 0, W}, {4, 3, 1, 0, W}, {5, 2, 1, 0, W}},
         "+3 +4",
         "2:room 5:room"},
        {"and give way when that is enough",
         4,
         0,
         {{2, 5, 4, 0, W}, {3, 4, 1, 0, R}, {4, 3, 1, 0, R}},
         "-4 -3",
         "2:made"},
        {"but not before",
         4,
         0,
         {{1, 5, 2, 0, R}, {2, 5, 4, 0, W}, {3, 4, 1, 0, R}},
         "",
         "2:room"}};
    EXPECT(tables);
}

static void a_higher_one_stops_the_lowest_and_youngest(void **unused)
{
    (void)unused;
    static const struct table tables[] = {
        {"the lowest", 4, 0, {{1, 1, 2, 0, R}, {2, 0, 2, 0, R}, {3, 2, 2, 0, W}}, "-2", "3:made"},
        {"the youngest of equals",
         4,
         0,
         {{1, 0, 2, 0, R}, {2, 0, 2, 0, R}, {3, 2, 1, 0, W}},
         "-2",
         "3:made"},
        {"as many as are needed",
         4,
         0,
         {{1, 0, 1, 0, R}, {2, 0, 1, 0, R}, {3, 0, 1, 0, R}, {4, 9, 3, 0, W}},
         "-3 -2",
         "4:made"},
        {"never equals", 4, 0, {{1, 2, 4, 0, R}, {2, 2, 1, 0, W}}, "", "2:room"},
        {"nobody for nothing",
         4,
         0,
         {{1, 0, 1, 0, R}, {2, 9, 2, 0, R}, {3, 5, 3, 0, W}},
         "",
         "3:room"},
        {"one that stops already is enough",
         4,
         0,
         {{1, 0, 2, 0, S}, {2, 0, 2, 0, R}, {3, 9, 2, 0, W}},
         "",
         "3:made"}};
    EXPECT(tables);
}

static void room_that_is_made_is_nobody_elses(void **unused)
{
    (void)unused;
    static const struct table tables[] = {
        {"what is free already is kept for it",
         4,
         0,
         {{1, 0, 3, 0, S}, {2, 5, 4, 0, W}, {3, 0, 1, 0, W}},
         "",
         "2:made 3:room"},
        {"what it does not need is not",
         4,
         0,
         {{1, 0, 2, 0, S}, {2, 5, 3, 0, W}, {3, 0, 1, 0, W}},
         "+3",
         "2:made"},
        {"one that stops for a person makes room, too",
         4,
         0,
         {{1, 9, 4, 0, S}, {2, 0, 4, 0, W}},
         "",
         "2:made"},
        {"two that wait do not count on the same room",
         4,
         0,
         {{1, 0, 2, 0, S}, {2, 1, 2, 0, R}, {3, 9, 2, 0, W}, {4, 8, 2, 0, W}},
         "-2",
         "3:made 4:made"}};
    EXPECT(tables);
}

static void those_for_slurm_stand_in_a_line_of_their_own(void **unused)
{
    (void)unused;
    static const struct table tables[] = {
        {"they take nothing of the machine",
         4,
         1,
         {{1, 0, 4, 1, R}, {2, 0, 0, 0, W}, {3, 0, 0, 0, W}},
         "+2 +3",
         ""},
        {"of higher priority first, and so many jobs at once",
         4,
         0,
         {{1, 0, 0, 0, W}, {2, 5, 0, 0, W}, {3, 9, 0, 0, R}},
         "+2",
         "1:room"},
        {"nobody is stopped for one of them",
         4,
         0,
         {{1, 0, 0, 0, R}, {2, 1, 0, 0, R}, {3, 9, 0, 0, W}, {4, 0, 4, 0, R}},
         "",
         "3:room"},
        {"nor one of them for one of this machine",
         4,
         0,
         {{1, 0, 0, 0, R}, {2, 0, 4, 0, R}, {3, 9, 4, 0, W}},
         "-2",
         "3:made"},
        {"neither line waits for the other",
         4,
         0,
         {{1, 0, 4, 0, R},
          {2, 0, 4, 0, W},
          {3, 0, 0, 0, W},
          {4, 0, 0, 0, R},
          {5, 0, 0, 0, W},
          {6, 0, 1, 0, W}},
         "+3",
         "2:room 5:room 6:turn2"},
        {"one that stops leaves its place to the next",
         4,
         0,
         {{1, 0, 0, 0, S}, {2, 0, 0, 0, R}, {3, 0, 0, 0, W}},
         "",
         "3:made"}};
    EXPECT(tables);
}

/* Who waited for it was lost. */
static void one_whose_job_may_be_there_keeps_its_place(void **unused)
{
    (void)unused;
    static const struct table tables[] = {{"it is looked after at once, whoever is before it",
                                           4,
                                           0,
                                           {{1, 9, 0, 0, R}, {2, 9, 0, 0, W}, {3, 0, 0, 0, J}},
                                           "+3",
                                           "2:room"},
                                          {"with more jobs than there may be now, too",
                                           4,
                                           0,
                                           {{1, 0, 0, 0, R}, {2, 0, 0, 0, R}, {3, 0, 0, 0, J}},
                                           "+3",
                                           ""}};
    EXPECT(tables);
}

/* Small ones of the same priority come all the time: the large one has its turn. */
static void a_large_one_does_not_starve(void **unused)
{
    (void)unused;
    static struct submitted rows[64];
    const struct submitted *list[64];
    struct queue_action actions[64];
    struct queue_reason reasons[64];
    struct queue_plan plan = {.actions = actions, .reasons = reasons};
    struct queue_capacity capacity = {4, 0, 0};
    rows[0] = (struct submitted){.id = 1, .cores = 1, .state = R};
    rows[1] = (struct submitted){.id = 2, .cores = 4, .state = W};
    for (int turn = 2; turn < 64; turn++) {
        rows[turn] = (struct submitted){.id = (uint64_t)turn + 1, .cores = 1, .state = W};
        rows[0].state = turn == 10 ? SUBMITTED_DONE : rows[0].state;
        for (int i = 0; i <= turn; i++)
            list[i] = &rows[i];
        queue_policy(list, turn + 1, &capacity, NOW, &plan);
        assert_int_equal(plan.action_count, turn == 10);
        if (turn == 10) {
            assert_int_equal(actions[0].campaign, 1);
            return;
        }
    }
}

/* Whatever there is: nothing starts that does not fit, nobody stops for an equal or a lower one,
 * and with nothing running something starts. */
static void no_state_breaks_the_rules(void **unused)
{
    (void)unused;
    static struct submitted rows[MOST];
    const struct submitted *list[MOST];
    struct queue_action actions[MOST];
    struct queue_reason reasons[MOST];
    uint32_t seed = 7;
    for (int round = 0; round < 20000; round++) {
        struct queue_plan plan = {.actions = actions, .reasons = reasons};
        struct queue_capacity capacity = {4, 0, 0};
        int running = 0, waiting = 0, used = 0;
        for (int i = 0; i < MOST; i++) {
            static const enum submitted_state states[] = {W, H, R, S, W, W};
            seed = seed * 1664525u + 1013904223u;
            enum submitted_state state = states[(seed >> 8) % 6];
            int cores = 1 + (int)(seed >> 16) % 5;
            if ((state == R || state == S) && used + cores > 4)
                state = W;
            used += state == R || state == S ? cores : 0;
            running += state == R || state == S;
            waiting += state == W;
            rows[i] = (struct submitted){.id = (uint64_t)i + 1,
                                         .priority = (int)(seed >> 24) % 3,
                                         .cores = cores,
                                         .state = state};
            list[i] = &rows[i];
        }
        queue_policy(list, MOST, &capacity, NOW, &plan);
        for (int i = 0; i < plan.action_count; i++) {
            const struct submitted *one = list[actions[i].campaign];
            bool is_start = actions[i].verb == QUEUE_START;
            assert_int_equal(one->state, is_start ? W : R);
            used += is_start ? (one->cores < 4 ? one->cores : 4) : 0;
            if (!is_start)
                assert_true(rows[actions[i].makes_room - 1].priority > one->priority);
        }
        assert_in_range(used, 0, 4);
        if (running == 0 && waiting > 0)
            assert_true(plan.action_count > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_higher_priority_is_first_then_who_came_first),
        cmocka_unit_test(memory_is_room_too),
        cmocka_unit_test(what_is_larger_than_the_machine_runs_alone),
        cmocka_unit_test(only_lower_ones_overtake_one_that_waits),
        cmocka_unit_test(a_higher_one_stops_the_lowest_and_youngest),
        cmocka_unit_test(room_that_is_made_is_nobody_elses),
        cmocka_unit_test(those_for_slurm_stand_in_a_line_of_their_own),
        cmocka_unit_test(one_whose_job_may_be_there_keeps_its_place),
        cmocka_unit_test(a_large_one_does_not_starve),
        cmocka_unit_test(no_state_breaks_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
