/* dx = dz w into the sink, and dw += dz^T view(x): dz is formed while it is loaded. */
#include "kernels/cuda/pw_product.cuh"
#include "kernels/cuda/pw_wgrad.cuh"

template <typename E, int V, int G>
static __global__ void __launch_bounds__(PRODUCT_THREADS) pw_dgrad_kernel(pw_product<E> op)
{
    GPU_SHARED_DYNAMIC(memory);
    pw_block<E, V, G>(op, PW_DGRAD, shared_cast<double>(memory));
}

template <typename E, int V, int A, int G>
static __global__ void __launch_bounds__(PRODUCT_THREADS) pw_wgrad_kernel(pw_wgrad<E> op)
{
    GPU_SHARED_DYNAMIC(memory);
    pw_wgrad_block<E, V, A, G>(op, shared_cast<float>(memory));
}

struct pw_backward { /* a call */
    const struct conv *conv;
    const struct grad *dz;
    struct view x;
    const void *w;
    const struct grad_sink *sink;
    float *dw;
};

static int sums_of(const struct grad_sink *sink)
{
    return sink->sums ? 2 : sink->gate_sums ? 3 : 0;
}

/* Of the two launches, which follow each other. */
static size_t scratch_bytes(const struct conv *conv, int sums, size_t element)
{
    struct pw_plan dgrad = pw_plan_make(conv, PW_DGRAD, sums, element);
    struct pw_wgrad_plan wgrad = pw_wgrad_plan_make(conv, element);
    size_t dgrad_bytes = pw_sums_bytes(&dgrad), wgrad_bytes = pw_wgrad_bytes(&wgrad);
    return dgrad_bytes > wgrad_bytes ? dgrad_bytes : wgrad_bytes;
}

size_t cuda_pw_backward_plan(const struct work *work, enum precision precision)
{
    size_t element = precision_map_bytes(precision);
    size_t channels = scratch_bytes(&work->conv, 2, element);
    size_t images = scratch_bytes(&work->conv, 3, element);
    return channels > images ? channels : images;
}

template <typename E> static bool dz_is_wide(const struct pw_backward *back)
{
    const struct grad *dz = back->dz;
    return back->conv->K % map_width<E>::value == 0 && pw_is_aligned(dz->q) &&
           pw_is_aligned(dz->of.z) && pw_is_aligned(dz->of.gate) && pw_is_aligned(dz->p);
}

template <typename E> static bool x_is_wide(const struct pw_backward *back)
{
    return back->conv->in.C % map_width<E>::value == 0 && pw_is_aligned(back->x.z) &&
           pw_is_aligned(back->x.gate);
}

template <typename E> static bool sink_is_wide(const struct pw_backward *back)
{
    const struct grad_sink *sink = back->sink;
    return back->conv->in.C % map_width<E>::value == 0 && pw_is_aligned(sink->q) &&
           pw_is_aligned(sink->add) && pw_is_aligned(sink->of.z);
}

template <typename E, int V>
static void launch_dgrad(struct cuda *cuda, const struct pw_product<E> *op)
{
    const struct pw_walk *walk = &op->plan.walk;
    dim3 grid((unsigned)(walk->images * walk->parts * op->plan.column_blocks));
    cuda_launch(cuda, "pw_dgrad",
                op->plan.pieces == 1   ? pw_dgrad_kernel<E, V, 1>
                : op->plan.pieces == 2 ? pw_dgrad_kernel<E, V, 2>
                                       : pw_dgrad_kernel<E, V, 4>,
                grid, dim3(PRODUCT_THREADS), op->plan.shared_bytes, op);
}

