#include "kernels/cpu/product.h"
#include "kernels/cpu/divide.h"
#include "kernels/cpu/vec.h"

/* A block of rows x vectors of c stays in registers while depth runs: 8 x 3 of AVX-512's 32, 4 x 3
 * of AVX2's 16, 4 x 2 of SSE's (no fused multiply-add: a product needs one of its own). */
#if VEC_WIDTH == 16
enum { ROWS = 8, VECS = 3 };
#elif VEC_WIDTH == 8
enum { ROWS = 4, VECS = 3 };
#else
enum { ROWS = 4, VECS = 2 };
#endif

/* A tail of at most half a vector is worth a narrower one where vectors are wide: widths are
 * multiples of 8, and AVX-512 of this width takes twice the time. */
#if VEC_WIDTH == 16
typedef float tail_vec __attribute__((vector_size(32)));
typedef float tail_vec_unaligned __attribute__((vector_size(32), aligned(4), may_alias));
#else
typedef vec tail_vec;
typedef vec_unaligned tail_vec_unaligned;
#endif
enum { TAIL = (int)(sizeof(tail_vec) / sizeof(float)) };

VEC_INLINE vec tail_widened(tail_vec value)
{
#if VEC_WIDTH == 16
    return (vec)_mm512_zextps256_ps512((__m256)value);
#else
    return value;
#endif
}

enum layout { ALONG_DEPTH, ALONG_ROWS }; /* how a's panels are cut */

#if PRODUCT_OF_PAIRS

typedef __m512bh right_vec;
typedef __m256bh right_tail;

VEC_INLINE right_vec right_load(const panel_value *from)
{
    return (right_vec)_mm512_loadu_si512(from);
}

VEC_INLINE right_tail right_tail_load(const panel_value *from)
{
    return (right_tail)_mm256_loadu_si256((const __m256i *)(const void *)from);
}

VEC_INLINE right_vec left_set(panel_value pair)
{
    return (right_vec)_mm512_set1_epi32((int)pair);
}

VEC_INLINE vec add_product(vec sum, right_vec left, right_vec right)
{
    return (vec)_mm512_dpbf16_ps((__m512)sum, left, right);
}

VEC_INLINE tail_vec add_tail_product(tail_vec sum, right_vec left, right_tail right)
{
    right_tail low = (right_tail)_mm512_castsi512_si256((__m512i)left);
    return (tail_vec)_mm256_dpbf16_ps((__m256)sum, low, right);
}

#else

/* The first lanes of a vector. */
VEC_INLINE tail_vec tail_of(vec value)
{
#if VEC_WIDTH == 16
    return (tail_vec)_mm512_castps512_ps256((__m512)value);
#else
    return value;
#endif
}

typedef vec right_vec;
typedef tail_vec right_tail;

VEC_INLINE right_vec right_load(const panel_value *from)
{
    return vec_load(from);
}

VEC_INLINE right_tail right_tail_load(const panel_value *from)
{
    return *(const tail_vec_unaligned *)from;
}

VEC_INLINE right_vec left_set(panel_value value)
{
    return vec_set(value);
}

VEC_INLINE vec add_product(vec sum, right_vec left, right_vec right)
{
    return sum + left * right;
}

VEC_INLINE tail_vec add_tail_product(tail_vec sum, right_vec left, right_tail right)
{
    return sum + tail_of(left) * right;
}

#endif

struct block { /* one block's operands */
    const panel_value *a;
    const panel_value *b[VECS + 1]; /* per vector, the tail's behind the last */
    float *c;
    struct product_out out;
    int lanes; /* of the last vector, or of the tail */
    const struct product *product;
};

struct sums {
    vec whole[ROWS][VECS];
    tail_vec tail[ROWS];
};

#define UNROLL _Pragma("GCC unroll 8")

/* At most PANEL_DEPTH values of depth. */
VEC_INLINE void multiply(const enum layout layout, const int rows, const int vecs,
                         const bool has_tail, const panel_value *a,
                         const panel_value *const b[VECS + 1], int depth, struct sums *sums)
{
    for (int i = 0; i < depth; i++) {
        size_t at = (size_t)i * PANEL;
        right_vec right[VECS];
        right_tail tail;
        UNROLL for (int v = 0; v < vecs; v++) right[v] = right_load(b[v] + at);
        if (has_tail)
            tail = right_tail_load(b[vecs] + at);
        UNROLL for (int r = 0; r < rows; r++)
        {
            right_vec left =
                left_set(layout == ALONG_DEPTH ? a[r * PANEL_DEPTH + i] : a[at + (size_t)r]);
            UNROLL for (int v = 0; v < vecs; v++) sums->whole[r][v] =
                add_product(sums->whole[r][v], left, right[v]);
            if (has_tail)
                sums->tail[r] = add_tail_product(sums->tail[r], left, tail);
        }
    }
}

