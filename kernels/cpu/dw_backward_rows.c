#include "kernels/cpu/dw_backward.h"

/* Which taps an input row meets depends on its parity under the stride. */
static const struct dw_parity *parity_of(const struct dw_backward *op, int ih)
{
    return &op->rows[ih % op->plan.S];
}

/* The first output row that input row ih meets, by its last tap; may lie outside the map. */
static int first_row(const struct dw_backward *op, int ih)
{
    return (ih + op->plan.top - parity_of(op, ih)->last) / op->plan.S;
}

int MAP_NAME(dw_backward_last_row)(const struct dw_backward *op, int ih)
{
    return first_row(op, ih) + parity_of(op, ih)->taps - 1;
}

/* Where the taps of rows of parity f and columns of parity e begin, in taps. */
static int parity_offset(const struct dw_backward *op, int f, int e)
{
    int before = f == 0 ? 0 : op->rows[0].taps * op->plan.R;
    return before + (e == 0 ? 0 : op->rows[f].taps * op->columns[0].taps);
}

/* Rows and columns of dz in rising order are taps in falling order. */
static void pack_parity(const struct dw_backward_job *job, int c, int f, int e, float *to)
{
    const struct dw_backward *op = job->op;
    const struct dw_plan *plan = &op->plan;
    for (int i = 0; i < op->rows[f].taps; i++)
        for (int j = 0; j < op->columns[e].taps; j++, to += VEC_WIDTH) {
            int tap =
                dw_tap(plan, op->rows[f].last - i * plan->S, op->columns[e].last - j * plan->S);
            vec_store(to, map_load(op->w + (ptrdiff_t)tap * op->ld + c, dw_lanes(plan, c)));
        }
}

void MAP_NAME(dw_backward_pack)(struct dw_backward_job *job)
{
    const struct dw_plan *plan = &job->op->plan;
    for (int v = 0; v < job->vectors; v++) {
        float *w = job->w + (ptrdiff_t)v * plan->R * plan->R * VEC_WIDTH;
        for (int f = 0; f < plan->S; f++)
            for (int e = 0; e < plan->S; e++)
                pack_parity(job, dw_channel(plan, job->block, v), f, e,
                            w + (ptrdiff_t)parity_offset(job->op, f, e) * VEC_WIDTH);
    }
}

static void load_dz(const struct dw_backward_job *job, int v, int n, int oh, int end)
{
    const struct dw_backward *op = job->op;
    struct dims out = op->plan.out;
    int c = dw_channel(&op->plan, job->block, v), lanes = dw_lanes(&op->plan, c);
    struct row_shape shape = {(end - oh) * out.W, out.C, lanes,
                              (ptrdiff_t)op->plan.band * out.W * out.C};
    size_t at = ((size_t)n * out.H + oh) * out.W * out.C + c;
    const float *s = view_gate_row(&op->dz.of, &op->dz_channels, out.C, n) + c;
    const float *p = grad_p_row(&op->dz, &op->dz_channels, out.C, n) + c;
    struct grad_row row = {.z = map_at(op->dz.of.z, at),
                           .q = op->dz.q ? map_at(op->dz.q, at) : map_zeros(op->dz_channels.zeros),
                           .q_stride = op->dz.q ? out.C : 0,
                           .k = grad_vec_load(&op->dz_channels, c),
                           .s = vec_load_part(s, lanes),
                           .p = vec_load_part(p, lanes),
                           .act = op->dz.of.act};
    MAP_NAME(row_load_grad)(&shape, &row, dw_ring_row(&job->dz, v, oh));
}

