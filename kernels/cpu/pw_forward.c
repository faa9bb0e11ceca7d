#include "kernels/cpu/ops.h"
#include "kernels/cpu/pw.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/tile.h"

enum { JOBS = 32, LEAST_ROWS = 16 };

struct pw_forward {
    struct tile_plan plan; /* its columns are those of K */
    const struct conv *conv;
    struct device *device;
    struct view x;
    struct channels channels;
    const map_value *w;
    struct panels packed; /* w^T: (C,K) by rows */
    map_value *z;
    bool streams;
    double *partial; /* (groups,2,K) or NULL */
};

struct scratch {      /* one thread's */
    struct operand x; /* the tile's view */
    float *strip;
    struct prefetch_lines prefetch;
};

static size_t x_bytes(const struct tile_plan *plan, const struct conv *conv)
{
    struct panels x = panels_by_columns(NULL, tile_plan_rows(plan));
    return panels_bytes(&x, conv->in.C);
}

static size_t packed_bytes(const struct conv *conv)
{
    struct panels packed = panels_by_rows(NULL, conv->in.C);
    return panels_bytes(&packed, conv->K);
}

static size_t strip_bytes(const struct tile_plan *plan)
{
    return (size_t)tile_plan_rows(plan) * STRIP * sizeof(float);
}

static struct scratch scratch_carve(const struct pw_forward *op, int thread)
{
    char *memory = cpu_scratch(op->device, thread);
    struct scratch scratch = {.prefetch = {.count = 0}};
    scratch.x.by_columns = panels_by_columns(cpu_carve(&memory, x_bytes(&op->plan, op->conv)),
                                             tile_plan_rows(&op->plan));
    scratch.strip = cpu_carve(&memory, strip_bytes(&op->plan));
    return scratch;
}

/* Columns [c0,c1) of z, at most a strip, of a tile whose view is loaded. */
static void forward_strip(const struct pw_forward *op, const struct tile *tile, int group, int c0,
                          int c1, struct scratch *scratch)
{
    int K = op->conv->K;
    struct tile_columns out = {&op->plan, tile, K, c0, c1};
    map_value *z = op->z + tile_row(&op->plan, tile) * (size_t)K + c0;
    struct product product = {.a = scratch->x.by_columns.start,
                              .a_stride = scratch->x.by_columns.stride,
                              .b = op->packed.start + (size_t)(c0 / PANEL) * op->packed.stride,
                              .b_stride = op->packed.stride,
                              .c = scratch->strip,
                              .c_row = STRIP,
                              .rows = tile_rows(tile),
                              .columns = c1 - c0,
                              .depth = op->conv->in.C,
                              .out = {z, NULL, (size_t)K, op->streams},
                              .prefetch = &scratch->prefetch};
    MAP_NAME(product)(&product);
    if (op->partial)
        MAP_NAME(epilogue_sums)(&out, scratch->strip, op->partial + (size_t)group * 2 * (size_t)K);
}

static void plan_prefetch(const struct pw_forward *op, int group, struct tile tile, int columns,
                          struct prefetch_lines *prefetch)
{
    int C = op->conv->in.C, rows = tile_rows(&tile);
    *prefetch = (struct prefetch_lines){.count = 0};
    if (!tile_next(&op->plan, group, &tile))
        return;
    prefetch_add(prefetch, tile_start(&op->plan, &tile, op->x.z, C),
                 (size_t)(tile_rows(&tile) * C));
    prefetch_spread(prefetch, MAP_NAME(product_steps)(rows, columns, C));
}

static void forward_job(void *context, int i, int thread)
{
    const struct pw_forward *op = context;
    struct scratch scratch = scratch_carve(op, thread);
    int group = i / op->plan.blocks, c0 = i % op->plan.blocks * op->plan.width;
    int C = op->conv->in.C, K = op->conv->K, end = c0 + op->plan.width;
    struct tile tile = tile_first(&op->plan, group);
    struct tile_columns in = {&op->plan, &tile, C, 0, C};
    end = end < K ? end : K;
    do {
        MAP_NAME(prologue_view)(&in, &op->x, &op->channels, &scratch.x);
        plan_prefetch(op, group, tile, end - c0, &scratch.prefetch);
        for (int c = c0; c < end; c += STRIP)
            forward_strip(op, &tile, group, c, c + STRIP < end ? c + STRIP : end, &scratch);
    } while (tile_next(&op->plan, group, &tile));
    if (op->streams)
        vec_stream_fence();
}

static void pack_job(void *context, int i, int thread)
{
    const struct pw_forward *op = context;
    (void)thread;
    MAP_NAME(pack_panel_transposed)
    (op->w, op->conv->ld, op->conv->K, op->conv->in.C, i, op->packed);
}

static struct tile_plan plan_of(const struct conv *conv)
{
    return tile_plan_make(conv->in, pw_tile_rows(conv, LEAST_ROWS), conv->K, JOBS);
}

static size_t partial_bytes(const struct tile_plan *plan, const struct conv *conv)
{
    return (size_t)plan->groups * 2 * (size_t)conv->K * sizeof(double);
}

static struct cpu_need need_of(const struct tile_plan *plan, const struct conv *conv)
{
    return (struct cpu_need){.scratch_bytes = cpu_aligned(x_bytes(plan, conv)) + strip_bytes(plan),
                             .activated_bytes = x_bytes(plan, conv),
                             .shared_bytes = cpu_aligned(channels_bytes(conv->in.C)) +
                                             cpu_aligned(packed_bytes(conv)) +
                                             partial_bytes(plan, conv)};
}

struct cpu_need MAP_NAME(pw_forward_need)(const struct work *work)
{
    struct tile_plan plan = plan_of(&work->conv);
    return need_of(&plan, &work->conv);
}

static void carve_shared(struct pw_forward *op, bool takes_sums)
{
    int C = op->conv->in.C;
    char *shared = cpu_shared(op->device);
    op->channels = channels_init(cpu_carve(&shared, channels_bytes(C)), C, &op->x, NULL);
    op->packed = panels_by_rows(cpu_carve(&shared, packed_bytes(op->conv)), C);
    if (takes_sums) {
        op->partial = cpu_carve(&shared, partial_bytes(&op->plan, op->conv));
        memset(op->partial, 0, partial_bytes(&op->plan, op->conv));
    }
}

void MAP_NAME(pw_forward)(struct device *device, const struct conv *conv, struct view x,
                          const void *w, void *z, const struct norm_forward *norm)
{
    struct pw_forward op = {.conv = conv, .device = device, .x = x, .w = w, .z = z};
    op.plan = plan_of(conv);
    struct cpu_need need = need_of(&op.plan, conv);
    if (!cpu_reserve(device, &(struct work){.kind = WORK_PW_FORWARD, .conv = *conv}, &need))
        return;
    op.streams = row_can_stream(z, conv_out(conv));
    carve_shared(&op, cpu_takes_sums(norm));
    cpu_run(device, panel_count(conv->K), pack_job, &op);
    cpu_run(device, tile_plan_jobs(&op.plan), forward_job, &op);
    ISA_NAME(norm_finish)(conv, op.plan.groups, op.partial, norm);
    device->traffic.raw_bytes += pw_rows(conv) * (size_t)conv->K * sizeof *op.z;
}
