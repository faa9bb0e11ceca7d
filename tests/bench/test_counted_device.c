/* What the counted device counts is what the network has: multiply-adds as trainer/spec/cost.h
 * counts them, and of a network small enough every map and tap by hand. */
#include "tests/bench/counted_device.h"
#include "tests/bench/gpu_ceilings.h"
#include "tests/bench/passes.h"
#include "tests/bench/virtual_expand.h"
#include "trainer/spec/cost.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { N = 3 };

struct scene {
    struct counts counts;
    struct device device;
    struct passes passes;
    struct subnet subnet;
};

static void must(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s", err_text());
}

static void open_scene(struct scene *scene, const char *file, const char *genes, size_t map_bytes)
{
    struct space space;
    must(space_load(file, 1.0, BENCH_CLASSES, BENCH_CHANNELS, &space));
    must(subnet_parse(&space, genes, &scene->subnet));
    scene->counts = (struct counts){0};
    counted_device_init(&scene->device, map_bytes, &scene->counts);
    must(passes_open(file, N, scene->subnet.resolution, &scene->device, &scene->passes));
}

static const struct count *kind(const struct scene *scene, enum count_kind kind)
{
    return &scene->counts.kinds[kind];
}

static void check(const char *what, double found, double expected)
{
    if (found != expected)
        fail_msg("%s: %.0f counted, %.0f expected", what, found, expected);
}

static const enum count_kind forwards[] = {COUNT_STEM_FORWARD, COUNT_PW_FORWARD, COUNT_DW_FORWARD,
                                           COUNT_EXCITE_FORWARD, COUNT_LINEAR_FORWARD};

/* Padded multiply-adds of a forward are the field's; a backward has twice as many, but for the
 * stem, behind which nothing wants a gradient. */
static void check_macs(const char *file, const char *genes)
{
    struct scene scene;
    double forward = 0, backward = 0;
    open_scene(&scene, file, genes, sizeof(float));
    must(passes_train(&scene.passes, &scene.subnet));
    for (size_t i = 0; i < sizeof forwards / sizeof *forwards; i++) {
        forward += kind(&scene, forwards[i])->padded_macs;
        backward += kind(&scene, forwards[i] + 1)->padded_macs;
    }
    struct cost cost = cost_of(&scene.passes.space, &scene.subnet);
    check(genes, forward, N * (double)cost.macs);
    check(genes, backward + kind(&scene, COUNT_STEM_FORWARD)->padded_macs, 2 * forward);
    passes_close(&scene.passes);
}

static void a_step_has_the_macs_of_its_subnet(void **state)
{
    (void)state;
    check_macs("configs/spaces/mbv3.yaml", "r=32 k=7 e=6 d=4");
    check_macs("configs/spaces/mbv3.yaml", "r=128 k=3 e=3 d=2");
    check_macs("configs/spaces/firefly.yaml", "r=96 k=5 e=4 d=3");
    check_macs("tests/spaces/odd-gated.yaml", "r=23 k=7 e=3 d=2");
}

/* Every raw map is written once by a forward, as trainer/spec/cost.h counts them. */
static void a_forward_writes_each_map_once(void **state)
{
    (void)state;
    struct scene scene;
    double written = 0;
    open_scene(&scene, "configs/spaces/mbv3.yaml", "r=64 k=5 e=4 d=3", 2);
    must(passes_teach(&scene.passes));
    subnet_biggest(&scene.passes.space, 64, &scene.subnet);
    for (enum count_kind k = COUNT_STEM_FORWARD; k <= COUNT_DW_FORWARD; k += 2)
        written += kind(&scene, k)->written_bytes;
    struct cost cost = cost_of(&scene.passes.space, &scene.subnet);
    check("raw maps", written, 2 * N * (double)cost.map_elements);
    check("calls of backwards", kind(&scene, COUNT_PW_BACKWARD)->calls, 0);
    passes_close(&scene.passes);
}

/* A 8x8 image; the stem to 4x4 of 8 channels; depthwise 3x3 and 1x1 to 8; one block of stride 2:
 * 1x1 to 16, depthwise to 2x2, 1x1 to 8; pool; classifier. */
