/* libfyaml's events, read into a tree of our own: events carry positions for everything, and an
 * alias is seen before it is expanded. */
#include "base/yaml/yaml.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include <libfyaml.h>
#include <string.h>

struct yaml {
    struct arena *arena;
    struct yaml_node *root;
};

struct reader { /* one parse */
    struct arena *arena;
    const char *source;
    struct fy_parser *parser;
    struct fy_diag *diag;
    int nodes;
};

static enum err refuse(const struct reader *reader, const struct fy_mark *mark, const char *why)
{
    if (!mark)
        return err_set(ERR_CONFIG, "%s: %s", reader->source, why);
    return err_set(ERR_CONFIG, "%s:%d:%d: %s", reader->source, mark->line + 1, mark->column + 1,
                   why);
}

/* The parser stopped: its first complaint, in our form. */
static enum err syntax_error(const struct reader *reader)
{
    void *at = NULL;
    const struct fy_diag_error *first = fy_diag_errors_iterate(reader->diag, &at);
    if (!first)
        return refuse(reader, NULL, "this is not YAML");
    return err_set(ERR_CONFIG, "%s:%d:%d: not valid YAML: %s", reader->source, first->line,
                   first->column, first->msg);
}

static enum err next_event(struct reader *reader, struct fy_event **event)
{
    *event = fy_parser_parse(reader->parser);
    return *event ? ERR_OK : syntax_error(reader);
}

static struct yaml_node *make_node(struct arena *arena, enum yaml_kind kind, const char *source)
{
    struct yaml_node *node = arena_alloc(arena, sizeof *node);
    node->kind = kind;
    node->source = source;
    node->text = "";
    return node;
}

static void add_item(struct arena *arena, struct yaml_node *node, struct yaml_node *key,
                     struct yaml_node *value)
{
    if ((node->count & (node->count - 1)) == 0) { /* room is the next power of two */
        size_t room = node->count ? 2 * (size_t)node->count : 1;
        struct yaml_node **keys = arena_alloc(arena, room * sizeof *keys);
        struct yaml_node **items = arena_alloc(arena, room * sizeof *items);
        for (int i = 0; i < node->count; i++) {
            keys[i] = node->keys[i];
            items[i] = node->items[i];
        }
        node->keys = keys;
        node->items = items;
    }
    node->keys[node->count] = key;
    node->items[node->count++] = value;
}

/* Anchors and tags are refused where they stand. */
static enum err check_plain(const struct reader *reader, const struct fy_event *event,
                            const struct fy_mark *mark)
{
    const struct fy_token *anchor = NULL, *tag = NULL;
    if (event->type == FYET_SCALAR) {
        anchor = event->scalar.anchor;
        tag = event->scalar.tag;
    } else if (event->type == FYET_SEQUENCE_START) {
        anchor = event->sequence_start.anchor;
        tag = event->sequence_start.tag;
    } else if (event->type == FYET_MAPPING_START) {
        anchor = event->mapping_start.anchor;
        tag = event->mapping_start.tag;
    }
    if (anchor)
        return refuse(reader, mark, "an anchor (&name) is not accepted here; write the value out");
    if (tag)
        return refuse(reader, mark, "a tag (!name) is not accepted here; leave it out");
    return ERR_OK;
}

static enum err read_scalar(struct reader *reader, struct fy_event *event, struct yaml_node *node)
{
    size_t size = 0;
    const char *bytes = fy_token_get_text(event->scalar.value, &size);
    if (!bytes && size > 0)
        return refuse(reader, NULL, "a value cannot be read");
    if (size > 0 && memchr(bytes, 0, size))
        return refuse(reader, fy_event_start_mark(event), "a value contains a zero byte");
    char *text = arena_alloc(reader->arena, size + 1);
    if (size > 0)
        memcpy(text, bytes, size);
    node->text = text;
    node->is_quoted = fy_token_scalar_style(event->scalar.value) != FYSS_PLAIN;
    return ERR_OK;
}

static enum err read_node(struct reader *reader, struct fy_event *event, int depth,
                          struct yaml_node **made);

/* Everything up to the end event of a list or a map. */
static enum err read_items(struct reader *reader, enum fy_event_type end, int depth,
                           struct yaml_node *node)
{
    enum err err = ERR_OK;
    for (;;) {
        struct fy_event *event = NULL;
        struct yaml_node *key = NULL, *value = NULL;
        TRY(next_event(reader, &event));
        if (event->type == end) {
            fy_parser_event_free(reader->parser, event);
            break;
        }
        TRY(read_node(reader, event, depth + 1, node->kind == YAML_MAP ? &key : &value));
        if (key && key->kind != YAML_SCALAR)
            TRY(err_set(ERR_CONFIG, "%s:%d:%d: a key must be a single word", reader->source,
                        key->line, key->column));
        if (key) {
            TRY(next_event(reader, &event));
            TRY(read_node(reader, event, depth + 1, &value));
        }
        add_item(reader->arena, node, key, value);
    }
    /* A block list or map begins at its first entry: the library leaves its own mark open. */
    if (node->count > 0 && node->line == 0) {
        const struct yaml_node *first = node->keys[0] ? node->keys[0] : node->items[0];
        node->line = first->line;
        node->column = first->column;
    }
out:
    return err;
}

