#include "kernels/cpu/dw_backward.h"

static float *x_row(const struct dw_backward_job *job, int v, int ih)
{
    const struct dw_plan *plan = &job->op->plan;
    ptrdiff_t row = (ptrdiff_t)v * plan->R + ih % plan->R;
    return job->x_ring + row * plan->in.W * VEC_WIDTH;
}

static float *dz_row(const struct dw_backward_job *job, int v, int oh)
{
    const struct dw_plan *plan = &job->op->plan;
    ptrdiff_t row = (ptrdiff_t)v * plan->R + oh % plan->R;
    return job->dz_ring + row * job->op->dz_width * VEC_WIDTH;
}

/* Which taps an input row or column meets depends on its parity under the stride. */
static const struct dw_parity *parity_of(const struct dw_backward *op, int at)
{
    return &op->parity[at % op->plan.S];
}

/* The first output row that input row ih meets, by its last tap; may lie outside the map. */
static int first_row(const struct dw_backward *op, int ih)
{
    return (ih + op->plan.P - parity_of(op, ih)->last) / op->plan.S;
}

int ISA_NAME(dw_backward_last_row)(const struct dw_backward *op, int ih)
{
    return first_row(op, ih) + parity_of(op, ih)->taps - 1;
}

/* Where the taps of rows of parity f and columns of parity e begin, in taps. */
static int parity_offset(const struct dw_backward *op, int f, int e)
{
    const struct dw_parity *parity = op->parity;
    int before = f == 0 ? 0 : parity[0].taps * op->plan.R;
    return before + (e == 0 ? 0 : parity[f].taps * parity[0].taps);
}

/* Rows and columns of dz in rising order are taps in falling order. */
static void pack_parity(const struct dw_backward_job *job, int c, int f, int e, float *to)
{
    const struct dw_backward *op = job->op;
    const struct dw_plan *plan = &op->plan;
    for (int i = 0; i < op->parity[f].taps; i++)
        for (int j = 0; j < op->parity[e].taps; j++, to += VEC_WIDTH) {
            int tap =
                dw_tap(plan, op->parity[f].last - i * plan->S, op->parity[e].last - j * plan->S);
            vec_store(to, vec_load_part(op->w + (ptrdiff_t)tap * op->ld + c, dw_lanes(plan, c)));
        }
}

void ISA_NAME(dw_backward_pack)(struct dw_backward_job *job)
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

void ISA_NAME(dw_backward_load_x)(const struct dw_backward_job *job, int v, int n, int ih)
{
    const struct dw_backward *op = job->op;
    struct dims in = op->plan.in;
    int c = dw_channel(&op->plan, job->block, v), lanes = dw_lanes(&op->plan, c);
    struct row_shape shape = {in.W, in.C, lanes, (ptrdiff_t)in.W * in.C};
    const float *gate = view_gate_row(&op->x, &op->x_channels, in.C, n) + c;
    struct view_row row = {.z = op->x.z + ((size_t)n * in.H + ih) * in.W * in.C + c,
                           .k = view_vec_load(&op->x_channels, c),
                           .gate = vec_load_part(gate, lanes),
                           .act = op->x.act};
    ISA_NAME(row_load_view)(&shape, &row, x_row(job, v, ih));
}

void ISA_NAME(dw_backward_load_dz)(const struct dw_backward_job *job, int v, int n, int oh)
{
    const struct dw_backward *op = job->op;
    struct dims out = op->plan.out;
    int c = dw_channel(&op->plan, job->block, v), lanes = dw_lanes(&op->plan, c);
    struct row_shape shape = {out.W, out.C, lanes, (ptrdiff_t)out.W * out.C};
    size_t at = ((size_t)n * out.H + oh) * out.W * out.C + c;
    const float *s = view_gate_row(&op->dz.of, &op->dz_channels, out.C, n) + c;
    const float *p = grad_p_row(&op->dz, &op->dz_channels, out.C, n) + c;
    struct grad_row row = {.z = op->dz.of.z + at,
                           .q = op->dz.q ? op->dz.q + at : op->dz_channels.zeros + c,
                           .q_stride = op->dz.q ? out.C : 0,
                           .k = grad_vec_load(&op->dz_channels, c),
                           .s = vec_load_part(s, lanes),
                           .p = vec_load_part(p, lanes),
                           .act = op->dz.of.act};
    ISA_NAME(row_load_grad)(&shape, &row, dz_row(job, v, oh));
}

