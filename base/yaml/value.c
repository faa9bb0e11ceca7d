/* One value of one knob: from text and back. */
#include "base/yaml/schema.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local char reason[256]; /* borrowed by the caller of knob_parse */

static const struct {
    enum knob_unit unit;
    const char *suffix;
    double factor;
} suffixes[] = {
    {UNIT_COUNT, "k", 1e3},       {UNIT_COUNT, "M", 1e6},      {UNIT_COUNT, "G", 1e9},
    {UNIT_SECONDS, "ms", 1e-3},   {UNIT_SECONDS, "s", 1},      {UNIT_SECONDS, "m", 60},
    {UNIT_SECONDS, "min", 60},    {UNIT_SECONDS, "h", 3600},   {UNIT_SECONDS, "d", 86400},
    {UNIT_BYTES, "B", 1},         {UNIT_BYTES, "kB", 1e3},     {UNIT_BYTES, "MB", 1e6},
    {UNIT_BYTES, "GB", 1e9},      {UNIT_BYTES, "TB", 1e12},    {UNIT_BYTES, "KiB", 1024},
    {UNIT_BYTES, "MiB", 1048576}, {UNIT_BYTES, "GiB", 0x1p30}, {UNIT_BYTES, "TiB", 0x1p40},
    {UNIT_EPOCHS, "ep", 1},       {UNIT_EPOCHS, "epochs", 1},  {UNIT_MS, "ms", 1},
    {UNIT_MS, "s", 1e3},          {UNIT_PIXELS, "px", 1},
};
#define SUFFIX_COUNT (sizeof suffixes / sizeof *suffixes)

/* Says what would have been right, for the sentence "... is not a number; write ...". */
static const char *unit_example(enum knob_unit unit)
{
    switch (unit) {
    case UNIT_COUNT:
        return "a number such as 800000, 800k or 0.8M";
    case UNIT_SECONDS:
        return "a duration such as 90s, 5m or 2h";
    case UNIT_BYTES:
        return "a size such as 64KiB or 4MiB";
    case UNIT_EPOCHS:
        return "a number of epochs such as 10 or 2.5ep";
    case UNIT_MS:
        return "a duration in milliseconds such as 19.5 or 20ms";
    case UNIT_PIXELS:
        return "a number of pixels such as 28";
    case UNIT_NONE:
        break;
    }
    return "a number";
}

/* The position of a word in "a|b|c", or -1. An item may carry a value: "no=1"; it is put in *value.
 */
static int find_word(const char *words, const char *word, double *value)
{
    int position = 0;
    for (const char *at = words; at && *at; position++) {
        size_t size = strcspn(at, "|"), name = strcspn(at, "=|");
        if (strlen(word) == name && memcmp(at, word, name) == 0) {
            if (value && name < size)
                *value = strtod(at + name + 1, NULL);
            return position;
        }
        at += size + (at[size] == '|');
    }
    return -1;
}

/* The word number `position` of "a|b|c" into text; false when there are fewer. */
static bool nth_word(const char *words, int position, char *text, size_t room)
{
    const char *at = words;
    for (int i = 0; i < position && *at; i++) {
        at += strcspn(at, "|");
        at += *at == '|';
    }
    snprintf(text, room, "%.*s", (int)strcspn(at, "|"), at);
    return text[0] != 0;
}

/* "a, b or c", without the values. */
static void list_words(const char *words, struct text *text)
{
    for (const char *at = words; *at;) {
        size_t size = strcspn(at, "|");
        bool is_last = at[size] == 0;
        text_add(text, "%s%.*s",
                 at == words ? ""
                 : is_last   ? " or "
                             : ", ",
                 (int)strcspn(at, "=|"), at);
        at += size + !is_last;
    }
}

static const char *wrong_word(const struct knob *knob, const char *word)
{
    struct text all;
    const char *nearest = NULL;
    int least = 3; /* further apart is no typing error */
    size_t nearest_size = 0;
    text_init(&all);
    list_words(knob->words, &all);
    for (const char *at = knob->words; *at; at += *at == '|') {
        char one[64];
        size_t size = strcspn(at, "=|");
        snprintf(one, sizeof one, "%.*s", (int)size, at);
        if (text_distance(one, word) < least) {
            least = text_distance(one, word);
            nearest = at;
            nearest_size = size;
        }
        at += strcspn(at, "|");
    }
    if (nearest)
        snprintf(reason, sizeof reason, "'%.60s' is not one of %s; did you mean '%.*s'?", word,
                 text_get(&all), (int)nearest_size, nearest);
    else
        snprintf(reason, sizeof reason, "'%.60s' is not one of %s", word, text_get(&all));
    text_fini(&all);
    return reason;
}

