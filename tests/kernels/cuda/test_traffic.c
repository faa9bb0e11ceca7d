/* What kernels do with memory, counted by the emulated GPU (tests/support/cuda/emulator.h): each
 * map that an operation reads crosses once, each that it writes, too, and whole sectors of it are
 * used. Shapes are those of mbv3 at 224 and 128 px, of as few images as make their largest map a
 * megabyte. */
#include "tests/kernels/cuda/launches.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct limits {
    double traffic;   /* of maps, each block's sectors, of what one crossing of each is */
    double launches;  /* of the operation; each may read a map once more */
    double conflicts; /* what bank conflicts add, of the time that the maps take */
};
static const struct limits once = {1.1, 1, 0.1};
/* Blocks of other output channels read their rows of the input again, side by side: out of the
 * second-level cache, which is not counted here. */
static const struct limits product = {1.5, 1, 0.5};
/* Far from one read of each map as yet: the two gradients are a kernel each, and where 672 or 960
 * channels are cut into blocks of columns, each reads the gradient's rows. */
static const struct limits gradient = {4.1, 2, 1.8};

/* A multiprocessor of an H100 does one pass over its shared memory while its share of the memory's
 * 3.35 TB/s brings so many bytes (132 multiprocessors, 1.7 GHz). */
static const double PASS_BYTES = 15, LEAST_USED = 0.9;

enum { MOST_MEMORY = 64, LEAST_MAP = 1 << 20 };

struct stand { /* a device with the arrays of one operation, all zeros */
    struct device *device;
    void *memory[MOST_MEMORY], *maps[MOST_MEMORY];
    int count, map_count;
    double map_bytes; /* each map's once */
    size_t largest_bytes;
};

static void *take(struct stand *stand, size_t size_bytes)
{
    void *memory = NULL;
    if (stand->count == MOST_MEMORY ||
        stand->device->ops->alloc(stand->device, size_bytes, &memory) != ERR_OK)
        fail_msg("%zu bytes: %s", size_bytes, err_text());
    return stand->memory[stand->count++] = memory;
}

static void *take_map(struct stand *stand, struct dims dims)
{
    size_t bytes = (size_t)dims_pixels(dims) * (size_t)dims.C * stand->device->map_bytes;
    void *map = take(stand, bytes);
    stand->largest_bytes = bytes > stand->largest_bytes ? bytes : stand->largest_bytes;
    stand->maps[stand->map_count++] = map;
    stand->map_bytes += (double)bytes;
    return map;
}

static float *floats(struct stand *stand, int count)
{
    return take(stand, (size_t)count * sizeof(float));
}

static double *doubles(struct stand *stand, int count)
{
    return take(stand, (size_t)count * sizeof(double));
}

static struct view view_of(struct stand *stand, struct dims dims, bool is_gated)
{
    return (struct view){.z = take_map(stand, dims),
                         .scale = floats(stand, dims.C),
                         .shift = floats(stand, dims.C),
                         .gate = is_gated ? floats(stand, dims.N * dims.C) : NULL,
                         .act = ACT_HSWISH};
}

static struct norm norm_of(struct stand *stand, int C)
{
    return (struct norm){floats(stand, C), floats(stand, C), floats(stand, C), floats(stand, C)};
}

static struct norm_forward norm_forward_of(struct stand *stand, int C)
{
    return (struct norm_forward){.kind = NORM_BATCH,
                                 .sums = doubles(stand, 2 * C),
                                 .gamma = floats(stand, C),
                                 .beta = floats(stand, C),
                                 .eps = 1e-3f,
                                 .norm = norm_of(stand, C)};
}

static struct norm_backward norm_backward_of(struct stand *stand, int C)
{
    return (struct norm_backward){.gamma = floats(stand, C),
                                  .norm = norm_of(stand, C),
                                  .dgamma = floats(stand, C),
                                  .dbeta = floats(stand, C),
                                  .a = floats(stand, C),
                                  .b = floats(stand, C),
                                  .c = floats(stand, C)};
}

static struct grad grad_of(struct stand *stand, struct dims dims, bool is_gated)
{
    return (struct grad){.q = take_map(stand, dims),
                         .of = view_of(stand, dims, is_gated),
                         .p = is_gated ? floats(stand, dims.N * dims.C) : NULL,
                         .a = floats(stand, dims.C),
                         .b = floats(stand, dims.C),
                         .c = floats(stand, dims.C)};
}

struct shape {
    const char *operation;
    struct conv conv;
    bool is_gated; /* squeeze-excite behind the depthwise convolution */
    bool has_add;  /* a shortcut's gradient */
};

static void *weights_of(struct stand *stand, const struct conv *conv, int rows)
{
    return take(stand, (size_t)rows * (size_t)conv->ld * stand->device->map_bytes);
}