static void wgrad_row(const struct dw_backward_job *job, int v, int oh)
{
    const struct dw_weigh *wgrad = &job->op->wgrad;
    const struct dw_plan *plan = &job->op->plan;
    int first = oh * plan->S - plan->top, top = first < 0 ? -first : 0;
    int bottom = first + plan->R > plan->in.H ? plan->in.H - first : plan->R;
    ptrdiff_t tap = ((ptrdiff_t)v * plan->R + top) * plan->R;
    float *dw = job->dw + tap * VEC_WIDTH;
    struct dw_weigh_rows rows = {
        .dz = dw_ring_row(&job->dz, v, oh), .W = plan->in.W, .left = plan->left};
    dw_ring_rows(&job->x, v, first + top, bottom - top, rows.x);
    bool is_whole = bottom - top == plan->R && wgrad->run_rows[0];
    for (int i = 0, o = 0; i < 2; i++) {
        int tiles = i == 0 ? wgrad->tiles : wgrad->less_tiles;
        if (tiles && is_whole)
            wgrad->run_rows[i](&rows, o, tiles, dw);
        for (int kh = top; tiles && !is_whole && kh < bottom; kh++) {
            struct dw_weigh_rows one = {{rows.x[kh - top]}, rows.dz, rows.W, rows.left};
            wgrad->run[i](&one, o, tiles, dw + (ptrdiff_t)(kh - top) * plan->R * VEC_WIDTH);
        }
        o += tiles * wgrad->size;
    }
}

void MAP_NAME(dw_backward_outputs)(const struct dw_backward_job *job, int v, int n, int oh, int end)
{
    load_dz(job, v, n, oh, end);
    for (int row = oh; row < end; row++)
        wgrad_row(job, v, row);
}

/* Row ih of the input's gradient, packed. Each parity of columns is a correlation of its own. */
static void correlate_row(const struct dw_backward_job *job, int v, int ih, float *to)
{
    const struct dw_backward *op = job->op;
    const struct dw_plan *plan = &op->plan;
    int first = first_row(op, ih), taps = parity_of(op, ih)->taps, f = ih % plan->S;
    int top = first < 0 ? -first : 0;
    int bottom = first + taps > plan->out.H ? plan->out.H - first : taps;
    struct dw_rows rows = {.count = bottom - top, .W = plan->out.W};
    dw_ring_rows(&job->dz, v, first + top, rows.count, rows.in);
    for (int e = 0; e < plan->S; e++) {
        ptrdiff_t tap = (ptrdiff_t)v * plan->R * plan->R + parity_offset(op, f, e);
        rows.w = job->w + (tap + (ptrdiff_t)top * op->columns[e].taps) * VEC_WIDTH;
        rows.left = (op->columns[e].last - e - plan->left) / plan->S;
        op->correlate[e].run(&rows, op->correlate[e].tiles, plan->S, to + (ptrdiff_t)e * VEC_WIDTH);
    }
}

void MAP_NAME(dw_backward_inputs)(const struct dw_backward_job *job, int v, int n, int ih, int end)
{
    const struct dw_backward *op = job->op;
    const struct grad_sink *to = op->sink;
    struct dims in = op->plan.in;
    int c = dw_channel(&op->plan, job->block, v);
    struct row_shape shape = {(end - ih) * in.W, in.C, dw_lanes(&op->plan, c), 0};
    size_t at = ((size_t)n * in.H + ih) * in.W * in.C + c;
    struct sink_row row = {.q = map_to(to->q, at),
                           .add = to->add ? map_at(to->add, at) : map_zeros(op->of_channels.zeros),
                           .add_stride = to->add ? in.C : 0,
                           .kind = to->sums        ? SINK_SUMS
                                   : to->gate_sums ? SINK_GATE
                                                   : SINK_PLAIN,
                           .streams = op->streams,
                           .sums = &job->sums[v]};
    if (row.kind != SINK_PLAIN) {
        row.z = map_at(to->of.z, at);
        row.k = view_vec_load(&op->of_channels, c);
        row.mean = vec_load(op->mean + c);
        row.act = to->of.act;
    }
    for (int i = ih; i < end; i++) /* a row's last tile may reach into the next row */
        correlate_row(job, v, i, job->rows + (ptrdiff_t)(i - ih) * in.W * VEC_WIDTH);
    MAP_NAME(row_store_sink)(&shape, job->rows, &row);
}
