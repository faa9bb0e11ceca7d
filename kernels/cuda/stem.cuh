/* The 3x3 convolution on the image: how it is cut, and the image's rows in shared memory. A tile is
 * some whole rows of one image's output; a block walks tiles, gridDim.x apart, for a run of
 * channels, blockIdx.y. The rows of the image around a tile lie in shared memory as the view makes
 * them, zeros around them: a pixel's window is three runs of 3 C floats. */
#ifndef KERNELS_CUDA_STEM_CUH
#define KERNELS_CUDA_STEM_CUH

#include "kernels/cuda/partials.cuh"
#include "kernels/cuda/view.cuh"

/* MARGIN: floats in front of a row, so that its first pixel is 16-aligned. BLOCKS: at most, of a
 * run of channels: about as many as a large GPU holds at once, two for each multiprocessor. */
enum { STEM_R = 3, STEM_THREADS = 256, STEM_MARGIN = 4, STEM_BLOCKS = 256 };

/* Channels of a block whose threads have N each: 1 where the count is no multiple of 4. */
static inline int stem_run(int N)
{
    return N == 1 ? 16 : 64;
}

struct stem {
    struct dims in, out;
    int S, ld;
    int top;        /* rows of zeros in front */
    int skip;       /* floats of a row in shared memory in front of the first window */
    int row_floats; /* of a row in shared memory */
    int tile_rows;  /* of the output */
    int tiles;      /* of an image */
    int blocks;     /* that share the tiles */
    int run;        /* channels of a block */
    float rows_per_pixel;
    struct view x;
};

struct stem_limits {
    int pixels;     /* of the output in a tile, about */
    int least_rows; /* in a tile: its first and last rows of the image are read for another, too */
};

/* N: channels of a thread. */
static inline struct stem stem_plan(const struct conv *conv, int N, struct stem_limits limits)
{
    struct stem plan = {};
    struct dims in = conv->in, out = conv_out(conv);
    int rows = limits.pixels / out.W, columns = (out.W - 1) * conv->S + STEM_R;
    if (conv->R != STEM_R || (in.C != 1 && in.C != 3) || conv->ld < conv->K)
        BUG("a stem of kernel %d, %d channels in, %d out, weight stride %d", conv->R, in.C, conv->K,
            conv->ld);
    plan.in = in;
    plan.out = out;
    plan.S = conv->S;
    plan.ld = conv->ld;
    plan.top = pad_before(conv->pad, in.H, STEM_R, conv->S);
    plan.skip = STEM_MARGIN - pad_before(conv->pad, in.W, STEM_R, conv->S) * in.C;
    columns = columns < in.W ? in.W : columns;
    plan.row_floats = (STEM_MARGIN + columns * in.C + 3) / 4 * 4;
    rows = rows < limits.least_rows ? limits.least_rows : rows;
    plan.tile_rows = rows < out.H ? rows : out.H;
    plan.tiles = (out.H + plan.tile_rows - 1) / plan.tile_rows;
    plan.blocks = in.N * plan.tiles < STEM_BLOCKS ? in.N * plan.tiles : STEM_BLOCKS;
    plan.run = conv->K < stem_run(N) ? conv->K : stem_run(N);
    plan.rows_per_pixel = 1.0f / (float)out.W;
    return plan;
}

static inline size_t stem_patch_floats(const struct stem *plan)
{
    return (size_t)((plan->tile_rows - 1) * plan->S + STEM_R) * (size_t)plan->row_floats;
}

static inline unsigned stem_runs(const struct stem *plan)
{
    return (unsigned)((plan->out.C + plan->run - 1) / plan->run);
}

struct stem_tile {
    int n, first, rows; /* of the output */
};

static __device__ __forceinline__ stem_tile stem_tile_at(const struct stem &op, int number)
{
    stem_tile tile = {number / op.tiles, number % op.tiles * op.tile_rows, op.tile_rows};
    if (tile.rows > op.out.H - tile.first)
        tile.rows = op.out.H - tile.first;
    return tile;
}

