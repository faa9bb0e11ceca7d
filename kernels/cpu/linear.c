#include "kernels/cpu/divide.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/ops.h"
#include "kernels/cpu/tile.h"

/* A linear layer has few rows and wide weights: jobs are blocks of columns, and the view of the
 * rows is written once per tile of rows for all of them. */
enum { BLOCK = 80, LOAD_ROWS = 16, TILE_BYTES = 512 << 10 };

struct linear {
    const struct conv *conv;
    struct tile_plan plan; /* one row per image, one column block */
    struct tile tile;      /* the rows at work */
    struct view x;
    struct channels channels;
    float *x_tile; /* (rows,x_ld) */
    int x_ld;      /* C in whole panels */
    const float *w;
    const float *bias; /* forward */
    float *y;          /* forward */
    const float *dy;   /* backward, as the rest */
    float *dx, *dw, *dbias;
    int dw_jobs;
};

static void load_job(void *context, int i, int thread)
{
    const struct linear *op = context;
    int first = i * LOAD_ROWS, left = op->tile.images - first, C = op->conv->in.C;
    struct tile tile = {op->tile.image + first, left < LOAD_ROWS ? left : LOAD_ROWS, 0, 1};
    struct tile_columns at = {&op->plan, &tile, C, 0, C};
    size_t ld = (size_t)op->x_ld;
    struct operand to = {.by_columns = {op->x_tile + (size_t)first * ld, PANEL, ld}};
    (void)thread;
    MAP_NAME(prologue_view)
    (&at, &op->x, &op->channels, &to);
}

static void forward_job(void *context, int i, int thread)
{
    const struct linear *op = context;
    int C = op->conv->in.C, K = op->conv->K, k0 = i * BLOCK, k1 = block_end(i, BLOCK, K);
    float *y = op->y + (size_t)op->tile.image * (size_t)K;
    struct gemm gemm = {.m = op->tile.images,
                        .n = k1 - k0,
                        .k = C,
                        .a = op->x_tile,
                        .lda = op->x_ld,
                        .b = op->w + (size_t)k0 * (size_t)op->conv->ld,
                        .ldb = op->conv->ld,
                        .c = y + k0,
                        .ldc = K};
    (void)thread;
    gemm_nt(&gemm);
    for (int row = 0; op->bias && row < op->tile.images; row++)
        for (int k = k0; k < k1; k++)
            y[(size_t)row * (size_t)K + k] += op->bias[k];
}

/* dw[k0..k1) += dy^T x, dbias[k0..k1) += sum dy. */
static void weight_job(const struct linear *op, int block)
{
    int C = op->conv->in.C, K = op->conv->K, k0 = block * BLOCK, k1 = block_end(block, BLOCK, K);
    const float *dy = op->dy + (size_t)op->tile.image * (size_t)K;
    struct gemm gemm = {.m = k1 - k0,
                        .n = C,
                        .k = op->tile.images,
                        .a = dy + k0,
                        .lda = K,
                        .b = op->x_tile,
                        .ldb = op->x_ld,
                        .c = op->dw + (size_t)k0 * (size_t)op->conv->ld,
                        .ldc = op->conv->ld,
                        .accumulates = true};
    gemm_tn(&gemm);
    for (int k = k0; op->dbias && k < k1; k++) {
        double sum = 0;
        for (int row = 0; row < op->tile.images; row++)
            sum += (double)dy[(size_t)row * (size_t)K + k];
        op->dbias[k] += (float)sum;
    }
}

VEC_INLINE void pull_back(enum act act, const struct linear *op, int row, int c, int lanes)
{
    const int C = op->conv->in.C;
    struct view_vec k = view_vec_load(&op->channels, c);
    const float *gate = view_gate_row(&op->x, &op->channels, C, row) + c;
    float *dx = op->dx + (size_t)row * (size_t)C + c;
    vec z = vec_load_part(map_at(op->x.z, (size_t)row * (size_t)C) + c, lanes);
    vec g = act_backward(act, vec_load_part(dx, lanes) * vec_load_part(gate, lanes),
                         z * k.scale + k.shift);
    vec_store_part(dx, g * k.scale, lanes);
}

