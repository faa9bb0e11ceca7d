#include "trainer/checkpoint/manifest.h"
#include "base/mem.h"
#include "trainer/checkpoint/checkpoint.pb-c.h"
#include "trainer/checkpoint/internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPE      "f32"
#define MOST_RANK 4
/* Larger than any network here; keeps products of sizes far from overflow. */
#define MOST_ELEMENTS ((uint64_t)1 << 40)
#define MOST_CHOICE   1000 /* a kernel's side, an expansion, a depth */

size_t tensor_bytes(const struct tensor *tensor)
{
    return (size_t)tensor->count * sizeof(float);
}

void manifest_fini(struct manifest *manifest)
{
    checkpoint_fini(&manifest->checkpoint);
    mem_free(manifest->blobs);
    *manifest = (struct manifest){0};
}

static int compare_names(const void *left, const void *right)
{
    const struct tensor *const *l = left, *const *r = right;
    return strcmp((*l)->name, (*r)->name);
}

/* Pointers to the tensors, ordered by name. Returns owned. */
static const struct tensor **sort_tensors(const struct checkpoint *checkpoint)
{
    size_t count = (size_t)checkpoint->tensor_count;
    const struct tensor **order = mem_array(count, sizeof *order);
    for (size_t i = 0; i < count; i++)
        order[i] = &checkpoint->tensors[i];
    qsort(order, count, sizeof *order, compare_names);
    return order;
}

static enum err check_tensor(const struct tensor *tensor)
{
    uint64_t count = 1;
    if (tensor->name[0] == '\0' || !memchr(tensor->name, '\0', sizeof tensor->name))
        return err_set(ERR_DATA, "a tensor without a name");
    if (tensor->rank < 0 || tensor->rank > MOST_RANK)
        return err_set(ERR_DATA, "the tensor %s has %d dimensions", tensor->name, tensor->rank);
    for (int d = 0; d < tensor->rank; d++)
        count *= (uint64_t)tensor->shape[d];
    if (count != tensor->count || count > MOST_ELEMENTS)
        return err_set(ERR_DATA, "the tensor %s has %llu elements, its shape %llu", tensor->name,
                       (unsigned long long)tensor->count, (unsigned long long)count);
    return ERR_OK;
}

enum err manifest_check(const struct checkpoint *checkpoint)
{
    enum err err = ERR_OK;
    const struct tensor **order = NULL;
    for (int i = 0; i < checkpoint->tensor_count; i++)
        TRY(check_tensor(&checkpoint->tensors[i]));
    order = sort_tensors(checkpoint);
    for (int i = 1; i < checkpoint->tensor_count; i++)
        if (strcmp(order[i - 1]->name, order[i]->name) == 0)
            TRY(err_set(ERR_DATA, "two tensors are called %s", order[i]->name));
out:
    mem_free(order);
    return err;
}

struct hash manifest_content(const struct checkpoint *checkpoint, const struct hash *blobs)
{
    const struct position *position = &checkpoint->position;
    struct hasher hasher;
    hasher_init(&hasher);
    hasher_add_text(&hasher, "glowworm checkpoint 1");
    hasher_add_text(&hasher, position->stage);
    hasher_add_u64(&hasher, position->step);
    hasher_add_u64(&hasher, position->epoch);
    hasher_add_u64(&hasher, position->is_final);
    hasher_add_u64(&hasher, (uint64_t)checkpoint->tensor_count);
    const struct tensor **order = sort_tensors(checkpoint);
    for (int i = 0; i < checkpoint->tensor_count; i++) {
        hasher_add_text(&hasher, order[i]->name);
        hasher_add_text(&hasher, TYPE);
        hasher_add_u64(&hasher, (uint64_t)order[i]->rank);
        for (int d = 0; d < order[i]->rank; d++)
            hasher_add_u64(&hasher, (uint64_t)order[i]->shape[d]);
        hasher_add(&hasher, blobs[order[i] - checkpoint->tensors].bytes, HASH_BYTES);
    }
    mem_free(order);
    return hasher_end(&hasher);
}