struct stem_share { /* what a thread has of its block's work */
    int k0;         /* first channel of the block */
    int width;      /* channels of the block */
    int k;          /* first channel of the thread, from k0 on */
    int row;        /* of `down` rows of threads, each a pixel of its own; others have none */
    int down;
};

template <int N> static __device__ __forceinline__ stem_share stem_share_of(const struct stem &plan)
{
    stem_share mine;
    mine.k0 = (int)blockIdx.y * plan.run;
    mine.width = plan.out.C - mine.k0 < plan.run ? plan.out.C - mine.k0 : plan.run;
    int across = mine.width / N;
    mine.k = (int)threadIdx.x % across * N;
    mine.row = (int)threadIdx.x / across;
    mine.down = STEM_THREADS / across;
    return mine;
}

/* Where the window of a tile's pixel begins, floats from its first row in shared memory on. No
 * division: the quotient is at least half a rows_per_pixel from a whole number, and a float's error
 * is less for 2^20 pixels and fewer. */
static __device__ __forceinline__ int stem_window(const struct stem &op, int pixel)
{
    int row = (int)(((float)pixel + 0.5f) * op.rows_per_pixel), column = pixel - row * op.out.W;
    return row * op.S * op.row_floats + column * op.S * op.in.C + op.skip;
}

/* Zeros, once: in front of rows and behind them they stay. */
static __device__ __forceinline__ void stem_clear(const struct stem &op, shared<float> patch)
{
    int count = ((op.tile_rows - 1) * op.S + STEM_R) * op.row_floats;
    for (int i = threadIdx.x; i < count; i += STEM_THREADS)
        patch[i] = 0;
}

/* values: elements e, ... of a row, channels in turn. */
template <int N>
static __device__ __forceinline__ void stem_see(const struct stem &op, int n, int e,
                                                float (&values)[N])
{
    if (!op.x.scale && !op.x.gate && op.x.act == ACT_NONE)
        return;
#pragma unroll
    for (int i = 0; i < N; i++) {
        int c = (e + i) % op.in.C;
        values[i] = view_value(op.x.act, view_channel_load(op.x, c), values[i]) *
                    view_gate(op.x, op.in.C, n, c);
    }
}

/* N of 1 or 4 floats, 16-aligned where they are 4. */
template <int N>
static __device__ __forceinline__ void stem_place(shared<float> to, const float (&values)[N])
{
    const int last = N - 1;
    if (N == 4)
        shared_store<float4>(
            to, make_float4(values[0], values[last / 3], values[last / 3 * 2], values[last]));
    else
        to[0] = values[0];
}

template <int N>
static __device__ __forceinline__ void stem_take(float (&values)[N], shared<float> from)
{
    const int last = N - 1;
    values[0] = from[0];
    if (N == 4) {
        float4 four = shared_load<float4>(from);
        values[0] = four.x;
        values[last / 3] = four.y;
        values[last / 3 * 2] = four.z;
        values[last] = four.w;
    }
}

/* The rows of the image around a tile, N elements at a time. */
template <typename E, int N>
static __device__ __forceinline__ void stem_fill_wide(const struct stem &op, const stem_tile &tile,
                                                      shared<float> patch)
{
    int across = op.in.W * op.in.C / N, rows = (tile.rows - 1) * op.S + STEM_R;
    int above = tile.first * op.S - op.top;
    const E *image = static_cast<const E *>(op.x.z) + (size_t)tile.n * op.in.H * across * N;
#pragma unroll 2
    for (int i = threadIdx.x; i < rows * across; i += STEM_THREADS) {
        int row = i / across, e = i % across * N, ih = above + row;
        float values[N] = {};
        if (ih >= 0 && ih < op.in.H) {
            map_load(values, image + (size_t)ih * across * N + e);
            stem_see(op, tile.n, e, values);
        }
        stem_place(patch + row * op.row_floats + STEM_MARGIN + e, values);
    }
}

template <typename E>
static __device__ __forceinline__ void stem_fill(const struct stem &op, const stem_tile &tile,
                                                 shared<float> patch)
{
    if (op.in.W * op.in.C % 4 == 0)
        stem_fill_wide<E, 4>(op, tile, patch);
    else
        stem_fill_wide<E, 1>(op, tile, patch);
}

#endif
