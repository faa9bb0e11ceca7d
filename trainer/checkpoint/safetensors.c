#include "trainer/checkpoint/safetensors.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LONGEST_HEADER ((uint64_t)100 << 20) /* the format's own limit */
#define LENGTH_BYTES   8
#define MOST_RANK      4
#define PIECE_BYTES    ((size_t)1 << 20)
#define IGNORED_SUFFIX ".num_batches_tracked"

static void from_f32(const unsigned char *from, size_t count, float *to)
{
    memcpy(to, from, count * sizeof *to);
}

static void from_f64(const unsigned char *from, size_t count, float *to)
{
    for (size_t i = 0; i < count; i++) {
        double value;
        memcpy(&value, from + i * sizeof value, sizeof value);
        to[i] = (float)value;
    }
}

static void from_bf16(const unsigned char *from, size_t count, float *to)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = (uint32_t)from[2 * i] << 16 | (uint32_t)from[2 * i + 1] << 24;
        memcpy(&to[i], &bits, sizeof bits);
    }
}

/* IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction. */
static float f16_value(unsigned bits)
{
    const unsigned exponent = bits >> 10 & 0x1F, fraction = bits & 0x3FF;
    const uint32_t sign = (uint32_t)(bits & 0x8000) << 16;
    if (exponent == 0) { /* zero and subnormal: fraction / 2^24 */
        float value = (float)fraction * 0x1p-24f;
        return sign ? -value : value;
    }
    uint32_t wide = exponent == 31 ? 0xFFu << 23 : (exponent + 112) << 23;
    uint32_t made = sign | wide | fraction << 13;
    float value;
    memcpy(&value, &made, sizeof value);
    return value;
}

static void from_f16(const unsigned char *from, size_t count, float *to)
{
    for (size_t i = 0; i < count; i++)
        to[i] = f16_value((unsigned)from[2 * i] | (unsigned)from[2 * i + 1] << 8);
}

static const struct value_type {
    const char *name;
    size_t bytes;
    void (*convert)(const unsigned char *from, size_t count, float *to);
} types[] = {
    {"F32", 4, from_f32}, {"F64", 8, from_f64}, {"F16", 2, from_f16}, {"BF16", 2, from_bf16}};

struct tensor_span { /* where a tensor lies behind the header */
    char name[112];
    uint64_t begin, end;
    const struct value_type *type; /* NULL: ignored */
};

struct reading {
    const char *path;
    int file;
    uint64_t data_start, data_bytes;
    struct tensor_span *places; /* (place_count), ignored ones too */
    int place_count;
    struct tensor *tensors; /* (count), and where each lies */
    const struct tensor_span **from;
    int count;
};

static enum err bad(const struct reading *reading, const char *name, const char *reason)
{
    return err_set(ERR_DATA, "%s: the tensor %s %s", reading->path, name, reason);
}

static bool is_plain(const char *name)
{
    if (name[0] == '\0' || strlen(name) >= sizeof((struct tensor *)0)->name)
        return false;
    for (; *name; name++)
        if (*name <= ' ' || *name > '~')
            return false;
    return true;
}

static bool is_ignored(const char *name)
{
    size_t length = strlen(name), suffix = strlen(IGNORED_SUFFIX);
    return length >= suffix && strcmp(name + length - suffix, IGNORED_SUFFIX) == 0;
}