static const char small[] = "space: small\n"
                            "norm_eps: 1e-3\n"
                            "dropout: 0\n"
                            "kernel_transform: no\n"
                            "choices: {kernels: [3], expansions: [2], depths: [1]}\n"
                            "resolutions: [8]\n"
                            "stem: {width: 8, stride: 2, act: relu}\n"
                            "first: {width: 8, stride: 1, act: relu, shortcut: yes}\n"
                            "stages:\n"
                            "  - {width: 8, stride: 2, act: relu, depth: 1}\n";

static void open_small(struct scene *scene, size_t map_bytes)
{
    char file[] = "/tmp/glowworm-small-XXXXXX";
    int descriptor = mkstemp(file);
    FILE *stream = fdopen(descriptor, "w");
    assert_non_null(stream);
    fputs(small, stream);
    fclose(stream);
    open_scene(scene, file, "r=8 k=3 e=2 d=1", map_bytes);
    remove(file);
    must(passes_train(&scene->passes, &scene->subnet));
}

enum { /* elements of the small network's maps, of all images */
       IMAGE = N * 64 * 3,
       NARROW = N * 16 * 8, /* stem, first depthwise, first 1x1, their sum */
       WIDE = N * 16 * 16,
       SMALL_WIDE = N * 4 * 16,
       LAST = N * 4 * 8
};

static void check_bytes(const struct scene *scene, enum count_kind k, double read, double written)
{
    char text[64];
    snprintf(text, sizeof text, "%s, read", count_name(k));
    check(text, kind(scene, k)->read_bytes, read);
    snprintf(text, sizeof text, "%s, written", count_name(k));
    check(text, kind(scene, k)->written_bytes, written);
}

/* Weights: stem 9*3*8, 1x1 8*8, 8*16 and 16*8, depthwise 9*8 and 9*16. */
static void check_small_bytes(size_t map_bytes)
{
    struct scene scene;
    const double M = (double)map_bytes, F = sizeof(float);
    const double stem = 216, pw = 64 + 128 + 128, dw = 72 + 144;
    open_small(&scene, map_bytes);
    check_bytes(&scene, COUNT_STEM_FORWARD, M * (IMAGE + stem), M * NARROW);
    check_bytes(&scene, COUNT_STEM_BACKWARD, M * (2 * NARROW + IMAGE) + F * stem, F * stem);
    check_bytes(&scene, COUNT_PW_FORWARD, M * (NARROW + NARROW + SMALL_WIDE + pw),
                M * (NARROW + WIDE + LAST));
    check_bytes(&scene, COUNT_DW_FORWARD, M * (NARROW + WIDE + dw), M * (NARROW + SMALL_WIDE));
    check_bytes(&scene, COUNT_RESIDUAL_FORWARD, M * 2 * NARROW, M * NARROW);
    /* q (none behind the pool) and z of the output, the input; behind the sum also the branch's z
     */
    check_bytes(&scene, COUNT_PW_BACKWARD,
                M * (3 * NARROW + 2 * WIDE + 2 * NARROW + LAST + SMALL_WIDE + pw) + F * pw,
                M * (NARROW + NARROW + SMALL_WIDE) + F * pw);
    /* the first one adds the shortcut's gradient */
    check_bytes(&scene, COUNT_DW_BACKWARD, M * (4 * NARROW + 2 * SMALL_WIDE + WIDE + dw) + F * dw,
                M * (NARROW + WIDE) + F * dw);
    passes_close(&scene.passes);
}

static void a_small_step_moves_the_bytes_counted_by_hand(void **state)
{
    (void)state;
    check_small_bytes(4);
    check_small_bytes(2);
}

