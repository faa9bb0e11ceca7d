/* The gradient of the stem's weights; none flows to the image. One read of dz's maps and of the
 * image: a tile's dz lies in shared memory beside the rows of the image around it, and a thread
 * adds up N channels of three neighbouring taps over every slices-th column, in fp32 over a tile,
 * in fp64 over the block's tiles. */
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/stem.cuh"

/* TAPS: of a thread, neighbours in a row of the image. */
enum { TAPS = 3 };

struct stem_backward {
    struct stem plan;
    struct grad dz;
    float *dw;                    /* (taps,ld) += */
    struct partials<double> sums; /* (taps,run), of the first run of channels */
};

template <int N> struct grad_channels {
    grad_channel k[N];
};

template <int N>
static __device__ __forceinline__ grad_channels<N> load_channels(const struct grad &dz, int k)
{
    grad_channels<N> channels;
#pragma unroll
    for (int j = 0; j < N; j++)
        channels.k[j] = grad_channel_load(dz, k + j);
    return channels;
}

/* A tile's dz, (pixels,width), formed while loading. */
template <typename E, int N>
static __device__ __forceinline__ void fill_dz(const struct stem_backward &op,
                                               const stem_share &mine, const stem_tile &tile,
                                               const grad_channels<N> &channels, shared<float> to)
{
    struct dims out = op.plan.out;
    int k = mine.k0 + mine.k, pixels = tile.rows * out.W;
    size_t from = ((size_t)tile.n * out.H + tile.first) * out.W * out.C + k;
    const E *z = static_cast<const E *>(op.dz.of.z) + from;
    const E *q = op.dz.q ? static_cast<const E *>(op.dz.q) + from : NULL;
    float s[N], p[N];
#pragma unroll
    for (int j = 0; j < N; j++) {
        s[j] = view_gate(op.dz.of, out.C, tile.n, k + j);
        p[j] = gpu_load_or(op.dz.p, (size_t)tile.n * out.C + k + j, 0);
    }
#pragma unroll 4
    for (int pixel = mine.row; pixel < pixels; pixel += mine.down) {
        float raw[N], gradient[N] = {};
        map_load(raw, z + (size_t)pixel * out.C);
        if (q)
            map_load(gradient, q + (size_t)pixel * out.C);
#pragma unroll
        for (int j = 0; j < N; j++)
            gradient[j] = grad_value(op.dz.of.act, channels.k[j], raw[j], gradient[j], s[j], p[j]);
        stem_place(to + pixel * mine.width + mine.k, gradient);
    }
}

struct taps {   /* what a thread adds up */
    int k;      /* first channel, from the block's on */
    int window; /* where its pixel is in a window, floats of shared memory */
    int slice;  /* columns slice, slice + slices, ...; not below slices: nothing */
    int slices;
};

template <int N>
static __device__ __forceinline__ taps taps_of(const struct stem &plan, const stem_share &mine)
{
    int across = mine.width / N, runs = STEM_R * plan.in.C, per_slice = runs * across;
    int run = (int)threadIdx.x / across % runs, per_row = plan.in.C; /* runs in a row of taps */
    taps own;
    own.k = (int)threadIdx.x % across * N;
    own.window = run / per_row * plan.row_floats + run % per_row * TAPS;
    own.slice = (int)threadIdx.x / per_slice;
    own.slices = STEM_THREADS / per_slice;
    return own;
}

template <int N>
static __device__ __forceinline__ void add_row(const struct stem &plan, const taps &own,
                                               shared<float> image, shared<float> dz, int width,
                                               float (&sums)[TAPS][N])
{
    int step = plan.S * plan.in.C;
#pragma unroll 2
    for (int column = own.slice; column < plan.out.W; column += own.slices) {
        float gradient[N];
        stem_take(gradient, dz + column * width);
#pragma unroll
        for (int i = 0; i < TAPS; i++) {
            float x = image[column * step + i];
#pragma unroll
            for (int j = 0; j < N; j++)
                sums[i][j] = fmaf(gradient[j], x, sums[i][j]);
        }
    }
}

/* total (TAPS,N) += the tile's sums. */
template <int N>
static __device__ __forceinline__ void
add_tile(const struct stem &plan, const taps &own, const stem_share &mine, const stem_tile &tile,
         shared<float> patch, shared<float> dz, double (&total)[TAPS][N])
{
    float sums[TAPS][N] = {};
    if (own.slice >= own.slices)
        return;
    for (int row = 0; row < tile.rows; row++)
        add_row(plan, own, patch + row * plan.S * plan.row_floats + plan.skip + own.window,
                dz + row * plan.out.W * mine.width + own.k, mine.width, sums);
#pragma unroll
    for (int i = 0; i < TAPS; i++)
#pragma unroll
        for (int j = 0; j < N; j++)
            total[i][j] += (double)sums[i][j];
}

template <typename E, int N>
static __device__ __forceinline__ void walk(const struct stem_backward &op, const stem_share &mine,
                                            const taps &own, shared<float> patch, shared<float> dz,
                                            double (&total)[TAPS][N])
{
    int tiles = op.plan.in.N * op.plan.tiles;
    grad_channels<N> channels = load_channels<N>(op.dz, mine.k0 + mine.k);
    for (int number = (int)blockIdx.x; number < tiles; number += (int)gridDim.x) {
        stem_tile tile = stem_tile_at(op.plan, number);
        __syncthreads();
        stem_fill<E>(op.plan, tile, patch);
        if (mine.row < mine.down)
            fill_dz<E, N>(op, mine, tile, channels, dz);
        __syncthreads();
        add_tile(op.plan, own, mine, tile, patch, dz, total);
    }
    __syncthreads();
}