static const struct value_type *find_type(const char *name)
{
    for (size_t i = 0; name && i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

/* A whole number from 0 on. */
static bool get_size(const json_t *value, uint64_t *size)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *size = (uint64_t)json_integer_value(value);
    return true;
}

static enum err read_place(const struct reading *reading, const json_t *entry,
                           struct tensor_span *place)
{
    const json_t *offsets = json_object_get(entry, "data_offsets");
    if (json_array_size(offsets) != 2 || !get_size(json_array_get(offsets, 0), &place->begin) ||
        !get_size(json_array_get(offsets, 1), &place->end))
        return bad(reading, place->name, "has no data_offsets of two whole numbers");
    if (place->begin > place->end || place->end > reading->data_bytes)
        return bad(reading, place->name, "lies outside the file");
    return ERR_OK;
}

static enum err read_shape(const struct reading *reading, const json_t *entry,
                           const struct tensor_span *place, struct tensor *tensor)
{
    const json_t *shape = json_object_get(entry, "shape");
    if (!json_is_array(shape) || json_array_size(shape) > MOST_RANK)
        return bad(reading, place->name, "has no shape of at most 4 dimensions");
    tensor->rank = (int)json_array_size(shape);
    tensor->count = 1;
    for (int d = 0; d < tensor->rank; d++) {
        uint64_t size;
        if (!get_size(json_array_get(shape, (size_t)d), &size))
            return bad(reading, place->name, "has a shape that is not of whole numbers");
        if (size > 0 && tensor->count > reading->data_bytes / size) /* no overflow either */
            return bad(reading, place->name, "has a shape larger than the file");
        tensor->shape[d] = (int64_t)size;
        tensor->count *= size;
    }
    if (tensor->count * place->type->bytes != place->end - place->begin)
        return bad(reading, place->name, "has a shape that does not match its data_offsets");
    return ERR_OK;
}

static enum err read_entry(struct reading *reading, const char *name, const json_t *entry)
{
    enum err err = ERR_OK;
    struct tensor_span *place = &reading->places[reading->place_count];
    struct tensor *tensor = &reading->tensors[reading->count];
    if (!is_plain(name))
        TRY(err_set(ERR_DATA, "%s: tensor number %d has an empty, overlong or unprintable name",
                    reading->path, reading->place_count + 1));
    snprintf(place->name, sizeof place->name, "%s", name);
    TRY(read_place(reading, entry, place));
    reading->place_count++;
    if (is_ignored(name))
        goto out;
    place->type = find_type(json_string_value(json_object_get(entry, "dtype")));
    if (!place->type)
        TRY(bad(reading, name, "has a dtype other than F32, F64, F16 and BF16"));
    snprintf(tensor->name, sizeof tensor->name, "%s", name);
    TRY(read_shape(reading, entry, place, tensor));
    reading->from[reading->count++] = place;
out:
    return err;
}

static int by_begin(const void *left, const void *right)
{
    const struct tensor_span *const *l = left, *const *r = right;
    if ((*l)->begin != (*r)->begin)
        return (*l)->begin < (*r)->begin ? -1 : 1;
    return (*l)->end < (*r)->end ? -1 : (*l)->end > (*r)->end;
}

/* End to end from the first byte to the last: no overlap, no hole, nothing cut off. */
static enum err check_places(const struct reading *reading)
{
    enum err err = ERR_OK;
    size_t count = (size_t)reading->place_count;
    const struct tensor_span **order = mem_array(count, sizeof *order);
    uint64_t end = 0;
    for (size_t i = 0; i < count; i++)
        order[i] = &reading->places[i];
    qsort(order, count, sizeof *order, by_begin);
    for (size_t i = 0; i < count; i++) {
        if (order[i]->begin != end)
            TRY(bad(reading, order[i]->name,
                    order[i]->begin < end ? "overlaps another" : "leaves a hole before it"));
        end = order[i]->end;
    }
    if (end != reading->data_bytes)
        TRY(err_set(ERR_DATA, "%s has %llu bytes of values, its header tells of %llu",
                    reading->path, (unsigned long long)reading->data_bytes,
                    (unsigned long long)end));
out:
    mem_free(order);
    return err;
}

static enum err read_entries(struct reading *reading, json_t *header)
{
    enum err err = ERR_OK;
    const char *name;
    json_t *entry;
    size_t most = json_object_size(header);
    reading->places = mem_array(most, sizeof *reading->places);
    reading->tensors = mem_array(most, sizeof *reading->tensors);
    reading->from = mem_array(most, sizeof *reading->from);
    json_object_foreach(header, name, entry)
    {
        if (strcmp(name, "__metadata__") != 0)
            TRY(read_entry(reading, name, entry));
    }
    TRY(check_places(reading));
out:
    return err;
}

static enum err read_bytes(const struct reading *reading, uint64_t at, void *bytes,
                           size_t size_bytes)
{
    for (size_t done = 0; done < size_bytes;) {
        ssize_t got =
            pread(reading->file, (char *)bytes + done, size_bytes - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set(ERR_IO, "cannot read %s: %s", reading->path, strerror(errno));
        if (got == 0)
            return err_set(ERR_DATA, "%s became shorter while it was read", reading->path);
        done += (size_t)got;
    }
    return ERR_OK;
}

/* Sets data_start and data_bytes. *text: returns owned. */
static enum err read_header(struct reading *reading, char **text, size_t *size)
{
    enum err err = ERR_OK;
    unsigned char bytes[LENGTH_BYTES];
    struct stat status;
    uint64_t length = 0;
    char *made = NULL;
    if (fstat(reading->file, &status) != 0 || !S_ISREG(status.st_mode))
        TRY(err_set(ERR_IO, "%s is not a regular file", reading->path));
    if (status.st_size < LENGTH_BYTES)
        TRY(err_set(ERR_DATA, "%s is too short for a safetensors file", reading->path));
    TRY(read_bytes(reading, 0, bytes, sizeof bytes));
    for (int i = 0; i < LENGTH_BYTES; i++)
        length |= (uint64_t)bytes[i] << (8 * i);
    uint64_t left = (uint64_t)status.st_size - LENGTH_BYTES;
    if (length > LONGEST_HEADER || length > left)
        TRY(err_set(ERR_DATA, "%s is no safetensors file: its header would have %llu bytes of %llu",
                    reading->path, (unsigned long long)length, (unsigned long long)left));
    reading->data_start = LENGTH_BYTES + length;
    reading->data_bytes = left - length;
    made = mem_alloc((size_t)length + 1);
    TRY(read_bytes(reading, LENGTH_BYTES, made, (size_t)length));
    *text = made;
    *size = (size_t)length;
    made = NULL;
out:
    mem_free(made);
    return err;
}

static enum err read_values(const struct reading *reading, const struct tensor_span *place,
                            struct tensor *tensor, unsigned char *piece)
{
    enum err err = ERR_OK;
    const size_t most = PIECE_BYTES / place->type->bytes;
    tensor->values = aligned_alloc(64, (size_t)tensor->count * sizeof(float) / 64 * 64 + 64);
    if (!tensor->values)
        TRY(err_set(ERR_MEMORY, "no memory for the tensor %s of %s", tensor->name, reading->path));
    for (uint64_t done = 0; done < tensor->count;) {
        uint64_t left = tensor->count - done;
        size_t count = left < most ? (size_t)left : most;
        uint64_t at = reading->data_start + place->begin + done * place->type->bytes;
        TRY(read_bytes(reading, at, piece, count * place->type->bytes));
        place->type->convert(piece, count, tensor->values + done);
        done += count;
    }
out:
    return err;
}

static enum err read_file(struct reading *reading)
{
    enum err err = ERR_OK;
    char *text = NULL;
    unsigned char *piece = NULL;
    size_t size = 0;
    json_t *header = NULL;
    json_error_t trouble;
    TRY(read_header(reading, &text, &size));
    header = json_loadb(text, size, JSON_REJECT_DUPLICATES, &trouble);
    if (!json_is_object(header))
        TRY(err_set(ERR_DATA, "%s: the header is not a JSON object (line %d, column %d)",
                    reading->path, header ? 1 : trouble.line, header ? 1 : trouble.column));
    TRY(read_entries(reading, header));
    piece = mem_alloc(PIECE_BYTES);
    for (int i = 0; i < reading->count; i++)
        TRY(read_values(reading, reading->from[i], &reading->tensors[i], piece));
out:
    json_decref(header);
    mem_free(piece);
    mem_free(text);
    return err;
}

enum err safetensors_read(const char *path, struct tensor **tensors, int *count)
{
    enum err err = ERR_OK;
    struct reading reading = {.path = path, .file = open(path, O_RDONLY | O_CLOEXEC)};
    if (reading.file < 0)
        TRY(err_set(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot open %s: %s", path,
                    strerror(errno)));
    TRY(read_file(&reading));
    *tensors = reading.tensors;
    *count = reading.count;
    reading.tensors = NULL;
out:
    if (reading.file >= 0)
        close(reading.file);
    mem_free(reading.places);
    mem_free(reading.from);
    safetensors_free(reading.tensors, reading.count);
    return err;
}

void safetensors_free(struct tensor *tensors, int count)
{
    for (int i = 0; tensors && i < count; i++)
        mem_free(tensors[i].values);
    mem_free(tensors);
}
