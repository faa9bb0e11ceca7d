/* A schema's other two readings: the resolved file, and the help. */
#include "base/yaml/schema.h"
#include <string.h>

static void write_level(const struct schema *schema, const void *from, int indent, bool is_item,
                        struct text *yaml);

static void write_rows(const struct knob *knob, const char *base, int indent, struct text *yaml)
{
    int count = *(const int *)(const void *)(base + knob->count_offset);
    if (count == 0) {
        text_add(yaml, knob->type == KNOB_NAMED ? " {}\n" : " []\n");
        return;
    }
    text_add(yaml, "\n");
    for (int i = 0; i < count; i++) {
        const char *row = base + knob->offset + (size_t)i * knob->rows->size;
        if (knob->type == KNOB_NAMED)
            text_add(yaml, "%*s\"%s\":\n", indent + 2, "", row);
        else
            text_add(yaml, "%*s- ", indent + 2, "");
        write_level(knob->rows, row, indent + 4, knob->type == KNOB_ROWS, yaml);
    }
}

/* Opens the sections of `path` that `last` is not in already; returns the depth of the leaf. */
static int open_sections(const char *path, const char *last, int indent, struct text *yaml)
{
    int depth = 0;
    for (const char *dot = strchr(path, '.'); dot; dot = strchr(dot + 1, '.'), depth++) {
        size_t size = (size_t)(dot - path);
        if (strncmp(path, last, size + 1) == 0)
            continue;
        const char *word = dot;
        while (word > path && word[-1] != '.')
            word--;
        text_add(yaml, "%*s%.*s:\n", indent + 2 * depth, "", (int)(dot - word), word);
    }
    return depth;
}

/* is_item: the first line goes behind a "- " that is already written. */
static void write_level(const struct schema *schema, const void *from, int indent, bool is_item,
                        struct text *yaml)
{
    const char *last = "";
    for (int i = 0; i < schema->knob_count; i++) {
        const struct knob *knob = &schema->knobs[i];
        if (knob->type == KNOB_RETIRED)
            continue;
        int depth = open_sections(knob->path, last, indent, yaml);
        const char *dot = strrchr(knob->path, '.');
        int margin = is_item && i == 0 ? 0 : indent + 2 * depth;
        text_add(yaml, "%*s%s:", margin, "", dot ? dot + 1 : knob->path);
        if (knob->type == KNOB_ROWS || knob->type == KNOB_NAMED) {
            write_rows(knob, from, margin, yaml);
        } else {
            text_add(yaml, " ");
            schema_value(knob, from, yaml);
            text_add(yaml, "\n");
        }
        last = knob->path;
    }
}

void schema_write(const struct schema *schema, const void *from, struct text *yaml)
{
    write_level(schema, from, 0, false, yaml);
}

static const char *type_name(const struct knob *knob)
{
    static const char *const names[] = {
        [KNOB_BOOL] = "yes or no",      [KNOB_INT] = "whole number",
        [KNOB_UINT32] = "whole number", [KNOB_UINT64] = "whole number",
        [KNOB_REAL] = "number",         [KNOB_TEXT] = "text",
        [KNOB_WORD] = "word",           [KNOB_ENUM] = "word",
        [KNOB_INTS] = "numbers",        [KNOB_WORDS] = "words",
        [KNOB_TEXTS] = "list of texts", [KNOB_ROWS] = "rows",
        [KNOB_NAMED] = "named rows"};
    return names[knob->type];
}

static const char *unit_name(enum knob_unit unit)
{
    static const char *const names[] = {[UNIT_NONE] = "",
                                        [UNIT_COUNT] = " (k, M, G)",
                                        [UNIT_SECONDS] = " (s, m, h)",
                                        [UNIT_BYTES] = " (KiB, MiB, GiB)",
                                        [UNIT_EPOCHS] = " (epochs)",
                                        [UNIT_MS] = " (ms)",
                                        [UNIT_PIXELS] = " (pixels)"};
    return names[unit];
}

static void help_level(const struct schema *schema, const char *prefix, struct text *text)
{
    for (int i = 0; i < schema->knob_count; i++) {
        const struct knob *knob = &schema->knobs[i];
        if (knob->type == KNOB_RETIRED)
            continue;
        text_add(text, "%s%s: %s%s", prefix, knob->path, type_name(knob), unit_name(knob->unit));
        if (knob->words)
            text_add(text, " [%s]", knob->words);
        if (knob->low != 0 || knob->high != 0)
            text_add(text, ", %.10g to %.10g", knob->low, knob->high);
        if (!knob->fallback)
            text_add(text, ", required");
        else if (knob->fallback[0] && strcmp(knob->fallback, "\"\"") != 0)
            text_add(text, ", default %s", knob->fallback);
        text_add(text, "\n    %s\n", knob->help);
        if (knob->rows)
            help_level(knob->rows, "    - ", text);
    }
}

void schema_help(const struct schema *schema, struct text *text)
{
    help_level(schema, "", text);
}
