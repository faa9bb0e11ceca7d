/* What both directions of a depthwise convolution share: how the work is cut, and how rows of a map
 * come in.
 *
 * A lane has one channel, a warp 32 of them: what is added up lies in registers and moves down the
 * map with the rows, so that a row is loaded once, seen through its view once, and waits in shared
 * memory only until the next one is there. A warp has a tile of columns; the warps of a block stand
 * side by side along a strip of the map, or of several small images. */
#ifndef KERNELS_CUDA_DW_CUH
#define KERNELS_CUDA_DW_CUH

#include "kernels/cuda/last_block.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/sums.cuh"

enum {
    DW_LANES = GPU_WARP, /* channels of a block */
    DW_QUADS = DW_LANES / 4,
    DW_WARPS = 8,  /* of a block at most */
    DW_IMAGES = 4, /* side by side in a block at most */
    DW_SUMS = 2,   /* of a channel, for the norm behind it */
    DW_ROOM = DW_WARPS * DW_SUMS * DW_LANES
};

/* A function of the shape alone. An item is a band of rows of a strip of columns of a few images; a
 * block does `run` items one after the other. The grid is (tiles, groups). */
struct dw_cut {
    struct dims in, out;
    int ld;
    int top, left; /* rows and columns of zeros in front */
    int tiles;     /* of DW_LANES channels */
    int columns;   /* tiles of columns in a strip, a warp each */
    int strips;
    int images; /* of an item */
    int rows;   /* of a band */
    int bands;
    int items, run, groups;
};

/* What the rows and columns that are cut belong to: the map that is written. */
struct dw_walk {
    int H, W;
    int width;      /* of a tile, columns */
    int warps;      /* of a strip at most */
    int least_rows; /* of a band: more would be loaded twice than it is worth */
    int blocks;     /* as many as keep a big card busy */
    int groups;     /* at most: what they leave behind is added up by one block */
};

static inline int dw_ceil(int count, int by)
{
    return (count + by - 1) / by;
}

static inline int dw_clamp(int value, int low, int high)
{
    return value > high ? high : value < low ? low : value;
}

/* Maps of less stay in the card's cache: their rows may be loaded twice. */
static inline bool dw_is_small(struct dims map)
{
    return dims_pixels(map) * map.C < 1 << 18;
}

static inline struct dw_cut dw_cut_of(const struct conv *conv, const struct dw_walk *walk)
{
    struct dw_cut cut = {};
    cut.in = conv->in;
    cut.out = conv_out(conv);
    cut.ld = conv->ld;
    cut.top = pad_before(conv->pad, conv->in.H, conv->R, conv->S);
    cut.left = pad_before(conv->pad, conv->in.W, conv->R, conv->S);
    cut.tiles = dw_ceil(conv->in.C, DW_LANES);
    int columns = dw_ceil(walk->W, walk->width);
    cut.strips = dw_ceil(columns, walk->warps);
    cut.columns = dw_ceil(columns, cut.strips);
    cut.images = dw_clamp(DW_IMAGES / cut.columns, 1, conv->in.N);
    int whole = dw_ceil(conv->in.N, cut.images) * cut.strips;
    int bands = dw_ceil(walk->blocks, cut.tiles * whole);
    cut.rows = dw_ceil(walk->H, dw_clamp(bands, 1, dw_clamp(walk->H / walk->least_rows, 1, 64)));
    cut.bands = dw_ceil(walk->H, cut.rows);
    cut.items = whole * cut.bands;
    int groups = dw_clamp(dw_ceil(walk->blocks, cut.tiles), 1, walk->groups);
    cut.run = dw_ceil(cut.items, groups);
    cut.groups = dw_ceil(cut.items, cut.run);
    return cut;
}

/* Whether four channels are one access. */
static inline bool dw_is_aligned(const void *map, int C, size_t map_bytes)
{
    return C % 4 == 0 && (uintptr_t)map % (4 * map_bytes) == 0;
}

