/* How 1x1 convolutions are cut on GPUs, for both amounts of memory that blocks may share: whatever
 * the shape, what a launch asks for is there, and its blocks have all columns and all rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

extern "C" {
#include <cmocka.h>
}

#include "kernels/cuda/pw_fused.cuh"

enum { MOST_CHANNELS = 1664, OWN_BYTES = 1 << 10 /* that kernels declare, and more */ };

static const size_t all_block_bytes[] = {CUDA_SHARED_BYTES, CUDA_LITTLE_SHARED_BYTES};

/* From one row, which is cut into columns, to many images of few rows and to large maps. */
static const struct dims maps[] = {
    {1, 1, 1, 0}, {2, 14, 14, 0}, {64, 7, 7, 0}, {100, 28, 28, 0}, {1024, 7, 7, 0}, {3000, 1, 1, 0},
};

struct shape {
    struct conv conv;
    size_t element, block_bytes;
};

typedef void shape_fn(const struct shape *shape);

#define CHECK(shape, is_so)                                                                        \
    do {                                                                                           \
        const struct conv &is = (shape)->conv;                                                     \
        if (!(is_so))                                                                              \
            fail_msg("%dx%dx%d, %d to %d channels of %zu bytes, %zu to share: not " #is_so,        \
                     is.in.N, is.in.H, is.in.W, is.in.C, is.K, (shape)->element,                   \
                     (shape)->block_bytes);                                                        \
    } while (0)

/* Steps of a vector near 0, then wider ones; 1,512 is among them. */
static int channels_behind(int channels)
{
    return channels < 3     ? channels + 1
           : channels < 8   ? 8
           : channels < 80  ? channels + 8
           : channels == 80 ? 104
                            : channels + 32;
}

static void walk_maps(shape_fn *check, struct shape shape, int C, int K)
{
    for (const struct dims &map : maps) {
        shape.conv.in = map;
        shape.conv.in.C = shape.conv.ld = C;
        shape.conv.K = K;
        shape.conv.R = shape.conv.S = 1;
        check(&shape);
    }
}

static void walk_shapes(shape_fn *check)
{
    for (size_t block_bytes : all_block_bytes)
        for (size_t element = 2; element <= 4; element += 2)
            for (int C = 1; C <= MOST_CHANNELS; C = channels_behind(C))
                for (int K = 1; K <= MOST_CHANNELS; K = channels_behind(K)) {
                    struct shape shape = {};
                    shape.element = element;
                    shape.block_bytes = block_bytes;
                    walk_maps(check, shape, C, K);
                }
}

static void check_columns(const struct shape *shape, const struct pw_plan &plan, int columns)
{
    int of_block = plan.column_tiles * plan.pieces * PRODUCT_COLUMNS;
    CHECK(shape, plan.column_tiles >= 1 && plan.column_blocks * of_block >= columns);
    CHECK(shape, (plan.column_blocks - 1) * of_block < columns);
    CHECK(shape, plan.buffers == plan.chunks || plan.buffers == 2);
}

static void check_rows(const struct shape *shape, const struct pw_plan &plan)
{
    const struct pw_walk &walk = plan.walk;
    CHECK(shape, (size_t)walk.images * (size_t)walk.rows == pw_rows(&shape->conv));
    CHECK(shape, walk.part_rows % PW_ROWS == 0 && walk.parts * walk.part_rows >= walk.rows);
    CHECK(shape, (walk.parts - 1) * walk.part_rows < walk.rows);
    if (plan.sums && walk.parts > 1)
        CHECK(shape,
              walk.images * plan.column_blocks * partials_tickets(walk.parts) <= CUDA_TICKETS);
}

/* `out` has the sums of each lane where they have no place of their own. */
static void check_out(const struct shape *shape, const struct pw_plan &plan)
{
    size_t columns = (size_t)plan.pieces * PRODUCT_COLUMNS;
    if (plan.sums_in_out)
        CHECK(shape, PW_ROWS * (columns + 8) * shape->element >=
                         (size_t)plan.sums * PW_LANES_PER_PAIR * sizeof(double));
}

static void check_product(const struct shape *shape, enum pw_pass pass, int sums)
{
    const struct conv *conv = &shape->conv;
    for (int is_wide = 0; is_wide < 2; is_wide++) {
        struct pw_plan plan =
            pw_plan_make(conv, pass, sums, shape->element, is_wide != 0, shape->block_bytes);
        CHECK(shape, plan.shared_bytes + OWN_BYTES <= shape->block_bytes);
        CHECK(shape, plan.shared_bytes == pw_shared_bytes(&plan, pass, shape->element));
        check_columns(shape, plan, pass == PW_FORWARD ? conv->K : conv->in.C);
        check_rows(shape, plan);
        check_out(shape, plan);
    }
}

static void check_products(const struct shape *shape)
{
    for (int sums = 0; sums <= 3; sums++)
        if (sums != 1)
            check_product(shape, PW_DGRAD, sums);
    check_product(shape, PW_FORWARD, 0);
    check_product(shape, PW_FORWARD, 2);
}

static void products_of_every_shape_have_room(void **)
{
    walk_shapes(check_products);
}

static void check_weights(const struct shape *shape)
{
    for (int is_wide = 0; is_wide < 2; is_wide++) {
        struct pw_wgrad_plan plan = pw_wgrad_plan_make(&shape->conv, shape->element, is_wide != 0);
        CHECK(shape, plan.shared_bytes + OWN_BYTES <= shape->block_bytes);
    }
    for (int sums = 0; sums <= 3; sums++) {
        struct pw_fused_plan plan =
            pw_fused_plan_make(&shape->conv, sums, shape->element, shape->block_bytes);
        CHECK(shape, !plan.is_there || plan.shared_bytes + OWN_BYTES <= shape->block_bytes);
    }
}

static void gradients_of_weights_of_every_shape_have_room(void **)
{
    walk_shapes(check_weights);
}

/* A shape whose last way of all asked for 169,984 bytes of 163 KB: its columns go to more blocks.
 */
static void sums_of_images_of_many_channels_have_room(void **)
{
    struct shape shape = {};
    shape.element = sizeof(float);
    for (size_t block_bytes : all_block_bytes) {
        shape.block_bytes = block_bytes;
        walk_maps(check_products, shape, 1416, 1512);
        walk_maps(check_products, shape, MOST_CHANNELS, MOST_CHANNELS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_of_every_shape_have_room),
        cmocka_unit_test(gradients_of_weights_of_every_shape_have_room),
        cmocka_unit_test(sums_of_images_of_many_channels_have_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