/* Packing: the messages point into the checkpoint, all in one arena. */

static char *not_null(char *text)
{
    static char empty[] = "";
    return text ? text : empty;
}

struct trained_message { /* points into itself */
    Glowworm__Checkpoint__Trained trained;
    struct open_choices choices;
};

static void fill_trained(struct trained_message *message, const struct open_choices *choices)
{
    Glowworm__Checkpoint__Trained *to = &message->trained;
    message->choices = *choices;
    glowworm__checkpoint__trained__init(to);
    to->n_kernels = (size_t)choices->kernels.count;
    to->kernels = message->choices.kernels.value;
    to->n_expansions = (size_t)choices->expansions.count;
    to->expansions = message->choices.expansions.value;
    to->n_depths = (size_t)choices->depths.count;
    to->depths = message->choices.depths.value;
}

static void fill_meta(Glowworm__Checkpoint__Meta *to, const struct checkpoint_meta *from)
{
    glowworm__checkpoint__meta__init(to);
    to->campaign = not_null(from->campaign);
    to->space = not_null(from->space);
    to->width_multiplier = from->width_multiplier;
    to->classes = from->classes;
    to->channels = from->channels;
    to->stage_key = not_null(from->stage_key);
    to->parent = not_null(from->parent);
    to->dataset = not_null(from->dataset);
    to->lineage = not_null(from->lineage);
    to->mixed = not_null(from->mixed);
    to->lease_epoch = from->lease_epoch;
    to->saved_ms = from->saved_ms;
    to->ranks = from->ranks;
    to->has_statistics = from->has_statistics;
}

static Glowworm__Checkpoint__Tensor *make_tensor(struct arena *arena, const struct tensor *from,
                                                 const struct hash *blob)
{
    static char type[] = TYPE;
    Glowworm__Checkpoint__Tensor *to = arena_alloc(arena, sizeof *to);
    glowworm__checkpoint__tensor__init(to);
    to->name = arena_string(arena, from->name);
    to->type = type;
    to->n_shape = (size_t)from->rank;
    to->shape = arena_alloc(arena, sizeof *to->shape * MOST_RANK);
    for (int d = 0; d < from->rank; d++)
        to->shape[d] = (uint64_t)from->shape[d];
    to->blob.len = HASH_BYTES;
    to->blob.data = arena_alloc(arena, HASH_BYTES);
    memcpy(to->blob.data, blob->bytes, HASH_BYTES);
    return to;
}

/* What the content hash leaves out. */
static struct hash seal_of(const Glowworm__Checkpoint__Manifest *message)
{
    struct hasher hasher;
    size_t size = glowworm__checkpoint__meta__get_packed_size(message->meta);
    uint8_t *bytes = mem_alloc(size);
    glowworm__checkpoint__meta__pack(message->meta, bytes);
    hasher_init(&hasher);
    hasher_add(&hasher, bytes, size);
    hasher_add_u64(&hasher, message->serial);
    mem_free(bytes);
    return hasher_end(&hasher);
}

void manifest_pack(const struct manifest *manifest, struct text *packed)
{
    const struct checkpoint *checkpoint = &manifest->checkpoint;
    struct arena *arena = arena_create();
    Glowworm__Checkpoint__Manifest message = GLOWWORM__CHECKPOINT__MANIFEST__INIT;
    Glowworm__Checkpoint__Position position = GLOWWORM__CHECKPOINT__POSITION__INIT;
    Glowworm__Checkpoint__Meta meta;
    struct trained_message trained;
    fill_meta(&meta, &checkpoint->meta);
    fill_trained(&trained, &checkpoint->meta.trained);
    if (checkpoint->meta.has_trained)
        meta.trained = &trained.trained;
    position.stage = arena_string(arena, checkpoint->position.stage);
    position.step = checkpoint->position.step;
    position.epoch = checkpoint->position.epoch;
    position.is_final = checkpoint->position.is_final;
    message.position = &position;
    message.meta = &meta;
    message.serial = manifest->serial;
    struct hash seal = seal_of(&message);
    message.seal.len = HASH_BYTES;
    message.seal.data = seal.bytes;
    message.n_tensors = (size_t)checkpoint->tensor_count;
    message.tensors = arena_alloc(arena, message.n_tensors * sizeof *message.tensors);
    for (size_t i = 0; i < message.n_tensors; i++)
        message.tensors[i] = make_tensor(arena, &checkpoint->tensors[i], &manifest->blobs[i]);
    size_t size = glowworm__checkpoint__manifest__get_packed_size(&message);
    uint8_t *bytes = mem_alloc(size);
    glowworm__checkpoint__manifest__pack(&message, bytes);
    text_add_bytes(packed, bytes, size);
    mem_free(bytes);
    arena_destroy(arena);
}