/* Windows of three on a side of 4 reach 10 taps with stride 1 and 5 with stride 2. */
static void taps_outside_the_map_do_not_count(void **state)
{
    (void)state;
    struct scene scene;
    open_small(&scene, sizeof(float));
    check("depthwise", kind(&scene, COUNT_DW_FORWARD)->macs, N * (8.0 * 100 + 16.0 * 25));
    check("depthwise, backward", kind(&scene, COUNT_DW_BACKWARD)->macs,
          2 * N * (8.0 * 100 + 16.0 * 25));
    /* on a side of 8 with stride 2: 2 + 3 + 3 + 3 */
    check("stem", kind(&scene, COUNT_STEM_FORWARD)->macs, N * 8.0 * 3 * 121);
    passes_close(&scene.passes);
}

/* An affine and a ReLU for every element of a view, two sums for one of a map; of a residual sum
 * the branch has no ReLU, and there is the sum. */
static void views_and_sums_are_counted_by_hand(void **state)
{
    (void)state;
    struct scene scene;
    open_small(&scene, sizeof(float));
    check("stem", kind(&scene, COUNT_STEM_FORWARD)->elementwise, 2.0 * NARROW);
    check("depthwise", kind(&scene, COUNT_DW_FORWARD)->elementwise,
          2.0 * (NARROW + WIDE) + 2.0 * (NARROW + SMALL_WIDE));
    check("residual", kind(&scene, COUNT_RESIDUAL_FORWARD)->elementwise, 4.0 * NARROW);
    passes_close(&scene.passes);
    open_small(&scene, 2); /* and what changes its type */
    check("residual, bf16", kind(&scene, COUNT_RESIDUAL_FORWARD)->elementwise, 7.0 * NARROW);
    passes_close(&scene.passes);
}

/* Three arrays are read and written; the shadow is a fourth where maps are not fp32. */
static void the_update_touches_every_weight(void **state)
{
    (void)state;
    for (size_t map_bytes = 2; map_bytes <= 4; map_bytes += 2) {
        struct scene scene;
        open_small(&scene, map_bytes);
        must(passes_update(&scene.passes));
        double weights = (double)scene.passes.net->weight_count;
        check_bytes(&scene, COUNT_SGD_STEP, 12 * weights,
                    12 * weights + (map_bytes == 2 ? 2 * weights : 0));
        passes_close(&scene.passes);
    }
}

/* The block's expansion is 8 to 16 channels on 4x4; behind it 16 on 2x2, and 8. */
static void a_step_without_expanded_maps_is_counted_by_hand(void **state)
{
    (void)state;
    struct scene scene;
    struct count change = {0};
    const double M = 2, pixels = N * 16;
    open_small(&scene, 2);
    virtual_expand_count(&scene.passes.space, &scene.subnet, N, 2, &change);
    check("read", change.read_bytes, M * (3.0 * NARROW + 2.0 * LAST - 4.0 * WIDE - SMALL_WIDE));
    check("written", change.written_bytes, M * ((double)NARROW - 2.0 * WIDE - SMALL_WIDE));
    double products = pixels * (2 * 64 + 1.6 * 128) + N * 4.0 * 128;
    assert_true(fabs(change.products - products) < 1e-6 * products);
    passes_close(&scene.passes);
}

static void a_gpu_is_described_by_a_file(void **state)
{
    (void)state;
    struct gpu_ceilings gpu;
    must(gpu_ceilings_read("tests/bench/h100.yaml", &gpu));
    struct ceilings rates = gpu_ceilings_rates(&gpu);
    check("multiply-adds of fp32", rates.fma, 0.5e12 * gpu.fp32);
    check("bytes read", rates.read, 1e9 * gpu.copy);
    assert_true(rates.bf16 > rates.fma);
    assert_int_equal(gpu_ceilings_read("configs/spaces/mbv3.yaml", &gpu), ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_has_the_macs_of_its_subnet),
        cmocka_unit_test(a_forward_writes_each_map_once),
        cmocka_unit_test(a_small_step_moves_the_bytes_counted_by_hand),
        cmocka_unit_test(taps_outside_the_map_do_not_count),
        cmocka_unit_test(views_and_sums_are_counted_by_hand),
        cmocka_unit_test(the_update_touches_every_weight),
        cmocka_unit_test(a_step_without_expanded_maps_is_counted_by_hand),
        cmocka_unit_test(a_gpu_is_described_by_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
