/* The counts against 1,112 published rows and the totals of an independent counter. */
#include "tests/spec/spec_test.h"
#include "trainer/spec/cost.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CSV "tests/spec/published/ofa_mbv3_w10_imagenet_subnets.csv"

static void dashes_to_commas(char *text)
{
    for (; *text; text++)
        if (*text == '-')
            *text = ',';
}

static void every_published_row_is_counted_exactly(void **state)
{
    (void)state;
    struct space space;
    assert_ok(space_load("configs/spaces/mbv3.yaml", 1.0, 1000, 3, &space));
    FILE *csv = fopen(CSV, "r");
    assert_non_null(csv);
    char line[512], kernel[128], expand[128], depth[64], text[400];
    int rows = 0, resolution = 0;
    long long parameters = 0, macs = 0;
    assert_non_null(fgets(line, sizeof line, csv)); /* the header */
    while (fgets(line, sizeof line, csv)) {
        rows++;
        if (sscanf(line, "%127[^,],%127[^,],%63[^,],%d,%lld,%lld", kernel, expand, depth,
                   &resolution, &parameters, &macs) != 6)
            fail_msg("row %d cannot be read: %s", rows, line);
        dashes_to_commas(kernel);
        dashes_to_commas(expand);
        dashes_to_commas(depth);
        snprintf(text, sizeof text, "r=%d k=%s e=%s d=%s", resolution, kernel, expand, depth);
        struct subnet subnet;
        assert_ok(subnet_parse(&space, text, &subnet));
        struct cost cost = cost_of(&space, &subnet);
        if (cost.macs != macs || cost.parameters != parameters)
            fail_msg("row %d: counted %lld macs %lld parameters, published %lld and %lld", rows,
                     (long long)cost.macs, (long long)cost.parameters, macs, parameters);
    }
    fclose(csv);
    assert_int_equal(rows, 1112);
}

/* Totals of the reference notes' appendix: tables A1 to A8. */
static const struct {
    const char *space;
    double width;
    const char *subnet;
    int64_t parameters, macs_224, macs_128, elements_224, elements_128;
} totals[] = {
    {"mbv3", 1.0, "biggest", 7664760, 566170656, 188248320, 9390752, 3066368},
    {"mbv3", 1.0, "smallest", 3410792, 121278672, 41476224, 3194800, 1043200},
    {"mbv3", 1.2, "biggest", 10701632, 843101040, 279987456, 12392688, 4046592},
    {"mbv3", 1.2, "smallest", 4602456, 193078200, 65536896, 4361784, 1424256},
    {"proxyless", 1.3, "biggest", 7942056, 1004908032, 329253888, 13400128, 4375552},
    {"proxyless", 1.3, "smallest", 3718832, 265526256, 87823104, 4980752, 1626368},
    {"proxyless", 1.0, "biggest", 5103336, 606590720, 198932480, 9850176, 3216384},
    {"proxyless", 1.0, "smallest", 2500632, 154160000, 51200000, 3659712, 1195008},
};

static void check_total(size_t i, int resolution, int64_t macs, int64_t elements)
{
    char path[64];
    struct space space;
    struct subnet subnet;
    snprintf(path, sizeof path, "configs/spaces/%s.yaml", totals[i].space);
    assert_ok(space_load(path, totals[i].width, 1000, 3, &space));
    assert_ok(subnet_parse(&space, totals[i].subnet, &subnet));
    subnet.resolution = resolution;
    struct cost cost = cost_of(&space, &subnet);
    if (cost.parameters != totals[i].parameters || cost.macs != macs ||
        cost.map_elements != elements)
        fail_msg("%s w%.1f %s at %d: %lld parameters, %lld macs, %lld elements; expected %lld, "
                 "%lld, %lld",
                 totals[i].space, totals[i].width, totals[i].subnet, resolution,
                 (long long)cost.parameters, (long long)cost.macs, (long long)cost.map_elements,
                 (long long)totals[i].parameters, (long long)macs, (long long)elements);
}

static void the_reference_totals_of_both_families_and_three_widths_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof totals / sizeof *totals; i++) {
        check_total(i, 224, totals[i].macs_224, totals[i].elements_224);
        check_total(i, 128, totals[i].macs_128, totals[i].elements_128);
    }
}

static double mmacs(const char *name, const char *text, int channels)
{
    char path[64];
    struct space space;
    struct subnet subnet;
    snprintf(path, sizeof path, "configs/spaces/%s.yaml", name);
    assert_ok(space_load(path, 1.0, 10, channels, &space));
    assert_ok(subnet_parse(&space, text, &subnet));
    return (double)cost_of(&space, &subnet).macs / 1e6;
}

static void the_firefly_spaces_cost_what_they_promise_at_28_pixels(void **state)
{
    (void)state;
    double tiny = mmacs("firefly-tiny", "biggest r=28", 1);
    double tiny_least = mmacs("firefly-tiny", "smallest r=28", 1);
    double small = mmacs("firefly-small", "biggest r=28", 1);
    double small_least = mmacs("firefly-small", "smallest r=28", 1);
    if (tiny < 2.5 || tiny > 3.0 || 5 * tiny_least > tiny)
        fail_msg("firefly-tiny: %.3f to %.3f million MACs", tiny_least, tiny);
    if (small < 8 || small > 14 || 5 * small_least > small)
        fail_msg("firefly-small: %.3f to %.3f million MACs", small_least, small);
    double colour = mmacs("firefly-tiny", "biggest r=28", 3);
    if (colour < 2.5 || colour > 3.0)
        fail_msg("firefly-tiny with 3 channels: %.3f million MACs", colour);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_published_row_is_counted_exactly),
        cmocka_unit_test(the_reference_totals_of_both_families_and_three_widths_agree),
        cmocka_unit_test(the_firefly_spaces_cost_what_they_promise_at_28_pixels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