static inline int dw_threads(const struct dw_cut *cut)
{
    return cut->images * cut->columns * GPU_WARP;
}

struct dw_item {
    int image; /* the first */
    int images, strip, band;
};

static __device__ __forceinline__ dw_item dw_item_at(const struct dw_cut &cut, int i)
{
    int strip = i / cut.bands % cut.strips, first = i / cut.bands / cut.strips * cut.images;
    dw_item item = {first, min(cut.images, cut.in.N - first), strip, i % cut.bands};
    return item;
}

/* Where a thread is in its block. */
struct dw_place {
    int lane, warp, warps;
    int image, tile; /* of the item; of columns */
    int c;           /* channel of its lane */
    int quad;        /* the first of the four channels that it loads, of all */
};

static __device__ __forceinline__ dw_place dw_place_of(const struct dw_cut &cut)
{
    int lane = (int)threadIdx.x % GPU_WARP, warp = (int)threadIdx.x / GPU_WARP;
    int first = (int)blockIdx.x * DW_LANES;
    dw_place place = {lane,
                      warp,
                      (int)blockDim.x / GPU_WARP,
                      warp / cut.columns,
                      warp % cut.columns,
                      first + lane,
                      first + lane % DW_QUADS * 4};
    return place;
}

/* Rows of a map as a block holds them: so many columns of each image of the item, side by side. */
struct dw_window {
    struct dims map;
    int columns, first; /* of an image; the first may lie outside the map */
    int images;         /* that are there */
};

/* The quads of a row that this thread loads: the `thread`, `thread + threads`... of them. Offsets
 * from the row of the item's first image; negative: zeros. */
template <int K> struct dw_aim {
    int offset[K];
};

/* Of an item, of DW_IMAGES at most. */
static __device__ __forceinline__ int dw_image_of(int pixel, int columns)
{
    return (pixel >= columns) + (pixel >= 2 * columns) + (pixel >= 3 * columns);
}

static __device__ __forceinline__ int dw_pixel(int k)
{
    return ((int)threadIdx.x + k * (int)blockDim.x) / DW_QUADS;
}

template <int K>
static __device__ __forceinline__ void dw_aim_at(dw_aim<K> *aim, const struct dw_window &window,
                                                 int channel)
{
    const struct dims &map = window.map;
#pragma unroll
    for (int k = 0; k < K; k++) {
        int pixel = dw_pixel(k), image = dw_image_of(pixel, window.columns);
        int column = window.first + pixel - image * window.columns;
        bool is_there = image < window.images && column >= 0 && column < map.W && channel < map.C;
        aim->offset[k] = is_there ? (image * map.H * map.W + column) * map.C + channel : -1;
    }
}

/* Four elements, those behind `count` left as they are. */
template <typename E>
static __device__ __forceinline__ map_bits<E, 4> dw_quad_load(const E *from, int count,
                                                              bool is_aligned)
{
    map_bits<E, 4> bits = {};
    if (is_aligned) {
        bits.access =
            gpu_load(reinterpret_cast<const typename map_access<4 * sizeof(E)>::type *>(from));
        return bits;
    }
#pragma unroll
    for (int i = 0; i < 4; i++)
        if (i < count && sizeof(E) == 4)
            bits.words[sizeof(E) == 4 ? i : 0] =
                gpu_load(reinterpret_cast<const uint32_t *>(from) + i);
        else if (i < count)
            bits.halves[i] = gpu_load(reinterpret_cast<const uint16_t *>(from) + i);
    return bits;
}

template <typename E>
static __device__ __forceinline__ void dw_widen(float (&to)[4], const map_bits<E, 4> &bits)
{
#pragma unroll
    for (int i = 0; i < 4; i++)
        to[i] = sizeof(E) == 4 ? __uint_as_float(bits.words[sizeof(E) == 4 ? i : 0])
                               : __uint_as_float((uint32_t)bits.halves[i] << 16);
}

