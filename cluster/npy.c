#include "cluster/npy.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { MAGIC_BYTES = 8, MAX_HEADER = 65536, WORD_BYTES = 64 };

/* The header is a Python dictionary with three entries, read with a cursor that never passes `end`.
 */
struct cursor {
    const char *name; /* of the file */
    const char *at, *end;
};

static enum err malformed(const struct cursor *cursor, const char *what)
{
    return err_set(ERR_DATA, "%s: not a .npy file that can be read: %s", cursor->name, what);
}

static void skip_space(struct cursor *cursor)
{
    while (cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\n'))
        cursor->at++;
}

static bool skip_character(struct cursor *cursor, char character)
{
    skip_space(cursor);
    if (cursor->at >= cursor->end || *cursor->at != character)
        return false;
    cursor->at++;
    return true;
}

/* A quoted word without escapes. */
static enum err read_word(struct cursor *cursor, char word[WORD_BYTES])
{
    skip_space(cursor);
    if (cursor->at >= cursor->end || (*cursor->at != '\'' && *cursor->at != '"'))
        return malformed(cursor, "a quoted word is missing in its header");
    char quote = *cursor->at++;
    size_t length = 0;
    while (cursor->at < cursor->end && *cursor->at != quote) {
        if (length + 1 >= WORD_BYTES || *cursor->at == '\\')
            return malformed(cursor, "a word of its header is too long");
        word[length++] = *cursor->at++;
    }
    if (cursor->at >= cursor->end)
        return malformed(cursor, "its header ends inside a word");
    cursor->at++;
    word[length] = '\0';
    return ERR_OK;
}

static enum err read_size(struct cursor *cursor, size_t *size)
{
    size_t value = 0;
    const char *start = cursor->at;
    while (cursor->at < cursor->end && isdigit((unsigned char)*cursor->at)) {
        if (value > (SIZE_MAX - 9) / 10)
            return malformed(cursor, "its shape overflows");
        value = value * 10 + (size_t)(*cursor->at++ - '0');
    }
    if (cursor->at == start)
        return malformed(cursor, "its shape is not a list of sizes");
    *size = value;
    return ERR_OK;
}

static enum err read_shape(struct cursor *cursor, struct npy *npy)
{
    if (!skip_character(cursor, '('))
        return malformed(cursor, "its shape is not a tuple");
    npy->count = 1;
    npy->rank = 0;
    while (!skip_character(cursor, ')')) {
        enum err err;
        size_t size = 0;
        if (npy->rank == NPY_MAX_RANK)
            return malformed(cursor, "it has too many axes");
        if ((err = read_size(cursor, &size)) != ERR_OK)
            return err;
        if (size != 0 && npy->count > SIZE_MAX / sizeof(float) / size)
            return malformed(cursor, "its shape overflows");
        npy->count *= size;
        npy->shape[npy->rank++] = size;
        if (!skip_character(cursor, ',')) {
            if (!skip_character(cursor, ')'))
                return malformed(cursor, "its shape is not a tuple");
            break;
        }
    }
    return ERR_OK;
}

static enum err read_type(struct cursor *cursor)
{
    enum err err = ERR_OK;
    char type[WORD_BYTES];
    TRY(read_word(cursor, type));
    if (strcmp(type, "<f4") != 0)
        TRY(err_set(ERR_DATA,
                    "%s holds values of type %s, single-precision floats (<f4) are wanted: "
                    "save it with .astype('float32')",
                    cursor->name, type));
out:
    return err;
}

static enum err read_order(struct cursor *cursor)
{
    skip_space(cursor);
    size_t left = (size_t)(cursor->end - cursor->at);
    if (left >= 5 && memcmp(cursor->at, "False", 5) == 0) {
        cursor->at += 5;
        return ERR_OK;
    }
    return err_set(ERR_DATA, "%s is not in C order: save it with numpy.ascontiguousarray in front",
                   cursor->name);
}

static enum err read_entry(struct cursor *cursor, struct npy *npy, unsigned *seen)
{
    enum err err = ERR_OK;
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    char key[WORD_BYTES];
    int which = 0;
    TRY(read_word(cursor, key));
    while (which < 3 && strcmp(key, keys[which]) != 0)
        which++;
    if (which == 3 || (*seen & (1u << which)) != 0 || !skip_character(cursor, ':'))
        TRY(malformed(cursor, "its header has other entries than descr, fortran_order, shape"));
    *seen |= 1u << which;
    if (which == 0)
        TRY(read_type(cursor));
    else if (which == 1)
        TRY(read_order(cursor));
    else
        TRY(read_shape(cursor, npy));
out:
    return err;
}

static enum err read_header(struct cursor *cursor, struct npy *npy)
{
    enum err err = ERR_OK;
    unsigned seen = 0;
    if (!skip_character(cursor, '{'))
        TRY(malformed(cursor, "its header is not a dictionary"));
    while (!skip_character(cursor, '}')) {
        TRY(read_entry(cursor, npy, &seen));
        if (!skip_character(cursor, ',') && (cursor->at >= cursor->end || *cursor->at != '}'))
            TRY(malformed(cursor, "its header is not a dictionary"));
    }
    skip_space(cursor);
    if (seen != 7 || cursor->at != cursor->end)
        TRY(malformed(cursor, "its header is incomplete or has something behind it"));
out:
    return err;
}

/* Where the header's text is: two bytes of length in version 1, four in 2 and 3. */
static enum err find_header(const char *bytes, size_t size_bytes, struct cursor *cursor)
{
    if (size_bytes < MAGIC_BYTES + 4 || memcmp(bytes, "\x93NUMPY", 6) != 0)
        return malformed(cursor, "it does not begin as one");
    const unsigned char *raw = (const unsigned char *)bytes;
    if (raw[6] < 1 || raw[6] > 3)
        return malformed(cursor, "its version is not 1, 2 or 3");
    size_t start = raw[6] == 1 ? 10 : 12;
    size_t length = raw[8] | (size_t)raw[9] << 8;
    if (raw[6] > 1)
        length |= (size_t)raw[10] << 16 | (size_t)raw[11] << 24;
    if (length > MAX_HEADER || length > size_bytes - start)
        return malformed(cursor, "its header is longer than the file or 64 KiB");
    cursor->at = bytes + start;
    cursor->end = bytes + start + length;
    return ERR_OK;
}

enum err npy_parse(const char *name, const char *bytes, size_t size_bytes, struct npy *result)
{
    enum err err = ERR_OK;
    struct npy npy = {0};
    struct cursor cursor = {.name = name};
    TRY(find_header(bytes, size_bytes, &cursor));
    const char *values = cursor.end;
    TRY(read_header(&cursor, &npy));
    size_t left = (size_t)(bytes + size_bytes - values);
    if (left != npy.count * sizeof(float))
        TRY(err_set(ERR_DATA, "%s: its header promises %zu values, %zu bytes follow", name,
                    npy.count, left));
    npy.values = mem_array(npy.count, sizeof *npy.values);
    memcpy(npy.values, values, left); /* both are little-endian */
    *result = npy;
out:
    return err;
}

enum err npy_read(const char *path, size_t limit_bytes, struct npy *npy)
{
    enum err err = ERR_OK;
    char *bytes = NULL;
    size_t size_bytes = 0;
    TRY(file_read(path, limit_bytes, &bytes, &size_bytes));
    TRY(npy_parse(path, bytes, size_bytes, npy));
out:
    mem_free(bytes);
    return err;
}

void npy_fini(struct npy *npy)
{
    mem_free(npy->values);
    *npy = (struct npy){0};
}

enum err npy_write(const char *path, const float *values, size_t rows, size_t columns)
{
    struct text header, file;
    text_init(&header);
    text_init(&file);
    text_add(&header, "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", rows,
             columns);
    while ((10 + header.size + 1) % 64 != 0) /* values begin on a multiple of 64 */
        text_add(&header, " ");
    text_add(&header, "\n");
    const char start[10] = {
        '\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, (char)(header.size & 255), (char)(header.size >> 8)};
    text_add_bytes(&file, start, sizeof start);
    text_add_bytes(&file, header.bytes, header.size);
    text_add_bytes(&file, values, rows * columns * sizeof *values);
    enum err err = file_write(path, file.bytes, file.size);
    text_fini(&header);
    text_fini(&file);
    return err;
}
