/* How a 1x1 convolution's product of rows and weights is cut: z = y w^T of the forward pass, dx =
 * dz w of the backward one. A function of the shape and of what a block may have of shared memory,
 * for the launcher and for `prepare`.
 *
 * A block walks over tiles of 64 rows. Of each it loads the operand once, in chunks of 128 bytes of
 * a row, and goes through the columns in tiles of 64 to 256: where that is one tile, or the row has
 * a chunk or two, two buffers are enough; else all chunks of the rows stay in shared memory until
 * the last column. Rows of 2,000 and more bytes with many columns have no room there and are read
 * once a column tile; where little is shared, rows of more than about 600 bytes. */
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
    PW_OTHER_BYTES = 3 << 10 /* of a block's shared memory, for what kernels declare themselves */
};

static inline size_t pw_most_bytes(size_t block_bytes)
{
    return block_bytes - PW_OTHER_BYTES;
}

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
    bool sums_in_out;  /* they are added over threads where the result was */
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
    size_t lanes = plan->sums_in_out ? 0 : PW_LANES_PER_PAIR;
    return sums * (columns * (size_t)plan->column_tiles + lanes) * sizeof(double) +
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

/* The same with the operand read for each tile of columns: other blocks have as many of them as it
 * takes until the sums fit. */
static inline bool pw_plan_rereads(struct pw_plan *plan, int pieces, int columns, enum pw_pass pass,
                                   size_t element, size_t most_bytes)
{
    plan->pieces = pieces;
    plan->buffers = 2;
    pw_plan_columns(plan, columns);
    while ((plan->shared_bytes = pw_shared_bytes(plan, pass, element)) > most_bytes &&
           plan->column_tiles > 1) {
        plan->column_tiles--;
        plan->column_blocks = pw_cut(pw_cut(columns, pieces * PRODUCT_COLUMNS), plan->column_tiles);
    }
    return plan->shared_bytes <= most_bytes;
}

/* The last of all ways, of one tile of 64 columns: only the numbers of each channel grow with the
 * shape. bf16 has no room for three sums in `out`, and no need to. */
static inline void pw_plan_squeezes(struct pw_plan *plan, enum pw_pass pass, size_t element)
{
    plan->sums_in_out = element == sizeof(float);
    plan->shared_bytes = pw_shared_bytes(plan, pass, element);
}

/* Where there are more such blocks than tickets, each has a whole image. */
static inline void pw_plan_tickets(struct pw_plan *plan)
{
    struct pw_walk *walk = &plan->walk;
    int tiles = pw_cut(walk->rows, PW_ROWS);
    if (walk->images * plan->column_blocks * partials_tickets(walk->parts) <= CUDA_TICKETS)
        return;
    walk->parts = 1;
    walk->part_rows = tiles * PW_ROWS;
}

/* Small maps have fewer tiles than a card has multiprocessors: their columns are shared. */
static inline int pw_column_blocks(const struct conv *conv, const struct pw_walk *walk, int depth,
                                   size_t element)
{
    size_t blocks = (size_t)walk->images * (size_t)walk->parts;
    bool is_small = pw_rows(conv) * (size_t)depth * element < (size_t)1 << 20;
    return is_small && blocks < 128 ? (int)(256 / blocks) : 1;
}

/* Tiles of two pieces, more of them where that lets a block have all columns, one piece where
 * little is shared. */
static inline bool pw_plan_keeps_wide(struct pw_plan *plan, int columns, enum pw_pass pass,
                                      size_t element, size_t most_bytes)
{
    const size_t easy_bytes = PW_EASY_BYTES;
    bool is_little = most_bytes < easy_bytes;
    return pw_plan_keeps(plan, 2, columns, pass, element, is_little ? most_bytes : easy_bytes) ||
           (columns <= 4 * PRODUCT_COLUMNS &&
            pw_plan_keeps(plan, 4, columns, pass, element, most_bytes)) ||
           pw_plan_keeps(plan, 2, columns, pass, element, most_bytes) ||
           (is_little && pw_plan_keeps(plan, 1, columns, pass, element, most_bytes));
}

/* sums: as in struct pw_plan; 3 are those of each image. is_wide: maps are read by granules; what
 * is not has one size of tile. block_bytes: of struct cuda's shared_bytes. */
static inline struct pw_plan pw_plan_make(const struct conv *conv, enum pw_pass pass, int sums,
                                          size_t element, bool is_wide, size_t block_bytes)
{
    size_t most = pw_most_bytes(block_bytes);
    struct pw_plan plan = {};
    int depth = pass == PW_FORWARD ? conv->in.C : conv->K;
    int columns = pass == PW_FORWARD ? conv->K : conv->in.C;
    plan.sums = sums;
    plan.walk = pw_walk_of(conv, sums == 3);
    plan.chunks = pw_cut(depth, PW_CHUNK_BYTES / (int)element);
    plan.column_blocks = pw_column_blocks(conv, &plan.walk, depth, element);
    bool has_wide_tiles = is_wide && columns > PRODUCT_COLUMNS;
    bool has_room = has_wide_tiles ? pw_plan_keeps_wide(&plan, columns, pass, element, most) ||
                                         pw_plan_rereads(&plan, 2, columns, pass, element, most)
                                   : pw_plan_keeps(&plan, 1, columns, pass, element, most);
    if (!has_room && !pw_plan_rereads(&plan, 1, columns, pass, element, most))
        pw_plan_squeezes(&plan, pass, element);
    pw_plan_tickets(&plan);
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
