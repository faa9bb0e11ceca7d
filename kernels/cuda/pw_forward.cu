/* z = view(x) w^T, with the sums of batch norm. */
#include "kernels/cuda/pw_product.cuh"

/* How many blocks' registers a multiprocessor is to hold: what they leave to each is enough. */
template <typename E, int V, int G>
static __global__ void __launch_bounds__(PRODUCT_THREADS, V == 1   ? 2
                                                          : G == 1 ? 3
                                                          : G == 2 ? 2
                                                                   : 1)
    pw_forward_kernel(pw_product<E> op)
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
    size_t element = precision_map_bytes(precision), most = 0;
    for (int way = 0; way < 4; way++) { /* it depends on addresses and on the card, too */
        size_t block_bytes = way < 2 ? CUDA_SHARED_BYTES : CUDA_LITTLE_SHARED_BYTES;
        struct pw_plan plan =
            pw_plan_make(&work->conv, PW_FORWARD, 2, element, way % 2 != 0, block_bytes);
        most = most < pw_sums_bytes(&plan) ? pw_sums_bytes(&plan) : most;
    }
    return most;
}

template <typename E> static bool is_wide(const struct conv *conv, const struct view &x, void *z)
{
    const int W = map_width<E>::value;
    return conv->in.C % W == 0 && conv->K % W == 0 && pw_is_aligned(x.z) && pw_is_aligned(z) &&
           pw_is_aligned(x.gate);
}

template <typename E>
static void launch_product(struct cuda *cuda, const struct pw_product<E> *op, bool is_wide)
{
    const struct pw_walk *walk = &op->plan.walk;
    const int W = map_width<E>::value;
    dim3 grid((unsigned)(walk->images * walk->parts * op->plan.column_blocks));
    cuda_launch(cuda, "pw_forward",
                !is_wide               ? pw_forward_kernel<E, 1, 1>
                : op->plan.pieces == 1 ? pw_forward_kernel<E, W, 1>
                : op->plan.pieces == 2 ? pw_forward_kernel<E, W, 2>
                                       : pw_forward_kernel<E, W, 4>,
                grid, dim3(PRODUCT_THREADS), op->plan.shared_bytes, op);
}

template <typename E>
static void forward(struct cuda *cuda, const struct conv *conv, struct view x, const void *w,
                    void *z, const struct norm_forward *norm)
{
    struct work work = {WORK_PW_FORWARD, *conv, 0, 0, 0};
    struct pw_product<E> op = {
    };
    bool wide = is_wide<E>(conv, x, z);
    op.plan = pw_plan_make(conv, PW_FORWARD, takes_sums(norm) ? 2 : 0, sizeof(E), wide,
                           cuda->shared_bytes);
    double *memory = (double *)cuda_scratch(cuda, &work, pw_sums_bytes(&op.plan));
    if (!memory)
        return;
    op.depth = conv->in.C;
    op.columns = conv->K;
    op.ld = conv->ld;
    op.HW = conv->in.H * conv->in.W;
    op.w = (const E *)w;
    op.w_is_wide = wide && op.ld % map_width<E>::value == 0 && pw_is_aligned(w);
    op.to = (E *)z;
    op.sums = partials_make(op.plan.walk.parts, pw_sums_count(&op.plan), memory, cuda->tickets);
    op.count = dims_pixels(conv->in);
    op.x = x;
    op.has_norm = norm != NULL;
    if (norm)
        op.norm = *norm;
    launch_product<E>(cuda, &op, wide);
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