/* Takes the event. */
static enum err read_node(struct reader *reader, struct fy_event *event, int depth,
                          struct yaml_node **made)
{
    enum err err = ERR_OK;
    enum fy_event_type type = event->type, end = FYET_NONE;
    const struct fy_mark *mark = fy_event_start_mark(event);
    if (type == FYET_ALIAS)
        TRY(refuse(reader, mark, "an alias (*name) is not accepted here; write the value out"));
    TRY(check_plain(reader, event, mark));
    if (depth > YAML_MAX_DEPTH || ++reader->nodes > YAML_MAX_NODES)
        TRY(refuse(reader, mark, "nested too deep, or too many values"));
    enum yaml_kind kind = type == FYET_SEQUENCE_START  ? YAML_LIST
                          : type == FYET_MAPPING_START ? YAML_MAP
                                                       : YAML_SCALAR;
    if (kind == YAML_SCALAR && type != FYET_SCALAR)
        TRY(refuse(reader, mark, "a value is missing"));
    struct yaml_node *node = make_node(reader->arena, kind, reader->source);
    if (mark) {
        node->line = mark->line + 1;
        node->column = mark->column + 1;
    }
    if (kind == YAML_SCALAR)
        TRY(read_scalar(reader, event, node));
    end = kind == YAML_LIST ? FYET_SEQUENCE_END : FYET_MAPPING_END;
    fy_parser_event_free(reader->parser, event);
    event = NULL;
    if (kind != YAML_SCALAR)
        TRY(read_items(reader, end, depth, node));
    *made = node;
out:
    if (event)
        fy_parser_event_free(reader->parser, event);
    return err;
}

/* Stream start, one document or none, stream end. */
static enum err read_stream(struct reader *reader, struct yaml_node **root)
{
    enum err err = ERR_OK;
    enum fy_event_type type = FYET_NONE;
    while (type != FYET_STREAM_END) {
        struct fy_event *event = NULL;
        TRY(next_event(reader, &event));
        type = event->type;
        if (type == FYET_DOCUMENT_START && *root) {
            err = refuse(reader, fy_event_start_mark(event), "one document a file, please");
            fy_parser_event_free(reader->parser, event);
            goto out;
        }
        if (type == FYET_STREAM_START || type == FYET_DOCUMENT_START || type == FYET_DOCUMENT_END ||
            type == FYET_STREAM_END)
            fy_parser_event_free(reader->parser, event);
        else
            TRY(read_node(reader, event, 1, root));
    }
out:
    return err;
}

static enum err read_tree(struct reader *reader, const char *bytes, size_t size_bytes,
                          struct yaml_node **root)
{
    enum err err = ERR_OK;
    struct fy_diag_cfg diag_cfg;
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    reader->diag = fy_diag_create(&diag_cfg);
    if (!reader->diag)
        TRY(err_set(ERR_MEMORY, "no memory to read %s", reader->source));
    fy_diag_set_collect_errors(reader->diag, true);
    struct fy_parse_cfg cfg = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_JSON_NONE,
                               .diag = reader->diag};
    reader->parser = fy_parser_create(&cfg);
    if (!reader->parser || fy_parser_set_string(reader->parser, bytes, size_bytes) != 0)
        TRY(err_set(ERR_MEMORY, "no memory to read %s", reader->source));
    TRY(read_stream(reader, root));
out:
    if (reader->parser)
        fy_parser_destroy(reader->parser);
    if (reader->diag)
        fy_diag_destroy(reader->diag);
    return err;
}

/* libfyaml 0.7 loops for ever on some bytes that are not text: they are turned away before it. */
static enum err check_text(const char *source, const char *bytes, size_t size_bytes)
{
    int line = 1, column = 1;
    for (size_t i = 0; i < size_bytes;) {
        size_t size = text_character_size(bytes + i, size_bytes - i);
        if (size == 0)
            return err_set(ERR_CONFIG, "%s:%d:%d: byte 0x%02x is not UTF-8 text", source, line,
                           column, (unsigned char)bytes[i]);
        column = bytes[i] == '\n' ? 1 : column + 1;
        line += bytes[i] == '\n';
        i += size;
    }
    return ERR_OK;
}

enum err yaml_parse(const char *source, const char *bytes, size_t size_bytes, struct yaml **yaml)
{
    enum err err = ERR_OK;
    struct yaml *made = mem_alloc(sizeof *made);
    made->arena = arena_create();
    struct reader reader = {.arena = made->arena, .source = arena_string(made->arena, source)};
    if (size_bytes > YAML_MAX_BYTES)
        TRY(err_set(ERR_CONFIG, "%s: larger than %d bytes", source, YAML_MAX_BYTES));
    TRY(check_text(source, bytes, size_bytes));
    if (size_bytes > 0)
        TRY(read_tree(&reader, bytes, size_bytes, &made->root));
    if (!made->root || yaml_is_null(made->root)) {
        made->root = make_node(made->arena, YAML_MAP, reader.source);
        made->root->line = made->root->column = 1;
    }
    *yaml = made;
    made = NULL;
out:
    yaml_close(&made);
    return err;
}

