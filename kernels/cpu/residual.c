/* The only activated map that is ever written: a residual sum, which is narrow. */
#include "kernels/cpu/ops.h"
#include "kernels/cpu/rows.h"

struct residual {
    struct dims map;
    struct view x, y;
    struct channels x_channels, y_channels;
    map_value *sum;
};

VEC_INLINE vec seen(enum act act, const struct view *view, const struct channels *channels,
                    const float *gate, const int lanes, size_t at, int c)
{
    struct view_vec k = view_vec_load(channels, c);
    vec value = view_value(act, &k, map_load(map_at(view->z, at), lanes));
    return view->gate ? value * vec_load_part(gate + c, lanes) : value;
}

VEC_INLINE void add_pixels(enum act x_act, enum act y_act, const struct residual *op, int n,
                           const float *x_gate, const float *y_gate)
{
    struct dims map = op->map;
    size_t pixels = (size_t)map.H * (size_t)map.W, C = (size_t)map.C;
    int whole = map.C / VEC_WIDTH * VEC_WIDTH, lanes = map.C - whole;
    for (size_t pixel = (size_t)n * pixels, end = pixel + pixels; pixel < end; pixel++) {
        size_t at = pixel * C;
        for (int c = 0; c < whole; c += VEC_WIDTH)
            map_store(op->sum + at + c,
                      seen(x_act, &op->x, &op->x_channels, x_gate, VEC_WIDTH, at + c, c) +
                          seen(y_act, &op->y, &op->y_channels, y_gate, VEC_WIDTH, at + c, c),
                      VEC_WIDTH);
        if (lanes)
            map_store(op->sum + at + whole,
                      seen(x_act, &op->x, &op->x_channels, x_gate, lanes, at + whole, whole) +
                          seen(y_act, &op->y, &op->y_channels, y_gate, lanes, at + whole, whole),
                      lanes);
    }
}

static void residual_job(void *context, int n, int thread)
{
    (void)thread;
    const struct residual *op = context;
    int C = op->map.C;
    const float *x_gate = view_gate_row(&op->x, &op->x_channels, C, n);
    const float *y_gate = view_gate_row(&op->y, &op->y_channels, C, n);
    if (op->x.act == ACT_NONE && op->y.act == ACT_NONE) /* what a bottleneck's ends are */
        add_pixels(ACT_NONE, ACT_NONE, op, n, x_gate, y_gate);
    else
        add_pixels(op->x.act, op->y.act, op, n, x_gate, y_gate);
}

struct cpu_need MAP_NAME(residual_forward_need)(const struct work *work)
{
    return (struct cpu_need){.shared_bytes = 2 * cpu_aligned(channels_bytes(work->conv.in.C))};
}

void MAP_NAME(residual_forward)(struct device *device, struct dims map, struct view x,
                                struct view y, void *sum)
{
    struct residual op = {.map = map, .x = x, .y = y, .sum = sum};
    struct work work = {.kind = WORK_RESIDUAL_FORWARD, .conv = {.in = map}};
    struct cpu_need need = MAP_NAME(residual_forward_need)(&work);
    size_t bytes = channels_bytes(map.C);
    if (!cpu_reserve(device, &work, &need))
        return;
    char *shared = cpu_shared(device);
    op.x_channels = channels_init(cpu_carve(&shared, bytes), map.C, &x, NULL);
    op.y_channels = channels_init(cpu_carve(&shared, bytes), map.C, &y, NULL);
    cpu_run(device, map.N, residual_job, &op);
    device->traffic.residual_bytes +=
        sizeof *op.sum * (size_t)map.N * (size_t)map.H * (size_t)map.W * (size_t)map.C;
}