static void forward(struct stand *stand, const struct shape *shape)
{
    const struct conv *conv = &shape->conv;
    const struct device_ops *ops = stand->device->ops;
    bool is_stem = conv->in.C == 3;
    struct view x = view_of(stand, conv->in, conv->R == 1 && shape->is_gated);
    if (is_stem)
        x = (struct view){.z = x.z};
    void *w = weights_of(stand, conv, is_stem ? 27 : conv->R == 1 ? conv->K : conv->R * conv->R);
    void *z = take_map(stand, conv_out(conv));
    struct norm_forward norm = norm_forward_of(stand, conv->K);
    (is_stem        ? ops->stem_forward
     : conv->R == 1 ? ops->pw_forward
                    : ops->dw_forward)(stand->device, conv, x, w, z, &norm);
}

static void backward(struct stand *stand, const struct shape *shape)
{
    const struct conv *conv = &shape->conv;
    const struct device_ops *ops = stand->device->ops;
    bool is_pointwise = conv->R == 1;
    int rows = is_pointwise ? conv->K : conv->R * conv->R, C = conv->in.C;
    struct grad dz = grad_of(stand, conv_out(conv), !is_pointwise && shape->is_gated);
    struct view x = view_of(stand, conv->in, is_pointwise && shape->is_gated);
    struct norm_backward norm = norm_backward_of(stand, C);
    struct grad_sink sink = {.q = take_map(stand, conv->in),
                             .add = shape->has_add ? take_map(stand, conv->in) : NULL,
                             .of = x,
                             .mean = norm.norm.mean};
    if (is_pointwise && shape->is_gated)
        sink.gate_sums = doubles(stand, 3 * conv->in.N * C);
    else {
        sink.sums = doubles(stand, 2 * C);
        sink.norm = &norm;
    }
    float *dw = floats(stand, rows * conv->ld);
    (is_pointwise ? ops->pw_backward : ops->dw_backward)(stand->device, conv, &dz, x,
                                                         weights_of(stand, conv, rows), &sink, dw);
}

static void stem_backward(struct stand *stand, const struct shape *shape)
{
    const struct conv *conv = &shape->conv;
    struct grad dz = grad_of(stand, conv_out(conv), false);
    struct view x = {.z = take_map(stand, conv->in)};
    stand->device->ops->stem_backward(stand->device, conv, &dz, x, floats(stand, 27 * conv->ld));
}

static void residual(struct stand *stand, const struct shape *shape)
{
    struct dims map = shape->conv.in;
    struct view x = view_of(stand, map, false), y = {.z = take_map(stand, map)};
    stand->device->ops->residual_forward(stand->device, map, x, y, take_map(stand, map));
}

static void pool(struct stand *stand, const struct shape *shape)
{
    struct dims map = shape->conv.in;
    struct view x = view_of(stand, map, false);
    stand->device->ops->pool_forward(stand->device, map, x, floats(stand, map.C),
                                     floats(stand, map.N * map.C),
                                     doubles(stand, 2 * map.N * map.C));
}

static void excite(struct stand *stand, const struct shape *shape)
{
    struct dims map = shape->conv.in;
    int C = map.C, Cr = C / 4;
    struct view x = view_of(stand, map, false);
    struct squeeze_excite se = {C, Cr, C, Cr, NULL, NULL, NULL, NULL};
    se.reduce_w = floats(stand, Cr * C);
    se.expand_w = floats(stand, C * Cr);
    se.reduce_b = floats(stand, Cr);
    se.expand_b = floats(stand, C);
    struct excitation kept = {floats(stand, map.N * C), floats(stand, map.N * Cr),
                              floats(stand, map.N * C), doubles(stand, 2 * map.N * C)};
    stand->device->ops->excite_forward(stand->device, map, &se, x, floats(stand, C), &kept);
}

#define POINTWISE(n, side, c, k)                                                                   \
    {                                                                                              \
        .in = {n, side, side, c}, .K = k, .R = 1, .S = 1, .ld = c                                  \
    }
#define DEPTHWISE(n, side, c, r, s)                                                                \
    {                                                                                              \
        .in = {n, side, side, c}, .K = c, .R = r, .S = s, .ld = c                                  \
    }
#define STEM(n, side)                                                                              \
    {                                                                                              \
        .in = {n, side, side, 3}, .K = 16, .R = 3, .S = 2, .ld = 16                                \
    }

static const struct shape pointwise[] = {
    {"expanding", POINTWISE(1, 112, 16, 64), false, false},
    {"expanding", POINTWISE(4, 28, 48, 288), false, true},
    {"expanding", POINTWISE(8, 14, 80, 480), false, true},
    {"projecting", POINTWISE(4, 28, 240, 48), true, false},
    {"projecting", POINTWISE(8, 14, 672, 112), true, false},
    {"projecting", POINTWISE(16, 7, 960, 160), true, false},
};

static const struct shape depthwise[] = {
    {"3x3", DEPTHWISE(2, 112, 64, 3, 2), false, false},
    {"7x7", DEPTHWISE(2, 56, 144, 7, 1), false, false},
    {"5x5", DEPTHWISE(4, 28, 240, 5, 1), true, false},
    {"7x7", DEPTHWISE(8, 14, 480, 7, 1), true, false},
    {"5x5", DEPTHWISE(16, 7, 960, 5, 1), true, false},
};

