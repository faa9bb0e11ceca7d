/* z = view(x) w^T, with the sums of batch norm. */
#include "kernels/cuda/pw_product.cuh"

template <typename E, int V, int G>
static __global__ void __launch_bounds__(PRODUCT_THREADS) pw_forward_kernel(pw_product<E> op)
{
    GPU_SHARED_DYNAMIC(memory);
    pw_block<E, V, G>(op, PW_FORWARD, shared_cast<double>(memory));
}

static bool takes_sums(const struct norm_forward *norm)
{
    return norm && norm->kind == NORM_BATCH;
}

size_t cuda_pw_forward_plan(const struct work *work, enum precision precision)
{
    struct pw_plan plan = pw_plan_make(&work->conv, PW_FORWARD, 2, precision_map_bytes(precision));
    return pw_sums_bytes(&plan);
}

template <typename E, int V>
static void launch_product(struct cuda *cuda, const struct pw_product<E> *op)
{
    const struct pw_walk *walk = &op->plan.walk;
    dim3 grid((unsigned)(walk->images * walk->parts * op->plan.column_blocks));
    cuda_launch(cuda, "pw_forward",
                op->plan.pieces == 1   ? pw_forward_kernel<E, V, 1>
                : op->plan.pieces == 2 ? pw_forward_kernel<E, V, 2>
                                       : pw_forward_kernel<E, V, 4>,
                grid, dim3(PRODUCT_THREADS), op->plan.shared_bytes, op);
}

template <typename E> static void launch_widest(struct cuda *cuda, struct pw_product<E> *op)
{
    const int W = map_width<E>::value;
    bool is_wide = op->depth % W == 0 && op->columns % W == 0 && pw_is_aligned(op->x.z) &&
                   pw_is_aligned(op->to) && pw_is_aligned(op->x.gate);
    op->w_is_wide = is_wide && op->ld % W == 0 && pw_is_aligned(op->w);
    if (is_wide)
        launch_product<E, W>(cuda, op);
    else
        launch_product<E, 1>(cuda, op);
}

template <typename E>
static void forward(struct cuda *cuda, const struct conv *conv, struct view x, const void *w,
                    void *z, const struct norm_forward *norm)
{
    struct work work = {WORK_PW_FORWARD, *conv, 0, 0, 0};
    struct pw_product<E> op = {
    };
    op.plan = pw_plan_make(conv, PW_FORWARD, takes_sums(norm) ? 2 : 0, sizeof(E));
    double *memory = (double *)cuda_scratch(cuda, &work, pw_sums_bytes(&op.plan));
    if (!memory)
        return;
    op.depth = conv->in.C;
    op.columns = conv->K;
    op.ld = conv->ld;
    op.HW = conv->in.H * conv->in.W;
    op.w = (const E *)w;
    op.to = (E *)z;
    op.sums = partials_make(op.plan.walk.parts, pw_sums_count(&op.plan), memory, cuda->tickets);
    op.count = dims_pixels(conv->in);
    op.x = x;
    op.has_norm = norm != NULL;
    if (norm)
        op.norm = *norm;
    launch_widest(cuda, &op);
    cuda->face.traffic.raw_bytes += pw_rows(conv) * (size_t)conv->K * sizeof(E);
}

void cuda_pw_forward(struct device *device, const struct conv *conv, struct view x, const void *w,
                     void *z, const struct norm_forward *norm)
{
    struct cuda *cuda = cuda_of(device);
    if (cuda->precision == PRECISION_BF16)
        forward<bf16>(cuda, conv, x, w, z, norm);
    else
        forward<float>(cuda, conv, x, w, z, norm);
}
