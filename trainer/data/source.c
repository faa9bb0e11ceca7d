#include "trainer/data/source.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "trainer/data/idx.h"
#include <stdio.h>
#include <string.h>

#define LABELS_LIMIT ((size_t)16 << 20)

static void drop_names(struct source *source)
{
    for (int i = 0; i < source->classes; i++)
        mem_free(source->class_names[i]);
    mem_free(source->class_names);
    source->class_names = NULL;
}

/* Splits `text` at line ends, in place; returns the number of lines, trailing empty ones left
 * out. */
static int split_lines(char *text, size_t size, char **lines, int room)
{
    int count = 0, last = 0;
    for (char *at = text; at < text + size && count < room;) {
        size_t length = strcspn(at, "\n");
        char *next = at + length + 1;
        at[length] = '\0';
        if (length > 0 && at[length - 1] == '\r')
            at[length - 1] = '\0';
        lines[count++] = at;
        if (*at)
            last = count;
        at = next;
    }
    return last;
}

enum err source_check_class(const char *name)
{
    size_t size = strlen(name);
    for (size_t at = 0, step = 0; at < size; at += step) {
        step = text_character_size(name + at, size - at);
        if (step == 0)
            return err_set(ERR_DATA,
                           "the class name \"%s\" is not UTF-8 at its byte %zu (0x%02x): rename "
                           "it, or save the list that names it as UTF-8",
                           name, at + 1, (unsigned char)name[at]);
        if ((unsigned char)name[at] < ' ')
            return err_set(ERR_DATA,
                           "the class name \"%s\" has a line end or a control character (its "
                           "byte %zu): rename it",
                           name, at + 1);
    }
    return ERR_OK;
}

void source_add_item(struct source *source, const char *name, int32_t label)
{
    if (source->item_count == source->item_room) {
        size_t room = 2 * source->item_room + 1024;
        source->items = mem_grow(source->items, source->item_room * sizeof *source->items,
                                 room * sizeof *source->items);
        source->item_room = room;
    }
    source->items[source->item_count++] =
        (struct source_item){.name = mem_string(name), .label = label};
}

enum err source_add_class(struct source *source, const char *name)
{
    enum err err = ERR_OK;
    TRY(source_check_class(name));
    size_t count = (size_t)source->classes;
    if ((count & (count - 1)) == 0) /* full at every power of two */
        source->class_names = mem_grow(source->class_names, count * sizeof(char *),
                                       (count ? 2 * count : 1) * sizeof(char *));
    source->class_names[source->classes++] = mem_string(name);
out:
    return err;
}

/* Too few names are told with the first image that has none. */
static enum err refuse_count(const struct source *source, const char *path, int count)
{
    char name[32] = "";
    if (count > source->classes)
        return err_set(ERR_DATA, "%s names more than %d classes, the images are of %d", path,
                       source->classes, source->classes);
    if (!source_is_stream(source))
        return err_set(ERR_DATA, "%s names %d classes, the images are of %d", path, count,
                       source->classes);
    uint32_t first = 0;
    while (source->labels[first] < count)
        first++;
    source_name(source, first, name, sizeof name);
    return err_set(ERR_DATA, "%s names %d classes, the images are of %d: %s has label %d", path,
                   count, source->classes, name, source->labels[first]);
}

/* Class names from a file instead of the source's own. */
static enum err name_classes(struct source *source, const char *path)
{
    enum err err = ERR_OK;
    char *bytes = NULL, **lines = NULL;
    size_t size = 0;
    TRY(file_read(path, LABELS_LIMIT, &bytes, &size));
    int room = source->classes + 1; /* one more tells too many */
    lines = mem_array((size_t)room, sizeof *lines);
    int count = split_lines(bytes, size, lines, room);
    if (count != source->classes)
        TRY(refuse_count(source, path, count));
    for (int i = 0; i < count; i++) {
        if (!lines[i][0])
            TRY(err_set(ERR_DATA, "%s, line %d: an empty class name", path, i + 1));
        err = source_check_class(lines[i]);
        if (err != ERR_OK)
            TRY(err_prefix(err, "%s, line %d", path, i + 1));
        mem_free(source->class_names[i]);
        source->class_names[i] = mem_string(lines[i]);
    }
out:
    mem_free(lines);
    mem_free(bytes);
    return err;
}