template <typename E>
static void dgrad(struct cuda *cuda, const struct pw_backward *back, void *scratch)
{
    const struct conv *conv = back->conv;
    bool is_wide = dz_is_wide<E>(back) && sink_is_wide<E>(back);
    struct pw_product<E> op = {
    };
    op.plan = pw_plan_make(conv, PW_DGRAD, sums_of(back->sink), sizeof(E));
    op.depth = conv->K;
    op.columns = conv->in.C;
    op.ld = conv->ld;
    op.HW = conv->in.H * conv->in.W;
    op.w = (const E *)back->w;
    op.w_is_wide = is_wide && op.ld % map_width<E>::value == 0 && pw_is_aligned(op.w);
    op.to = (E *)back->sink->q;
    op.sums = partials_make(op.plan.walk.parts, pw_sums_count(&op.plan), (double *)scratch,
                            cuda->tickets);
    op.count = dims_pixels(conv->in);
    op.dz = *back->dz;
    op.sink = *back->sink;
    op.has_sink_norm = back->sink->norm != NULL;
    if (op.has_sink_norm)
        op.sink_norm = *back->sink->norm;
    if (is_wide)
        launch_dgrad<E, map_width<E>::value>(cuda, &op);
    else
        launch_dgrad<E, 1>(cuda, &op);
}

template <typename E, int V>
static void launch_wgrad(struct cuda *cuda, const struct pw_wgrad<E> *op)
{
    const struct pw_wgrad_plan *plan = &op->plan;
    int A = plan->row_pieces, G = plan->column_pieces;
    dim3 grid((unsigned)(plan->groups * plan->row_tiles * plan->column_tiles));
    cuda_launch(cuda, "pw_wgrad",
                G == 4             ? pw_wgrad_kernel<E, V, 2, 4>
                : G == 2 && A == 4 ? pw_wgrad_kernel<E, V, 4, 2>
                : G == 2           ? pw_wgrad_kernel<E, V, 2, 2>
                : A == 8           ? pw_wgrad_kernel<E, V, 8, 1>
                : A == 4           ? pw_wgrad_kernel<E, V, 4, 1>
                                   : pw_wgrad_kernel<E, V, 2, 1>,
                grid, dim3(PRODUCT_THREADS), plan->shared_bytes, op);
}

template <typename E>
static void wgrad(struct cuda *cuda, const struct pw_backward *back, void *scratch)
{
    const struct conv *conv = back->conv;
    struct pw_wgrad<E> op = {
    };
    op.plan = pw_wgrad_plan_make(conv, sizeof(E));
    op.rows = (int)pw_rows(conv);
    op.K = conv->K;
    op.C = conv->in.C;
    op.ld = conv->ld;
    op.HW = conv->in.H * conv->in.W;
    op.dz = *back->dz;
    op.x = back->x;
    op.dw = back->dw;
    op.parts =
        partials_make(op.plan.groups, pw_wgrad_count(&op.plan), (float *)scratch, cuda->tickets);
    if (dz_is_wide<E>(back) && x_is_wide<E>(back))
        launch_wgrad<E, map_width<E>::value>(cuda, &op);
    else
        launch_wgrad<E, 1>(cuda, &op);
}

template <typename E> static void gradients(struct cuda *cuda, const struct pw_backward *back)
{
    struct work work = {WORK_PW_BACKWARD, *back->conv, 0, 0, 0};
    int sums = back->sink ? sums_of(back->sink) : 0;
    void *scratch = cuda_scratch(cuda, &work, scratch_bytes(back->conv, sums, sizeof(E)));
    if (!scratch)
        return;
    wgrad<E>(cuda, back, scratch);
    if (!back->sink)
        return;
    dgrad<E>(cuda, back, scratch);
    cuda->face.traffic.gradient_bytes += pw_rows(back->conv) * (size_t)back->conv->in.C * sizeof(E);
}

void cuda_pw_backward(struct device *device, const struct conv *conv, const struct grad *dz,
                      struct view x, const void *w, const struct grad_sink *sink, float *dw)
{
    struct cuda *cuda = cuda_of(device);
    struct pw_backward back = {conv, dz, x, w, sink, dw};
    if (cuda->precision == PRECISION_BF16)
        gradients<bf16>(cuda, &back);
    else
        gradients<float>(cuda, &back);
}
