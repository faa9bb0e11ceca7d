#include "trainer/checkpoint/compare.h"
#include "base/mem.h"
#include "trainer/checkpoint/blob.h"
#include "trainer/checkpoint/internal.h"
#include "trainer/checkpoint/manifest.h"
#include "trainer/checkpoint/names.h"
#include <math.h>
#include <string.h>

struct side {
    struct checkpoint_store *store;
    const char *name;
    struct store_txn *txn;
    struct manifest manifest;
    float *piece; /* a chunk of the store is aligned to nothing */
};

struct comparing {
    struct side left, right;
    struct difference *differences;
    int count;
};

static void add_values(struct difference *sum, const float *left, const float *right, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        double a = left[i], b = right[i];
        bool is_changed = memcmp(&left[i], &right[i], sizeof *left) != 0;
        bool is_finite = isfinite(a) && isfinite(b);
        sum->norm += isfinite(a) ? a * a : 0; /* squares, until the tensor ends */
        sum->changed += is_changed;
        sum->nonfinite += is_changed && !is_finite;
        if (is_changed && is_finite) {
            sum->distance += (b - a) * (b - a);
            sum->largest = fmax(sum->largest, fabs(b - a));
        }
    }
}

static enum err of_side(const struct side *side, enum err err, const char *tensor)
{
    return err == ERR_OK ? ERR_OK
                         : err_prefix(err, "%s: the tensor %s of checkpoint \"%s\"",
                                      side->store->path, tensor, side->name);
}

/* Blobs of one size have the same chunks. */
static enum err compare_values(struct comparing *comparing, struct difference *sum)
{
    enum err err = ERR_OK;
    struct side *left = &comparing->left, *right = &comparing->right;
    const struct tensor *tensor = &left->manifest.checkpoint.tensors[sum->left];
    struct blob_walk walks[2];
    struct store_bytes chunks[2];
    blob_begin(&walks[0], left->txn, &left->manifest.blobs[sum->left], tensor_bytes(tensor));
    blob_begin(&walks[1], right->txn, &right->manifest.blobs[sum->right], tensor_bytes(tensor));
    do {
        TRY(of_side(left, blob_next(&walks[0], &chunks[0]), tensor->name));
        TRY(of_side(right, blob_next(&walks[1], &chunks[1]), tensor->name));
        if (chunks[0].size > 0) {
            memcpy(left->piece, chunks[0].data, chunks[0].size);
            memcpy(right->piece, chunks[1].data, chunks[1].size);
        }
        add_values(sum, left->piece, right->piece, chunks[0].size / sizeof(float));
    } while (chunks[0].size > 0);
    sum->norm = sqrt(sum->norm);
    sum->distance = sqrt(sum->distance);
out:
    return err;
}

static bool has_shape_of(const struct tensor *left, const struct tensor *right)
{
    bool is_equal = left->rank == right->rank;
    for (int d = 0; is_equal && d < left->rank; d++)
        is_equal = left->shape[d] == right->shape[d];
    return is_equal;
}

static enum err compare_tensor(struct comparing *comparing, struct difference *made)
{
    const struct manifest *left = &comparing->left.manifest, *right = &comparing->right.manifest;
    if (made->right < 0 || made->left < 0) {
        made->kind = made->right < 0 ? DIFFERENCE_ONLY_LEFT : DIFFERENCE_ONLY_RIGHT;
        return ERR_OK;
    }
    const struct tensor *mine = &left->checkpoint.tensors[made->left];
    if (!has_shape_of(mine, &right->checkpoint.tensors[made->right])) {
        made->kind = DIFFERENCE_SHAPE;
        return ERR_OK;
    }
    if (hash_equal(&left->blobs[made->left], &right->blobs[made->right]))
        return ERR_OK;
    made->kind = DIFFERENCE_VALUES;
    return compare_values(comparing, made);
}

static int index_of(const struct checkpoint *checkpoint, const char *name)
{
    const struct tensor *tensor = checkpoint_find(checkpoint, name);
    return tensor ? (int)(tensor - checkpoint->tensors) : -1;
}

static void pair_tensors(struct comparing *comparing)
{
    const struct checkpoint *left = &comparing->left.manifest.checkpoint;
    const struct checkpoint *right = &comparing->right.manifest.checkpoint;
    size_t most = (size_t)left->tensor_count + (size_t)right->tensor_count;
    comparing->differences = mem_array(most, sizeof *comparing->differences);
    for (int i = 0; i < left->tensor_count; i++)
        comparing->differences[comparing->count++] =
            (struct difference){.left = i, .right = index_of(right, left->tensors[i].name)};
    for (int i = 0; i < right->tensor_count; i++)
        if (index_of(left, right->tensors[i].name) < 0)
            comparing->differences[comparing->count++] =
                (struct difference){.left = -1, .right = i};
}

static enum err find_side(struct side *side)
{
    enum err err = ERR_OK;
    struct hash content;
    TRY(name_resolve(side->txn, side->name, &content));
    TRY(manifest_read(side->txn, &content, &side->manifest));
out:
    return err == ERR_OK ? ERR_OK : err_prefix(err, "%s", side->store->path);
}

/* Inside the right's transaction, and the left's around it. */
static enum err compare_inside(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    struct comparing *comparing = argument;
    comparing->right.txn = txn;
    if (!comparing->left.txn) /* one store */
        comparing->left.txn = txn;
    TRY(find_side(&comparing->left));
    TRY(find_side(&comparing->right));
    pair_tensors(comparing);
    for (int i = 0; i < comparing->count; i++)
        TRY(compare_tensor(comparing, &comparing->differences[i]));
out:
    return err;
}

static enum err view_right(struct store_txn *txn, void *argument)
{
    struct comparing *comparing = argument;
    comparing->left.txn = txn;
    return store_view(comparing->right.store->store, compare_inside, comparing);
}

enum err checkpoint_compare(struct checkpoint_store *left_store, const char *left,
                            struct checkpoint_store *right_store, const char *right,
                            struct comparison *comparison)
{
    struct comparing comparing = {
        .left = {.store = left_store, .name = left, .piece = mem_alloc(BLOB_CHUNK_BYTES)},
        .right = {.store = right_store, .name = right, .piece = mem_alloc(BLOB_CHUNK_BYTES)}};
    enum err err = left_store == right_store
                       ? store_view(right_store->store, compare_inside, &comparing)
                       : store_view(left_store->store, view_right, &comparing);
    if (err == ERR_OK) {
        *comparison = (struct comparison){.left = comparing.left.manifest.checkpoint,
                                          .right = comparing.right.manifest.checkpoint,
                                          .differences = comparing.differences,
                                          .count = comparing.count};
        comparing.left.manifest.checkpoint = (struct checkpoint){0};
        comparing.right.manifest.checkpoint = (struct checkpoint){0};
        comparing.differences = NULL;
    }
    mem_free(comparing.differences);
    mem_free(comparing.left.piece);
    mem_free(comparing.right.piece);
    manifest_fini(&comparing.left.manifest);
    manifest_fini(&comparing.right.manifest);
    return err;
}

double difference_relative(const struct difference *difference)
{
    if (difference->distance == 0)
        return 0;
    return difference->norm > 0 ? difference->distance / difference->norm : INFINITY;
}

void comparison_fini(struct comparison *comparison)
{
    checkpoint_fini(&comparison->left);
    checkpoint_fini(&comparison->right);
    mem_free(comparison->differences);
    *comparison = (struct comparison){0};
}
