#include "kernels/cpu/pw_backward.h"
#include "kernels/cpu/pw.h"
#include "kernels/cpu/rows.h"

enum {
    JOBS = 16, /* whatever dw's parts weigh */
    MOST_JOBS = 64,
    PART_WEIGHTS = 1 << 17, /* of all parts of dw, beyond JOBS */
    FEW_JOBS = 4,           /* of few rows: every block of columns forms dz again */
    ROWS_PER_GROUP = 256,   /* fewer would spend more on adding up dw's partial sums than on dw */
    LEAST_ROWS = 64         /* each tile adds to all of dw */
};

struct scratch {       /* one thread's */
    struct operand dz; /* the tile's, (rows,K) */
    struct operand x;  /* the tile's, (rows,width) */
    float *strip;
    struct prefetch_lines prefetch;
};

/* Bytes of the tile's panels of this many columns, in one of the layouts. */
static size_t by_columns_bytes(const struct tile_plan *plan, int columns)
{
    struct panels tile = panels_by_columns(NULL, tile_plan_rows(plan));
    return panels_bytes(&tile, columns);
}

static size_t by_rows_bytes(const struct tile_plan *plan, int columns)
{
    struct panels tile = panels_by_rows(NULL, tile_plan_rows(plan));
    return panels_bytes(&tile, columns);
}

static size_t packed_bytes(const struct conv *conv)
{
    struct panels packed = panels_by_rows(NULL, conv->K);
    return panels_bytes(&packed, conv->in.C);
}

/* dz is both operands: of dx by columns, of dw by rows. */
static size_t dz_bytes(const struct tile_plan *plan, int K)
{
    size_t by_rows = PRODUCT_OF_PAIRS ? cpu_aligned(by_rows_bytes(plan, K)) : 0;
    return cpu_aligned(by_columns_bytes(plan, K)) + by_rows;
}

static struct scratch scratch_carve(const struct pw_backward *op, int thread)
{
    int rows = tile_plan_rows(&op->plan);
    char *memory = cpu_scratch(op->device, thread);
    struct scratch scratch = {.prefetch = {.count = 0}};
    void *dz = cpu_carve(&memory, by_columns_bytes(&op->plan, op->conv->K));
    scratch.dz.by_columns = panels_by_columns(dz, rows);
    if (PRODUCT_OF_PAIRS)
        dz = cpu_carve(&memory, by_rows_bytes(&op->plan, op->conv->K));
    scratch.dz.by_rows = panels_by_rows(dz, rows);
    scratch.x.by_rows =
        panels_by_rows(cpu_carve(&memory, by_rows_bytes(&op->plan, op->plan.width)), rows);
    scratch.strip = cpu_carve(&memory, pw_strip_bytes(&op->plan));
    return scratch;
}

/* dw[:, c0..c1) += dz^T x of a group's tile; the first tile of a group overwrites partial sums. */
static void add_wgrad(const struct pw_backward *op, const struct tile_columns *at,
                      struct scratch *scratch, int group)
{
    size_t C = (size_t)op->conv->in.C, K = (size_t)op->conv->K;
    bool is_first = at->tile->first == 0 && at->tile->image == tile_first(&op->plan, group).image;
    struct product product = {.a = scratch->dz.by_rows.start,
                              .a_stride = scratch->dz.by_rows.stride,
                              .b = scratch->x.by_rows.start,
                              .b_stride = scratch->x.by_rows.stride,
                              .c = op->dw + at->c0,
                              .c_row = (size_t)op->conv->ld,
                              .rows = op->conv->K,
                              .columns = at->c1 - at->c0,
                              .depth = tile_rows(at->tile),
                              .accumulates = true,
                              .prefetch = &scratch->prefetch};
    if (op->partial_dw) {
        product.c = op->partial_dw + (size_t)group * K * C + at->c0;
        product.c_row = C;
        product.accumulates = !is_first;
    }
    MAP_NAME(product_transposed)(&product);
}

void MAP_NAME(pw_send_dgrad)(const struct pw_backward *op, const struct pw_dgrad *dgrad, int c0,
                             int c1)
{
    const struct tile *tile = dgrad->tile;
    size_t C = (size_t)op->conv->in.C, at = tile_row(&op->plan, tile) * C + (size_t)c0;
    const struct grad_sink *sink = op->sink;
    struct tile_columns in = {&op->plan, tile, (int)C, c0, c1};
    struct product product = {.a = dgrad->dz,
                              .a_stride = dgrad->dz_stride,
                              .b = op->packed.start + (size_t)(c0 / PANEL) * op->packed.stride,
                              .b_stride = op->packed.stride,
                              .c = dgrad->strip,
                              .c_row = STRIP,
                              .rows = tile_rows(tile),
                              .columns = c1 - c0,
                              .depth = op->conv->K,
                              .out = {map_to(sink->q, at), NULL, C, op->streams},
                              .prefetch = dgrad->prefetch};
    product.out.add = sink->add ? map_at(sink->add, at) : NULL;
    MAP_NAME(product)(&product);
    size_t part = sink->sums ? (size_t)dgrad->group * 2 * C : 0; /* of a gate: all images' */
    if (sink->sums || sink->gate_sums)
        MAP_NAME(epilogue_sink_sums)
    (&in, dgrad->strip, sink, &op->sink_channels, op->partial_sums + part);
}

