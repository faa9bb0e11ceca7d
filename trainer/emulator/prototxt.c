#include "trainer/emulator/prototxt.h"
#include <string.h>

struct parser {
    const char *at, *end;
    int line;
    struct arena *arena;
};

static void skip_blanks(struct parser *parser)
{
    for (; parser->at < parser->end; parser->at++) {
        if (*parser->at == '#')
            while (parser->at + 1 < parser->end && parser->at[1] != '\n')
                parser->at++;
        else if (*parser->at == '\n')
            parser->line++;
        else if (!memchr(" \t\r,;", *parser->at, 5))
            return;
    }
}

static bool is_next(const struct parser *parser, char c)
{
    return parser->at < parser->end && *parser->at == c;
}

static bool is_word_character(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           c == '.' || c == '-' || c == '+';
}

static char *copy(struct parser *parser, const char *from, size_t size)
{
    char *text = arena_alloc(parser->arena, size + 1);
    memcpy(text, from, size);
    return text;
}

static enum err take_word(struct parser *parser, char **word)
{
    const char *start = parser->at;
    while (parser->at < parser->end && is_word_character(*parser->at))
        parser->at++;
    if (parser->at == start)
        return err_set(ERR_DATA, "line %d: a field's name or value is missing", parser->line);
    *word = copy(parser, start, (size_t)(parser->at - start));
    return ERR_OK;
}

static enum err take_string(struct parser *parser, char **string)
{
    char quote = *parser->at++;
    const char *start = parser->at;
    while (parser->at < parser->end && *parser->at != quote) {
        if (*parser->at < ' ' || *parser->at > '~' || *parser->at == '\\')
            return err_set(ERR_DATA, "line %d: an escape or an unprintable character in a string",
                           parser->line);
        parser->at++;
    }
    if (parser->at == parser->end)
        return err_set(ERR_DATA, "line %d: a string without its end", parser->line);
    *string = copy(parser, start, (size_t)(parser->at++ - start));
    return ERR_OK;
}

static enum err take_fields(struct parser *parser, int depth, struct prototxt **first);

static enum err take_message(struct parser *parser, int depth, struct prototxt *field)
{
    enum err err = ERR_OK;
    parser->at++;
    field->is_message = true;
    if (depth == PROTOTXT_MAX_NESTING)
        TRY(err_set(ERR_DATA, "line %d: braces nested more than %d deep", parser->line,
                    PROTOTXT_MAX_NESTING));
    TRY(take_fields(parser, depth + 1, &field->first));
    if (!is_next(parser, '}'))
        TRY(err_set(ERR_DATA, "line %d: \"%s {\" is never closed", field->line, field->name));
    parser->at++;
out:
    return err;
}

static enum err take_value(struct parser *parser, int depth, struct prototxt *field)
{
    skip_blanks(parser);
    bool has_colon = is_next(parser, ':');
    if (has_colon) {
        parser->at++;
        skip_blanks(parser);
    }
    if (is_next(parser, '{'))
        return take_message(parser, depth, field);
    if (!has_colon)
        return err_set(ERR_DATA, "line %d: a colon or a brace is missing behind %.40s",
                       parser->line, field->name);
    field->is_string = is_next(parser, '"') || is_next(parser, '\'');
    return field->is_string ? take_string(parser, &field->text) : take_word(parser, &field->text);
}

static enum err take_fields(struct parser *parser, int depth, struct prototxt **first)
{
    enum err err = ERR_OK;
    for (skip_blanks(parser); parser->at < parser->end && *parser->at != '}'; skip_blanks(parser)) {
        struct prototxt *field = arena_alloc(parser->arena, sizeof *field);
        field->line = parser->line;
        TRY(take_word(parser, &field->name));
        TRY(take_value(parser, depth, field));
        *first = field;
        first = &field->next;
    }
out:
    return err;
}

enum err prototxt_parse(const char *bytes, size_t size_bytes, struct arena *arena,
                        struct prototxt **first)
{
    enum err err = ERR_OK;
    struct parser parser = {bytes, size_bytes ? bytes + size_bytes : bytes, 1, arena};
    *first = NULL;
    TRY(take_fields(&parser, 0, first));
    if (parser.at < parser.end)
        TRY(err_set(ERR_DATA, "line %d: a brace that closes nothing", parser.line));
out:
    return err;
}

const struct prototxt *prototxt_find(const struct prototxt *at, const char *name)
{
    while (at && strcmp(at->name, name) != 0)
        at = at->next;
    return at;
}