VEC_INLINE void multiply_depth(const enum layout layout, const int rows, const int vecs,
                               const bool has_tail, const struct block *block, struct sums *sums)
{
    const size_t b_step = PANEL_DEPTH * PANEL;
    const size_t a_step = layout == ALONG_DEPTH ? block->product->a_stride : b_step;
    struct prefetch_lines *prefetch = block->product->prefetch;
    const panel_value *a = block->a, *b[VECS + 1];
    for (int v = 0; v < vecs + has_tail; v++)
        b[v] = block->b[v];
    for (int left = depth_values(block->product->depth); left > 0;
         left -= PANEL_DEPTH, a += a_step) {
        if (prefetch)
            prefetch_step(prefetch);
        multiply(layout, rows, vecs, has_tail, a, b, left < PANEL_DEPTH ? left : PANEL_DEPTH, sums);
        for (int v = 0; v < vecs + has_tail; v++)
            b[v] += b_step;
    }
}

/* One vector of c and of its copy, `at` floats from the block's first. */
VEC_INLINE void store_vector(const struct block *block, size_t row, int column, vec sum, int lanes)
{
    const struct product_out *out = &block->out;
    float *c = block->c + row * block->product->c_row + column;
    size_t at = row * out->row + (size_t)column;
    if (block->product->accumulates)
        sum += vec_load_part(c, lanes);
    if (out->add)
        sum += map_load(out->add + at, lanes);
    if (out->map && out->streams && lanes == VEC_WIDTH)
        sum = map_stream(out->map + at, sum);
    else if (out->map)
        sum = map_store(out->map + at, sum, lanes);
    vec_store_part(c, sum, lanes);
}

VEC_INLINE void run_block(const enum layout layout, const int rows, const int vecs,
                          const bool has_tail, const struct block *block)
{
    struct sums sums;
    UNROLL for (int r = 0; r < rows; r++)
    {
        UNROLL for (int v = 0; v < vecs; v++) sums.whole[r][v] = vec_zero();
        sums.tail[r] = (tail_vec){0};
    }
    multiply_depth(layout, rows, vecs, has_tail, block, &sums);
    UNROLL for (int r = 0; r < rows; r++)
    {
        UNROLL for (int v = 0; v < vecs; v++)
            store_vector(block, (size_t)r, v * VEC_WIDTH, sums.whole[r][v],
                         v == vecs - 1 && !has_tail ? block->lanes : VEC_WIDTH);
        if (has_tail)
            store_vector(block, (size_t)r, vecs * VEC_WIDTH, tail_widened(sums.tail[r]),
                         block->lanes);
    }
}

/* One size of block for the rows at hand: the row counts are 8 (where registers allow), 4, 2, 1. */
VEC_INLINE int run_rows(const enum layout layout, const int vecs, const bool has_tail, int rows,
                        const struct block *block)
{
#if VEC_WIDTH == 16
    if (rows >= 8) {
        run_block(layout, 8, vecs, has_tail, block);
        return 8;
    }
#endif
    if (rows >= 4) {
        run_block(layout, 4, vecs, has_tail, block);
        return 4;
    }
    if (rows >= 2) {
        run_block(layout, 2, vecs, has_tail, block);
        return 2;
    }
    run_block(layout, 1, vecs, has_tail, block);
    return 1;
}

/* All rows of some columns. */
VEC_INLINE void run_columns(const enum layout layout, const int vecs, const bool has_tail,
                            const struct product *product, struct block block)
{
    const struct block first = block;
    for (int row = 0, rows; row < product->rows; row += rows) {
        size_t at = (size_t)row * first.out.row;
        block.a = layout == ALONG_DEPTH ? product->a + (size_t)row * PANEL_DEPTH
                                        : product->a + (size_t)(row / PANEL) * product->a_stride +
                                              (size_t)(row % PANEL);
        block.c = first.c + (size_t)row * product->c_row;
        block.out.map = first.out.map ? first.out.map + at : NULL;
        block.out.add = first.out.add ? first.out.add + at : NULL;
        rows = run_rows(layout, vecs, has_tail, product->rows - row, &block);
    }
}

VEC_INLINE void run_width(const enum layout layout, int vecs, bool has_tail,
                          const struct product *product, const struct block *block)
{
    switch (vecs * 2 + has_tail) {
#if VEC_WIDTH == 16
    case 1:
        run_columns(layout, 0, true, product, *block);
        break;
    case 3:
        run_columns(layout, 1, true, product, *block);
        break;
    case 5:
        run_columns(layout, 2, true, product, *block);
        break;
#endif
    case 2:
        run_columns(layout, 1, false, product, *block);
        break;
    case 4:
        run_columns(layout, 2, false, product, *block);
        break;
#if VEC_WIDTH >= 8
    case 6:
        run_columns(layout, 3, false, product, *block);
        break;
#endif
    }
}