static void read_meta(const Glowworm__Checkpoint__Meta *from, struct checkpoint_meta *to)
{
    *to = (struct checkpoint_meta){.campaign = mem_string(from->campaign),
                                   .space = mem_string(from->space),
                                   .width_multiplier = from->width_multiplier,
                                   .classes = from->classes,
                                   .channels = from->channels,
                                   .stage_key = mem_string(from->stage_key),
                                   .parent = mem_string(from->parent),
                                   .dataset = mem_string(from->dataset),
                                   .lineage = mem_string(from->lineage),
                                   .mixed = mem_string(from->mixed),
                                   .lease_epoch = from->lease_epoch,
                                   .saved_ms = from->saved_ms,
                                   .ranks = from->ranks,
                                   .has_statistics = from->has_statistics};
}

/* Names are shown on terminals, which obey some bytes. */
static bool is_printable(const char *name)
{
    for (; *name; name++)
        if ((unsigned char)*name < ' ' || *name == 0x7F)
            return false;
    return true;
}

/* False when these cannot be a space's choices. */
static bool read_choices(const int32_t *values, size_t count, struct choices *choices)
{
    bool is_plausible = count > 0 && count <= SPACE_MAX_CHOICES;
    *choices = (struct choices){0};
    for (size_t i = 0; is_plausible && i < count; i++) {
        is_plausible = values[i] > (i > 0 ? values[i - 1] : 0) && values[i] <= MOST_CHOICE;
        choices->value[choices->count++] = values[i];
    }
    return is_plausible;
}

static enum err read_trained(const Glowworm__Checkpoint__Trained *from, struct checkpoint_meta *to)
{
    struct open_choices *trained = &to->trained;
    if (!from)
        return ERR_OK;
    if (!read_choices(from->kernels, from->n_kernels, &trained->kernels) ||
        !read_choices(from->expansions, from->n_expansions, &trained->expansions) ||
        !read_choices(from->depths, from->n_depths, &trained->depths))
        return err_set(ERR_DATA, "the trained choices are described in a way that is not "
                                 "understood");
    to->has_trained = true;
    return ERR_OK;
}

static enum err read_tensor(const Glowworm__Checkpoint__Tensor *from, struct tensor *to,
                            struct hash *blob)
{
    if (strlen(from->name) >= sizeof to->name || strcmp(from->type, TYPE) != 0 ||
        from->n_shape > MOST_RANK || from->blob.len != HASH_BYTES)
        return err_set(ERR_DATA, "the tensor %.100s is described in a way that is not understood",
                       from->name);
    if (!is_printable(from->name))
        return err_set(ERR_DATA, "a tensor's name has unprintable characters");
    snprintf(to->name, sizeof to->name, "%s", from->name);
    to->rank = (int)from->n_shape;
    to->count = 1;
    for (int d = 0; d < to->rank; d++) {
        uint64_t count = 0;
        if (__builtin_mul_overflow(to->count, from->shape[d], &count) || count > MOST_ELEMENTS ||
            from->shape[d] > MOST_ELEMENTS)
            return err_set(ERR_DATA, "the tensor %s has an impossible size", to->name);
        to->shape[d] = (int64_t)from->shape[d];
        to->count = count;
    }
    memcpy(blob->bytes, from->blob.data, HASH_BYTES);
    return ERR_OK;
}