enum err source_open(const struct import_cfg *cfg, struct import_report *report,
                     struct source **source)
{
    enum err err = ERR_OK;
    struct source *opened = mem_alloc(sizeof *opened);
    const char *first = cfg->sources[0];
    bool is_alone = cfg->source_count == 1 && file_exists(first);
    if (is_alone && file_is_folder(first) && !source_is_idx(first))
        TRY(source_open_folder(cfg, report, opened));
    else if (is_alone && !file_is_folder(first) && !source_is_idx_name(first))
        TRY(source_open_list(cfg, report, opened));
    else
        TRY(source_open_idx(cfg, opened));
    if (cfg->labels_path)
        TRY(name_classes(opened, cfg->labels_path));
    *source = opened;
    opened = NULL;
out:
    source_close(&opened);
    return err;
}

void source_close(struct source **source)
{
    struct source *closed = *source;
    if (!closed)
        return;
    drop_names(closed);
    for (size_t i = 0; i < closed->item_count; i++)
        mem_free(closed->items[i].name);
    mem_free(closed->items);
    for (int i = 0; closed->images && i < 2; i++)
        idx_close(&closed->images[i]);
    mem_free(closed->images);
    mem_free(closed->labels);
    mem_free(closed->root);
    mem_free(closed);
    *source = NULL;
}

bool source_is_stream(const struct source *source)
{
    return source->images != NULL;
}

int source_stream_channels(const struct source *source)
{
    return source->images[0].C > source->images[1].C ? source->images[0].C : source->images[1].C;
}

int source_stream_side(const struct source *source)
{
    int most = 0;
    for (int i = 0; i < 2; i++) { /* a test set that is not there is 0 x 0 */
        const struct idx *idx = &source->images[i];
        int least = idx->H < idx->W ? idx->H : idx->W;
        most = least > most ? least : most;
    }
    return most;
}

static enum err read_file(struct source *source, uint32_t index, const struct image_limits *limits,
                          struct image *image, enum image_fault *fault)
{
    const struct source_item *item = &source->items[index];
    char *path =
        item->name[0] == '/' ? mem_string(item->name) : file_join(source->root, item->name);
    enum err err = image_file_read(path, limits, image, fault);
    if (err == ERR_DATA && item->line > 0)
        err = err_prefix(err, "line %d", item->line);
    image->label = item->label;
    mem_free(path);
    return err == ERR_DATA ? ERR_OK : err; /* *fault and the text say why it is skipped */
}

enum err source_read(struct source *source, uint32_t index, const struct image_limits *limits,
                     struct image *image, enum image_fault *fault)
{
    if (!source_is_stream(source))
        return read_file(source, index, limits, image, fault);
    struct idx *idx = &source->images[index < source->train_count ? 0 : 1];
    image_reserve(image, idx->item_bytes);
    image->H = idx->H;
    image->W = idx->W;
    image->C = idx->C;
    image->label = source->labels[index];
    *fault = IMAGE_FAULT_NONE;
    return idx_read(idx, image->pixels);
}

void source_name(const struct source *source, uint32_t index, char *name, size_t room)
{
    bool is_train = index < source->train_count;
    if (source_is_stream(source))
        snprintf(name, room, "%s[%u]", is_train ? "train" : "test",
                 is_train ? index : index - source->train_count);
    else
        snprintf(name, room, "%s", source->items[index].name);
}

const char *source_stored_name(const struct source *source, uint32_t index)
{
    return source_is_stream(source) ? "" : source->items[index].name;
}
