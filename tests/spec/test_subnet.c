#include "base/text.h"
#include "tests/spec/spec_test.h"
#include "trainer/spec/subnet.h"
#include <stdlib.h>
#include <string.h>

static struct space mbv3, proxyless;

static int load_spaces(void **state)
{
    (void)state;
    return space_load("configs/spaces/mbv3.yaml", 1.0, 1000, 3, &mbv3) != ERR_OK ||
           space_load("configs/spaces/proxyless.yaml", 1.3, 1000, 3, &proxyless) != ERR_OK;
}

static void check_round_trip(const struct space *space, const struct subnet *subnet)
{
    struct text text;
    struct subnet again;
    text_init(&text);
    subnet_format(space, subnet, &text);
    assert_ok(subnet_parse(space, text_get(&text), &again));
    if (memcmp(subnet, &again, sizeof again) != 0)
        fail_msg("'%s' does not read back as the same sub-network", text_get(&text));
    text_fini(&text);
}

static void the_text_form_reads_back(void **state)
{
    (void)state;
    const struct space *spaces[] = {&mbv3, &proxyless};
    for (int s = 0; s < 2; s++) {
        struct open_choices all = {spaces[s]->kernels, spaces[s]->expansions, spaces[s]->depths};
        for (int i = 0; i < 200; i++) {
            struct subnet subnet;
            subnet_sample(spaces[s], &all, 11, (uint64_t)i, i % 5, &subnet);
            subnet.resolution = i % 3 ? 128 + 4 * (i % 25) : 0;
            check_round_trip(spaces[s], &subnet);
        }
    }
}

static void a_single_number_stands_for_every_block(void **state)
{
    (void)state;
    struct subnet left, right;
    struct text text;
    text_init(&text);
    assert_ok(subnet_parse(&mbv3, "r=160 k=5 e=4 d=3", &left));
    subnet_uniform(&mbv3, 5, 4, 3, 160, &right);
    assert_memory_equal(&left, &right, sizeof left);
    subnet_format(&mbv3, &left, &text);
    assert_string_equal(text_get(&text), "r=160 k=5 e=4 d=3");
    text_fini(&text);
    assert_ok(subnet_parse(&mbv3, "biggest r=224", &left));
    subnet_biggest(&mbv3, 224, &right);
    assert_memory_equal(&left, &right, sizeof left);
    assert_ok(subnet_parse(&mbv3, "r=128 smallest", &left));
    subnet_smallest(&mbv3, 128, &right);
    assert_memory_equal(&left, &right, sizeof left);
}

static void impossible_settings_are_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text, *reason;
    } rows[] = {
        {"", "k= is missing"},
        {"k=3 e=3", "d= is missing"},
        {"k=3 e=3 d=2 q=1", "'q' is not understood"},
        {"k=3 e=3 d=2 k=5", "k= is there twice"},
        {"biggest k=5", "k= is there twice"},
        {"k=5 biggest", "'biggest' says everything but r="},
        {"k=4 e=3 d=2", "k=4 (block 1 of 20): space mbv3 has only 3, 5 or 7"},
        {"k=3 e=5 d=2", "e=5 (block 1 of 20): space mbv3 has only 3, 4 or 6"},
        {"k=3 e=3 d=2,3,4,5,2", "d=5 (open stage 4 of 5): space mbv3 has only 2, 3 or 4"},
        {"k=3,5 e=3 d=2", "k= has 2 entries; this space needs 20 (or one for all)"},
        {"k=3 e=3 d=2,2,2,2,2,2", "d= has 6 entries; this space needs 5"},
        {"k= e=3 d=2", "k= has 0 entries"},
        {"k=3, e=3 d=2", "is not a list of numbers"},
        {"k=3,,5 e=3 d=2", "is not a list of numbers"},
        {"k=x e=3 d=2", "is not a list of numbers"},
        {"k=-3 e=3 d=2", "is not a list of numbers"},
        {"k=259 e=3 d=2", "is not a list of numbers"}, /* 259 is 3 modulo 256 */
        {"r=0 k=3 e=3 d=2", "a resolution is 1 to 4096 pixels"},
        {"r=99999 k=3 e=3 d=2", "a resolution is 1 to 4096 pixels"},
        {"r=12x k=3 e=3 d=2", "a resolution is 1 to 4096 pixels"},
        {"k3 e=3 d=2", "'k3' is not understood"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct subnet subnet = {.resolution = -7};
        assert_refused(subnet_parse(&mbv3, rows[i].text, &subnet), ERR_CONFIG, rows[i].reason);
        assert_int_equal(subnet.resolution, -7); /* untouched after an error */
    }
}

