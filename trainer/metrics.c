#include "trainer/metrics.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIMIT_BYTES ((size_t)1 << 32)

struct metrics {
    char *path;
    FILE *file;
    struct text kept; /* lines kept on a resume; what metrics_has reads */
    struct text line;
    int failure; /* errno of the first line that could not be written; 0: none */
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

enum err metrics_open(const char *path, bool is_resume, uint64_t step, struct metrics **result)
{
    enum err err = ERR_OK;
    char *old = NULL;
    size_t old_bytes = 0;
    struct metrics *metrics = mem_alloc(sizeof *metrics);
    metrics->path = mem_string(path);
    text_init(&metrics->kept);
    text_init(&metrics->line);
    if (is_resume && file_exists(path)) {
        TRY(file_read(path, LIMIT_BYTES, &old, &old_bytes));
        keep_lines(&metrics->kept, old, step);
    }
    TRY(file_write(path, text_get(&metrics->kept), metrics->kept.size));
    metrics->file = fopen(path, "ae");
    if (!metrics->file)
        TRY(err_set(ERR_IO, "cannot open %s: %s", path, strerror(errno)));
    *result = metrics;
    metrics = NULL;
out:
    metrics_close(&metrics);
    mem_free(old);
    return err;
}

void metrics_close(struct metrics **pointer)
{
    struct metrics *metrics = *pointer;
    if (!metrics)
        return;
    if (metrics->file)
        fclose(metrics->file);
    text_fini(&metrics->kept);
    text_fini(&metrics->line);
    mem_free(metrics->path);
    mem_free(metrics);
    *pointer = NULL;
}

bool metrics_has(const struct metrics *metrics, const char *event, uint64_t step)
{
    const char *name = NULL, *end = NULL;
    size_t name_bytes = 0;
    uint64_t at = 0;
    if (!metrics)
        return false;
    for (const char *line = text_get(&metrics->kept); (end = strchr(line, '\n')); line = end + 1)
        if (read_head(line, &name, &name_bytes, &at) && at == step && name_bytes == strlen(event) &&
            strncmp(name, event, name_bytes) == 0)
            return true;
    return false;
}

void metrics_begin(struct metrics *metrics, const char *event, uint64_t step)
{
    if (!metrics)
        return;
    text_fini(&metrics->line);
    text_init(&metrics->line);
    text_add(&metrics->line, "{\"event\":\"%s\",\"step\":%llu", event, (unsigned long long)step);
}

void metrics_number(struct metrics *metrics, const char *name, double value)
{
    if (!metrics)
        return;
    if (isfinite(value))
        text_add(&metrics->line, ",\"%s\":%.9g", name, value);
    else
        text_add(&metrics->line, ",\"%s\":null", name);
}

void metrics_text(struct metrics *metrics, const char *name, const char *value)
{
    if (!metrics)
        return;
    text_add(&metrics->line, ",\"%s\":\"", name);
    for (const char *p = value; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\')
            text_add(&metrics->line, "\\%c", c);
        else if (c < 0x20)
            text_add(&metrics->line, "\\u%04x", c);
        else
            text_add(&metrics->line, "%c", c);
    }
    text_add(&metrics->line, "\"");
}

void metrics_json(struct metrics *metrics, const char *name, const char *json)
{
    if (metrics)
        text_add(&metrics->line, ",\"%s\":%s", name, json);
}

void metrics_end(struct metrics *metrics)
{
    if (!metrics)
        return;
    text_add(&metrics->line, "}\n");
    /* one write per line, so that a reader who follows the file sees whole lines; the first failure
     * shows in metrics_check */
    size_t written = fwrite(metrics->line.bytes, 1, metrics->line.size, metrics->file);
    if ((written < metrics->line.size || fflush(metrics->file) != 0) && metrics->failure == 0)
        metrics->failure = errno;
}

static enum err tell(const struct metrics *metrics, int code)
{
    return err_set(code == ENOSPC ? ERR_FULL : ERR_IO, "cannot write %s: %s", metrics->path,
                   strerror(code));
}

enum err metrics_check(const struct metrics *metrics)
{
    return metrics && metrics->failure != 0 ? tell(metrics, metrics->failure) : ERR_OK;
}

enum err metrics_sync(const struct metrics *metrics)
{
    return metrics && fdatasync(fileno(metrics->file)) != 0 ? tell(metrics, errno) : ERR_OK;
}

enum err metrics_read(const char *path, metrics_visit *visit, void *own)
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
