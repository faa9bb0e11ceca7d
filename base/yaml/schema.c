/* The walk of a schema over a tree: fills a struct, names every error. */
#include "base/mem.h"
#include "base/yaml/schema_internal.h"
#include <stdio.h>
#include <string.h>

const struct knob *schema_find(const struct schema *schema, const char *path)
{
    for (int i = 0; i < schema->knob_count; i++)
        if (strcmp(schema->knobs[i].path, path) == 0)
            return &schema->knobs[i];
    return NULL;
}

/* Is there a knob inside the section `path`? */
static bool is_section(const struct schema *schema, const char *path)
{
    size_t size = strlen(path);
    for (int i = 0; i < schema->knob_count; i++)
        if (strncmp(schema->knobs[i].path, path, size) == 0 && schema->knobs[i].path[size] == '.')
            return true;
    return false;
}

static const char *leaf_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

/* Keys that may stand in the section `prefix` ("" or "batch."): one after the other from *at. */
static bool next_sibling(const struct schema *schema, const char *prefix, int *at, char *key,
                         size_t room)
{
    size_t size = strlen(prefix);
    for (; *at < schema->knob_count; (*at)++) {
        const char *path = schema->knobs[*at].path;
        if (strncmp(path, prefix, size) != 0 || schema->knobs[*at].type == KNOB_RETIRED)
            continue;
        size_t word = strcspn(path + size, ".");
        snprintf(key, room, "%.*s", (int)word, path + size);
        /* a section's knobs are neighbours in the table: show it once */
        const char *last = *at > 0 ? schema->knobs[*at - 1].path : "";
        bool is_again = strncmp(last, path, size + word) == 0 &&
                        (last[size + word] == '.' || last[size + word] == 0);
        (*at)++;
        if (!is_again)
            return true;
        (*at)--;
    }
    return false;
}

/* The cure for an unknown key: a close sibling, the same word in another section, or the list. */
static void suggest(const struct walk *walk, const char *prefix, const char *key, struct text *cure)
{
    char sibling[PATH_BYTES], nearest[PATH_BYTES] = "";
    int least = 1000, length = (int)strlen(key);
    for (int at = 0; next_sibling(walk->schema, prefix, &at, sibling, sizeof sibling);) {
        int distance = text_distance(sibling, key);
        /* one inside the other ("has_se", "se") is meant more often than distance tells */
        if (distance > 1 && (strstr(key, sibling) || strstr(sibling, key)))
            distance = 1;
        if (distance < least) {
            least = distance;
            snprintf(nearest, sizeof nearest, "%s", sibling);
        }
    }
    const char *elsewhere = NULL;
    for (int i = 0; i < walk->schema->knob_count && !elsewhere; i++)
        if (walk->schema->knobs[i].type != KNOB_RETIRED &&
            strcmp(leaf_of(walk->schema->knobs[i].path), key) == 0)
            elsewhere = walk->schema->knobs[i].path;
    if (least <= 1 || (least == 2 && length > 2 && !elsewhere)) {
        text_add(cure, "; did you mean '%s%s%s'?", walk->shown, prefix, nearest);
    } else if (elsewhere) {
        text_add(cure, "; did you mean '%s%s'?", walk->shown, elsewhere);
    } else if (2 * least <= length) {
        text_add(cure, "; did you mean '%s%s%s'?", walk->shown, prefix, nearest);
    } else {
        const char *comma = "; known here: ";
        for (int at = 0; next_sibling(walk->schema, prefix, &at, sibling, sizeof sibling);) {
            text_add(cure, "%s%s", comma, sibling);
            comma = ", ";
        }
    }
}

static void complain_unknown(const struct walk *walk, const char *prefix,
                             const struct yaml_node *key)
{
    struct text cure;
    char path[PATH_BYTES];
    text_init(&cure);
    suggest(walk, prefix, key->text, &cure);
    snprintf(path, sizeof path, "%s%s%.80s", walk->shown, prefix, key->text);
    yaml_complain(walk->errors, key, path, "unknown%s", text_get(&cure));
    text_fini(&cure);
}

static void fill_knob(const struct walk *walk, const struct knob *knob, const char *path,
                      const struct yaml_node *node)
{
    if (knob->type == KNOB_INTS) {
        walk_ints(walk, knob, path, node);
    } else if (knob->type == KNOB_WORDS) {
        walk_words(walk, knob, path, node);
    } else if (knob->type == KNOB_TEXTS) {
        walk_texts(walk, knob, path, node);
    } else if (knob->type == KNOB_ROWS || knob->type == KNOB_NAMED) {
        walk_rows(walk, knob, path, node);
    } else if (node->kind != YAML_SCALAR || yaml_is_null(node)) {
        yaml_complain(walk->errors, node, path, "%s; expected a single value", walk_kind(node));
    } else {
        const char *why = knob_parse(knob, node->text, node->is_quoted, walk->into + knob->offset);
        if (why)
            yaml_complain(walk->errors, node, path, "%s", why);
    }
}

