#include "kernels/cpu/divide.h"
#include "kernels/cpu/pw.h"
#include "kernels/cpu/pw_backward.h"

enum {
    FEW_ROWS = 2048,
    FEW_PIXELS = 128,         /* of a map: a tile holds whole images */
    TILE_ROWS = 64,           /* about */
    LOAD_COLUMNS = 4 * STRIP, /* of a job */
    PIECE_COLUMNS = 2 * STRIP,
    PIECE_ROWS = 96, /* of dw */
    DEPTH = 128      /* rows multiplied before dw is added to: their strip of x stays in L1 */
};

struct few {
    const struct pw_backward *op;
    struct operand dz, x;    /* all rows; x by rows alone */
    int dz_blocks, x_blocks; /* of columns that a load takes */
    int C_blocks, dw_jobs;
};

bool MAP_NAME(pw_is_few)(const struct conv *conv)
{
    return pw_rows(conv) < FEW_ROWS && conv->in.H * conv->in.W <= FEW_PIXELS;
}

/* A group is one tile of whole images. Tiles begin at even rows, for those that are multiplied in
 * pairs. */
static struct tile_plan plan_of(const struct conv *conv)
{
    int HW = conv->in.H * conv->in.W, images = HW < TILE_ROWS ? TILE_ROWS / HW : 1;
    if (images * HW % PAIR != 0)
        images++;
    if (images > conv->in.N)
        images = conv->in.N;
    return (struct tile_plan){.N = conv->in.N,
                              .HW = HW,
                              .rows = HW,
                              .images = images,
                              .groups = divide_up(conv->in.N, images),
                              .blocks = 1,
                              .width = conv->in.C};
}

static size_t loaded_bytes(const struct panels *panels, int columns)
{
    return cpu_aligned(panels_bytes(panels, columns));
}

/* dz and x, in the order they are carved. */
static size_t operand_bytes(const struct conv *conv)
{
    int rows = (int)pw_rows(conv);
    struct panels by_columns = panels_by_columns(NULL, rows), by_rows = panels_by_rows(NULL, rows);
    size_t dz = loaded_bytes(&by_columns, conv->K);
    if (PRODUCT_OF_PAIRS)
        dz += loaded_bytes(&by_rows, conv->K);
    return dz + loaded_bytes(&by_rows, conv->in.C);
}

static void carve_operands(struct few *few, char **shared)
{
    const struct conv *conv = few->op->conv;
    int rows = (int)pw_rows(conv);
    void *start = *shared;
    few->dz.by_columns = panels_by_columns(start, rows);
    *shared += loaded_bytes(&few->dz.by_columns, conv->K);
    if (PRODUCT_OF_PAIRS)
        start = *shared;
    few->dz.by_rows = panels_by_rows(start, rows);
    if (PRODUCT_OF_PAIRS)
        *shared += loaded_bytes(&few->dz.by_rows, conv->K);
    few->x.by_rows = panels_by_rows(*shared, rows);
    *shared += loaded_bytes(&few->x.by_rows, conv->in.C);
}

struct cpu_need MAP_NAME(pw_few_need)(const struct conv *conv)
{
    struct tile_plan plan = plan_of(conv);
    struct panels x = panels_by_rows(NULL, (int)pw_rows(conv));
    return (struct cpu_need){.scratch_bytes = pw_strip_bytes(&plan),
                             .activated_bytes = loaded_bytes(&x, conv->in.C),
                             .shared_bytes =
                                 operand_bytes(conv) + MAP_NAME(pw_shared_bytes)(&plan, conv)};
}

/* Of a value of these panels; column c0 begins a panel, `row` a pair. */
static struct panels panels_from(const struct panels *all, int row, int c0, int pair)
{
    struct panels from = *all;
    if (from.start)
        from.start += (size_t)(c0 / PANEL) * all->stride + (size_t)(row / pair) * all->row;
    return from;
}

static struct operand operand_from(const struct operand *all, int row, int c0)
{
    return (struct operand){.by_columns = panels_from(&all->by_columns, row, c0, 1),
                            .by_rows = panels_from(&all->by_rows, row, c0, PAIR)};
}