VEC_INLINE void pull_back_block(enum act act, const struct linear *op, int c0, int c1)
{
    for (int row = op->tile.image; row < op->tile.image + op->tile.images; row++)
        for (int c = c0; c < c1; c += VEC_WIDTH)
            pull_back(act, op, row, c, c1 - c < VEC_WIDTH ? c1 - c : VEC_WIDTH);
}

/* dx[:, c0..c1) = dy w, through the view. */
static void data_job(const struct linear *op, int block)
{
    int C = op->conv->in.C, K = op->conv->K, c0 = block * BLOCK, c1 = block_end(block, BLOCK, C);
    struct gemm gemm = {.m = op->tile.images,
                        .n = c1 - c0,
                        .k = K,
                        .a = op->dy + (size_t)op->tile.image * (size_t)K,
                        .lda = K,
                        .b = op->w + c0,
                        .ldb = op->conv->ld,
                        .c = op->dx + (size_t)op->tile.image * (size_t)C + c0,
                        .ldc = C};
    gemm_nn(&gemm);
    ACT_SWITCH(op->x.act, pull_back_block, op, c0, c1);
}

static void backward_job(void *context, int i, int thread)
{
    const struct linear *op = context;
    (void)thread;
    if (i < op->dw_jobs)
        weight_job(op, i);
    else
        data_job(op, i - op->dw_jobs);
}

static int tile_rows_of(const struct conv *conv)
{
    int most = (int)((size_t)TILE_BYTES / (sizeof(float) * (size_t)conv->in.C));
    int tiles = divide_up(conv->in.N, most > 1 ? most : 1);
    return divide_up(conv->in.N, tiles);
}

static size_t tile_bytes(const struct conv *conv)
{
    size_t x_ld = (size_t)panel_count(conv->in.C) * PANEL;
    return (size_t)tile_rows_of(conv) * x_ld * sizeof(float);
}

struct cpu_need ISA_NAME(linear_need)(const struct work *work)
{
    const struct conv *conv = &work->conv;
    return (struct cpu_need){.activated_bytes = tile_bytes(conv),
                             .shared_bytes = cpu_aligned(channels_bytes(conv->in.C)) +
                                             cpu_aligned(tile_bytes(conv))};
}

static bool reserve(struct device *device, enum work_kind kind, struct linear *op)
{
    int C = op->conv->in.C;
    struct work work = {.kind = kind, .conv = *op->conv};
    struct cpu_need need = ISA_NAME(linear_need)(&work);
    if (!cpu_reserve(device, &work, &need))
        return false;
    char *shared = cpu_shared(device);
    op->channels = channels_init(cpu_carve(&shared, channels_bytes(C)), C, &op->x, NULL);
    op->x_tile = cpu_carve(&shared, tile_bytes(op->conv));
    op->x_ld = panel_count(C) * PANEL;
    return true;
}

/* Loads each tile of rows, then runs the jobs on it. */
static void run_tiles(struct device *device, struct linear *op, int jobs,
                      void (*job)(void *context, int i, int thread))
{
    int N = op->conv->in.N, rows = tile_rows_of(op->conv);
    op->plan = (struct tile_plan){.N = N, .HW = 1};
    for (int row = 0; row < N; row += rows) {
        op->tile = (struct tile){row, N - row < rows ? N - row : rows, 0, 1};
        cpu_run(device, divide_up(op->tile.images, LOAD_ROWS), load_job, op);
        cpu_run(device, jobs, job, op);
    }
}

void ISA_NAME(linear_forward)(struct device *device, const struct conv *conv, struct view x,
                              const float *w, const float *bias, float *y)
{
    struct linear op = {.conv = conv, .x = x, .w = w, .bias = bias, .y = y};
    if (reserve(device, WORK_LINEAR_FORWARD, &op))
        run_tiles(device, &op, divide_up(conv->K, BLOCK), forward_job);
}

void ISA_NAME(linear_backward)(struct device *device, const struct conv *conv, const float *dy,
                               struct view x, const float *w, float *dx, float *dw, float *dbias)
{
    struct linear op = {.conv = conv, .x = x, .w = w, .dy = dy, .dx = dx, .dw = dw, .dbias = dbias};
    op.dw_jobs = divide_up(conv->K, BLOCK);
    if (reserve(device, WORK_LINEAR_BACKWARD, &op))
        run_tiles(device, &op, op.dw_jobs + (dx ? divide_up(conv->in.C, BLOCK) : 0), backward_job);
}