void ISA_NAME(dw_backward_weigh)(const struct dw_backward_job *job, int v, int oh)
{
    const struct dw_backward *op = job->op;
    const struct dw_plan *plan = &op->plan;
    int first = oh * plan->S - plan->P, top = first < 0 ? -first : 0;
    int bottom = first + plan->R > plan->in.H ? plan->in.H - first : plan->R;
    const float *in[DW_R_MAX], *dz = dz_row(job, v, oh);
    float *dw = job->dw + (ptrdiff_t)v * plan->R * plan->R * VEC_WIDTH;
    for (int kh = top; kh < bottom; kh++)
        in[kh] = x_row(job, v, first + kh);
    if (bottom - top == plan->R && op->weigh.run_rows)
        op->weigh.run_rows(in, plan->in.W, dz, op->weigh.tiles, dw);
    else
        for (int kh = top; kh < bottom; kh++)
            op->weigh.run(&in[kh], plan->in.W, dz, op->weigh.tiles,
                          dw + (ptrdiff_t)kh * plan->R * VEC_WIDTH);
}

/* Row ih of the input's gradient, packed. Each parity of columns is a correlation of its own. */
static void correlate_row(const struct dw_backward_job *job, int v, int ih)
{
    const struct dw_backward *op = job->op;
    const struct dw_plan *plan = &op->plan;
    int first = first_row(op, ih), taps = parity_of(op, ih)->taps, f = ih % plan->S;
    int top = first < 0 ? -first : 0;
    int bottom = first + taps > plan->out.H ? plan->out.H - first : taps;
    struct dw_rows rows = {.count = bottom - top, .W = plan->out.W};
    for (int i = 0; i < rows.count; i++)
        rows.in[i] = dz_row(job, v, first + top + i);
    for (int e = 0; e < plan->S; e++) {
        ptrdiff_t tap = (ptrdiff_t)v * plan->R * plan->R + parity_offset(op, f, e);
        rows.w = job->w + (tap + (ptrdiff_t)top * op->parity[e].taps) * VEC_WIDTH;
        op->correlate[e].run(&rows, op->correlate[e].tiles, plan->S,
                             job->row + (ptrdiff_t)e * VEC_WIDTH);
    }
}

void ISA_NAME(dw_backward_row)(const struct dw_backward_job *job, int v, int n, int ih)
{
    const struct dw_backward *op = job->op;
    const struct grad_sink *to = op->sink;
    struct dims in = op->plan.in;
    int c = dw_channel(&op->plan, job->block, v);
    struct row_shape shape = {in.W, in.C, dw_lanes(&op->plan, c), 0};
    size_t at = ((size_t)n * in.H + ih) * in.W * in.C + c;
    struct sink_row row = {.q = to->q + at,
                           .add = to->add ? to->add + at : op->x_channels.zeros + c,
                           .add_stride = to->add ? in.C : 0,
                           .kind = to->sums        ? SINK_SUMS
                                   : to->gate_sums ? SINK_GATE
                                                   : SINK_PLAIN,
                           .streams = op->streams};
    if (row.kind != SINK_PLAIN) {
        row.z = to->of.z + at;
        row.k = view_vec_load(&op->of_channels, c);
        row.mean = vec_load(op->mean + c);
        row.act = to->of.act;
    }
    vec *total = job->sums[v].total;
    memcpy(row.total, total, sizeof row.total);
    correlate_row(job, v, ih);
    ISA_NAME(row_store_sink)(&shape, job->row, &row);
    memcpy(total, row.total, sizeof row.total);
}
