/* The stem's forward: fp32 on CUDA cores in either precision. A thread has N channels of PIXELS
 * pixels at once: a tap costs it one read of weights and PIXELS of the image for N PIXELS products.
 */
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/stem.cuh"
#include "kernels/cuda/sums.cuh"
#include "kernels/cuda/thread_rows.cuh"

enum { PIXELS = 8, PAIR = 2 };

struct stem_forward {
    struct stem plan;
    const void *w;
    void *z;
    bool has_norm;
    struct norm_forward norm;
    double count;                 /* pixels of a channel */
    struct partials<double> sums; /* (2,run), of the first run of channels */
};

/* In shared memory, in front of what is 16-aligned. */
static __host__ __device__ inline int weight_floats(const struct stem &plan)
{
    return (STEM_R * STEM_R * plan.in.C * plan.run + 3) / 4 * 4;
}

/* (taps,ld) to dense rows of the block's channels. */
template <typename E>
static __device__ __forceinline__ void load_weights(const struct stem_forward &op,
                                                    const stem_share &mine, shared<float> weights)
{
    int taps = STEM_R * STEM_R * op.plan.in.C;
    const E *w = static_cast<const E *>(op.w) + mine.k0;
    for (int i = threadIdx.x; i < taps * mine.width; i += STEM_THREADS)
        weights[i] =
            map_widen(gpu_load(w + (size_t)(i / mine.width) * op.plan.ld + i % mine.width));
}

/* Windows that begin at patch[at[p]]. */
template <int N>
static __device__ __forceinline__ void correlate(const struct stem &plan, shared<float> patch,
                                                 shared<float> weights, int width,
                                                 const int (&at)[PIXELS], float (&z)[PIXELS][N])
{
#pragma unroll
    for (int p = 0; p < PIXELS; p++)
#pragma unroll
        for (int j = 0; j < N; j++)
            z[p][j] = 0;
    for (int kh = 0; kh < STEM_R; kh++)
#pragma unroll 3
        for (int i = 0; i < STEM_R * plan.in.C; i++) {
            float taps[N];
            stem_take(taps, weights);
            weights = weights + width;
#pragma unroll
            for (int p = 0; p < PIXELS; p++) {
                float x = patch[at[p] + kh * plan.row_floats + i];
#pragma unroll
                for (int j = 0; j < N; j++)
                    z[p][j] = fmaf(taps[j], x, z[p][j]);
            }
        }
}

/* This thread's pixels of a tile, PIXELS at a time, and their sums. */
template <typename E, int N>
static __device__ __forceinline__ void
make_tile(const struct stem_forward &op, const stem_share &mine, const stem_tile &tile,
          shared<float> patch, shared<float> weights, raw_sums (&sums)[N])
{
    const struct stem &plan = op.plan;
    int W = plan.out.W, pixels = tile.rows * W;
    E *to = static_cast<E *>(op.z) + ((size_t)tile.n * plan.out.H + tile.first) * W * plan.out.C +
            mine.k0 + mine.k;
    for (int first = mine.row; first < pixels; first += PIXELS * mine.down) {
        int at[PIXELS];
        float z[PIXELS][N];
#pragma unroll
        for (int p = 0; p < PIXELS; p++) {
            int pixel = first + p * mine.down < pixels ? first + p * mine.down : 0;
            at[p] = stem_window(plan, pixel);
        }
        correlate(plan, patch, weights + mine.k, mine.width, at, z);
#pragma unroll
        for (int p = 0; p < PIXELS; p++) {
            int pixel = first + p * mine.down;
            if (pixel < pixels) {
                map_store(to + (size_t)pixel * plan.out.C, z[p]);
#pragma unroll
                for (int j = 0; j < N; j++)
                    raw_sums_add(&sums[j], map_stored<E>(z[p][j]));
            }
        }
    }
}

/* The block's tiles; total (PAIR,N) gets this thread's sums. */
template <typename E, int N>
static __device__ __forceinline__ void walk(const struct stem_forward &op, const stem_share &mine,
                                            shared<float> patch, shared<float> weights,
                                            double (&total)[PAIR][N])
{
    int tiles = op.plan.in.N * op.plan.tiles;
    for (int number = (int)blockIdx.x; number < tiles; number += (int)gridDim.x) {
        stem_tile tile = stem_tile_at(op.plan, number);
        raw_sums sums[N];
        __syncthreads();
        stem_fill<E>(op.plan, tile, patch);
        __syncthreads();
#pragma unroll
        for (int j = 0; j < N; j++)
            sums[j] = raw_sums_zero();
        if (mine.row < mine.down)
            make_tile<E, N>(op, mine, tile, patch, weights, sums);
#pragma unroll
        for (int j = 0; j < N; j++)
            raw_sums_end(&sums[j], &total[0][j], &total[1][j]);
    }
    __syncthreads();
}