/* A number with its unit. NULL when it is right. */
static const char *parse_number(const struct knob *knob, const char *text, double *value)
{
    if (find_word(knob->words, text, value) >= 0)
        return NULL;
    char *end = NULL;
    double number = strtod(text, &end);
    bool is_decimal = strspn(text, "+-.0123456789eE") >= (size_t)(end - text); /* no hex, no nan */
    double factor = 1;
    while (*end == ' ')
        end++;
    if (*end && end > text) {
        size_t i = 0;
        while (i < SUFFIX_COUNT &&
               !(suffixes[i].unit == knob->unit && strcmp(suffixes[i].suffix, end) == 0))
            i++;
        is_decimal = is_decimal && i < SUFFIX_COUNT;
        factor = i < SUFFIX_COUNT ? suffixes[i].factor : 1;
    }
    if (end == text || !is_decimal || !isfinite(number)) {
        struct text also;
        text_init(&also);
        if (knob->words) {
            text_add(&also, ", or ");
            list_words(knob->words, &also);
        }
        snprintf(reason, sizeof reason, "'%.60s' is not %s%s", text, unit_example(knob->unit),
                 text_get(&also));
        text_fini(&also);
        return reason;
    }
    *value = number * factor;
    return NULL;
}

static const char *check_range(const struct knob *knob, double value)
{
    if ((knob->low == 0 && knob->high == 0) || (value >= knob->low && value <= knob->high))
        return NULL;
    snprintf(reason, sizeof reason, "%.10g is out of range: %.10g to %.10g", value, knob->low,
             knob->high);
    return reason;
}

static const char *parse_whole(const struct knob *knob, const char *text, double *value)
{
    const char *why = parse_number(knob, text, value);
    if (why)
        return why;
    if (*value != floor(*value)) {
        snprintf(reason, sizeof reason, "'%.60s' is not a whole number", text);
        return reason;
    }
    if (find_word(knob->words, text, NULL) >= 0) /* a word may stand for a value out of range */
        return NULL;
    why = check_range(knob, *value);
    if (why)
        return why;
    double most = knob->type == KNOB_UINT32 ? UINT32_MAX : INT32_MAX;
    double least = knob->type == KNOB_UINT32 ? 0 : INT32_MIN;
    if (*value < least || *value > most) {
        snprintf(reason, sizeof reason, "%.10g is out of range: %.10g to %.10g", *value, least,
                 most);
        return reason;
    }
    return NULL;
}

static const char *parse_u64(const char *text, uint64_t *value)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno == ERANGE) {
        snprintf(reason, sizeof reason, "'%.60s' is not a whole number from 0 to %llu", text,
                 (unsigned long long)UINT64_MAX);
        return reason;
    }
    *value = number;
    return NULL;
}

static const char *parse_bool(const char *text, bool *value)
{
    static const char *const yes[] = {"yes", "true", "on", "Yes", "True",
                                      "YES", "TRUE", "On", "ON"};
    static const char *const no[] = {"no", "false", "off", "No", "False",
                                     "NO", "FALSE", "Off", "OFF"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *value = strcmp(text, yes[i]) == 0;
            return NULL;
        }
    }
    snprintf(reason, sizeof reason, "'%.60s' is not yes or no", text);
    return reason;
}

static const char *parse_text(const struct knob *knob, const char *text, char *into)
{
    if (strlen(text) >= knob->room) {
        snprintf(reason, sizeof reason, "longer than %zu characters", knob->room - 1);
        return reason;
    }
    for (const char *at = text; *at; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f) {
            snprintf(reason, sizeof reason, "contains a control character");
            return reason;
        }
    }
    snprintf(into, knob->room, "%s", text);
    return NULL;
}

static const char *parse_retired(const struct knob *knob, const char *text)
{
    if (strcmp(text, knob->fallback) == 0)
        return NULL;
    snprintf(reason, sizeof reason, "'%.60s': the knob is retired, it was always '%s'; %s", text,
             knob->fallback, knob->help);
    return reason;
}

const char *knob_parse(const struct knob *knob, const char *text, bool is_quoted, void *into)
{
    double value = 0;
    const char *why = NULL;
    switch (knob->type) {
    case KNOB_BOOL:
        if (!is_quoted)
            return parse_bool(text, into);
        snprintf(reason, sizeof reason, "'%.60s' is quoted: write yes or no without quotes", text);
        return reason;
    case KNOB_INT:
    case KNOB_INTS:
        why = parse_whole(knob, text, &value);
        if (!why)
            *(int *)into = (int)value;
        return why;
    case KNOB_UINT32:
        why = parse_whole(knob, text, &value);
        if (!why)
            *(uint32_t *)into = (uint32_t)value;
        return why;
    case KNOB_UINT64:
        return parse_u64(text, into);
    case KNOB_REAL:
        why = parse_number(knob, text, &value);
        if (!why && find_word(knob->words, text, NULL) < 0)
            why = check_range(knob, value);
        if (!why)
            *(double *)into = value;
        return why;
    case KNOB_TEXT:
        return parse_text(knob, text, into);
    case KNOB_WORD:
        return find_word(knob->words, text, NULL) < 0 ? wrong_word(knob, text)
                                                      : parse_text(knob, text, into);
    case KNOB_ENUM:
        if (find_word(knob->words, text, NULL) < 0)
            return wrong_word(knob, text);
        *(int *)into = find_word(knob->words, text, NULL);
        return NULL;
    case KNOB_WORDS:
        if (find_word(knob->words, text, NULL) < 0)
            return wrong_word(knob, text);
        ((bool *)into)[find_word(knob->words, text, NULL)] = true;
        return NULL;
    case KNOB_RETIRED:
        return parse_retired(knob, text);
    case KNOB_TEXTS:
    case KNOB_ROWS:
    case KNOB_NAMED:
        break;
    }
    BUG("knob '%s' is not a scalar", knob->path);
}

