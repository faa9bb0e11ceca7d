#include "trainer/checkpoint/lineage.h"
#include "kernels/device.h"
#include <string.h>

#define DIVIDER "; "

void lineage_write(const char *program, const char *device, struct text *lineage)
{
    text_add(lineage, "%s%s%s", program, DIVIDER, device);
}

const char *lineage_device(const char *lineage)
{
    const char *divider = lineage ? strstr(lineage, DIVIDER) : NULL;
    return divider ? divider + strlen(DIVIDER) : "";
}

/* Bytes in front of the model. */
static size_t kind_size(const char *device)
{
    const char *on = strstr(device, DEVICE_LINEAGE_ON);
    return on ? (size_t)(on - device) : strlen(device);
}

bool lineage_is_same_kind(const char *device, const char *other)
{
    size_t size = kind_size(device);
    return size == kind_size(other) && memcmp(device, other, size) == 0;
}

bool lineage_is_same(const char *device, const char *other)
{
    bool has_models = strstr(device, DEVICE_LINEAGE_ON) && strstr(other, DEVICE_LINEAGE_ON);
    return has_models ? strcmp(device, other) == 0 : lineage_is_same_kind(device, other);
}

void lineage_write_gang(const char *devices, size_t room, int ranks, struct text *gang)
{
    for (int first = 0, end; first < ranks; first = end) {
        const char *device = devices + (size_t)first * room;
        for (end = first + 1; end < ranks && strcmp(devices + (size_t)end * room, device) == 0;)
            end++;
        if (end - first < ranks)
            text_add(gang, "%s%d x ", first > 0 ? ", " : "", end - first);
        text_add(gang, "%s", device);
    }
}

static bool has_line(const struct text *list, const char *line, size_t size)
{
    for (const char *at = text_get(list); *at; at += strcspn(at, "\n"), at += *at == '\n')
        if (strcspn(at, "\n") == size && memcmp(at, line, size) == 0)
            return true;
    return false;
}

void lineage_add(struct text *mixed, const char *mine, const char *devices)
{
    for (const char *at = devices; *at; at += *at == '\n') {
        size_t size = strcspn(at, "\n");
        bool is_mine = strlen(mine) == size && memcmp(at, mine, size) == 0;
        if (size > 0 && !is_mine && !has_line(mixed, at, size)) {
            text_add(mixed, "%s", mixed->size > 0 ? "\n" : "");
            text_add_bytes(mixed, at, size);
        }
        at += size;
    }
}