/* The threads' totals to the block's partial sums, (2,width), by places. */
template <int N>
static __device__ __forceinline__ void store_partial(const stem_share &mine,
                                                     const double (&total)[PAIR][N], double *to,
                                                     shared<double> memory)
{
    int across = mine.width / N, size = thread_rows_doubles(N, across, mine.down);
    if (mine.row < mine.down)
#pragma unroll
        for (int s = 0; s < PAIR; s++)
            thread_rows_put<N>(memory + s * size, across, mine.row, mine.k / N, total[s]);
    __syncthreads();
    for (int e = threadIdx.x; e < PAIR * mine.width; e += STEM_THREADS)
        gpu_store(to + e, thread_rows_sum<N>(memory + e / mine.width * size, across, mine.down,
                                             e % mine.width));
}

template <int N>
static __device__ __forceinline__ void finish(const struct stem_forward &op, const stem_share &mine,
                                              const partials<double> &sums)
{
    int place = threadIdx.x, k = mine.k0 + thread_rows_channel<N>(mine.width / N, place);
    if (place < mine.width)
        norm_finish(op.norm, op.plan.out.C, k, op.count, partials_sum(sums, (size_t)place),
                    partials_sum(sums, (size_t)(mine.width + place)));
}

template <typename E, int N> static __global__ void stem_forward_kernel(struct stem_forward op)
{
    GPU_SHARED_DYNAMIC(memory);
    const struct stem &plan = op.plan;
    stem_share mine = stem_share_of<N>(plan);
    shared<float> weights = shared_cast<float>(memory);
    shared<float> patch = weights + weight_floats(plan);
    double total[PAIR][N] = {};
    stem_clear(plan, patch);
    load_weights<E>(op, mine, weights);
    walk<E, N>(op, mine, patch, weights, total);
    if (op.has_norm && op.norm.kind == NORM_FIXED && blockIdx.x == 0 &&
        (int)threadIdx.x < mine.width)
        norm_fix(op.norm, mine.k0 + (int)threadIdx.x);
    if (!op.has_norm || op.norm.kind != NORM_BATCH)
        return;
    partials<double> sums = partials_of(op.sums, (int)blockIdx.y);
    sums.count = (size_t)(PAIR * mine.width);
    store_partial<N>(mine, total, partials_part(sums, (int)blockIdx.x),
                     shared_cast<double>(memory));
    if (partials_are_whole(sums, (int)blockIdx.x))
        finish<N>(op, mine, sums);
}

static size_t partial_bytes(const struct stem *plan)
{
    size_t count = PAIR * (size_t)plan->run;
    return sizeof(double) * stem_runs(plan) * partials_elements(plan->blocks, count);
}

static size_t shared_bytes(const struct stem *plan, int N)
{
    size_t tile = sizeof(float) * ((size_t)weight_floats(*plan) + stem_patch_floats(plan));
    size_t sums = sizeof(double) * PAIR * (size_t)thread_rows_doubles(N, STEM_THREADS, 1);
    return tile > sums ? tile : sums;
}

static struct stem plan_of(const struct conv *conv)
{
    const struct stem_limits limits = {512, 4};
    return stem_plan(conv, conv->K % 4 == 0 ? 4 : 1, limits);
}

size_t cuda_stem_forward_plan(const struct work *work, enum precision precision)
{
    struct stem plan = plan_of(&work->conv);
    (void)precision;
    return partial_bytes(&plan);
}

template <typename E, int N> static void queue(struct cuda *cuda, const struct stem_forward *op)
{
    dim3 grid((unsigned)op->plan.blocks, stem_runs(&op->plan));
    cuda_launch(cuda, "stem_forward_kernel", stem_forward_kernel<E, N>, grid, dim3(STEM_THREADS),
                shared_bytes(&op->plan, N), op);
}

template <typename E> static void run(struct cuda *cuda, const struct stem_forward *op)
{
    if (op->plan.out.C % 4 == 0)
        queue<E, 4>(cuda, op);
    else
        queue<E, 1>(cuda, op);
    cuda->face.traffic.raw_bytes += sizeof(E) * (size_t)op->count * (size_t)op->plan.out.C;
}

void cuda_stem_forward(struct device *device, const struct conv *conv, struct view x, const void *w,
                       void *z, const struct norm_forward *norm)
{
    struct cuda *cuda = cuda_of(device);
    struct stem_forward op = {};
    struct work work = {};
    work.kind = WORK_STEM_FORWARD;
    work.conv = *conv;
    op.plan = plan_of(conv);
    double *partial = static_cast<double *>(cuda_scratch(cuda, &work, partial_bytes(&op.plan)));
    if (!partial)
        return;
    op.sums = partials_make(op.plan.blocks, PAIR * (size_t)op.plan.run, partial, cuda->tickets);
    op.plan.x = x;
    op.w = w;
    op.z = z;
    op.has_norm = norm != NULL;
    if (norm)
        op.norm = *norm;
    op.count = dims_pixels(op.plan.out);
    if (cuda->precision == PRECISION_BF16)
        run<bf16>(cuda, &op);
    else
        run<float>(cuda, &op);
}