static void closed_stages_run_all_their_blocks(void **state)
{
    (void)state;
    struct subnet subnet;
    assert_ok(subnet_parse(&proxyless, "k=3 e=3 d=2,3,4,2,3", &subnet));
    const int depths[] = {2, 3, 4, 2, 3, 1};
    for (int i = 0; i < 6; i++)
        assert_int_equal(subnet_depth(&proxyless, &subnet, i), depths[i]);
    int blocks = 0;
    for (int i = 0; i < proxyless.block_count; i++)
        blocks += subnet_has_block(&proxyless, &subnet, i);
    assert_int_equal(blocks, 15);
    assert_true(subnet_has_block(&proxyless, &subnet, 20));
    assert_false(subnet_has_block(&proxyless, &subnet, 2));
}

static void equality_ignores_skipped_blocks_and_nothing_else(void **state)
{
    (void)state;
    struct subnet left, right;
    subnet_uniform(&mbv3, 7, 6, 2, 224, &left);
    right = left;
    right.kernel[3] = 3; /* block 3 of stage 1 is skipped at depth 2 */
    right.expansion[2] = 4;
    assert_true(subnet_equal(&mbv3, &left, &right));
    right.kernel[1] = 3;
    assert_false(subnet_equal(&mbv3, &left, &right));
    right = left;
    right.resolution = 192;
    assert_false(subnet_equal(&mbv3, &left, &right));
    subnet_canonical(&mbv3, &left);
    assert_int_equal(left.kernel[2], 3);
    assert_int_equal(left.kernel[1], 7);
    assert_int_equal(left.expansion[3], 3);
}

static void samples_cover_every_open_choice_evenly(void **state)
{
    (void)state;
    struct open_choices open = {mbv3.kernels, {2, {4, 6}}, {2, {3, 4}}};
    int kernels[8] = {0}, expansions[8] = {0}, depths[8] = {0};
    enum { DRAWS = 3000 };
    for (int i = 0; i < DRAWS; i++) {
        struct subnet subnet;
        subnet_sample(&mbv3, &open, 5, (uint64_t)i, 0, &subnet);
        kernels[subnet.kernel[i % 20]]++;
        expansions[subnet.expansion[i % 20]]++;
        depths[subnet.depth[i % 5]]++;
    }
    /* Six standard deviations of a binomial: 155 of 1000, 164 of 1500. */
    for (int k = 3; k <= 7; k += 2)
        assert_in_range(kernels[k], DRAWS / 3 - 155, DRAWS / 3 + 155);
    for (int e = 4; e <= 6; e += 2)
        assert_in_range(expansions[e], DRAWS / 2 - 164, DRAWS / 2 + 164);
    for (int d = 3; d <= 4; d++)
        assert_in_range(depths[d], DRAWS / 2 - 164, DRAWS / 2 + 164);
    assert_int_equal(expansions[3] + depths[2], 0);
}

static void a_sample_is_a_function_of_seed_step_and_index(void **state)
{
    (void)state;
    struct open_choices all = {mbv3.kernels, mbv3.expansions, mbv3.depths};
    struct subnet first, again, other;
    subnet_sample(&mbv3, &all, 1, 77, 2, &first);
    subnet_sample(&mbv3, &all, 1, 77, 2, &again);
    assert_memory_equal(&first, &again, sizeof first);
    subnet_sample(&mbv3, &all, 2, 77, 2, &other);
    assert_false(subnet_equal(&mbv3, &first, &other));
    subnet_sample(&mbv3, &all, 1, 78, 2, &other);
    assert_false(subnet_equal(&mbv3, &first, &other));
    subnet_sample(&mbv3, &all, 1, 77, 3, &other);
    assert_false(subnet_equal(&mbv3, &first, &other));
    assert_ok(subnet_check(&mbv3, &first));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_form_reads_back),
        cmocka_unit_test(a_single_number_stands_for_every_block),
        cmocka_unit_test(impossible_settings_are_refused_with_the_reason),
        cmocka_unit_test(closed_stages_run_all_their_blocks),
        cmocka_unit_test(equality_ignores_skipped_blocks_and_nothing_else),
        cmocka_unit_test(samples_cover_every_open_choice_evenly),
        cmocka_unit_test(a_sample_is_a_function_of_seed_step_and_index),
    };
    return cmocka_run_group_tests(tests, load_spaces, NULL);
}