/* One tile, some columns, of dz, then of x, then a panel of w. */
static void load_job(void *context, int i, int thread)
{
    const struct few *few = context;
    const struct pw_backward *op = few->op;
    int tiles = op->plan.groups, blocks = few->dz_blocks + few->x_blocks;
    if (i >= tiles * blocks) {
        MAP_NAME(pw_pack)((void *)(uintptr_t)op, i - tiles * blocks, thread);
        return;
    }
    int block = i % blocks, C = op->conv->K;
    bool is_x = block >= few->dz_blocks;
    if (is_x) {
        block -= few->dz_blocks;
        C = op->conv->in.C;
    }
    struct tile tile = tile_first(&op->plan, i / blocks);
    struct tile_columns at = {&op->plan, &tile, C, block * LOAD_COLUMNS,
                              block_end(block, LOAD_COLUMNS, C)};
    int row = (int)tile_row(&op->plan, &tile);
    struct operand to = operand_from(is_x ? &few->x : &few->dz, row, at.c0);
    if (is_x)
        MAP_NAME(prologue_view)(&at, &op->x, &op->x_channels, &to);
    else
        MAP_NAME(prologue_grad)(&at, op->dz, &op->dz_channels, &to);
}

/* Some rows and columns of dw. */
static void add_wgrad(const struct few *few, int i)
{
    const struct conv *conv = few->op->conv;
    int block = i / few->C_blocks, k0 = block * PIECE_ROWS;
    int c0 = i % few->C_blocks * PIECE_COLUMNS, rows = (int)pw_rows(conv);
    struct product product = {.a_stride = few->dz.by_rows.stride,
                              .b_stride = few->x.by_rows.stride,
                              .c = few->op->dw + (size_t)k0 * (size_t)conv->ld + c0,
                              .c_row = (size_t)conv->ld,
                              .rows = block_end(block, PIECE_ROWS, conv->K) - k0,
                              .columns =
                                  block_end(i % few->C_blocks, PIECE_COLUMNS, conv->in.C) - c0,
                              .accumulates = true};
    for (int row = 0; row < rows; row += DEPTH) {
        product.a = panels_from(&few->dz.by_rows, row, k0, PAIR).start;
        product.b = panels_from(&few->x.by_rows, row, c0, PAIR).start;
        product.depth = rows - row < DEPTH ? rows - row : DEPTH;
        MAP_NAME(product_transposed)(&product);
    }
}

/* One tile, some columns, of dx. */
static void send_dgrad(const struct few *few, int i, int thread)
{
    const struct pw_backward *op = few->op;
    int group = i / few->C_blocks, block = i % few->C_blocks, c0 = block * PIECE_COLUMNS;
    int end = block_end(block, PIECE_COLUMNS, op->conv->in.C);
    struct tile tile = tile_first(&op->plan, group);
    int row = (int)tile_row(&op->plan, &tile);
    struct pw_dgrad dgrad = {.tile = &tile,
                             .group = group,
                             .dz = panels_from(&few->dz.by_columns, row, 0, 1).start,
                             .dz_stride = few->dz.by_columns.stride,
                             .strip = cpu_scratch(op->device, thread)};
    MAP_NAME(pw_clear_sums)(op, group, c0, end);
    for (int c = c0; c < end; c += STRIP)
        MAP_NAME(pw_send_dgrad)(op, &dgrad, c, c + STRIP < end ? c + STRIP : end);
}

static void multiply_job(void *context, int i, int thread)
{
    const struct few *few = context;
    if (i < few->dw_jobs)
        add_wgrad(few, i);
    else
        send_dgrad(few, i - few->dw_jobs, thread);
}

bool MAP_NAME(pw_few_backward)(struct pw_backward *op)
{
    const struct conv *conv = op->conv;
    struct few few = {.op = op};
    op->plan = plan_of(conv);
    struct cpu_need need = MAP_NAME(pw_few_need)(conv);
    if (!cpu_reserve(op->device, &(struct work){.kind = WORK_PW_BACKWARD, .conv = *conv}, &need))
        return false;
    char *shared = cpu_shared(op->device);
    carve_operands(&few, &shared);
    MAP_NAME(pw_carve_shared)(op, &shared);
    few.dz_blocks = divide_up(conv->K, LOAD_COLUMNS);
    few.x_blocks = divide_up(conv->in.C, LOAD_COLUMNS);
    few.C_blocks = divide_up(conv->in.C, PIECE_COLUMNS);
    few.dw_jobs = divide_up(conv->K, PIECE_ROWS) * few.C_blocks;
    int loads = op->plan.groups * (few.dz_blocks + few.x_blocks);
    cpu_run(op->device, loads + (op->sink ? panel_count(conv->in.C) : 0), load_job, &few);
    int dx_jobs = op->sink ? op->plan.groups * few.C_blocks : 0;
    cpu_run(op->device, few.dw_jobs + dx_jobs, multiply_job, &few);
    return true;
}