/* The slices' totals to the block's partial sums. They are numbered so that threads that are
 * neighbours store to neighbours: number (i N + j) threads_of_a_slice + thread. */
template <int N>
static __device__ __forceinline__ void store_partial(const taps &own, int columns,
                                                     const double (&total)[TAPS][N], double *to,
                                                     shared<double> memory)
{
    int threads = columns / (TAPS * N), thread = (int)threadIdx.x % threads;
    if (own.slice < own.slices)
#pragma unroll
        for (int i = 0; i < TAPS; i++)
#pragma unroll
            for (int j = 0; j < N; j++)
                memory[own.slice * columns + (i * N + j) * threads + thread] = total[i][j];
    __syncthreads();
    for (int e = threadIdx.x; e < columns; e += STEM_THREADS) {
        double sum = 0;
        for (int slice = 0; slice < own.slices; slice++)
            sum += memory[slice * columns + e];
        gpu_store(to + e, sum);
    }
}

/* dw += sum number e. */
template <int N>
static __device__ __forceinline__ void
add_weight(const struct stem_backward &op, const stem_share &mine, int columns, int e, double sum)
{
    int threads = columns / (TAPS * N), across = mine.width / N;
    int part = e / threads, thread = e % threads;
    int tap = thread / across * TAPS + part / N, k = thread % across * N + part % N;
    float *to = op.dw + (size_t)tap * op.plan.ld + mine.k0 + k;
    gpu_store(to, gpu_load(to) + (float)sum);
}

template <typename E, int N> static __global__ void stem_backward_kernel(struct stem_backward op)
{
    GPU_SHARED_DYNAMIC(memory);
    const struct stem &plan = op.plan;
    stem_share mine = stem_share_of<N>(plan);
    taps own = taps_of<N>(plan, mine);
    int columns = STEM_R * STEM_R * plan.in.C * mine.width;
    int patch_floats = ((plan.tile_rows - 1) * plan.S + STEM_R) * plan.row_floats;
    shared<float> patch = shared_cast<float>(memory), dz = patch + patch_floats;
    double total[TAPS][N] = {};
    stem_clear(plan, patch);
    walk<E, N>(op, mine, own, patch, dz, total);
    partials<double> sums = partials_of(op.sums, (int)blockIdx.y);
    sums.count = (size_t)columns;
    store_partial<N>(own, columns, total, partials_part(sums, (int)blockIdx.x),
                     shared_cast<double>(memory));
    if (!partials_are_whole(sums, (int)blockIdx.x))
        return;
    for (int e = threadIdx.x; e < columns; e += STEM_THREADS)
        add_weight<N>(op, mine, columns, e, partials_sum(sums, (size_t)e));
}

static size_t columns_of(const struct stem *plan)
{
    return (size_t)(STEM_R * STEM_R * plan->in.C * plan->run);
}

static struct stem plan_of(const struct conv *conv)
{
    int N = conv->K % 4 == 0 ? 4 : 1, run = conv->K < stem_run(N) ? conv->K : stem_run(N);
    const struct stem_limits limits = {8192 / run, 2}; /* 32 KB of dz in a tile */
    return stem_plan(conv, N, limits);
}

static size_t partial_bytes(const struct stem *plan)
{
    return sizeof(double) * stem_runs(plan) * partials_elements(plan->blocks, columns_of(plan));
}

static size_t shared_bytes(const struct stem *plan, int N)
{
    size_t dz = (size_t)plan->tile_rows * (size_t)plan->out.W * (size_t)plan->run;
    size_t tile = sizeof(float) * (stem_patch_floats(plan) + dz);
    size_t sums = sizeof(double) * TAPS * STEM_THREADS * (size_t)N;
    return tile > sums ? tile : sums;
}

size_t cuda_stem_backward_plan(const struct work *work, enum precision precision)
{
    struct stem plan = plan_of(&work->conv);
    (void)precision;
    return partial_bytes(&plan);
}

template <typename E, int N> static void queue(struct cuda *cuda, const struct stem_backward *op)
{
    dim3 grid((unsigned)op->plan.blocks, stem_runs(&op->plan));
    cuda_launch(cuda, "stem_backward_kernel", stem_backward_kernel<E, N>, grid, dim3(STEM_THREADS),
                shared_bytes(&op->plan, N), op);
}

template <typename E> static void run(struct cuda *cuda, const struct stem_backward *op)
{
    if (op->plan.out.C % 4 == 0)
        queue<E, 4>(cuda, op);
    else
        queue<E, 1>(cuda, op);
}

void cuda_stem_backward(struct device *device, const struct conv *conv, const struct grad *dz,
                        struct view x, float *dw)
{
    struct cuda *cuda = cuda_of(device);
    struct stem_backward op = {};
    struct work work = {};
    work.kind = WORK_STEM_BACKWARD;
    work.conv = *conv;
    op.plan = plan_of(conv);
    double *partial = static_cast<double *>(cuda_scratch(cuda, &work, partial_bytes(&op.plan)));
    if (!partial)
        return;
    op.sums = partials_make(op.plan.blocks, columns_of(&op.plan), partial, cuda->tickets);
    op.plan.x = x;
    op.dz = *dz;
    op.dw = dw;
    if (cuda->precision == PRECISION_BF16)
        run<bf16>(cuda, &op);
    else
        run<float>(cuda, &op);
}
