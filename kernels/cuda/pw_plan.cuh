/* How a 1x1 convolution's product of rows and weights is cut: z = y w^T of the forward pass, dx =
 * dz w of the backward one. A function of the shape alone, for the launcher and for `prepare`.
 *
 * A block walks over tiles of 64 rows. Of each it loads the operand once, in chunks of 128 bytes of
 * a row, and goes through the columns in tiles of 64 to 256: where that is one tile, or the row has
 * a chunk or two, two buffers are enough; else all chunks of the rows stay in shared memory until
 * the last column. Rows of 2,000 and more bytes with many columns have no room there and are read
 * once a column tile. */
#ifndef KERNELS_CUDA_PW_PLAN_CUH
#define KERNELS_CUDA_PW_PLAN_CUH

#include "kernels/cuda/granule.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/partials.cuh"
#include "kernels/cuda/warp_product.cuh"

enum pw_pass { PW_FORWARD, PW_DGRAD };

enum {
    PW_ROWS = 64,
    PW_CHUNK_BYTES = 128, /* of a row */
    PW_PAD_BYTES = 16,    /* behind each: other banks */
    PW_CHUNK_ROW_BYTES = PW_CHUNK_BYTES + PW_PAD_BYTES,
    PW_LANES_PER_PAIR = 2 * PRODUCT_THREADS,
    PW_BLOCKS = 1536, /* an aim: several on each multiprocessor, and several rounds of them */
    PW_EASY_BYTES = 100 << 10,
    PW_MOST_BYTES = 160 << 10 /* of shared memory; sm_80 has 163 KiB for a block */
};

struct pw_walk { /* `images` of `rows` rows each; a block has a part of one, whole tiles of rows */
    int images, rows, parts, part_rows;
};

struct pw_plan {
    int pieces;        /* of 64 columns, in a tile: 1, 2 or 4 */
    int chunks;        /* of a row of the operand */
    int buffers;       /* of chunks; = chunks: it stays for all columns */
    int column_tiles;  /* of a block */
    int column_blocks; /* that share the columns of a row tile */
    int sums;          /* to take of each column: 0, 2, 3 */
    struct pw_walk walk;
    size_t shared_bytes;
};

static inline size_t pw_rows(const struct conv *conv)
{
    return (size_t)conv->in.N * (size_t)conv->in.H * (size_t)conv->in.W;
}

static inline int pw_cut(int count, int each)
{
    return (count + each - 1) / each;
}

/* by_image: sums are wanted of each. */
static inline struct pw_walk pw_walk_of(const struct conv *conv, bool by_image)
{
    int images = by_image ? conv->in.N : 1, rows = (int)(pw_rows(conv) / (size_t)images);
    int tiles = pw_cut(rows, PW_ROWS);
    int part_tiles = (int)(((size_t)images * (size_t)tiles + PW_BLOCKS - 1) / PW_BLOCKS);
    if (images > CUDA_TICKETS / 2 || part_tiles > tiles)
        part_tiles = tiles;
    struct pw_walk walk = {images, rows, pw_cut(tiles, part_tiles), part_tiles * PW_ROWS};
    return walk;
}

static inline size_t pw_shared_bytes(const struct pw_plan *plan, enum pw_pass pass, size_t element)
{
    size_t columns = (size_t)plan->pieces * PRODUCT_COLUMNS, sums = (size_t)plan->sums;
    size_t padded = (size_t)plan->chunks * PW_CHUNK_BYTES / element;
    return sums * (columns * (size_t)plan->column_tiles + PW_LANES_PER_PAIR) * sizeof(double) +
           padded * (pass == PW_FORWARD ? VIEW_TABLES : GRAD_TABLES) * sizeof(float) +
           ((size_t)plan->buffers * PW_ROWS + 2 * columns) * PW_CHUNK_ROW_BYTES +
           PW_ROWS * (columns + 8) * element;
}

static inline void pw_plan_columns(struct pw_plan *plan, int columns)
{
    int tiles = pw_cut(columns, plan->pieces * PRODUCT_COLUMNS);
    plan->column_tiles = pw_cut(tiles, plan->column_blocks);
    plan->column_blocks = pw_cut(tiles, plan->column_tiles);
}

/* Tries a tile of so many pieces with the operand kept: does it fit? */
static inline bool pw_plan_keeps(struct pw_plan *plan, int pieces, int columns, enum pw_pass pass,
                                 size_t element, size_t most_bytes)
{
    plan->pieces = pieces;
    pw_plan_columns(plan, columns);
    plan->buffers = plan->chunks > 2 && plan->column_tiles == 1 ? 2 : plan->chunks;
    plan->shared_bytes = pw_shared_bytes(plan, pass, element);
    return plan->shared_bytes <= most_bytes;
}

/* Small maps have fewer tiles than a card has multiprocessors: their columns are shared. */
static inline int pw_column_blocks(const struct conv *conv, const struct pw_walk *walk, int depth,
                                   size_t element)
{
    size_t blocks = (size_t)walk->images * (size_t)walk->parts;
    bool is_small = pw_rows(conv) * (size_t)depth * element < (size_t)1 << 20;
    return is_small && blocks < 128 ? (int)(256 / blocks) : 1;
}

/* sums: as in struct pw_plan; 3 are those of each image. is_wide: maps are read by granules; what
 * is not has one size of tile. */
static inline struct pw_plan pw_plan_make(const struct conv *conv, enum pw_pass pass, int sums,
                                          size_t element, bool is_wide)
{
    struct pw_plan plan = {};
    int depth = pass == PW_FORWARD ? conv->in.C : conv->K;
    int columns = pass == PW_FORWARD ? conv->K : conv->in.C;
    plan.sums = sums;
    plan.walk = pw_walk_of(conv, sums == 3);
    plan.chunks = pw_cut(depth, PW_CHUNK_BYTES / (int)element);
    plan.column_blocks = pw_column_blocks(conv, &plan.walk, depth, element);
    if (columns <= PRODUCT_COLUMNS || !is_wide
            ? !pw_plan_keeps(&plan, 1, columns, pass, element, PW_MOST_BYTES)
            : !pw_plan_keeps(&plan, 2, columns, pass, element, PW_EASY_BYTES) &&
                  (columns > 4 * PRODUCT_COLUMNS ||
                   !pw_plan_keeps(&plan, 4, columns, pass, element, PW_MOST_BYTES)) &&
                  !pw_plan_keeps(&plan, 2, columns, pass, element, PW_MOST_BYTES)) {
        plan.buffers = 2;
        plan.shared_bytes = pw_shared_bytes(&plan, pass, element);
    }
    return plan;
}

static inline bool pw_is_aligned(const void *at)
{
    return (uintptr_t)at % 16 == 0;
}

/* The row of image n at channel c, or NULL. */
static __device__ __forceinline__ const float *pw_image_row(const float *rows, int C, int n, int c)
{
    return rows ? rows + (size_t)n * (size_t)C + (size_t)c : NULL;
}

/* Elements of a block's part of the sums, and of all of them. */
static inline size_t pw_sums_count(const struct pw_plan *plan)
{
    return (size_t)plan->sums * (size_t)plan->column_tiles * (size_t)plan->pieces * PRODUCT_COLUMNS;
}

static inline size_t pw_sums_bytes(const struct pw_plan *plan)
{
    return (size_t)plan->walk.images * (size_t)plan->column_blocks *
           partials_elements(plan->walk.parts, pw_sums_count(plan)) * sizeof(double);
}

#endif
