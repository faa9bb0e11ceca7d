/* dx = dz w into the sink, and dw += dz^T view(x): dz is formed while it is loaded. */
#include "kernels/cuda/pw_fused.cuh"

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

template <typename E, int A, int G>
static __global__ void __launch_bounds__(PRODUCT_THREADS) pw_fused_kernel(pw_fused<E> op)
{
    GPU_SHARED_DYNAMIC(memory);
    pw_fused_block<E, map_width<E>::value, A, G>(op, shared_cast<double>(memory));
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

struct ways { /* whose maps are read by granules */
    bool dgrad, wgrad;
};

/* Of two launches, which follow each other. */
static size_t apart_bytes(const struct conv *conv, int sums, size_t element, struct ways wide,
                          size_t block_bytes)
{
    struct pw_plan dgrad = pw_plan_make(conv, PW_DGRAD, sums, element, wide.dgrad, block_bytes);
    struct pw_wgrad_plan wgrad = pw_wgrad_plan_make(conv, element, wide.wgrad);
    size_t dgrad_bytes = pw_sums_bytes(&dgrad), wgrad_bytes = pw_wgrad_bytes(&wgrad);
    return dgrad_bytes > wgrad_bytes ? dgrad_bytes : wgrad_bytes;
}

static size_t any_way_bytes(const struct conv *conv, int sums, size_t element, size_t block_bytes)
{
    const struct ways all[] = {{false, false}, {true, true}};
    struct pw_fused_plan fused = pw_fused_plan_make(conv, sums, element, block_bytes);
    size_t most = fused.is_there ? pw_fused_bytes(&fused) : 0;
    for (int i = 0; i < 2; i++) {
        size_t bytes = apart_bytes(conv, sums, element, all[i], block_bytes);
        most = most < bytes ? bytes : most;
    }
    return most;
}

/* Which way it goes depends on addresses and on the card, too: the plan is for each. */
size_t cuda_pw_backward_plan(const struct work *work, enum precision precision)
{
    size_t element = precision_map_bytes(precision), most = 0;
    for (int sums = 2; sums <= 3; sums++) {
        size_t bytes = any_way_bytes(&work->conv, sums, element, CUDA_SHARED_BYTES);
        most = most < bytes ? bytes : most;
        bytes = any_way_bytes(&work->conv, sums, element, CUDA_LITTLE_SHARED_BYTES);
        most = most < bytes ? bytes : most;
    }
    return most;
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

template <typename E> static struct ways ways_of(const struct pw_backward *back)
{
    bool dz = dz_is_wide<E>(back);
    struct ways wide = {dz && back->sink && sink_is_wide<E>(back), dz && x_is_wide<E>(back)};
    return wide;
}

template <typename E>
static void launch_dgrad(struct cuda *cuda, const struct pw_product<E> *op, bool is_wide)
{
    const struct pw_walk *walk = &op->plan.walk;
    const int W = map_width<E>::value;
    dim3 grid((unsigned)(walk->images * walk->parts * op->plan.column_blocks));
    cuda_launch(cuda, "pw_dgrad",
                !is_wide               ? pw_dgrad_kernel<E, 1, 1>
                : op->plan.pieces == 1 ? pw_dgrad_kernel<E, W, 1>
                : op->plan.pieces == 2 ? pw_dgrad_kernel<E, W, 2>
                                       : pw_dgrad_kernel<E, W, 4>,
                grid, dim3(PRODUCT_THREADS), op->plan.shared_bytes, op);
}

/* What dgrad needs to know but its plan and its sums. */
template <typename E> static struct pw_product<E> product_of(const struct pw_backward *back) {
    const struct conv *conv = back->conv;
    struct pw_product<E> op = {
    };
    op.depth = conv->K;
    op.columns = conv->in.C;
    op.ld = conv->ld;
    op.HW = conv->in.H * conv->in.W;
    op.w = (const E *)back->w;
    op.w_is_wide =
        ways_of<E>(back).dgrad && op.ld % map_width<E>::value == 0 && pw_is_aligned(op.w);
    op.to = (E *)back->sink->q;
    op.count = dims_pixels(conv->in);
    op.dz = *back->dz;
    op.sink = *back->sink;
    op.has_sink_norm = back->sink->norm != NULL;
    if (op.has_sink_norm)
        op.sink_norm = *back->sink->norm;
    return op;
}

template <typename E>
static struct pw_wgrad<E> wgrad_of(const struct pw_backward *back) {
    const struct conv *conv = back->conv;
    struct pw_wgrad<E> op = {
    };
    op.rows = (int)pw_rows(conv);
    op.K = conv->K;
    op.C = conv->in.C;
    op.ld = conv->ld;
    op.HW = conv->in.H * conv->in.W;
    op.dz = *back->dz;
    op.x = back->x;
    op.dw = back->dw;
    return op;
}

template <typename E>
static void dgrad(struct cuda *cuda, const struct pw_backward *back, void *scratch)
{
    struct pw_product<E> op = product_of<E>(back);
    bool is_wide = ways_of<E>(back).dgrad;
    op.plan = pw_plan_make(back->conv, PW_DGRAD, sums_of(back->sink), sizeof(E), is_wide,
                           cuda->shared_bytes);
    op.sums = partials_make(op.plan.walk.parts, pw_sums_count(&op.plan), (double *)scratch,
                            cuda->tickets);
    launch_dgrad<E>(cuda, &op, is_wide);
}

template <typename E>
static void launch_wgrad(struct cuda *cuda, const struct pw_wgrad<E> *op, bool is_wide)
{
    const struct pw_wgrad_plan *plan = &op->plan;
    const int W = map_width<E>::value;
    int A = plan->row_pieces, G = plan->column_pieces;
    dim3 grid((unsigned)(plan->groups * plan->row_tiles * plan->column_tiles));
    cuda_launch(cuda, "pw_wgrad",
                !is_wide           ? pw_wgrad_kernel<E, 1, 2, 1>
                : G == 4           ? pw_wgrad_kernel<E, W, 2, 4>
                : G == 2 && A == 4 ? pw_wgrad_kernel<E, W, 4, 2>
                : G == 2           ? pw_wgrad_kernel<E, W, 2, 2>
                : A == 8           ? pw_wgrad_kernel<E, W, 8, 1>
                : A == 4           ? pw_wgrad_kernel<E, W, 4, 1>
                                   : pw_wgrad_kernel<E, W, 2, 1>,
                grid, dim3(PRODUCT_THREADS), plan->shared_bytes, op);
}

template <typename E>
static void wgrad(struct cuda *cuda, const struct pw_backward *back, void *scratch)
{
    struct pw_wgrad<E> op = wgrad_of<E>(back);
    bool is_wide = ways_of<E>(back).wgrad;
    op.plan = pw_wgrad_plan_make(back->conv, sizeof(E), is_wide);
    op.parts =
        partials_make(op.plan.groups, pw_wgrad_count(&op.plan), (float *)scratch, cuda->tickets);
    launch_wgrad<E>(cuda, &op, is_wide);
}

template <typename E>
static void launch_fused(struct cuda *cuda, const struct pw_fused<E> *op, size_t shared_bytes)
{
    const struct pw_wgrad_plan *plan = &op->wgrad.plan;
    int A = plan->row_pieces, G = plan->column_pieces;
    dim3 grid((unsigned)(plan->groups * plan->column_tiles));
    cuda_launch(cuda, "pw_backward",
                G == 4             ? pw_fused_kernel<E, 2, 4>
                : G == 2 && A == 4 ? pw_fused_kernel<E, 4, 2>
                : G == 2           ? pw_fused_kernel<E, 2, 2>
                : A == 8           ? pw_fused_kernel<E, 8, 1>
                : A == 4           ? pw_fused_kernel<E, 4, 1>
                                   : pw_fused_kernel<E, 2, 1>,
                grid, dim3(PRODUCT_THREADS), shared_bytes, op);
}

template <typename E>
static void fused(struct cuda *cuda, const struct pw_backward *back,
                  const struct pw_fused_plan *plan, char *scratch)
{
    struct pw_fused<E> op = {
        product_of<E>(back), wgrad_of<E>(back), plan->block_images
    };
    op.product.plan = plan->product;
    op.wgrad.plan = plan->wgrad;
    op.product.keeps_z = plan->product.sums && back->sink->of.z == back->x.z;
    op.wgrad.parts =
        partials_make(plan->wgrad.groups, pw_wgrad_count(&plan->wgrad),
                      (float *)(scratch + pw_sums_bytes(&plan->product)), cuda->tickets);
    op.product.sums = partials_make(
        plan->product.walk.parts, pw_sums_count(&plan->product), (double *)scratch,
        cuda->tickets + plan->wgrad.column_tiles * partials_tickets(plan->wgrad.groups));
    launch_fused<E>(cuda, &op, plan->shared_bytes);
}

/* One launch that reads each map once, where the shape has it, else one for dx and one for dw. */
template <typename E> static void gradients(struct cuda *cuda, const struct pw_backward *back)
{
    struct work work = {WORK_PW_BACKWARD, *back->conv, 0, 0, 0};
    struct pw_fused_plan plan = {};
    struct ways wide = ways_of<E>(back);
    int sums = back->sink ? sums_of(back->sink) : 0;
    if (wide.dgrad && wide.wgrad)
        plan = pw_fused_plan_make(back->conv, sums, sizeof(E), cuda->shared_bytes);
    void *scratch = cuda_scratch(
        cuda, &work,
        plan.is_there ? pw_fused_bytes(&plan)
                      : apart_bytes(back->conv, sums, sizeof(E), wide, cuda->shared_bytes));
    if (!scratch)
        return;
    if (plan.is_there)
        fused<E>(cuda, back, &plan, (char *)scratch);
    else
        wgrad<E>(cuda, back, scratch);
    if (!back->sink)
        return;
    if (!plan.is_there)
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
