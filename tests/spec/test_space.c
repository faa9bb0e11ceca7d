#include "base/text.h"
#include "tests/spec/spec_test.h"
#include "trainer/spec/space.h"
#include "trainer/spec/subnet.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void rounding_follows_the_reference(void **state)
{
    (void)state;
    const struct {
        double from;
        int to;
    } rows[] = {{1, 8},   {8, 8},   {11.9, 16}, {12, 16}, {19.2, 24},   {20, 24},
                {26, 24}, {27, 32}, {28.8, 32}, {36, 40}, {134.4, 136}, {249.6, 248},
                {52, 56}, {88, 88}, {84, 88},   {83, 80}, {1664, 1664}, {60, 64}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (space_round(rows[i].from, 8) != rows[i].to)
            fail_msg("%g becomes %d; expected %d", rows[i].from, space_round(rows[i].from, 8),
                     rows[i].to);
}

static void check_middles(const struct space *space, int block, const int expected[3])
{
    static const int expansions[] = {3, 4, 6};
    for (int i = 0; i < 3; i++) {
        int middle = space_middle(&space->blocks[block], expansions[i]);
        if (middle != expected[i])
            fail_msg("w%g block %d e%d: %d channels; expected %d", space->width_multiplier, block,
                     expansions[i], middle, expected[i]);
    }
}

static void middle_and_hidden_widths_of_mbv3_are_the_tables(void **state)
{
    (void)state;
    struct space space;
    assert_ok(space_load("configs/spaces/mbv3.yaml", 1.2, 1000, 3, &space));
    const int widths[] = {32, 48, 96, 136, 192};
    for (int i = 0; i < 5; i++)
        assert_int_equal(space.stages[i].width, widths[i]);
    assert_int_equal(space.stem_width, 24);
    assert_int_equal(space.expand_width, 1152);
    assert_int_equal(space.mix_width, 1536);
    check_middles(&space, 4, (const int[]){96, 128, 192});
    check_middles(&space, 5, (const int[]){144, 192, 288});
    check_middles(&space, 12, (const int[]){288, 384, 576});
    check_middles(&space, 13, (const int[]){408, 544, 816});
    check_middles(&space, 17, (const int[]){576, 768, 1152});
    const int middle[] = {96, 128, 192, 288, 384, 544, 816};
    const int hidden[] = {24, 32, 48, 72, 96, 136, 208};
    for (int i = 0; i < 7; i++)
        assert_int_equal(space_hidden(&space, middle[i]), hidden[i]);
    assert_int_equal(space_hidden(&space, 144), 40); /* 36 is 4.5 eights: up */
    assert_int_equal(space_hidden(&space, 72), 24);  /* 18 would become 16, below nine tenths */
}

static void shortcuts_stand_where_the_reference_has_them(void **state)
{
    (void)state;
    struct space mbv3, proxyless;
    assert_ok(space_load("configs/spaces/mbv3.yaml", 1.0, 1000, 3, &mbv3));
    assert_ok(space_load("configs/spaces/proxyless.yaml", 1.3, 1000, 3, &proxyless));
    assert_true(mbv3.first_has_shortcut);
    assert_false(proxyless.first_has_shortcut);
    for (int i = 0; i < mbv3.block_count; i++)
        assert_int_equal(mbv3.blocks[i].has_shortcut, mbv3.blocks[i].index_in_stage > 0);
    assert_int_equal(mbv3.block_count, 20);
    assert_int_equal(mbv3.elastic_stage_count, 5);
    assert_int_equal(proxyless.block_count, 21);
    assert_int_equal(proxyless.elastic_stage_count, 5);
    assert_false(proxyless.stages[5].is_elastic);
    assert_int_equal(proxyless.stages[5].block_count, 1);
    assert_string_equal(mbv3.expand_name, "final_expand_layer");
    assert_string_equal(proxyless.expand_name, "feature_mix_layer");
    assert_true(mbv3.norm_eps == 1e-5 && proxyless.norm_eps == 1e-3);
    assert_int_equal(mbv3.resolution_count, 25);
    assert_int_equal(mbv3.resolutions[0], 128);
    assert_int_equal(mbv3.resolutions[24], 224);
}

static void check_count(const char *path, const char *expected)
{
    struct space space;
    struct text digits;
    text_init(&digits);
    assert_ok(space_load(path, 1.0, 1000, 3, &space));
    space_count(&space, &digits);
    assert_string_equal(text_get(&digits), expected);
    text_fini(&digits);
}

static void sub_networks_are_counted_exactly(void **state)
{
    (void)state;
    check_count("configs/spaces/mbv3.yaml", "21758655492572485851");       /* 7371^5 */
    check_count("configs/spaces/proxyless.yaml", "195827899433152372659"); /* times 9 */
    check_count("configs/spaces/firefly-tiny.yaml", "670761");             /* 819^2 */
}

static void every_space_for_the_camera_has_channels_in_eights(void **state)
{
    (void)state;
    static const char *const names[] = {"firefly", "firefly-tiny", "firefly-small"};
    const double widths[] = {0.35, 0.5, 0.75, 1.0, 1.3};
    for (size_t n = 0; n < 3; n++) {
        for (size_t w = 0; w < 5; w++) {
            char path[64];
            struct space space;
            snprintf(path, sizeof path, "configs/spaces/%s.yaml", names[n]);
            assert_ok(space_load(path, widths[w], 10, 1, &space));
            for (int i = 0; i < space.block_count; i++) {
                assert_false(space.blocks[i].has_se);
                assert_true(space.blocks[i].act == ACT_RELU || space.blocks[i].act == ACT_RELU6);
                for (int e = 0; e < space.expansions.count; e++)
                    assert_int_equal(space_middle(&space.blocks[i], space.expansions.value[e]) % 8,
                                     0);
            }
            assert_int_equal((space.stem_width | space.first_width | space.expand_width) % 8, 0);
        }
    }
}

/* Writes a space file into the scratch folder and loads it. */
static enum err load_text(const char *text, struct space *space)
{
    char path[] = "/tmp/gw-space-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    close(file);
    enum err err = space_load(path, 1.0, 10, 3, space);
    unlink(path);
    return err;
}

static void all_mistakes_of_a_space_file_are_listed_at_once(void **state)
{
    (void)state;
    struct space space;
    const char *text = "space: own\n"
                       "choices: {kernels: [3, 9], expansions: [2, two], depths: [1]}\n"
                       "resolutions: 64..32\n"
                       "stem: {width: 16, strid: 1, act: rely}\n"
                       "first: {width: 16}\n"
                       "stages:\n"
                       "  - {width: 24, stride: 3, act: relu}\n"
                       "  - {stride: 1, act: relu, has_se: yes}\n";
    static const char *const expected[] = {
        ":2:24: key 'choices.kernels': 9 is out of range: 3 to 7",
        ":2:44: key 'choices.expansions': 'two' is not a number",
        ":3:14: key 'resolutions': a range goes upwards",
        ":4:19: key 'stem.strid': unknown; did you mean 'stem.stride'?",
        ":4:34: key 'stem.act': 'rely' is not one of none, relu, relu6 or hswish; did",
        "key 'first.act': is missing (its activation)",
        ":7:25: key 'stages[0].stride': 3 is out of range: 1 to 2",
        "key 'stages[1].width': is missing",
        "key 'stages[1].has_se': unknown; did you mean 'stages[1].se'?"};
    assert_int_equal(load_text(text, &space), ERR_CONFIG);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        if (!strstr(err_text(), expected[i]))
            fail_msg("not listed: %s\nin:\n%s", expected[i], err_text());
}

static void combinations_that_cannot_be_built_are_refused(void **state)
{
    (void)state;
    struct space space;
    const char *base = "space: own\nchoices: {kernels: [%s], expansions: [2], depths: [%s]}\n"
                       "resolutions: 32\nstem: {width: 16, act: relu}\n"
                       "first: {width: %d, act: relu, shortcut: yes}\n"
                       "stages: [{width: 24, act: relu}, {width: 24, act: relu, depth: %d}]\n"
                       "head: {expand: %d, mix: 64}\n";
    const struct {
        const char *kernels, *depths;
        int first, depth, expand;
        const char *words;
    } rows[] = {{"3, 4", "1", 16, 1, 8, "4 is even"},
                {"3", "", 16, 1, 8, "leave their depth open"},
                {"3", "1", 24, 1, 8, "first.stride 1 and first.width = stem.width"},
                {"3", "1", 16, 64, 8, "65 blocks at full depth"},
                {"3", "1", 16, 1, 0, "needs head.expand"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[600];
        snprintf(text, sizeof text, base, rows[i].kernels, rows[i].depths, rows[i].first,
                 rows[i].depth, rows[i].expand);
        assert_refused(load_text(text, &space), ERR_CONFIG, rows[i].words);
    }
}

static void padding_and_divisor_are_part_of_a_key_only_where_they_are_said(void **state)
{
    (void)state;
    struct space space;
    struct text plain, said;
    const char *base = "space: own\n%schoices: {kernels: [3], expansions: [3], depths: [1]}\n"
                       "resolutions: 32\nstem: {width: 5, act: relu}\n"
                       "first: {width: 11, act: relu}\nstages: [{width: 13, act: relu, se: yes}]\n";
    char text[600];
    text_init(&plain);
    text_init(&said);
    snprintf(text, sizeof text, base, "");
    assert_ok(load_text(text, &space));
    assert_int_equal(space.padding, PAD_SYMMETRIC);
    assert_int_equal(space.first_width, 16);
    space_lines(&space, &plain);
    assert_null(strstr(text_get(&plain), "padding"));
    assert_null(strstr(text_get(&plain), "divisor"));
    snprintf(text, sizeof text, base, "padding: tf\ndivisor: 1\n");
    assert_ok(load_text(text, &space));
    assert_int_equal(space.padding, PAD_SAME);
    assert_int_equal(space.first_width, 11);
    assert_int_equal(space_middle(&space.blocks[0], 3), 33);
    assert_int_equal(space_hidden(&space, 50), 12); /* 16 in multiples of 8 */
    space_lines(&space, &said);
    assert_non_null(strstr(text_get(&said), "space.padding=1\nspace.divisor=1\n"));
    snprintf(text, sizeof text, base, "padding: same\n");
    assert_refused(load_text(text, &space), ERR_CONFIG, "'same' is not one of symmetric or tf");
    text_fini(&plain);
    text_fini(&said);
}

static void arguments_out_of_range_are_refused(void **state)
{
    (void)state;
    struct space space;
    const char *path = "configs/spaces/mbv3.yaml";
    assert_refused(space_load(path, 0, 10, 3, &space), ERR_CONFIG, "width multiplier");
    assert_refused(space_load(path, 1, 0, 3, &space), ERR_CONFIG, "classes");
    assert_refused(space_load(path, 1, 10, 2, &space), ERR_CONFIG, "1 or 3 channels");
    assert_int_equal(space_load("configs/spaces/none.yaml", 1, 10, 3, &space), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounding_follows_the_reference),
        cmocka_unit_test(middle_and_hidden_widths_of_mbv3_are_the_tables),
        cmocka_unit_test(shortcuts_stand_where_the_reference_has_them),
        cmocka_unit_test(sub_networks_are_counted_exactly),
        cmocka_unit_test(every_space_for_the_camera_has_channels_in_eights),
        cmocka_unit_test(all_mistakes_of_a_space_file_are_listed_at_once),
        cmocka_unit_test(combinations_that_cannot_be_built_are_refused),
        cmocka_unit_test(padding_and_divisor_are_part_of_a_key_only_where_they_are_said),
        cmocka_unit_test(arguments_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