/* Plain where YAML reads it back as the same text, quoted otherwise. */
static void write_text(const char *value, struct text *yaml)
{
    bool is_plain = value[0] &&
                    strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_-./+") == strlen(value) &&
                    value[0] != '-' && strcmp(value, "null") != 0 && strcmp(value, "~") != 0;
    if (is_plain) {
        text_add(yaml, "%s", value);
        return;
    }
    text_add(yaml, "\"");
    for (const char *at = value; *at; at++)
        text_add(yaml, *at == '"' || *at == '\\' ? "\\%c" : "%c", *at);
    text_add(yaml, "\"");
}

/* The shortest decimal that reads back as the same double; the word where one stands for it. */
static void write_real(const struct knob *knob, double value, struct text *yaml)
{
    char word[64];
    for (int i = 0; knob->words && nth_word(knob->words, i, word, sizeof word); i++) {
        char *mark = strchr(word, '=');
        if (mark && strtod(mark + 1, NULL) == value) {
            text_add(yaml, "%.*s", (int)(mark - word), word);
            return;
        }
    }
    char digits[40];
    if (value == floor(value) && fabs(value) < 1e15) {
        text_add(yaml, "%.0f", value);
        return;
    }
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    text_add(yaml, "%s", digits);
}

static void write_ints(const struct knob *knob, const char *base, struct text *yaml)
{
    const int *values = (const int *)(const void *)(base + knob->offset);
    int count = *(const int *)(const void *)(base + knob->count_offset);
    text_add(yaml, "[");
    for (int i = 0; i < count; i++)
        text_add(yaml, "%s%d", i ? ", " : "", values[i]);
    text_add(yaml, "]");
}

static void write_words(const struct knob *knob, const bool *wanted, struct text *yaml)
{
    char word[64];
    const char *comma = "";
    text_add(yaml, "[");
    for (int i = 0; nth_word(knob->words, i, word, sizeof word); i++) {
        if (!wanted[i])
            continue;
        text_add(yaml, "%s%s", comma, word);
        comma = ", ";
    }
    text_add(yaml, "]");
}

static void write_texts(const struct knob *knob, const char *base, struct text *yaml)
{
    int count = *(const int *)(const void *)(base + knob->count_offset);
    text_add(yaml, "[");
    for (int i = 0; i < count; i++) {
        text_add(yaml, "%s", i ? ", " : "");
        write_text(base + knob->offset + (size_t)i * knob->item_bytes, yaml);
    }
    text_add(yaml, "]");
}

void schema_value(const struct knob *knob, const void *from, struct text *yaml)
{
    const char *base = from;
    const void *field = base + knob->offset;
    char word[64];
    switch (knob->type) {
    case KNOB_BOOL:
        text_add(yaml, "%s", *(const bool *)field ? "yes" : "no");
        return;
    case KNOB_INT:
        write_real(knob, *(const int *)field, yaml);
        return;
    case KNOB_UINT32:
        write_real(knob, *(const uint32_t *)field, yaml);
        return;
    case KNOB_UINT64:
        text_add(yaml, "%llu", (unsigned long long)*(const uint64_t *)field);
        return;
    case KNOB_REAL:
        write_real(knob, *(const double *)field, yaml);
        return;
    case KNOB_TEXT:
    case KNOB_WORD:
        write_text(field, yaml);
        return;
    case KNOB_ENUM:
        nth_word(knob->words, *(const int *)field, word, sizeof word);
        text_add(yaml, "%s", word);
        return;
    case KNOB_INTS:
        write_ints(knob, base, yaml);
        return;
    case KNOB_WORDS:
        write_words(knob, field, yaml);
        return;
    case KNOB_TEXTS:
        write_texts(knob, base, yaml);
        return;
    case KNOB_RETIRED:
        text_add(yaml, "%s", knob->fallback);
        return;
    case KNOB_ROWS:
    case KNOB_NAMED:
        break;
    }
    BUG("knob '%s' has no single value", knob->path);
}
