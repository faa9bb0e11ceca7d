#include "trainer/record/event_log.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "trainer/record/tensorboard.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIMIT_BYTES ((size_t)1 << 32)

struct event_log {
    char *path;
    FILE *file;
    struct text kept; /* lines kept on a resume; what event_log_has reads */
    struct text line;
    int failure; /* errno of the first line that could not be written; 0: none */
    struct tensorboard *tensorboard; /* NULL: none */
    uint64_t tensorboard_offset;
};

/* Our own lines begin {"event":"<name>","step":<number>, : enough to rewind without a parser. */
static bool read_head(const char *line, const char **event, size_t *event_bytes, uint64_t *step)
{
    static const char head[] = "{\"event\":\"", middle[] = "\",\"step\":";
    if (strncmp(line, head, sizeof head - 1) != 0)
        return false;
    *event = line + sizeof head - 1;
    *event_bytes = strcspn(*event, "\"\n");
    const char *rest = *event + *event_bytes;
    if (strncmp(rest, middle, sizeof middle - 1) != 0)
        return false;
    char *end = NULL;
    *step = strtoull(rest + sizeof middle - 1, &end, 10);
    return end != rest + sizeof middle - 1;
}

/* Lines up to a step. A torn last line (a kill in the middle of a write) has no newline: dropped.
 */
static void keep_lines(struct text *kept, const char *bytes, uint64_t last_step)
{
    const char *event = NULL, *end = NULL;
    size_t event_bytes = 0;
    uint64_t step = 0;
    for (const char *line = bytes; (end = strchr(line, '\n')); line = end + 1)
        if (read_head(line, &event, &event_bytes, &step) && step <= last_step)
            text_add_bytes(kept, line, (size_t)(end + 1 - line));
}

static enum err open_lines(struct event_log *events, const struct event_log_cfg *cfg)
{
    enum err err = ERR_OK;
    char *old = NULL;
    size_t old_bytes = 0;
    if (cfg->is_resume && file_exists(cfg->path)) {
        TRY(file_read(cfg->path, LIMIT_BYTES, &old, &old_bytes));
        keep_lines(&events->kept, old, cfg->step);
    }
    TRY(fence_write(&cfg->fence, cfg->path, text_get(&events->kept), events->kept.size));
    events->file = fopen(cfg->path, "ae");
    if (!events->file)
        TRY(err_set(ERR_IO, "cannot open %s: %s", cfg->path, strerror(errno)));
    TRY(fence_check(&cfg->fence)); /* what was opened is ours */
out:
    mem_free(old);
    return err;
}

static void open_tensorboard(struct event_log *events, const struct event_log_cfg *cfg)
{
    struct tensorboard_cfg of = {.folder = cfg->tensorboard,
                                 .is_resume = cfg->is_resume,
                                 .first_step = cfg->tensorboard_offset + cfg->step +
                                               (cfg->is_resume ? 1 : 0)};
    events->tensorboard_offset = cfg->tensorboard_offset;
    if (cfg->tensorboard && tensorboard_open(&of, &events->tensorboard) != ERR_OK)
        log_warn("TensorBoard is told nothing of this stage, which goes on: %s", err_text());
}

enum err event_log_open(const struct event_log_cfg *cfg, struct event_log **result)
{
    enum err err = ERR_OK;
    struct event_log *events = mem_alloc(sizeof *events);
    events->path = mem_string(cfg->path);
    text_init(&events->kept);
    text_init(&events->line);
    TRY(open_lines(events, cfg));
    open_tensorboard(events, cfg);
    *result = events;
    events = NULL;
out:
    event_log_close(&events);
    return err;
}

void event_log_close(struct event_log **pointer)
{
    struct event_log *events = *pointer;
    if (!events)
        return;
    if (events->file)
        fclose(events->file);
    tensorboard_close(&events->tensorboard);
    text_fini(&events->kept);
    text_fini(&events->line);
    mem_free(events->path);
    mem_free(events);
    *pointer = NULL;
}

bool event_log_has(const struct event_log *events, const char *event, uint64_t step)
{
    const char *name = NULL, *end = NULL;
    size_t name_bytes = 0;
    uint64_t at = 0;
    if (!events)
        return false;
    for (const char *line = text_get(&events->kept); (end = strchr(line, '\n')); line = end + 1)
        if (read_head(line, &name, &name_bytes, &at) && at == step && name_bytes == strlen(event) &&
            strncmp(name, event, name_bytes) == 0)
            return true;
    return false;
}

void event_log_begin(struct event_log *events, const char *event, uint64_t step)
{
    if (!events)
        return;
    text_fini(&events->line);
    text_init(&events->line);
    text_add(&events->line, "{\"event\":\"%s\",\"step\":%llu", event, (unsigned long long)step);
    tensorboard_begin(events->tensorboard, events->tensorboard_offset + step);
}

void event_log_number(struct event_log *events, const char *name, double value)
{
    if (!events)
        return;
    if (isfinite(value))
        text_add(&events->line, ",\"%s\":%.9g", name, value);
    else
        text_add(&events->line, ",\"%s\":null", name);
}

void event_log_text(struct event_log *events, const char *name, const char *value)
{
    if (!events)
        return;
    text_add(&events->line, ",\"%s\":\"", name);
    for (const char *p = value; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\')
            text_add(&events->line, "\\%c", c);
        else if (c < 0x20)
            text_add(&events->line, "\\u%04x", c);
        else
            text_add(&events->line, "%c", c);
    }
    text_add(&events->line, "\"");
}

void event_log_json(struct event_log *events, const char *name, const char *json)
{
    if (events)
        text_add(&events->line, ",\"%s\":%s", name, json);
}

void event_log_scalar(struct event_log *events, const char *tag, double value)
{
    if (events)
        tensorboard_scalar(events->tensorboard, tag, value);
}

void event_log_end(struct event_log *events)
{
    if (!events)
        return;
    text_add(&events->line, "}\n");
    /* one write per line, so that a reader who follows the file sees whole lines; the first failure
     * shows in event_log_check */
    size_t written = fwrite(events->line.bytes, 1, events->line.size, events->file);
    if ((written < events->line.size || fflush(events->file) != 0) && events->failure == 0)
        events->failure = errno;
    tensorboard_end(events->tensorboard);
}

static enum err tell(const struct event_log *events, int code)
{
    return err_set(code == ENOSPC ? ERR_FULL : ERR_IO, "cannot write %s: %s", events->path,
                   strerror(code));
}

enum err event_log_check(const struct event_log *events)
{
    return events && events->failure != 0 ? tell(events, events->failure) : ERR_OK;
}

enum err event_log_sync(const struct event_log *events)
{
    return events && fdatasync(fileno(events->file)) != 0 ? tell(events, errno) : ERR_OK;
}

enum err event_log_read(const char *path, event_log_visit *visit, void *own)
{
    enum err err = ERR_OK;
    char *line = NULL;
    size_t room = 0;
    ssize_t size = 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return err_set(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot open %s: %s", path,
                       strerror(errno));
    for (int number = 1; (size = getline(&line, &room, file)) > 0; number++) {
        if (line[size - 1] != '\n')
            break;
        json_t *event = json_loadb(line, (size_t)size, 0, NULL);
        if (!event)
            TRY(err_set(ERR_DATA, "%s:%d: not a JSON object", path, number));
        visit(own, event);
        json_decref(event);
    }
    if (ferror(file))
        TRY(err_set(ERR_IO, "cannot read %s", path));
out:
    free(line);
    fclose(file);
    return err;
}