static __device__ __forceinline__ void dw_bits_set(map_bits<float, 4> *bits, int i, float value)
{
    bits->words[i] = __float_as_uint(value);
}

static __device__ __forceinline__ void dw_bits_set(map_bits<bf16, 4> *bits, int i, bf16 value)
{
    bits->halves[i] = value.bits;
}

/* What is on its way from one row of a map. */
template <typename E, int K> struct dw_row {
    map_bits<E, 4> quads[K];
};

/* from: the row of the item's first image. */
template <typename E, int K>
static __device__ __forceinline__ void dw_row_load(dw_row<E, K> *row, const dw_aim<K> &aim,
                                                   const E *from, int count, bool is_aligned)
{
#pragma unroll
    for (int k = 0; k < K; k++)
        if (aim.offset[k] >= 0)
            row->quads[k] = dw_quad_load<E>(from + aim.offset[k], count, is_aligned);
}

static __device__ __forceinline__ void dw_quad_read(float (&to)[4], shared<float> from)
{
    float4 four = shared_load<float4>(from);
    to[0] = four.x;
    to[1] = four.y;
    to[2] = four.z;
    to[3] = four.w;
}

static __device__ __forceinline__ void dw_quad_write(shared<float> to, const float (&from)[4])
{
    shared_store(to, make_float4(from[0], from[1], from[2], from[3]));
}

/* The activation of N numbers, asked for once. */
template <int N> static __device__ __forceinline__ void dw_act(enum act act, float (&y)[N])
{
    if (act == ACT_HSWISH) {
#pragma unroll
        for (int i = 0; i < N; i++)
            y[i] = act_value(ACT_HSWISH, y[i]);
    } else if (act != ACT_NONE) {
#pragma unroll
        for (int i = 0; i < N; i++)
            y[i] = act_value(act, y[i]);
    }
}

/* g = q act'(x), likewise. */
template <int N>
static __device__ __forceinline__ void dw_act_backward(enum act act, float (&q)[N],
                                                       const float (&x)[N])
{
    if (act == ACT_HSWISH) {
#pragma unroll
        for (int i = 0; i < N; i++)
            q[i] = act_backward(ACT_HSWISH, q[i], x[i]);
    } else if (act != ACT_NONE) {
#pragma unroll
        for (int i = 0; i < N; i++)
            q[i] = act_backward(act == ACT_RELU ? ACT_RELU : ACT_RELU6, q[i], x[i]);
    }
}

/* to[0..DW_LANES) = from[c...), what lies behind C 0; from NULL: `otherwise`. By one warp. */
static __device__ __forceinline__ void dw_fetch(shared<float> to, const float *from,
                                                const dw_place &place, int C, float otherwise)
{
    to[place.lane] = place.c < C ? gpu_load_or(from, (size_t)place.c, otherwise) : 0.0f;
}

/* The groups' sums of this tile, parts (groups,DW_SUMS,DW_LANES), added up in order: in the lanes
 * of the first warp. By all threads of the last block; room: (warps,DW_SUMS,DW_LANES). */
static __device__ __forceinline__ void dw_total(double (&total)[DW_SUMS], const double *parts,
                                                int groups, shared<double> room,
                                                const dw_place &place)
{
    double sums[DW_SUMS] = {};
#pragma unroll 4
    for (int group = place.warp; group < groups; group += place.warps)
        for (int i = 0; i < DW_SUMS; i++)
            sums[i] += gpu_load_fresh(parts + (group * DW_SUMS + i) * DW_LANES + place.lane);
    for (int i = 0; i < DW_SUMS; i++)
        room[(place.warp * DW_SUMS + i) * DW_LANES + place.lane] = sums[i];
    __syncthreads();
    for (int i = 0; i < DW_SUMS; i++) {
        total[i] = 0;
        for (int warp = 0; warp < place.warps && place.warp == 0; warp++)
            total[i] += room[(warp * DW_SUMS + i) * DW_LANES + place.lane];
    }
}

#endif