void MAP_NAME(pw_clear_sums)(const struct pw_backward *op, int group, int c0, int c1)
{
    size_t C = (size_t)op->conv->in.C, bytes = (size_t)(c1 - c0) * sizeof *op->partial_sums;
    const struct grad_sink *sink = op->sink;
    size_t first = 2 * (size_t)group, count = 2; /* rows of C */
    if (sink && sink->gate_sums) {
        first = 3 * (size_t)tile_group_image(&op->plan, group);
        count = 3 * (size_t)tile_group_image(&op->plan, group + 1) - first;
    }
    for (size_t i = first; sink && (sink->sums || sink->gate_sums) && i < first + count; i++)
        memset(op->partial_sums + i * C + c0, 0, bytes);
}

static void plan_prefetch(const struct pw_backward *op, int group, struct tile tile, int columns,
                          struct prefetch_lines *prefetch)
{
    int C = op->conv->in.C, K = op->conv->K, rows = tile_rows(&tile);
    const struct tile_plan *plan = &op->plan;
    *prefetch = (struct prefetch_lines){.count = 0};
    if (!tile_next(plan, group, &tile))
        return;
    size_t in = (size_t)(tile_rows(&tile) * C), out = (size_t)(tile_rows(&tile) * K);
    if (op->sink) {
        prefetch_add(prefetch, tile_start(plan, &tile, op->sink->add, C), in);
        if (op->sink->of.z != op->x.z)
            prefetch_add(prefetch, tile_start(plan, &tile, op->sink->of.z, C), in);
    }
    prefetch_add(prefetch, tile_start(plan, &tile, op->x.z, C), in);
    prefetch_add(prefetch, tile_start(plan, &tile, op->dz->q, K), out);
    prefetch_add(prefetch, tile_start(plan, &tile, op->dz->of.z, K), out);
    size_t steps = MAP_NAME(product_steps)(K, columns, rows);
    if (op->sink)
        steps += MAP_NAME(product_steps)(rows, columns, K);
    prefetch_spread(prefetch, steps);
}

static void backward_job(void *context, int i, int thread)
{
    const struct pw_backward *op = context;
    struct scratch scratch = scratch_carve(op, thread);
    int group = i / op->plan.blocks, c0 = i % op->plan.blocks * op->plan.width;
    int C = op->conv->in.C, K = op->conv->K, end = c0 + op->plan.width;
    struct tile tile = tile_first(&op->plan, group);
    end = end < C ? end : C;
    struct tile_columns out = {&op->plan, &tile, K, 0, K};
    struct tile_columns in = {&op->plan, &tile, C, c0, end};
    struct pw_dgrad dgrad = {&tile,
                             group,
                             scratch.dz.by_columns.start,
                             scratch.dz.by_columns.stride,
                             scratch.strip,
                             &scratch.prefetch};
    MAP_NAME(pw_clear_sums)(op, group, c0, end);
    do {
        MAP_NAME(prologue_grad)(&out, op->dz, &op->dz_channels, &scratch.dz);
        MAP_NAME(prologue_view)(&in, &op->x, &op->x_channels, &scratch.x);
        plan_prefetch(op, group, tile, end - c0, &scratch.prefetch);
        add_wgrad(op, &in, &scratch, group);
        for (int c = c0; op->sink && c < end; c += STRIP)
            MAP_NAME(pw_send_dgrad)(op, &dgrad, c, c + STRIP < end ? c + STRIP : end);
    } while (tile_next(&op->plan, group, &tile));
    if (op->streams)
        vec_stream_fence();
}

void MAP_NAME(pw_pack)(void *context, int i, int thread)
{
    const struct pw_backward *op = context;
    (void)thread;
    MAP_NAME(pack_panel)(op->w, op->conv->ld, op->conv->K, op->conv->in.C, i, op->packed);
}

/* Row k of dw: the groups in order. */
static void add_partial_row(void *context, int k, int thread)
{
    const struct pw_backward *op = context;
    size_t C = (size_t)op->conv->in.C, K = (size_t)op->conv->K;
    float *dw = op->dw + (size_t)k * (size_t)op->conv->ld;
    (void)thread;
    for (int c = 0; c < op->conv->in.C; c += VEC_WIDTH) {
        int lanes = op->conv->in.C - c < VEC_WIDTH ? op->conv->in.C - c : VEC_WIDTH;
        vec sum = vec_zero();
        for (size_t group = 0; group < (size_t)op->plan.groups; group++)
            sum += vec_load_part(op->partial_dw + (group * K + (size_t)k) * C + c, lanes);
        vec_store_part(dw + c, vec_load_part(dw + c, lanes) + sum, lanes);
    }
}