static bool is_repeated(const struct yaml_node *map, int i)
{
    for (int j = 0; j < i; j++)
        if (strcmp(map->keys[j]->text, map->keys[i]->text) == 0)
            return true;
    return false;
}

/* One section: `prefix` is "" or "batch.". Recursion is bounded by the paths of the table. */
static void fill_section(const struct walk *walk, const char *prefix, const struct yaml_node *map)
{
    for (int i = 0; i < map->count; i++) {
        char path[PATH_BYTES], shown[2 * PATH_BYTES];
        const struct yaml_node *key = map->keys[i], *value = map->items[i];
        snprintf(path, sizeof path, "%s%.80s", prefix, key->text);
        snprintf(shown, sizeof shown, "%s%s", walk->shown, path);
        const struct knob *knob = schema_find(walk->schema, path);
        if (is_repeated(map, i))
            yaml_complain(walk->errors, key, shown, "is there twice; keep one");
        if (knob) {
            walk->is_seen[knob - walk->schema->knobs] = true;
            fill_knob(walk, knob, shown, value);
        } else if (!is_section(walk->schema, path)) {
            complain_unknown(walk, prefix, key);
        } else if (value->kind != YAML_MAP) {
            yaml_complain(walk->errors, value, shown, "%s; expected a map: {...}",
                          walk_kind(value));
        } else {
            snprintf(path + strlen(path), sizeof path - strlen(path), ".");
            fill_section(walk, path, value);
        }
    }
}

static bool is_scalar(const struct knob *knob)
{
    return knob->type != KNOB_INTS && knob->type != KNOB_WORDS && knob->type != KNOB_TEXTS &&
           knob->type != KNOB_ROWS && knob->type != KNOB_NAMED;
}

/* The fallback is YAML of ours: an error in it is a bug. */
static void fill_default(const struct walk *walk, const struct knob *knob)
{
    if (!knob->fallback)
        return;
    if (is_scalar(knob)) {
        bool is_empty = strcmp(knob->fallback, "\"\"") == 0;
        const char *why =
            knob_parse(knob, is_empty ? "" : knob->fallback, false, walk->into + knob->offset);
        if (why)
            BUG("the default of '%s' is wrong: %s", knob->path, why);
        return;
    }
    struct yaml *yaml = NULL;
    struct yaml_errors *errors = yaml_errors_create();
    struct walk inner = *walk;
    inner.errors = errors;
    char document[PATH_BYTES];
    snprintf(document, sizeof document, "value: %s", knob->fallback);
    enum err err = yaml_parse(knob->path, document, strlen(document), &yaml);
    if (err == ERR_OK) {
        fill_knob(&inner, knob, knob->path, yaml_root(yaml)->items[0]);
        err = yaml_errors_end(errors);
    }
    if (err != ERR_OK)
        BUG("the default of '%s' is wrong: %s", knob->path, err_text());
    yaml_errors_destroy(errors);
    yaml_close(&yaml);
}

static void complain_missing(const struct walk *walk, const struct yaml_node *map)
{
    for (int i = 0; i < walk->schema->knob_count; i++) {
        const struct knob *knob = &walk->schema->knobs[i];
        if (knob->fallback || walk->is_seen[i])
            continue;
        char shown[PATH_BYTES];
        snprintf(shown, sizeof shown, "%s%s", walk->shown, knob->path);
        yaml_complain(walk->errors, yaml_nearest(map, knob->path), shown, "is missing (%s)",
                      knob->help);
    }
}

bool walk_fill(struct walk *walk, const struct yaml_node *node)
{
    bool is_map = node->kind == YAML_MAP;
    walk->is_seen = mem_array((size_t)walk->schema->knob_count, sizeof *walk->is_seen);
    for (int i = 0; i < walk->schema->knob_count; i++)
        fill_default(walk, &walk->schema->knobs[i]);
    if (is_map) {
        fill_section(walk, "", node);
        complain_missing(walk, node);
    }
    mem_free(walk->is_seen);
    walk->is_seen = NULL;
    return is_map;
}

bool schema_fill(const struct schema *schema, const struct yaml_node *root,
                 struct yaml_errors *errors, void *into)
{
    struct walk walk = {schema, errors, into, "", NULL};
    memset(into, 0, schema->size);
    bool is_map = walk_fill(&walk, root);
    if (!is_map)
        yaml_complain(errors, root, NULL, "the file %s; expected keys and values", walk_kind(root));
    return is_map;
}