static enum err read_message(const Glowworm__Checkpoint__Manifest *message, struct manifest *made)
{
    enum err err = ERR_OK;
    struct checkpoint *checkpoint = &made->checkpoint;
    struct position *position = &checkpoint->position;
    if (!message->position || !message->meta ||
        strlen(message->position->stage) >= sizeof position->stage)
        TRY(err_set(ERR_DATA, "the manifest is incomplete"));
    if (!is_printable(message->position->stage))
        TRY(err_set(ERR_DATA, "the stage's name has unprintable characters"));
    snprintf(position->stage, sizeof position->stage, "%s", message->position->stage);
    position->step = message->position->step;
    position->epoch = message->position->epoch;
    position->is_final = message->position->is_final;
    read_meta(message->meta, &checkpoint->meta);
    TRY(read_trained(message->meta->trained, &checkpoint->meta));
    made->serial = message->serial;
    checkpoint->tensors = mem_array(message->n_tensors, sizeof *checkpoint->tensors);
    made->blobs = mem_array(message->n_tensors, sizeof *made->blobs);
    for (size_t i = 0; i < message->n_tensors; i++, checkpoint->tensor_count++)
        TRY(read_tensor(message->tensors[i], &checkpoint->tensors[i], &made->blobs[i]));
out:
    return err;
}

static bool is_sealed(const Glowworm__Checkpoint__Manifest *message)
{
    if (message->seal.len == 0) /* of an older writer */
        return true;
    struct hash seal = seal_of(message);
    return message->seal.len == HASH_BYTES &&
           memcmp(message->seal.data, seal.bytes, HASH_BYTES) == 0;
}

enum err manifest_unpack(const void *bytes, size_t size_bytes, const struct hash *content,
                         struct manifest *manifest)
{
    enum err err = ERR_OK;
    struct manifest made = {0};
    Glowworm__Checkpoint__Manifest *message =
        glowworm__checkpoint__manifest__unpack(NULL, size_bytes, bytes);
    if (!message)
        TRY(err_set(ERR_DATA, "the manifest cannot be read"));
    TRY(read_message(message, &made));
    made.checkpoint.content = manifest_content(&made.checkpoint, made.blobs);
    if (!hash_equal(&made.checkpoint.content, content) || !is_sealed(message))
        TRY(err_set(ERR_DATA, "the manifest has changed since it was written"));
    *manifest = made;
    made = (struct manifest){0};
out:
    if (message)
        glowworm__checkpoint__manifest__free_unpacked(message, NULL);
    manifest_fini(&made);
    return err;
}

enum err manifest_unpack_row(struct store_bytes key, struct store_bytes value, struct hash *content,
                             struct manifest *manifest)
{
    if (key.size != HASH_BYTES)
        return err_set(ERR_DATA, "a manifest with a key of %zu bytes", key.size);
    char hex[HASH_HEX_BYTES];
    memcpy(content->bytes, key.data, HASH_BYTES);
    hash_hex(content, hex);
    enum err err = manifest_unpack(value.data, value.size, content, manifest);
    return err == ERR_OK ? ERR_OK : err_prefix(err, "checkpoint %s", hex);
}

enum err manifest_read(struct store_txn *txn, const struct hash *content, struct manifest *manifest)
{
    char hex[HASH_HEX_BYTES];
    struct store_bytes packed;
    struct hash same;
    enum err err = store_get(txn, TABLE_MANIFESTS, hash_key(content), &packed);
    if (err == ERR_OK)
        return manifest_unpack_row(hash_key(content), packed, &same, manifest);
    hash_hex(content, hex);
    if (err == ERR_NOT_FOUND)
        return err_set(ERR_DATA, "the manifest of checkpoint %s is missing", hex);
    return err_prefix(err, "checkpoint %s", hex);
}