VEC_INLINE void run_product(const enum layout layout, const struct product *product)
{
    struct block block = {.out = product->out, .product = product};
    for (int column = 0; column < product->columns;) {
        int left = product->columns - column, vecs = left / VEC_WIDTH, rest = left % VEC_WIDTH;
        bool has_tail = false;
        if (vecs >= VECS) {
            vecs = VECS;
            rest = 0;
        } else if (rest > 0 && rest <= TAIL && TAIL < VEC_WIDTH) {
            has_tail = true;
        } else if (rest > 0) {
            vecs++;
        }
        block.lanes = rest > 0 ? rest : VEC_WIDTH;
        block.c = product->c + column;
        block.out.map = product->out.map ? product->out.map + column : NULL;
        block.out.add = product->out.add ? product->out.add + column : NULL;
        for (int v = 0; v < vecs + has_tail; v++) {
            int at = column + v * VEC_WIDTH;
            block.b[v] =
                product->b + (size_t)(at / PANEL) * product->b_stride + (size_t)(at % PANEL);
        }
        run_width(layout, vecs, has_tail, product, &block);
        column += VECS * VEC_WIDTH;
    }
}

size_t MAP_NAME(product_steps)(int rows, int columns, int depth)
{
    return (size_t)divide_up(rows, ROWS) * (size_t)divide_up(columns, VECS * VEC_WIDTH) *
           (size_t)divide_up(depth, PANEL);
}

void MAP_NAME(product)(const struct product *product)
{
    run_product(ALONG_DEPTH, product);
}

void MAP_NAME(product_transposed)(const struct product *product)
{
    run_product(ALONG_ROWS, product);
}

#if PRODUCT_OF_PAIRS

/* Rows k and k + 1 of w at up to 16 columns; 0 for what is not there. */
static __m512i pair_rows(const map_value *w, int ld, int K, int k, __mmask16 columns)
{
    __m256i low = _mm256_maskz_loadu_epi16(columns, w + (size_t)k * (size_t)ld);
    __m256i high = _mm256_setzero_si256();
    if (k + 1 < K)
        high = _mm256_maskz_loadu_epi16(columns, w + (size_t)(k + 1) * (size_t)ld);
    return _mm512_or_si512(_mm512_cvtepu16_epi32(low),
                           _mm512_slli_epi32(_mm512_cvtepu16_epi32(high), 16));
}

void MAP_NAME(pack_panel)(const map_value *w, int ld, int K, int C, int i, struct panels to)
{
    int columns = C - i * PANEL < PANEL ? C - i * PANEL : PANEL;
    panel_value *panel = to.start + (size_t)i * to.stride;
    for (int k = 0; k < K; k += PAIR, panel += PANEL)
        _mm512_storeu_si512(
            panel, pair_rows(w + (size_t)i * PANEL, ld, K, k, (__mmask16)((1u << columns) - 1)));
}

/* Four pairs of four rows. */
static __m128 load_4(const map_value *from)
{
    return _mm_loadu_ps((const float *)(const void *)from);
}

static panel_value load_1(const map_value *from, int left)
{
    return from[0] | (left > 1 ? (panel_value)from[1] << 16 : 0);
}

#else

void MAP_NAME(pack_panel)(const map_value *w, int ld, int K, int C, int i, struct panels to)
{
    int columns = C - i * PANEL < PANEL ? C - i * PANEL : PANEL;
    panel_value *panel = to.start + (size_t)i * to.stride;
    for (int k = 0; k < K; k++, panel += PANEL)
        for (int c = 0; c < PANEL; c += VEC_WIDTH) {
            const map_value *from = w + (size_t)k * (size_t)ld + i * PANEL + c;
            int lanes = columns - c < VEC_WIDTH ? columns - c : VEC_WIDTH;
            vec_store(panel + c, lanes > 0 ? map_load(from, lanes) : vec_zero());
        }
}

static __m128 load_4(const map_value *from)
{
    return map_load_4(from);
}

static panel_value load_1(const map_value *from, int left)
{
    (void)left;
    return map_load_1(from);
}

#endif

/* Four rows of w at four values of depth: four columns of the panel. */
static void transpose_4x4(const map_value *w, size_t ld, panel_value *panel)
{
    __m128 row[4];
    for (int i = 0; i < 4; i++)
        row[i] = load_4(w + (size_t)i * ld);
    _MM_TRANSPOSE4_PS(row[0], row[1], row[2], row[3]);
    for (int i = 0; i < 4; i++)
        _mm_storeu_ps((float *)(void *)(panel + (size_t)i * PANEL), row[i]);
}

void MAP_NAME(pack_panel_transposed)(const map_value *w, int ld, int K, int C, int i,
                                     struct panels to)
{
    int rows = K - i * PANEL < PANEL ? K - i * PANEL : PANEL, c = 0;
    panel_value *panel = to.start + (size_t)i * to.stride;
    const map_value *from = w + (size_t)i * PANEL * (size_t)ld;
    for (; rows == PANEL && c + 4 * PAIR <= C; c += 4 * PAIR)
        for (int k = 0; k < PANEL; k += 4)
            transpose_4x4(from + (size_t)k * (size_t)ld + c, (size_t)ld,
                          panel + (size_t)(c / PAIR) * PANEL + k);
    for (; c < C; c += PAIR)
        for (int k = 0; k < PANEL; k++)
            panel[(size_t)(c / PAIR) * PANEL + (size_t)k] =
                k < rows ? load_1(&from[(size_t)k * (size_t)ld + c], C - c) : 0;
}
