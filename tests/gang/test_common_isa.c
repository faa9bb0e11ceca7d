/* Ranks on unlike machines: what they compute on, or why not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/gang/gang.h"
#include "trainer/gang/common_isa.h"

#define RANKS 3

struct scene {
    enum isa pinned;
    enum isa here[RANKS];
    enum err err[RANKS];
    enum isa chosen[RANKS];
    char told[RANKS][512];
};

static void choose(struct comm *comm, void *own)
{
    struct scene *scene = own;
    struct text differ;
    int rank = comm->rank;
    text_init(&differ);
    scene->err[rank] =
        common_isa_choose(comm, scene->pinned, scene->here[rank], &scene->chosen[rank], &differ);
    snprintf(scene->told[rank], sizeof scene->told[rank], "%s",
             scene->err[rank] == ERR_OK ? text_get(&differ) : err_text());
    text_fini(&differ);
}

static struct scene play(enum isa pinned, enum isa first, enum isa second, enum isa third)
{
    struct scene scene = {.pinned = pinned, .here = {first, second, third}};
    gang_run(RANKS, choose, &scene);
    return scene;
}

static void expect_all(const struct scene *scene, enum err err, enum isa isa, const char *told)
{
    for (int rank = 0; rank < RANKS; rank++) {
        assert_int_equal(scene->err[rank], err);
        if (err == ERR_OK)
            assert_int_equal(scene->chosen[rank], isa);
        if (told[0] ? !strstr(scene->told[rank], told) : scene->told[rank][0] != '\0')
            fail_msg("rank %d: \"%s\"", rank, scene->told[rank]);
    }
}

static void machines_of_one_kind_take_what_they_have(void **state)
{
    (void)state;
    struct scene scene = play(ISA_AUTO, ISA_V4, ISA_V4, ISA_V4);
    expect_all(&scene, ERR_OK, ISA_V4, "");
}

static void unlike_ones_take_the_least_and_say_so(void **state)
{
    (void)state;
    struct scene scene = play(ISA_AUTO, ISA_V4, ISA_V4_BF16, ISA_V3);
    expect_all(&scene, ERR_OK, ISA_V3, "computes on x86-64-v3, since rank 2 on ");
    expect_all(&scene, ERR_OK, ISA_V3, "; rank 0 on ");
}

static void what_is_pinned_stays_where_all_have_it(void **state)
{
    (void)state;
    struct scene scene = play(ISA_V3, ISA_V4, ISA_V3, ISA_V4_BF16);
    expect_all(&scene, ERR_OK, ISA_V3, "");
}

static void what_is_pinned_and_not_everywhere_is_refused_with_the_cure(void **state)
{
    (void)state;
    struct scene scene = play(ISA_V4, ISA_V4, ISA_V2, ISA_V3);
    expect_all(&scene, ERR_CONFIG, ISA_AUTO, "rank 1 on ");
    expect_all(&scene, ERR_CONFIG, ISA_AUTO, "set resources.isa: x86-64-v2");
}

static void other_devices_are_left_alone(void **state)
{
    (void)state;
    struct scene scene = play(ISA_V4, ISA_AUTO, ISA_AUTO, ISA_AUTO);
    expect_all(&scene, ERR_OK, ISA_V4, "");
    scene = play(ISA_AUTO, ISA_AUTO, ISA_AUTO, ISA_AUTO);
    expect_all(&scene, ERR_OK, ISA_AUTO, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(machines_of_one_kind_take_what_they_have),
        cmocka_unit_test(unlike_ones_take_the_least_and_say_so),
        cmocka_unit_test(what_is_pinned_stays_where_all_have_it),
        cmocka_unit_test(what_is_pinned_and_not_everywhere_is_refused_with_the_cure),
        cmocka_unit_test(other_devices_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
