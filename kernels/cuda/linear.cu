/* Linear layers: fp32 in either precision, one launch each way. */
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/vector_product.cuh"

/* Tiles of SMALL where there would be fewer than MANY of LARGE: as much as fills a GPU. */
enum { SMALL = 32, LARGE = 64, MANY = 128 };

struct linear_forward {
    struct vector_product product; /* rows n, columns k */
    const float *bias;
    float *y;
};

template <int T> static __global__ void linear_forward_kernel(struct linear_forward op)
{
    const int own = vector_product_tile<T>::own;
    int i0 = (int)blockIdx.y * T, j0 = (int)blockIdx.x * T;
    float sums[own][own];
    vector_product_make<T>(op.product, i0, j0, sums);
#pragma unroll
    for (int u = 0; u < own; u++)
#pragma unroll
        for (int v = 0; v < own; v++) {
            int n = i0 + (int)threadIdx.x / VECTOR_PRODUCT_SIDE + u * VECTOR_PRODUCT_SIDE;
            int k = j0 + (int)threadIdx.x % VECTOR_PRODUCT_SIDE + v * VECTOR_PRODUCT_SIDE,
                K = op.product.columns;
            if (n < op.product.rows && k < K)
                gpu_store(op.y + (size_t)n * K + k, sums[u][v] + gpu_load_or(op.bias, k, 0));
        }
}

static bool is_many(int rows, int columns)
{
    return vector_product_blocks(rows, LARGE) * vector_product_blocks(columns, LARGE) >= MANY;
}

template <int T> static void queue(struct cuda *cuda, const struct linear_forward *op)
{
    dim3 grid((unsigned)vector_product_blocks(op->product.columns, T),
              (unsigned)vector_product_blocks(op->product.rows, T));
    cuda_launch(cuda, "linear_forward_kernel", linear_forward_kernel<T>, grid,
                dim3(VECTOR_PRODUCT_THREADS), 0, op);
}

void cuda_linear_forward(struct device *device, const struct conv *conv, struct view x,
                         const float *w, const float *bias, float *y)
{
    struct linear_forward op = {};
    op.product.a = operand_view(x, conv->in.C, false);
    op.product.b = operand_plain(w, conv->ld, false);
    op.product.rows = conv->in.N;
    op.product.columns = conv->K;
    op.product.inner = conv->in.C;
    op.bias = bias;
    op.y = y;
    if (is_many(conv->in.N, conv->K))
        queue<LARGE>(cuda_of(device), &op);
    else
        queue<SMALL>(cuda_of(device), &op);
}

/* Two products: blocks below weight_blocks have tiles of dw, the others of dx. */
struct linear_backward {
    struct vector_product weight; /* rows k, columns c, over n */
    struct vector_product data;   /* rows n, columns c, over k */
    struct view x;
    int ld;
    float *dx, *dw, *dbias;
    int weight_blocks;
};

template <int T>
static __device__ __forceinline__ void add_weights(const struct linear_backward &op, int block)
{
    const int own = vector_product_tile<T>::own;
    int across = (op.weight.columns + T - 1) / T, i0 = block / across * T, j0 = block % across * T;
    float sums[own][own];
    vector_product_make<T>(op.weight, i0, j0, sums);
#pragma unroll
    for (int u = 0; u < own; u++)
#pragma unroll
        for (int v = 0; v < own; v++) {
            int k = i0 + (int)threadIdx.x / VECTOR_PRODUCT_SIDE + u * VECTOR_PRODUCT_SIDE;
            int c = j0 + (int)threadIdx.x % VECTOR_PRODUCT_SIDE + v * VECTOR_PRODUCT_SIDE;
            float *to = op.dw + (size_t)k * op.ld + c;
            if (k < op.weight.rows && c < op.weight.columns)
                gpu_store(to, gpu_load(to) + sums[u][v]);
        }
    if (op.dbias && j0 == 0)
        operand_add_rows<T>(op.weight.a, op.weight.rows, op.weight.inner, i0, op.dbias);
}

/* Through the view: the gradient of x.z at (n, c) from that of what the layer read. */
static __device__ __forceinline__ float pull_back(const struct view &x, int C, int n, int c,
                                                  float dx)
{
    size_t at = (size_t)n * C + c;
    view_channel k = view_channel_load(x, c);
    float z = gpu_load(static_cast<const float *>(x.z) + at);
    float g = act_backward(x.act, dx * gpu_load_or(x.gate, at, 1), fmaf(z, k.scale, k.shift));
    return g * k.scale;
}

template <int T>
static __device__ __forceinline__ void make_data(const struct linear_backward &op, int block)
{
    const int own = vector_product_tile<T>::own;
    int C = op.data.columns, across = (C + T - 1) / T;
    int i0 = block / across * T, j0 = block % across * T;
    float sums[own][own];
    vector_product_make<T>(op.data, i0, j0, sums);
#pragma unroll
    for (int u = 0; u < own; u++)
#pragma unroll
        for (int v = 0; v < own; v++) {
            int n = i0 + (int)threadIdx.x / VECTOR_PRODUCT_SIDE + u * VECTOR_PRODUCT_SIDE;
            int c = j0 + (int)threadIdx.x % VECTOR_PRODUCT_SIDE + v * VECTOR_PRODUCT_SIDE;
            if (n < op.data.rows && c < C)
                gpu_store(op.dx + (size_t)n * C + c, pull_back(op.x, C, n, c, sums[u][v]));
        }
}

template <int T> static __global__ void linear_backward_kernel(struct linear_backward op)
{
    int block = (int)blockIdx.x;
    if (block < op.weight_blocks)
        add_weights<T>(op, block);
    else
        make_data<T>(op, block - op.weight_blocks);
}

template <int T> static void queue(struct cuda *cuda, struct linear_backward *op)
{
    int across = vector_product_blocks(op->weight.columns, T);
    op->weight_blocks = across * vector_product_blocks(op->weight.rows, T);
    int data_blocks = op->dx ? across * vector_product_blocks(op->data.rows, T) : 0;
    cuda_launch(cuda, "linear_backward_kernel", linear_backward_kernel<T>,
                dim3((unsigned)(op->weight_blocks + data_blocks)), dim3(VECTOR_PRODUCT_THREADS), 0,
                op);
}

void cuda_linear_backward(struct device *device, const struct conv *conv, const float *dy,
                          struct view x, const float *w, float *dx, float *dw, float *dbias)
{
    struct linear_backward op = {};
    int N = conv->in.N, C = conv->in.C, K = conv->K;
    op.weight.a = operand_plain(dy, K, true);
    op.weight.b = operand_view(x, C, true);
    op.weight.rows = op.data.inner = K;
    op.weight.columns = op.data.columns = C;
    op.weight.inner = op.data.rows = N;
    op.data.a = operand_plain(dy, K, false);
    op.data.b = operand_plain(w, conv->ld, true);
    op.x = x;
    op.ld = conv->ld;
    op.dx = dx;
    op.dw = dw;
    op.dbias = dbias;
    if (is_many(K, C))
        queue<LARGE>(cuda_of(device), &op);
    else
        queue<SMALL>(cuda_of(device), &op);
}