static struct tile_plan plan_of(const struct conv *conv)
{
    size_t most_groups = pw_rows(conv) / ROWS_PER_GROUP > 1 ? pw_rows(conv) / ROWS_PER_GROUP : 1;
    size_t light = PART_WEIGHTS / ((size_t)conv->K * (size_t)conv->in.C);
    size_t jobs = light < JOBS ? JOBS : light > MOST_JOBS ? MOST_JOBS : light;
    int groups = (int)(most_groups < jobs ? most_groups : jobs);
    struct tile_plan plan =
        tile_plan_make(conv->in, pw_tile_rows(conv, LEAST_ROWS), conv->in.C, groups);
    tile_plan_cut(&plan, conv->in.C, plan.groups < FEW_JOBS ? FEW_JOBS : 1);
    return plan;
}

/* 0 with one group: straight to dw. */
static size_t partial_dw_bytes(const struct tile_plan *plan, const struct conv *conv)
{
    size_t weights = (size_t)conv->K * (size_t)conv->in.C;
    return plan->groups > 1 ? (size_t)plan->groups * weights * sizeof(float) : 0;
}

static size_t partial_sums_bytes(const struct tile_plan *plan, const struct conv *conv)
{
    return (size_t)plan->groups * 2 * (size_t)conv->in.C * sizeof(double);
}

size_t MAP_NAME(pw_shared_bytes)(const struct tile_plan *plan, const struct conv *conv)
{
    int C = conv->in.C, K = conv->K;
    return 2 * cpu_aligned(channels_bytes(C)) + cpu_aligned(channels_bytes(K)) +
           cpu_aligned(packed_bytes(conv)) + cpu_aligned(partial_sums_bytes(plan, conv));
}

static struct cpu_need need_of(const struct tile_plan *plan, const struct conv *conv)
{
    return (struct cpu_need){
        .scratch_bytes = dz_bytes(plan, conv->K) + cpu_aligned(by_rows_bytes(plan, plan->width)) +
                         pw_strip_bytes(plan),
        .activated_bytes = by_rows_bytes(plan, plan->width),
        .shared_bytes = MAP_NAME(pw_shared_bytes)(plan, conv) + partial_dw_bytes(plan, conv)};
}

struct cpu_need MAP_NAME(pw_backward_need)(const struct work *work)
{
    struct tile_plan plan = plan_of(&work->conv);
    return MAP_NAME(pw_is_few)(&work->conv) ? MAP_NAME(pw_few_need)(&work->conv)
                                            : need_of(&plan, &work->conv);
}

void MAP_NAME(pw_carve_shared)(struct pw_backward *op, char **shared)
{
    int C = op->conv->in.C, K = op->conv->K;
    const struct view none = {.z = NULL}, *of = op->sink ? &op->sink->of : &none;
    op->x_channels = channels_init(cpu_carve(shared, channels_bytes(C)), C, &op->x, NULL);
    op->sink_channels = channels_init(cpu_carve(shared, channels_bytes(C)), C, of, NULL);
    op->dz_channels = channels_init(cpu_carve(shared, channels_bytes(K)), K, &op->dz->of, op->dz);
    op->packed = panels_by_rows(cpu_carve(shared, packed_bytes(op->conv)), K);
    op->partial_sums = cpu_carve(shared, partial_sums_bytes(&op->plan, op->conv));
    if (op->sink && op->sink->gate_sums)
        op->partial_sums = op->sink->gate_sums;
}

static bool backward_in_groups(struct pw_backward *op)
{
    const struct conv *conv = op->conv;
    op->plan = plan_of(conv);
    struct cpu_need need = need_of(&op->plan, conv);
    if (!cpu_reserve(op->device, &(struct work){.kind = WORK_PW_BACKWARD, .conv = *conv}, &need))
        return false;
    char *shared = cpu_shared(op->device);
    MAP_NAME(pw_carve_shared)(op, &shared);
    if (partial_dw_bytes(&op->plan, conv) > 0)
        op->partial_dw = cpu_carve(&shared, partial_dw_bytes(&op->plan, conv));
    op->streams = op->sink && row_can_stream(op->sink->q, conv->in);
    if (op->sink)
        cpu_run(op->device, panel_count(conv->in.C), MAP_NAME(pw_pack), op);
    cpu_run(op->device, tile_plan_jobs(&op->plan), backward_job, op);
    if (op->partial_dw)
        cpu_run(op->device, conv->K, add_partial_row, op);
    return true;
}

void MAP_NAME(pw_backward)(struct device *device, const struct conv *conv, const struct grad *dz,
                           struct view x, const void *w, const struct grad_sink *sink, float *dw)
{
    struct pw_backward op = {
        .conv = conv, .device = device, .dz = dz, .x = x, .w = w, .sink = sink, .dw = dw};
    if (!(MAP_NAME(pw_is_few)(conv) ? MAP_NAME(pw_few_backward)(&op) : backward_in_groups(&op)))
        return;
    ISA_NAME(sink_finish)(conv, op.plan.groups, op.partial_sums, sink);
    if (sink)
        device->traffic.gradient_bytes += pw_rows(conv) * (size_t)conv->in.C * sizeof(map_value);
}
