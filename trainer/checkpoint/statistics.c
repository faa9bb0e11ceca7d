#include "trainer/checkpoint/statistics.h"
#include "base/mem.h"
#include "trainer/checkpoint/stream.h"
#include <math.h>

/* Chan, Golub and LeVeque (1983): moments of two sets from those of each. A piece's own mean is
 * taken first, so that values far from zero lose no digits to their squares. */
static void merge(struct statistics_sum *sum, const struct statistics_sum *piece)
{
    uint64_t finite = sum->finite + piece->finite;
    sum->nan += piece->nan;
    sum->infinite += piece->infinite;
    if (piece->finite == 0)
        return;
    double share = (double)piece->finite / (double)finite, apart = piece->mean - sum->mean;
    bool is_first = sum->finite == 0;
    sum->minimum = is_first ? piece->minimum : fmin(sum->minimum, piece->minimum);
    sum->maximum = is_first ? piece->maximum : fmax(sum->maximum, piece->maximum);
    sum->squares += piece->squares + apart * apart * share * (double)sum->finite;
    sum->mean += apart * share;
    sum->finite = finite;
}

void statistics_add(struct statistics_sum *sum, const float *values, size_t count)
{
    struct statistics_sum piece = {.minimum = INFINITY, .maximum = -INFINITY};
    double total = 0;
    for (size_t i = 0; i < count; i++) {
        double value = values[i];
        if (!isfinite(value)) {
            piece.nan += isnan(value) != 0;
            piece.infinite += isinf(value) != 0;
            continue;
        }
        piece.finite++;
        total += value;
        piece.minimum = fmin(piece.minimum, value);
        piece.maximum = fmax(piece.maximum, value);
    }
    piece.mean = piece.finite > 0 ? total / (double)piece.finite : 0;
    for (size_t i = 0; i < count; i++) {
        double distance = values[i] - piece.mean;
        piece.squares += isfinite(values[i]) ? distance * distance : 0;
    }
    merge(sum, &piece);
}

struct statistics statistics_of(const struct statistics_sum *sum)
{
    bool has_values = sum->finite > 0;
    return (struct statistics){.count = sum->finite + sum->nan + sum->infinite,
                               .nan = sum->nan,
                               .infinite = sum->infinite,
                               .minimum = has_values ? sum->minimum : NAN,
                               .maximum = has_values ? sum->maximum : NAN,
                               .mean = has_values ? sum->mean : NAN,
                               .deviation =
                                   has_values ? sqrt(sum->squares / (double)sum->finite) : NAN};
}

struct taking {
    struct statistics_sum *sums; /* (tensor_count) */
};

static enum err begin(void *own, const struct checkpoint *checkpoint)
{
    struct taking *taking = own;
    taking->sums = mem_array((size_t)checkpoint->tensor_count, sizeof *taking->sums);
    return ERR_OK;
}

static enum err add_piece(void *own, int tensor, const float *values, size_t count)
{
    struct taking *taking = own;
    statistics_add(&taking->sums[tensor], values, count);
    return ERR_OK;
}

enum err checkpoint_statistics(struct checkpoint_store *store, const char *name,
                               struct checkpoint *checkpoint, struct statistics **statistics)
{
    enum err err = ERR_OK;
    char hex[HASH_HEX_BYTES];
    struct taking taking = {0};
    struct stream stream = {.begin = begin, .piece = add_piece, .own = &taking};
    struct checkpoint peeked = {0};
    TRY(checkpoint_peek(store, name, &peeked));
    hash_hex(&peeked.content, hex); /* the name may move on meanwhile, the content does not */
    TRY(checkpoint_stream(store, hex, &stream));
    *statistics = mem_array((size_t)peeked.tensor_count, sizeof **statistics);
    for (int i = 0; i < peeked.tensor_count; i++)
        (*statistics)[i] = statistics_of(&taking.sums[i]);
    *checkpoint = peeked;
    peeked = (struct checkpoint){0};
out:
    checkpoint_fini(&peeked);
    mem_free(taking.sums);
    return err;
}