enum err yaml_open(const char *path, struct yaml **yaml)
{
    enum err err = ERR_OK;
    char *bytes = NULL;
    size_t size = 0;
    err = file_read(path, YAML_MAX_BYTES, &bytes, &size);
    if (err == ERR_DATA) /* a configuration file of this size is a mistake in the configuration */
        err = err_set(ERR_CONFIG, "%s: larger than %d bytes", path, YAML_MAX_BYTES);
    TRY(err);
    TRY(yaml_parse(path, bytes, size, yaml));
out:
    mem_free(bytes);
    return err;
}

void yaml_close(struct yaml **yaml)
{
    if (!yaml || !*yaml)
        return;
    arena_destroy((*yaml)->arena);
    mem_free(*yaml);
    *yaml = NULL;
}

struct yaml_node *yaml_root(const struct yaml *yaml)
{
    return yaml->root;
}

bool yaml_is_null(const struct yaml_node *node)
{
    return node->kind == YAML_SCALAR && !node->is_quoted &&
           (node->text[0] == 0 || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

/* The last entry of a map under the first `size` characters of key, or NULL. */
static struct yaml_node **find_entry(const struct yaml_node *map, const char *key, size_t size)
{
    if (map->kind != YAML_MAP)
        return NULL;
    for (int i = map->count - 1; i >= 0; i--)
        if (strlen(map->keys[i]->text) == size && memcmp(map->keys[i]->text, key, size) == 0)
            return &map->items[i];
    return NULL;
}

/* As far as the path leads; *rest: what is left of it ("" when all was found). */
static const struct yaml_node *walk(const struct yaml_node *node, const char *path,
                                    const char **rest)
{
    while (*path) {
        size_t size = strcspn(path, ".");
        struct yaml_node **entry = find_entry(node, path, size);
        if (!entry)
            break;
        node = *entry;
        path += size + (path[size] == '.');
    }
    *rest = path;
    return node;
}

const struct yaml_node *yaml_find(const struct yaml_node *map, const char *path)
{
    const char *rest = path;
    const struct yaml_node *node = walk(map, path, &rest);
    return *rest ? NULL : node;
}

const struct yaml_node *yaml_nearest(const struct yaml_node *map, const char *path)
{
    const char *rest = path;
    return walk(map, path, &rest);
}

/* The tree of one --set: positions are those of the command line, so none. */
static void forget_positions(struct yaml_node *node, const char *source)
{
    node->source = source;
    node->line = node->column = 0;
    for (int i = 0; i < node->count; i++) {
        if (node->keys[i])
            forget_positions(node->keys[i], source);
        forget_positions(node->items[i], source);
    }
}

static enum err parse_value(struct yaml *yaml, const char *source, const char *value,
                            struct yaml_node **made)
{
    enum err err = ERR_OK;
    struct reader reader = {.arena = yaml->arena, .source = source};
    struct yaml_node *node = NULL;
    if (strlen(value) > YAML_MAX_BYTES)
        TRY(err_set(ERR_USAGE, "a value of --set is too long"));
    if (value[0] && (check_text(source, value, strlen(value)) != ERR_OK ||
                     read_tree(&reader, value, strlen(value), &node) != ERR_OK))
        TRY(err_set(ERR_USAGE, "%s: the value is not valid YAML", source));
    if (!node)
        node = make_node(yaml->arena, YAML_SCALAR, source);
    forget_positions(node, source);
    *made = node;
out:
    return err;
}

enum err yaml_set(struct yaml *yaml, const char *path, const char *value)
{
    enum err err = ERR_OK;
    struct text name;
    struct yaml_node *made = NULL, *map = yaml->root;
    text_init(&name);
    text_add(&name, "--set %s=%s", path, value);
    const char *source = arena_string(yaml->arena, text_get(&name));
    TRY(parse_value(yaml, source, value, &made));
    for (const char *at = path;;) {
        size_t size = strcspn(at, ".");
        struct yaml_node **entry = find_entry(map, at, size);
        bool is_last = at[size] == 0;
        if (size == 0 || map->kind != YAML_MAP)
            TRY(err_set(ERR_USAGE, "%s: '%s' does not lead to a key", source, path));
        if (!entry) {
            struct yaml_node *key = make_node(yaml->arena, YAML_SCALAR, source);
            char *word = arena_alloc(yaml->arena, size + 1);
            memcpy(word, at, size);
            key->text = word;
            add_item(yaml->arena, map, key, make_node(yaml->arena, YAML_MAP, source));
            entry = &map->items[map->count - 1];
        } else if (!is_last && yaml_is_null(*entry)) {
            *entry = make_node(yaml->arena, YAML_MAP, source);
        }
        if (is_last) {
            *entry = made;
            break;
        }
        map = *entry;
        at += size + 1;
    }
out:
    text_fini(&name);
    return err;
}