static const struct shape stems[] = {{"stem", STEM(3, 224), false, false},
                                     {"stem", STEM(10, 128), false, false}};

static const struct shape others[] = {
    {"map", {.in = {4, 56, 56, 48}}, false, false},
    {"map", {.in = {8, 14, 14, 480}}, false, false},
    {"map", {.in = {16, 7, 7, 960}}, false, false},
};

static void describe(const char *what, const struct shape *shape, const char *precision,
                     char text[160])
{
    const struct conv *conv = &shape->conv;
    snprintf(text, 160, "%-16s %s %2dx%3dx%3dx%3d to %3d, %dx%d/%d%s", what, precision, conv->in.N,
             conv->in.H, conv->in.W, conv->in.C, conv->K, conv->R, conv->R, conv->S,
             shape->is_gated ? " gated" : "");
}

static bool holds(const char *text, const struct limits *limits, const struct stand *stand,
                  const struct launches *launches)
{
    double crossed = launches->map_read_bytes + launches->map_written_bytes;
    double traffic = crossed / stand->map_bytes;
    double used = launches->map_used_bytes / launches->map_sector_bytes;
    double passes = launches->shared_passes * PASS_BYTES / stand->map_bytes;
    double conflicts =
        (launches->shared_passes - launches->shared_accesses) * PASS_BYTES / stand->map_bytes;
    double all = (launches->read_bytes + launches->written_bytes) / stand->map_bytes;
    print_message("%s: %d launches, maps %.3f, all memory %.3f, sectors %.3f, shared %.3f, its "
                  "conflicts %.3f\n",
                  text, launches->count, traffic, all, used, passes, conflicts);
    return traffic <= limits->traffic && launches->count <= limits->launches &&
           launches->map_once_bytes <= limits->launches * stand->map_bytes && used >= LEAST_USED &&
           conflicts <= limits->conflicts;
}

typedef void run_fn(struct stand *stand, const struct shape *shape);

struct kind {
    const char *name;
    run_fn *run;
    const struct limits *limits;
};

static bool shape_holds(const struct kind *kind, const struct shape *shape,
                        enum precision precision)
{
    char text[160];
    struct stand stand = {0};
    struct launches launches;
    struct device_cfg cfg = {"cuda-emulated", 1, ISA_AUTO, precision};
    if (device_open(&cfg, &stand.device) != ERR_OK)
        fail_msg("%s", err_text());
    launches_begin();
    kind->run(&stand, shape);
    assert_true(stand.largest_bytes >= LEAST_MAP); /* less says nothing */
    launches_end(stand.device, stand.maps, stand.map_count, &launches);
    describe(kind->name, shape, precision == PRECISION_BF16 ? "bf16" : "fp32", text);
    while (stand.count > 0)
        stand.device->ops->free(stand.device, stand.memory[--stand.count]);
    device_close(&stand.device);
    return holds(text, kind->limits, &stand, &launches);
}

static void count_all(const struct kind *kind, const struct shape *shapes, size_t count)
{
    int failures = 0;
    for (size_t i = 0; i < count; i++) {
        failures += !shape_holds(kind, &shapes[i], PRECISION_BF16);
        failures += !shape_holds(kind, &shapes[i], PRECISION_FP32);
    }
    if (failures > 0)
        fail_msg("%d of the above are beyond %g of the maps, below %g of the sectors, or have "
                 "conflicts for %g of the time",
                 failures, kind->limits->traffic, LEAST_USED, kind->limits->conflicts);
}

#define COUNT_ALL(name, run, limits, shapes)                                                       \
    count_all(&(struct kind){name, run, limits}, shapes, sizeof shapes / sizeof *shapes)

static void pointwise_convolutions_read_and_write_each_map_once(void **state)
{
    (void)state;
    COUNT_ALL("pw_forward", forward, &product, pointwise);
}

static void their_gradients_read_them_twice_and_more(void **state)
{
    (void)state;
    COUNT_ALL("pw_backward", backward, &gradient, pointwise);
}

static void depthwise_convolutions_do(void **state)
{
    (void)state;
    COUNT_ALL("dw_forward", forward, &once, depthwise);
    COUNT_ALL("dw_backward", backward, &once, depthwise);
}

static void the_stem_does(void **state)
{
    (void)state;
    COUNT_ALL("stem_forward", forward, &once, stems);
    COUNT_ALL("stem_backward", stem_backward, &once, stems);
}

static void sums_and_pools_do(void **state)
{
    (void)state;
    COUNT_ALL("residual_forward", residual, &once, others);
    COUNT_ALL("pool_forward", pool, &once, others);
    COUNT_ALL("excite_forward", excite, &once, others);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_and_pools_do),
        cmocka_unit_test(the_stem_does),
        cmocka_unit_test(depthwise_convolutions_do),
        cmocka_unit_test(pointwise_convolutions_read_and_write_each_map_once),
        cmocka_unit_test(their_gradients_read_them_twice_and_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
