#include "base/text.h"
#include "base/mem.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_init(struct text *text)
{
    *text = (struct text){0};
}

void text_fini(struct text *text)
{
    mem_free(text->bytes);
    text_init(text);
}

/* Room for `more` bytes and the NUL. */
static void make_room(struct text *text, size_t more)
{
    size_t needed = text->size + more + 1;
    if (needed <= text->room)
        return;
    size_t room = 2 * text->room > needed ? 2 * text->room : needed;
    if (room < 256)
        room = 256;
    text->bytes = mem_grow(text->bytes, text->size, room);
    text->room = room;
}

void text_add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0)
        BUG("a format that cannot be printed: %s", format);
    make_room(text, (size_t)length);
    va_start(arguments, format);
    vsnprintf(text->bytes + text->size, (size_t)length + 1, format, arguments);
    va_end(arguments);
    text->size += (size_t)length;
}

void text_add_real(struct text *text, double value)
{
    char digits[32];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    text_add(text, "%s", digits);
}

void text_add_bytes(struct text *text, const void *bytes, size_t size_bytes)
{
    make_room(text, size_bytes);
    if (size_bytes > 0)
        memcpy(text->bytes + text->size, bytes, size_bytes);
    text->size += size_bytes;
    text->bytes[text->size] = '\0';
}

void text_add_base64(struct text *text, const void *from, size_t size_bytes)
{
    const uint8_t *bytes = from;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size_bytes; i += 3) {
        size_t left = size_bytes - i;
        uint32_t word = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                        (left > 2 ? bytes[i + 2] : 0);
        char quad[4] = {digits[word >> 18], digits[word >> 12 & 63],
                        left > 1 ? digits[word >> 6 & 63] : '=',
                        left > 2 ? digits[word & 63] : '='};
        text_add_bytes(text, quad, sizeof quad);
    }
}

const char *text_get(const struct text *text)
{
    return text->bytes ? text->bytes : "";
}

static int min_of_3(int a, int b, int c)
{
    int least = a < b ? a : b;
    return least < c ? least : c;
}

/* A terminal would obey it: beside what is no character, a carriage return and U+0085. */
static bool is_obeyed(const char *bytes, size_t size)
{
    return size == 0 || bytes[0] == '\r' || (size == 2 && memcmp(bytes, "\xc2\x85", 2) == 0);
}

void text_add_safe(struct text *text, const char *bytes, size_t size_bytes)
{
    for (size_t at = 0; at < size_bytes;) {
        size_t size = text_character_size(bytes + at, size_bytes - at);
        if (bytes[at] == '\t')
            text_add_bytes(text, " ", 1);
        else if (is_obeyed(bytes + at, size))
            text_add_bytes(text, "?", 1);
        else
            text_add_bytes(text, bytes + at, size);
        at += size > 0 ? size : 1;
    }
}

/* Levenshtein's distance, one row of the table at a time. */
int text_distance(const char *left, const char *right)
{
    int columns = (int)strlen(right);
    int *row = mem_array((size_t)columns + 1, sizeof *row);
    for (int j = 0; j <= columns; j++)
        row[j] = j;
    for (int i = 1; left[i - 1] != '\0'; i++) {
        int diagonal = row[0]; /* of the row above */
        row[0] = i;
        for (int j = 1; j <= columns; j++) {
            int above = row[j];
            int replaced = diagonal + (left[i - 1] != right[j - 1]);
            row[j] = min_of_3(above + 1, row[j - 1] + 1, replaced);
            diagonal = above;
        }
    }
    int distance = row[columns];
    mem_free(row);
    return distance;
}

static bool starts_a_number(const char *text)
{
    return text[0] != '\0' && !isspace((unsigned char)text[0]);
}

enum err text_to_int(const char *text, long low, long high, long *value)
{
    char *end = NULL;
    errno = 0;
    long number = starts_a_number(text) ? strtol(text, &end, 10) : 0;
    if (!end || end == text || *end != '\0')
        return err_set(ERR_DATA, "\"%s\" is not a whole number", text);
    if (errno == ERANGE || number < low || number > high)
        return err_set(ERR_DATA, "%s is not between %ld and %ld", text, low, high);
    *value = number;
    return ERR_OK;
}

enum err text_to_double(const char *text, double low, double high, double *value)
{
    char *end = NULL;
    double number = starts_a_number(text) ? strtod(text, &end) : 0.0;
    if (!end || end == text || *end != '\0' || isnan(number))
        return err_set(ERR_DATA, "\"%s\" is not a number", text);
    if (number < low || number > high)
        return err_set(ERR_DATA, "%s is not between %g and %g", text, low, high);
    *value = number;
    return ERR_OK;
}

size_t text_character_size(const char *bytes, size_t left)
{
    const unsigned char *at = (const unsigned char *)bytes;
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000}; /* no longer than needed */
    if (at[0] < 0x80)
        return (at[0] >= 0x20 && at[0] != 0x7f) || at[0] == '\t' || at[0] == '\n' || at[0] == '\r';
    size_t size = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    unsigned code = at[0] & (0x7fu >> size);
    if (at[0] < 0xc2 || at[0] > 0xf4 || size > left)
        return 0;
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3fu);
    }
    bool is_surrogate = code >= 0xd800 && code < 0xe000;
    bool is_control = code < 0xa0 && code != 0x85;
    return code >= least[size] && code <= 0x10ffff && !is_surrogate && !is_control ? size : 0;
}
