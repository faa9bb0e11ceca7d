/* Source: PTX ISA 8, "Matrix Fragments for mma.m16n8k16 with floating point type", "ldmatrix",
 * "cp.async". */
#include "tests/support/cuda/internal.h"

static float widen(uint16_t bits)
{
    return __uint_as_float((unsigned)bits << 16);
}

/* ---- mma */

struct product {
    float *d;
    const uint32_t *a, *b;
};

static const struct product *product_of(const struct warp *warp, int lane)
{
    return static_cast<const struct product *>(warp->threads[lane].operand);
}

static uint16_t half_of(uint32_t word, int second)
{
    return (uint16_t)(second ? word >> 16 : word);
}

/* Element (row, k) of A (16,16): register 0 or 1 by the row's half, + 2 in the right half. */
static float element_a(const struct warp *warp, int row, int k)
{
    int lane = row % 8 * 4 + k % 8 / 2, word = row / 8 + 2 * (k / 8);
    return widen(half_of(product_of(warp, lane)->a[word], k % 2));
}

/* Element (k, column) of B (16,8). */
static float element_b(const struct warp *warp, int k, int column)
{
    int lane = column * 4 + k % 8 / 2;
    return widen(half_of(product_of(warp, lane)->b[k / 8], k % 2));
}

/* How a GPU rounds within a product is not specified; here each product and the sum of 16 are
 * exact, and rounded once with what was there. */
static void run_product(struct warp *warp, const struct meeting *meeting, uint32_t lanes)
{
    float a[16][16], b[16][8];
    if (lanes != UINT32_MAX)
        block_refuse("%s without all lanes: %08x", meeting->name, lanes);
    for (int k = 0; k < 16; k++) {
        for (int row = 0; row < 16; row++)
            a[row][k] = element_a(warp, row, k);
        for (int column = 0; column < 8; column++)
            b[k][column] = element_b(warp, k, column);
    }
    for (int row = 0; row < 16; row++)
        for (int column = 0; column < 8; column++) {
            float *d = &product_of(warp, row % 8 * 4 + column / 2)->d[row / 8 * 2 + column % 2];
            double sum = (double)*d;
            for (int k = 0; k < 16; k++)
                sum += (double)a[row][k] * (double)b[k][column];
            *d = (float)sum;
        }
}

void gpu_mma(float *d, const uint32_t *a, const uint32_t *b)
{
    static const struct meeting mma = {"mma", run_product};
    struct product mine = {d, a, b};
    block_meet(&mma, UINT32_MAX, &mine);
}

/* ---- ldmatrix */

struct matrices {
    uint32_t *to;
    const uint16_t *row;
};

static const struct matrices *matrices_of(const struct warp *warp, int lane)
{
    return static_cast<const struct matrices *>(warp->threads[lane].operand);
}

static uint32_t two(uint16_t low, uint16_t high)
{
    return (uint32_t)high << 16 | low;
}

static void load_matrices(struct warp *warp, const struct meeting *meeting, uint32_t lanes)
{
    bool is_transposed = strstr(meeting->name, "trans") != NULL;
    if (lanes != UINT32_MAX)
        block_refuse("%s without all lanes: %08x", meeting->name, lanes);
    for (int lane = 0; lane < LANES; lane++)
        for (int i = 0; i < 4; i++) {
            int major = lane / 4, minor = lane % 4 * 2;
            const struct matrices *rows[2] = {matrices_of(warp, i * 8 + minor),
                                              matrices_of(warp, i * 8 + minor + 1)};
            const struct matrices *row = matrices_of(warp, i * 8 + major);
            matrices_of(warp, lane)->to[i] = is_transposed
                                                 ? two(rows[0]->row[major], rows[1]->row[major])
                                                 : two(row->row[minor], row->row[minor + 1]);
        }
}

void gpu_ldmatrix(uint32_t *to, const void *row, bool is_transposed)
{
    static const struct meeting meetings[] = {{"ldmatrix", load_matrices},
                                              {"ldmatrix.trans", load_matrices}};
    struct matrices mine = {to, static_cast<const uint16_t *>(row)};
    shared_note_load(row, 16, __builtin_return_address(0));
    block_meet(&meetings[is_transposed], UINT32_MAX, &mine);
}

/* ---- cp.async */

enum { COPY_BYTES = 16, MOST_COPIES = 256 };

struct copy {
    unsigned char *to;
    const void *from; /* device; NULL: zeros */
    unsigned group;
};

static struct copy copies[MOST_THREADS][MOST_COPIES]; /* each oldest first */

void gpu_copy_async(void *to, const void *from, bool is_there)
{
    struct thread *mine = gpu_block.current;
    const void *code = __builtin_return_address(0);
    shared_begin_copy(to, COPY_BYTES, code);
    if (is_there)
        gpu_check<COPY_BYTES>(GPU_LOAD, from);
    if (is_there && gpu_space.is_watched)
        watch_access(GPU_LOAD, from, COPY_BYTES, code);
    if (mine->copies == MOST_COPIES)
        block_refuse("more than %d copies of one thread on their way", MOST_COPIES);
    memset(to, 0xff, COPY_BYTES);
    copies[mine->number][(mine->copies_first + mine->copies++) % MOST_COPIES] = {
        static_cast<unsigned char *>(to), is_there ? from : NULL, mine->copies_group};
}

void gpu_copy_commit(void)
{
    gpu_block.current->copies_group++;
}

static void land(const struct copy *copy)
{
    shared_end_copy(copy->to, COPY_BYTES);
    if (!copy->from) {
        memset(copy->to, 0, COPY_BYTES);
        return;
    }
    memcpy(copy->to, static_cast<const char *>(copy->from) + GPU_SPACE_BYTES, COPY_BYTES);
    gpu_space.loaded_bytes += COPY_BYTES;
}

void gpu_copy_wait(int pending)
{
    struct thread *mine = gpu_block.current;
    while (mine->copies > 0) {
        const struct copy *oldest = &copies[mine->number][mine->copies_first];
        if (oldest->group + (unsigned)pending >= mine->copies_group)
            break;
        land(oldest);
        mine->copies_first = (mine->copies_first + 1) % MOST_COPIES;
        mine->copies--;
    }
}

void copies_end_thread(const struct thread *thread)
{
    if (thread->copies > 0)
        block_refuse("it ends with %d copies on their way", thread->copies);
}
